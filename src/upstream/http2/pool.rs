//! The connections with HTTP/2 of one worker, by endpoint and protocol.
//!
//! A connection is used by all requests at once, as far as the peer allows; then another is opened.
//! Requests that find none wait for the one that is being opened, and not each for its own.

use super::Http2Lease;
use super::connection::Shared;
use crate::balance::Endpoint;
use crate::error::Reason;
use crate::telemetry::WorkerCells;
use crate::upstream::connect::EndpointStream;
use crate::upstream::pool::{Key, is_gone};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::{self, Arc};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;

/// Connections to one endpoint from one worker. With 100 streams each, what most servers allow, it
/// is 800 requests at a time; more of them wait for a stream.
const MOST_CONNECTIONS: usize = 8;

/// The connections of one worker.
#[derive(Debug)]
pub(in crate::upstream) struct Http2Pool {
    by_key: RefCell<HashMap<Key, Entry, foldhash::fast::RandomState>>,
    now_ms: Cell<u64>,
    keep_ms: u64,
    cells: Arc<WorkerCells>,
}

#[derive(Debug)]
struct Entry {
    endpoint: sync::Weak<Endpoint>,
    connections: Vec<Rc<Shared>>,
    /// The connection that is being opened.
    opening: Option<Rc<Opening>>,
    /// The endpoint has chosen HTTP/1.1, where every request needs a connection of its own: there
    /// is nothing to wait for.
    is_http1: bool,
    used_ms: u64,
}

impl Entry {
    fn of(endpoint: &Arc<Endpoint>) -> Self {
        let endpoint = Arc::downgrade(endpoint);
        Self { endpoint, connections: Vec::new(), opening: None, is_http1: false, used_ms: 0 }
    }
}

/// A connection that is being opened, for those who wait for it.
#[derive(Debug, Default)]
pub(in crate::upstream) struct Opening {
    done: Notify,
    finished: Cell<bool>,
    failure: Cell<Option<Reason>>,
}

/// How a request gets its connection.
pub(in crate::upstream) enum Begun {
    /// There is one by now.
    Lease(Http2Lease),
    /// Somebody else is opening one.
    Wait(Rc<Opening>),
    /// It is opened by this request; the others wait for the guard.
    Open(Guard),
}

/// Tells those who wait, whatever becomes of the one that opens.
#[derive(Debug)]
pub(in crate::upstream) struct Guard {
    key: Key,
    pool: Weak<Http2Pool>,
    opening: Rc<Opening>,
}

impl Http2Pool {
    pub(in crate::upstream) fn new(keep: Duration, cells: Arc<WorkerCells>) -> Rc<Self> {
        Rc::new(Self {
            by_key: RefCell::default(),
            now_ms: Cell::new(0),
            keep_ms: u64::try_from(keep.as_millis()).unwrap_or(u64::MAX),
            cells,
        })
    }

    /// A stream of the connection with the fewest, if one has room.
    pub(in crate::upstream) fn take(self: &Rc<Self>, key: Key) -> Option<Http2Lease> {
        let mut by_key = self.by_key.borrow_mut();
        let entry = by_key.get_mut(&key)?;
        self.prune(entry);
        entry.used_ms = self.now_ms.get();
        let with_room = entry.connections.iter().filter(|shared| shared.has_room());
        let shared = with_room.min_by_key(|shared| shared.streams())?;
        Some(self.lease(shared))
    }

    /// Begins with a new connection, unless there is another way.
    pub(in crate::upstream) fn begin(self: &Rc<Self>, key: Key, endpoint: &Arc<Endpoint>) -> Begun {
        if let Some(lease) = self.take(key) {
            return Begun::Lease(lease);
        }
        let mut by_key = self.by_key.borrow_mut();
        let entry = by_key.entry(key).or_insert_with(|| Entry::of(endpoint));
        entry.used_ms = self.now_ms.get();
        let opening = Rc::new(Opening::default());
        if !entry.is_http1 {
            if let Some(opening) = &entry.opening {
                return Begun::Wait(Rc::clone(opening));
            }
            let least = entry.connections.iter().min_by_key(|shared| shared.streams());
            if let Some(shared) = least.filter(|_| entry.connections.len() >= MOST_CONNECTIONS) {
                return Begun::Lease(self.lease(shared));
            }
            entry.opening = Some(Rc::clone(&opening));
        }
        Begun::Open(Guard { key, pool: Rc::downgrade(self), opening })
    }

    /// Begins HTTP/2 on a connection within `limit`, and lends out its first stream.
    pub(in crate::upstream) async fn adopt(
        self: &Rc<Self>,
        key: Key,
        endpoint: &Arc<Endpoint>,
        stream: EndpointStream,
        limit: Duration,
    ) -> Result<Http2Lease, Reason> {
        let opening = Shared::open(endpoint.addr, stream, self.now_ms.get());
        let shared = Rc::new(timeout(limit, opening).await.unwrap_or(Err(Reason::ConnectTimeout))?);
        let mut by_key = self.by_key.borrow_mut();
        let entry = by_key.entry(key).or_insert_with(|| Entry::of(endpoint));
        entry.connections.push(Rc::clone(&shared));
        entry.is_http1 = false;
        // Kept, as far as the count goes, until the lease takes it.
        self.cells.upstream.idle.shift(1);
        Ok(self.lease(&shared))
    }

    /// Notes that an endpoint has chosen HTTP/1.1.
    pub(in crate::upstream) fn note_http1(&self, key: Key) {
        if let Some(entry) = self.by_key.borrow_mut().get_mut(&key) {
            entry.is_http1 = true;
        }
    }

    /// Closes what has been idle for too long, and forgets what is closed, and all connections to
    /// endpoints that have gone: they close when their last stream has ended.
    pub(in crate::upstream) fn evict(&self, now_ms: u64) {
        self.now_ms.set(now_ms);
        let oldest = now_ms.saturating_sub(self.keep_ms);
        self.by_key.borrow_mut().retain(|_, entry| {
            self.prune(entry);
            let is_kept = |shared: &Rc<Shared>| shared.streams() > 0 || shared.since_ms() >= oldest;
            let is_gone = is_gone(&entry.endpoint);
            self.retain(entry, |shared| !is_gone && is_kept(shared));
            if is_gone {
                return false;
            }
            !entry.connections.is_empty() || entry.opening.is_some() || entry.used_ms >= oldest
        });
    }

    /// Whether no connection is in it, nor on its way.
    pub(in crate::upstream) fn is_empty(&self) -> bool {
        self.by_key
            .borrow()
            .values()
            .all(|entry| entry.connections.is_empty() && entry.opening.is_none())
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.now_ms.get()
    }

    /// Forgets the connections that take no more streams. Those that they have go on.
    fn prune(&self, entry: &mut Entry) {
        self.retain(entry, |shared| shared.is_open());
    }

    fn retain(&self, entry: &mut Entry, is_kept: impl Fn(&Rc<Shared>) -> bool) {
        entry.connections.retain(|shared| {
            let kept = is_kept(shared);
            if !kept {
                if shared.resets().is_spent() {
                    self.cells.upstream.retired.add(1);
                }
                shared.leave();
                if shared.streams() == 0 {
                    self.cells.upstream.idle.shift(-1);
                }
            }
            kept
        });
    }

    fn lease(self: &Rc<Self>, shared: &Rc<Shared>) -> Http2Lease {
        if shared.streams() == 0 {
            self.cells.upstream.idle.shift(-1);
        }
        Http2Lease::new(Rc::clone(shared), Rc::downgrade(self))
    }

    /// Notes that a stream of a connection has ended.
    pub(super) fn ended(&self, shared: &Shared) {
        if shared.streams() == 0 && !shared.has_left() {
            self.cells.upstream.idle.shift(1);
        }
    }
}

impl Opening {
    /// Waits until it is open, or not to be. The reason, if it failed.
    pub(in crate::upstream) async fn wait(&self) -> Option<Reason> {
        let done = self.done.notified();
        if !self.finished.get() {
            done.await;
        }
        self.failure.get()
    }
}

impl Guard {
    /// Tells those who wait that it failed, so that they do not each try the same.
    pub(in crate::upstream) fn fail(self, reason: Reason) {
        self.opening.failure.set(Some(reason));
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.opening.finished.set(true);
        if let Some(pool) = self.pool.upgrade()
            && let Some(entry) = pool.by_key.borrow_mut().get_mut(&self.key)
            && entry.opening.as_ref().is_some_and(|opening| Rc::ptr_eq(opening, &self.opening))
        {
            entry.opening = None;
        }
        self.opening.done.notify_waiters();
    }
}
