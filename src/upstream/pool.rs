//! The pool of idle connections to endpoints: one for each worker, so nothing is locked and nothing
//! crosses a thread.
//!
//! A connection is returned only when request and response are both complete; otherwise it is closed. It
//! belongs to an endpoint, not to an address: after the endpoint is removed, another pod may have the
//! address.

use super::socket::Record;
use crate::balance::Endpoint;
use crate::net::fields::Fields;
use crate::routing::EndpointProtocol;
use crate::telemetry::WorkerCells;
use crate::upstream::body::RequestBody;
use http::{HeaderName, Request, Response, header};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1::SendRequest};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::{self, Arc};
use std::time::Duration;
use tokio::task::AbortHandle;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

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

/// A connection and the task that drives it.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) sender: SendRequest<RequestBody>,
    driver: AbortHandle,
    record: Arc<Record>,
    /// Nothing at all was written on it yet.
    is_unused: bool,
    /// How long its pod keeps it, by its last answer.
    keep: Keep,
}

impl Connection {
    /// A new one; `is_plain`: nothing was said on it for a start.
    pub(super) fn new(
        sender: SendRequest<RequestBody>,
        driver: AbortHandle,
        record: Arc<Record>,
        is_plain: bool,
    ) -> Self {
        Self { sender, driver, record, is_unused: is_plain, keep: Keep::Any }
    }
}

/// How long a pod keeps an idle connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    /// It does not say.
    Any,
    /// For this many milliseconds.
    For(u64),
    /// Not beyond this answer.
    Not,
}

impl Keep {
    /// Reads `Connection` and `Keep-Alive` (RFC 2068 section 19.7.1.1). hyper obeys the former where it
    /// is nothing but ASCII, and does not know the latter. Nearly no answer has them: one look at all names
    /// costs less than to search for two.
    fn read(headers: &impl Fields) -> Self {
        let mut keep = Self::Any;
        for (name, value) in headers.iter() {
            let items = || value.as_bytes().split(|&byte| byte == b',');
            let closes = |item: &[u8]| item.trim_ascii().eq_ignore_ascii_case(b"close");
            if *name == header::CONNECTION && items().any(closes) {
                return Self::Not;
            }
            if *name == KEEP_ALIVE {
                for item in items() {
                    keep = keep.and(item);
                }
            }
        }
        keep
    }

    /// With one parameter of `Keep-Alive`.
    fn and(self, parameter: &[u8]) -> Self {
        let Some((name, value)) =
            str::from_utf8(parameter).ok().and_then(|item| item.split_once('='))
        else {
            return self;
        };
        let value = value.trim().trim_matches('"').parse::<u64>();
        match (name.trim().to_ascii_lowercase().as_str(), value) {
            ("timeout" | "max", Ok(0)) => Self::Not,
            ("timeout", Ok(seconds)) if self != Self::Not => {
                let given = seconds.saturating_mul(1_000);
                // Less by a second, as a request may be on its way when the time is over.
                Self::For(given.saturating_sub(1_000).max(given / 2))
            }
            _ => self,
        }
    }

    /// When it is over for a connection that is unused from now on.
    fn until(self, now_ms: u64) -> Option<u64> {
        match self {
            Self::Any => Some(u64::MAX),
            Self::For(limit) => Some(now_ms.saturating_add(limit)),
            Self::Not => None,
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Without this a connection whose response nobody reads any more would end only when the
        // upstream has sent all of it.
        self.driver.abort();
    }
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since_ms: u64,
    /// Its pod may close it from then on.
    until_ms: u64,
}

/// The idle connections of one endpoint.
#[derive(Debug)]
struct Entry {
    endpoint: sync::Weak<Endpoint>,
    connections: Vec<Idle>,
}

/// Whether connections to an endpoint are of no use any more: no set in force has it, and so no
/// request will come for it. Not for every request.
pub(super) fn is_gone(endpoint: &sync::Weak<Endpoint>) -> bool {
    endpoint.upgrade().is_none_or(|endpoint| endpoint.has_left())
}

/// Idle connections by endpoint, the one used last on top: the others can then grow old.
#[derive(Debug)]
pub(super) struct Pool {
    idle: RefCell<HashMap<Key, Entry, foldhash::fast::RandomState>>,
    now_ms: Cell<u64>,
    keep_ms: u64,
    per_endpoint: usize,
    cells: Arc<WorkerCells>,
}

impl Pool {
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
    pub(super) async fn take(self: &Rc<Self>, key: Key) -> Option<Http1Lease> {
        loop {
            let idle = self.idle.borrow_mut().get_mut(&key)?.connections.pop()?;
            self.cells.upstream.idle.shift(-1);
            if idle.until_ms <= self.now_ms.get() {
                continue;
            }
            let mut lease = self.lend(key, idle.connection);
            // A connection that was returned just now may have to be polled first.
            if lease.ready().await {
                return Some(lease);
            }
        }
    }

    /// Lends out a new connection, and keeps a place for it to come back to.
    pub(super) fn adopt(
        self: &Rc<Self>,
        key: Key,
        endpoint: &Arc<Endpoint>,
        connection: Connection,
    ) -> Http1Lease {
        self.idle.borrow_mut().entry(key).or_insert_with(|| Entry {
            endpoint: Arc::downgrade(endpoint),
            connections: Vec::new(),
        });
        self.lend(key, connection)
    }

    fn lend(self: &Rc<Self>, key: Key, connection: Connection) -> Http1Lease {
        Http1Lease { connection, key, pool: Rc::downgrade(self), mark: 0, is_first: false }
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
                !is_gone && in_time && !idle.connection.sender.is_closed()
            });
            closed += before - connections.len();
            !is_gone
        });
        self.cells.upstream.idle.shift(-i64::try_from(closed).unwrap_or(i64::MAX));
    }

    fn put(&self, key: Key, connection: Connection) {
        let mut idle = self.idle.borrow_mut();
        let Some(Entry { connections, .. }) = idle.get_mut(&key) else {
            return;
        };
        let now_ms = self.now_ms.get();
        if connections.len() < self.per_endpoint
            && !connection.sender.is_closed()
            && let Some(until_ms) = connection.keep.until(now_ms)
        {
            connections.push(Idle { connection, since_ms: now_ms, until_ms });
            self.cells.upstream.idle.shift(1);
        }
    }
}

/// A connection in use. Dropping it closes the connection, whatever is still on it.
#[derive(Debug)]
pub(super) struct Http1Lease {
    connection: Connection,
    key: Key,
    pool: Weak<Pool>,
    /// Where on the connection its request begins.
    mark: u64,
    /// Whether its request is the first thing on the connection.
    is_first: bool,
}

impl Http1Lease {
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

    async fn ready(&mut self) -> bool {
        let sender = &mut self.connection.sender;
        sender.is_ready() || sender.ready().await.is_ok()
    }

    pub(super) fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>> + use<>
    {
        let Connection { sender, record, is_unused, .. } = &mut self.connection;
        self.mark = record.mark();
        self.is_first = std::mem::take(is_unused);
        if !self.is_first && !request.method().is_safe() {
            record.suspect();
        }
        sender.try_send_request(request)
    }

    /// Records what the response says about the connection.
    pub(super) fn answered(&mut self, headers: &impl Fields) {
        self.connection.keep = Keep::read(headers);
    }

    /// Whether the pod has read nothing of the request, which has failed.
    pub(super) fn was_unread(&self) -> bool {
        self.connection.record.is_unread_since(self.mark, self.is_first)
    }
}
