//! One request to one Service: endpoint, connection, retry, response head.
//!
//! A request comes in the shape of HTTP/1.1 and is converted where HTTP/2 is spoken.
//!
//! What may be tried again: a connection that could not be made (nothing was sent), on another
//! endpoint; and a connection from the pool that turned out to be closed, if hyper had not written
//! the request yet, or if the request is safe to repeat (RFC 9110 section 9.2.2) and has no body; and
//! one without body that an upstream with HTTP/2 says it has not looked at (RFC 9113 section 8.7).

mod connect;
mod http2;
mod pool;
mod replay;
mod reply;
mod stream;

pub use http2::Http2Body;
pub use reply::{ReplyBody, ReplyError};

use crate::balance::{EndpointSet, InFlight};
use crate::body::RequestBody;
use crate::error::Reason;
use crate::model::Protocol;
use crate::telemetry::WorkerCells;
use connect::Opened;
use http::{Request, Response, header};
use http2::{Begun, Http2Lease, Http2Pool, Unanswered};
use pool::{Connection, Http1Lease, Key, Pool};
use replay::{Replay, Replays};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Settings of the way to the pods.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long one connection attempt may take.
    pub connect: Duration,
    /// Other endpoints to try when a connection cannot be made.
    pub connect_retries: u32,
    /// How long an unused connection is kept.
    pub idle: Duration,
    /// Unused connections kept for one endpoint by one worker.
    pub idle_per_endpoint: usize,
}

/// One worker's way to the pods.
#[derive(Debug)]
pub struct Upstream {
    pool: Rc<Pool>,
    http2: Rc<Http2Pool>,
    replays: Replays,
    settings: Settings,
    cells: Arc<WorkerCells>,
}

/// A request on its way: what has become of it so far. It outlives a send that is given up, so that
/// the log can tell how far it came.
#[derive(Debug, Default)]
pub struct Journey {
    /// Where it is, or was last.
    pub endpoint: Option<InFlight>,
    /// How often it was sent again.
    pub retries: u32,
    /// The connection that it is on: to be given back, or dropped to close it.
    pub lease: Option<Lease>,
}

/// A connection in use, or a stream of one. Dropping it gives up whatever is still on it: the
/// connection with HTTP/1.1, the stream with HTTP/2.
#[derive(Debug)]
pub struct Lease(Kind);

#[derive(Debug)]
enum Kind {
    Http1(Http1Lease),
    Http2(Http2Lease),
}

impl Lease {
    /// Gives the connection back for the next request. Only for one whose request has been sent and
    /// whose response has been read, both to the end.
    pub fn release(self) {
        match self.0 {
            Kind::Http1(lease) => lease.release(),
            // Others use it all the while.
            Kind::Http2(lease) => drop(lease),
        }
    }
}

impl Upstream {
    /// A worker's upstream side without connections.
    pub fn new(settings: Settings, cells: Arc<WorkerCells>) -> Self {
        let pool = Pool::new(settings.idle, settings.idle_per_endpoint, Arc::clone(&cells));
        let http2 = Http2Pool::new(settings.idle, Arc::clone(&cells));
        Self { pool, http2, replays: Replays::default(), settings, cells }
    }

    /// Closes connections that have been unused for too long. `now_ms` is the worker's clock.
    pub fn tick(&self, now_ms: u64) {
        self.pool.evict(now_ms);
        self.http2.evict(now_ms);
    }

    /// Sends the request to one of `endpoints` in this protocol, and takes it. `random` draws a
    /// random number.
    ///
    /// The request is taken from where it is when it is sent, not moved from future to future.
    pub async fn send(
        &self,
        (endpoints, protocol): (&EndpointSet, &Protocol),
        request: &mut Option<Request<RequestBody>>,
        journey: &mut Journey,
        random: impl Fn() -> u64,
    ) -> Result<Response<ReplyBody>, Reason> {
        let mut tried = Vec::new();
        let mut failure = Reason::NoEndpoint;
        while let Some(endpoint) = endpoints.pick(random(), &tried) {
            let key = Key::new(endpoint.addr, protocol);
            journey.endpoint = Some(InFlight::begin(endpoint));
            journey.lease = self.take(key, protocol).await;
            if journey.lease.is_some() {
                self.cells.upstream.reuses.add(1);
                match self.send_on(&mut journey.lease, request, true).await {
                    Err(_) if request.is_some() => self.count_retry(journey),
                    result => return result,
                }
            }
            // Boxed: it is rare, and its size would be moved with every request.
            match Box::pin(self.open(key, protocol)).await {
                Ok(lease) => {
                    journey.lease = Some(lease);
                    match self.send_on(&mut journey.lease, request, false).await {
                        Err(reason) if request.is_some() => failure = reason,
                        result => return result,
                    }
                }
                Err(reason) => failure = reason,
            }
            tried.push(Arc::clone(endpoint));
            if tried.len() > self.settings.connect_retries as usize {
                break;
            }
            if tried.len() < endpoints.usable().len() {
                self.count_retry(journey);
            }
        }
        Err(failure)
    }

    /// A connection that has served before.
    async fn take(&self, key: Key, protocol: &Protocol) -> Option<Lease> {
        if protocol.may_be_http2()
            && let Some(lease) = self.http2.take(key)
        {
            return Some(Lease(Kind::Http2(lease)));
        }
        if !protocol.may_be_http1() {
            return None;
        }
        Some(Lease(Kind::Http1(self.pool.take(key).await?)))
    }

    /// A new connection, or a stream of one that somebody else has opened meanwhile.
    async fn open(&self, key: Key, protocol: &Protocol) -> Result<Lease, Reason> {
        if !protocol.may_be_http2() {
            return match self.connect(key, protocol).await? {
                Opened::Http1(connection) => Ok(self.lend(key, connection)),
                Opened::Http2(_) => Err(Reason::UpstreamTlsFailed),
            };
        }
        loop {
            let guard = match self.http2.begin(key) {
                Begun::Lease(lease) => {
                    self.cells.upstream.reuses.add(1);
                    return Ok(Lease(Kind::Http2(lease)));
                }
                Begun::Wait(opening) => match opening.wait().await {
                    Some(reason) => return Err(reason),
                    None => continue,
                },
                Begun::Open(guard) => guard,
            };
            let opened = match self.connect(key, protocol).await {
                Ok(Opened::Http1(connection)) => {
                    self.http2.note_http1(key);
                    return Ok(self.lend(key, connection));
                }
                Ok(Opened::Http2(stream)) => {
                    self.http2.adopt(key, stream, self.settings.connect).await
                }
                Err(reason) => Err(reason),
            };
            return match opened {
                Ok(lease) => Ok(Lease(Kind::Http2(lease))),
                Err(reason) => {
                    guard.fail(reason);
                    Err(reason)
                }
            };
        }
    }

    fn lend(&self, key: Key, connection: Connection) -> Lease {
        Lease(Kind::Http1(self.pool.adopt(key, connection)))
    }

    async fn connect(&self, key: Key, protocol: &Protocol) -> Result<Opened, Reason> {
        let cells = &self.cells.upstream;
        let opened = connect::connect(key.addr, protocol, self.settings.connect).await;
        match opened {
            Ok(_) => cells.connects.add(1),
            Err(reason) => {
                cells.connect_failures.add(1);
                if matches!(reason, Reason::UpstreamTlsFailed | Reason::UpstreamUntrusted) {
                    cells.tls_failures.add(1);
                }
            }
        }
        opened
    }

    /// Sends on one connection. `reused` tells that the upstream may have closed it meanwhile: then
    /// a request that may be sent again is put back. A connection that failed is closed.
    async fn send_on(
        &self,
        lease: &mut Option<Lease>,
        slot: &mut Option<Request<RequestBody>>,
        reused: bool,
    ) -> Result<Response<ReplyBody>, Reason> {
        let result = match lease {
            Some(Lease(Kind::Http1(lease))) => self.send_http1(lease, slot, reused).await,
            // Boxed, as its size would be that of every request.
            Some(Lease(Kind::Http2(lease))) => Box::pin(self.send_http2(lease, slot, reused)).await,
            None => Err(Reason::Internal),
        };
        if result.is_err() {
            *lease = None;
        }
        result
    }

    async fn send_http1(
        &self,
        lease: &mut Http1Lease,
        slot: &mut Option<Request<RequestBody>>,
        reused: bool,
    ) -> Result<Response<ReplyBody>, Reason> {
        let Some(mut request) = slot.take() else {
            return Err(Reason::Internal);
        };
        if lease.is_negotiated() {
            // It is for HTTP/2; here it would be a field of the connection.
            request.headers_mut().remove(header::TE);
        }
        let kept = (reused && may_repeat(&request)).then(|| self.replays.keep(&request));
        let result = lease.send(request).await.map_err(|mut error| {
            let unwritten = error.take_message().filter(|_| reused);
            let reason = reason(error.error());
            let kept = kept.as_ref().filter(|_| reason == Reason::UpstreamClosed);
            *slot = unwritten.or_else(|| kept.map(Replay::request));
            reason
        });
        if let Some(kept) = kept {
            self.replays.forget(kept);
        }
        result.map(|response| response.map(ReplyBody::Http1))
    }

    /// As [`Upstream::send_http1`]. What the upstream has refused is put back too, whatever its
    /// method, on a new connection as well; what has a body is not, once it is on its way.
    async fn send_http2(
        &self,
        lease: &mut Http2Lease,
        slot: &mut Option<Request<RequestBody>>,
        reused: bool,
    ) -> Result<Response<ReplyBody>, Reason> {
        if lease.ready().await.is_err() {
            return Err(Reason::UpstreamClosed);
        }
        let Some(request) = slot.take() else {
            return Err(Reason::Internal);
        };
        let may_repeat = reused && may_repeat(&request);
        let bodyless = matches!(request.body(), RequestBody::Empty);
        let kept = bodyless.then(|| self.replays.keep(&request));
        let result = lease.send(request).await.map_err(|Unanswered { reason, refused }| {
            let again = refused || (may_repeat && reason == Reason::UpstreamClosed);
            *slot = kept.as_ref().filter(|_| again).map(Replay::request);
            reason
        });
        if let Some(kept) = kept {
            self.replays.forget(kept);
        }
        result
    }

    fn count_retry(&self, journey: &mut Journey) {
        journey.retries += 1;
        self.cells.upstream.retries.add(1);
    }
}

fn may_repeat(request: &Request<RequestBody>) -> bool {
    matches!(request.body(), RequestBody::Empty) && request.method().is_idempotent()
}

/// What a failed exchange says about the upstream, or about the body that we were given.
fn reason(error: &hyper::Error) -> Reason {
    if error.is_parse() {
        Reason::UpstreamMalformed
    } else if error.is_user() {
        Reason::MalformedBody
    } else {
        Reason::UpstreamClosed
    }
}
