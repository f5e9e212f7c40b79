//! One request to one Service: endpoint, connection, retry, response head.
//!
//! A request comes in the shape of HTTP/1.1 and is converted where HTTP/2 is spoken.
//!
//! What may be tried again, within a budget: a connection that could not be made (nothing was sent),
//! on another endpoint; one that closed before an answer, if the request had not been written yet, or
//! if it is safe to repeat (RFC 9110 section 9.2.2) and has no body: once, on a new connection if the
//! closed one was from the pool, else on another endpoint; and a request without body that an upstream
//! with HTTP/2 says it has not looked at (RFC 9113 section 8.7).

mod budget;
mod check;
mod connect;
mod http2;
mod pool;
mod replay;
mod reply;
mod report;

pub use check::check;
pub use http2::Http2Body;
pub use reply::{ReplyBody, ReplyError};

use crate::balance::{Endpoint, EndpointSet, InFlight, Moment};
use crate::body::RequestBody;
use crate::error::Reason;
use crate::model::Protocol;
use crate::telemetry::{Retry, WorkerCells};
use budget::Budget;
use connect::{Failure, Opened};
use http::{Request, Response, header};
use http2::{Begun, Http2Lease, Http2Pool};
use pool::{Connection, Http1Lease, Key, Pool};
use replay::{Replay, Replays};
use report::Unanswered;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

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
    /// Failures in a row that eject an endpoint, 0 for none.
    pub eject_after: u32,
    /// Whether 502, 503 and 504 from a pod are failures of it.
    pub eject_on_status: bool,
    /// Requests of a hundred that may be sent again.
    pub retry_budget: u32,
}

/// One worker's way to the pods.
#[derive(Debug)]
pub struct Upstream {
    pool: Rc<Pool>,
    http2: Rc<Http2Pool>,
    replays: Replays,
    budget: Budget,
    settings: Settings,
    cells: Arc<WorkerCells>,
}

/// A request on its way: what has become of it so far. It outlives a send that is given up, so that
/// the log can tell how far it came.
#[derive(Debug)]
pub struct Journey {
    /// When the request came.
    pub started: Instant,
    /// Where it is, or was last.
    pub endpoint: Option<InFlight>,
    /// How often it was sent again.
    pub retries: u32,
    /// The connection that it is on: to be given back, or dropped to close it.
    pub lease: Option<Lease>,
}

impl Journey {
    /// Of a request that has just come.
    pub fn new(started: Instant) -> Self {
        Self { started, endpoint: None, retries: 0, lease: None }
    }
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
        let budget = Budget::new(settings.retry_budget);
        Self { pool, http2, replays: Replays::default(), budget, settings, cells }
    }

    /// Closes connections that have been unused for too long, and forgets old retries. `now_ms` is the worker's clock.
    pub fn tick(&self, now_ms: u64) {
        self.pool.evict(now_ms);
        self.http2.evict(now_ms);
        self.budget.tick(now_ms);
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
        let mut once = Once::default();
        // Of the first try: the clock has been read for it.
        let mut now = Moment::at(journey.started);
        self.budget.request();
        while let Some(endpoint) = endpoints.pick(random(), now, &tried) {
            let key = Key::new(endpoint.addr, protocol);
            journey.endpoint = Some(InFlight::begin(endpoint));
            journey.lease = self.take(key, protocol).await;
            if journey.lease.is_some() {
                self.cells.upstream.reuses.add(1);
                match self.send_on(&mut journey.lease, request, once).await {
                    Ok(response) => return Ok(response),
                    Err(failed) => {
                        let why = failed.retry(true);
                        if request.is_none() || !self.may_retry(journey, why) {
                            return Err(failed.reason);
                        }
                        once.note(why);
                    }
                }
            }
            // Boxed: it is rare, and its size would be moved with every request.
            let target = Target { endpoint, key, protocol };
            let sending = self.send_anew(target, request, &mut journey.lease, once, &random);
            let failed = match Box::pin(sending).await {
                Ok(response) => return Ok(response),
                Err(failed) => failed,
            };
            tried.push(Arc::clone(endpoint));
            let is_last = tried.len() > self.settings.connect_retries as usize
                || tried.len() >= endpoints.usable().len();
            let why = failed.retry(false);
            if is_last || request.is_none() || !self.may_retry(journey, why) {
                return Err(failed.reason);
            }
            once.note(why);
            now = Moment::now();
        }
        Err(Reason::NoEndpoint)
    }

    /// Sends on a new connection, and notes what that says of the endpoint.
    async fn send_anew(
        &self,
        target: Target<'_>,
        request: &mut Option<Request<RequestBody>>,
        slot: &mut Option<Lease>,
        once: Once,
        random: &impl Fn() -> u64,
    ) -> Result<Response<ReplyBody>, Unanswered> {
        let (lease, is_own) = self.open(target, random).await?;
        *slot = Some(lease);
        let result = self.send_on(slot, request, once).await;
        // Of a connection that others share, the one who made it speaks for all.
        if let Err(Unanswered { reason: Reason::UpstreamClosed, refused: false }) = result
            && is_own
        {
            self.note_failure(target.endpoint, random());
        }
        result
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

    /// A new connection, or a stream of one that somebody else has opened meanwhile; and whether it
    /// is the former.
    async fn open(
        &self,
        target: Target<'_>,
        random: &impl Fn() -> u64,
    ) -> Result<(Lease, bool), Unanswered> {
        let Target { key, protocol, .. } = target;
        if !protocol.may_be_http2() {
            return match self.connect(target, random).await? {
                Opened::Http1(connection) => Ok((self.lend(key, connection), true)),
                Opened::Http2(_) => Err(Unanswered::of(Reason::UpstreamTlsFailed)),
            };
        }
        loop {
            let guard = match self.http2.begin(key) {
                Begun::Lease(lease) => {
                    self.cells.upstream.reuses.add(1);
                    return Ok((Lease(Kind::Http2(lease)), false));
                }
                Begun::Wait(opening) => match opening.wait().await {
                    Some(reason) => return Err(Unanswered::of(reason)),
                    None => continue,
                },
                Begun::Open(guard) => guard,
            };
            let opened = match self.connect(target, random).await {
                Ok(Opened::Http1(connection)) => {
                    self.http2.note_http1(key);
                    return Ok((self.lend(key, connection), true));
                }
                Ok(Opened::Http2(stream)) => {
                    let adopting = self.http2.adopt(key, stream, self.settings.connect).await;
                    adopting.map_err(|reason| {
                        self.note_failure(target.endpoint, random());
                        Unanswered::of(reason)
                    })
                }
                Err(failed) => Err(failed),
            };
            return match opened {
                Ok(lease) => Ok((Lease(Kind::Http2(lease)), true)),
                Err(failed) => {
                    guard.fail(failed.reason);
                    Err(failed)
                }
            };
        }
    }

    fn lend(&self, key: Key, connection: Connection) -> Lease {
        Lease(Kind::Http1(self.pool.adopt(key, connection)))
    }

    async fn connect(
        &self,
        target: Target<'_>,
        random: &impl Fn() -> u64,
    ) -> Result<Opened, Unanswered> {
        let cells = &self.cells.upstream;
        let limit = self.settings.connect;
        let opened = connect::connect(target.key.addr, target.protocol, limit).await;
        opened.inspect(|_| cells.connects.add(1)).map_err(|Failure { reason, is_ours }| {
            cells.connect_failures.add(1);
            if matches!(reason, Reason::UpstreamTlsFailed | Reason::UpstreamUntrusted) {
                cells.tls_failures.add(1);
            }
            if !is_ours {
                self.note_failure(target.endpoint, random());
            }
            Unanswered::of(reason)
        })
    }

    /// Sends on one connection. If it fails, a request that may be sent again is put back, and the
    /// connection is closed.
    async fn send_on(
        &self,
        lease: &mut Option<Lease>,
        slot: &mut Option<Request<RequestBody>>,
        once: Once,
    ) -> Result<Response<ReplyBody>, Unanswered> {
        let result = match lease {
            Some(Lease(Kind::Http1(lease))) => self.send_http1(lease, slot, once).await,
            // Boxed, as its size would be that of every request.
            Some(Lease(Kind::Http2(lease))) => Box::pin(self.send_http2(lease, slot, once)).await,
            None => Err(Unanswered::of(Reason::Internal)),
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
        once: Once,
    ) -> Result<Response<ReplyBody>, Unanswered> {
        let Some(mut request) = slot.take() else {
            return Err(Unanswered::of(Reason::Internal));
        };
        if lease.is_negotiated() {
            // It is for HTTP/2; here it would be a field of the connection.
            request.headers_mut().remove(header::TE);
        }
        let kept = once.may_repeat(&request).then(|| self.replays.keep(&request));
        let result = lease.send(request).await.map_err(|mut error| {
            let unwritten = error.take_message();
            let reason = reason(error.error());
            let kept = kept.as_ref().filter(|_| reason == Reason::UpstreamClosed);
            *slot = unwritten.or_else(|| kept.map(Replay::request));
            Unanswered::of(reason)
        });
        if let Some(kept) = kept {
            self.replays.forget(kept);
        }
        result.map(|response| response.map(ReplyBody::Http1))
    }

    /// As [`Upstream::send_http1`]. What the upstream has refused is put back too, whatever its
    /// method; what has a body is not, once it is on its way.
    async fn send_http2(
        &self,
        lease: &mut Http2Lease,
        slot: &mut Option<Request<RequestBody>>,
        once: Once,
    ) -> Result<Response<ReplyBody>, Unanswered> {
        if lease.ready().await.is_err() {
            return Err(Unanswered::of(Reason::UpstreamClosed));
        }
        let Some(request) = slot.take() else {
            return Err(Unanswered::of(Reason::Internal));
        };
        let may_repeat = once.may_repeat(&request);
        let bodyless = matches!(request.body(), RequestBody::Empty);
        let kept = bodyless.then(|| self.replays.keep(&request));
        let result = lease.send(request).await.inspect_err(|failed| {
            let closed = may_repeat && failed.reason == Reason::UpstreamClosed;
            *slot = kept.as_ref().filter(|_| failed.refused || closed).map(Replay::request);
        });
        if let Some(kept) = kept {
            self.replays.forget(kept);
        }
        result
    }
}

/// Where a new connection is to lead.
#[derive(Clone, Copy)]
struct Target<'t> {
    endpoint: &'t Endpoint,
    key: Key,
    protocol: &'t Protocol,
}

/// A request that an upstream may have carried out is sent once more, and not twice.
#[derive(Clone, Copy, Default)]
struct Once {
    used: bool,
}

impl Once {
    fn may_repeat(self, request: &Request<RequestBody>) -> bool {
        let bodyless = matches!(request.body(), RequestBody::Empty);
        !self.used && bodyless && request.method().is_idempotent()
    }

    fn note(&mut self, why: Retry) {
        self.used |= matches!(why, Retry::Closed | Retry::ReusedClosed);
    }
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
