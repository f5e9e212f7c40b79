//! The pool of idle connections to endpoints: one for each worker, so nothing is locked and nothing
//! crosses a thread.
//!
//! A connection is returned only when request and response are both complete; otherwise it is closed. It
//! belongs to an endpoint, not to an address: after the endpoint is removed, another pod may have the
//! address.

use super::http1::Keep;
use crate::balance::Endpoint;
use crate::routing::EndpointProtocol;
use crate::telemetry::WorkerCells;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::{self, Arc};
use std::time::Duration;

/// Which connections may stand in for each other: those to one endpoint, with one protocol and one
/// set of TLS settings ([`EndpointProtocol::id`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// [`Endpoint::id`].
    endpoint: u64,
    protocol: u64,
}

impl Key {
    pub(super) fn new(endpoint: &Endpoint, protocol: &EndpointProtocol) -> Self {
        Self { endpoint: endpoint.id, protocol: protocol.id() }
    }
}

/// A connection that can wait for its next request.
pub(super) trait Pooled {
    /// Whether its pod has not closed it, as far as is known.
    fn is_open(&self) -> bool;

    /// Waits until a request can be sent on it. Returns false if it was closed.
    async fn ready(&mut self) -> bool;

    /// Prepares it to wait; how long its pod keeps it. `None` if it cannot be used again.
    fn rest(&mut self) -> Option<Keep>;
}

#[derive(Debug)]
struct Idle<C> {
    connection: C,
    since_ms: u64,
    /// Its pod may close it from then on.
    until_ms: u64,
}

/// The idle connections of one endpoint.
#[derive(Debug)]
struct Entry<C> {
    endpoint: sync::Weak<Endpoint>,
    connections: Vec<Idle<C>>,
}

/// Whether connections to an endpoint are of no use any more: no set in force has it, and so no
/// request will come for it. Not for every request.
pub(super) fn is_gone(endpoint: &sync::Weak<Endpoint>) -> bool {
    endpoint.upgrade().is_none_or(|endpoint| endpoint.has_left())
}

/// Idle connections by endpoint, the one used last on top: the others can then grow old.
#[derive(Debug)]
pub(super) struct Pool<C> {
    idle: RefCell<HashMap<Key, Entry<C>, foldhash::fast::RandomState>>,
    now_ms: Cell<u64>,
    keep_ms: u64,
    per_endpoint: usize,
    cells: Arc<WorkerCells>,
}

impl<C: Pooled> Pool<C> {
    pub(super) fn new(keep: Duration, per_endpoint: usize, cells: Arc<WorkerCells>) -> Rc<Self> {
        Rc::new(Self {
            idle: RefCell::default(),
            now_ms: Cell::new(0),
            keep_ms: u64::try_from(keep.as_millis()).unwrap_or(u64::MAX),
            per_endpoint,
            cells,
        })
    }

    /// Takes a connection that is open as far as we know.
    pub(super) async fn take(self: &Rc<Self>, key: Key) -> Option<Lent<C>> {
        loop {
            let idle = self.idle.borrow_mut().get_mut(&key)?.connections.pop()?;
            self.cells.upstream.idle.shift(-1);
            if idle.until_ms <= self.now_ms.get() {
                continue;
            }
            let mut lent = self.lend(key, idle.connection);
            if lent.connection.ready().await {
                return Some(lent);
            }
        }
    }

    /// Lends out a new connection, and keeps a place for it to come back to.
    pub(super) fn adopt(
        self: &Rc<Self>,
        key: Key,
        endpoint: &Arc<Endpoint>,
        connection: C,
    ) -> Lent<C> {
        self.idle.borrow_mut().entry(key).or_insert_with(|| Entry {
            endpoint: Arc::downgrade(endpoint),
            connections: Vec::new(),
        });
        self.lend(key, connection)
    }

    fn lend(self: &Rc<Self>, key: Key, connection: C) -> Lent<C> {
        Lent { connection, key, pool: Rc::downgrade(self) }
    }

    /// Closes what has been idle for too long or was closed by the endpoint, and all that is left of
    /// endpoints that have gone. What comes back later finds no place, and is closed too.
    pub(super) fn evict(&self, now_ms: u64) {
        self.now_ms.set(now_ms);
        let oldest = now_ms.saturating_sub(self.keep_ms);
        let mut closed = 0;
        self.idle.borrow_mut().retain(|_, Entry { endpoint, connections }| {
            let before = connections.len();
            let is_gone = is_gone(endpoint);
            connections.retain(|idle| {
                let in_time = idle.since_ms >= oldest && idle.until_ms > now_ms;
                !is_gone && in_time && idle.connection.is_open()
            });
            closed += before - connections.len();
            !is_gone
        });
        self.cells.upstream.idle.shift(-i64::try_from(closed).unwrap_or(i64::MAX));
    }

    /// Whether no connection is idle in it.
    pub(super) fn is_empty(&self) -> bool {
        self.idle.borrow().values().all(|entry| entry.connections.is_empty())
    }

    fn put(&self, key: Key, mut connection: C) {
        let mut idle = self.idle.borrow_mut();
        let Some(Entry { connections, .. }) = idle.get_mut(&key) else {
            return;
        };
        let now_ms = self.now_ms.get();
        if connections.len() < self.per_endpoint
            && let Some(until_ms) = connection.rest().and_then(|keep| keep.until(now_ms))
        {
            connections.push(Idle { connection, since_ms: now_ms, until_ms });
            self.cells.upstream.idle.shift(1);
        }
    }
}

/// A connection in use. Dropping it closes the connection, whatever is still on it.
#[derive(Debug)]
pub(super) struct Lent<C> {
    pub(super) connection: C,
    key: Key,
    pool: Weak<Pool<C>>,
}

impl<C: Pooled> Lent<C> {
    /// Gives the connection back for the next request. Only for one whose request has been sent and
    /// whose response has been read, both to the end.
    pub(super) fn release(self) {
        if let Some(pool) = self.pool.upgrade() {
            pool.put(self.key, self.connection);
        }
    }

    /// Whether HTTP/2 might have been spoken in its place.
    pub(super) fn is_negotiated(&self) -> bool {
        self.key.protocol != EndpointProtocol::Http.id()
    }
}
