//! One request to one Service: endpoint, connection, retry, response head.
//!
//! A request has the shape of HTTP/1.1 and is converted for HTTP/2 connections.
//!
//! What is retried, within the retry budget:
//!
//! - a failed connection attempt (nothing was sent), on another endpoint;
//! - a connection that closed before a response, if the request had not been written yet or is idempotent
//!   (RFC 9110 section 9.2.2): once, on another endpoint, or on a new connection if there is no other
//!   endpoint and the closed connection came from the pool;
//! - a request that an HTTP/2 upstream reports as unprocessed (RFC 9113 section 8.7);
//! - a request of which the pod's kernel acknowledged nothing before the connection ended: see `socket`.
//!
//! A route may have its own bound for attempts (`retry`). With one, endpoints that could not be reached are tried again
//! after a pause, where none is left: a Service with one pod that restarts.
//!
//! A body is sent again from its start, as long as everything that was sent of it is kept: see `body`.
//!
//! **Invariant**: imports no other stage; retries no request that a pod may have processed, unless it is
//! idempotent (`tests/layering`, `tests/it`).

mod acquire;
mod attempt;
pub mod body;
mod budget;
mod check;
mod connect;
pub mod dns;
pub mod health_check;
mod http1;
mod http2;
mod hyper_http1;
mod pool;
mod replay;
mod reply;
mod report;
mod retry;
mod socket;
mod tunnel;

pub use check::{CheckFailure, check};
pub use connect::MOST_ANSWER_FIELDS;
pub use http1::{Http1Body, Http1BodyError, Http1Upgraded};
pub use http2::Http2Body;
pub use reply::{PodUpgraded, ReplyBody, ReplyError, upgraded};
pub use report::ResponseHead;
pub use tunnel::{NoTunnel, PodStream, PodTunnel, TunnelTarget};

use crate::balance::{Endpoint, EndpointSet, InFlight, Moment, Strategy};
use crate::config::Http1;
use crate::error::Reason;
use crate::model::HostSent;
use crate::model::middleware::RetryLimit;
use crate::net::message::{Request, Response};
use crate::routing::{Backend, EndpointProtocol};
use crate::telemetry::WorkerCells;
use crate::telemetry::traces::ClientSpans;
use crate::upstream::body::RequestBody;
use attempt::Attempt;
use budget::Budget;
use http1::Http1Connection;
use http2::{Http2Lease, Http2Pool};
use hyper_http1::HyperConnection;
use pool::{Lent, Pool};
use replay::Replays;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Settings of upstream connections.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long one connection attempt may take.
    pub connect: Duration,
    /// Other endpoints to try when a connection cannot be made.
    pub connect_retries: u32,
    /// How long an idle connection is kept.
    pub idle: Duration,
    /// Idle connections to one endpoint that one worker keeps.
    pub idle_per_endpoint: usize,
    /// Failures in a row that eject an endpoint, 0 for none.
    pub eject_after: u32,
    /// Whether 502, 503 and 504 from a pod are failures of it.
    pub eject_on_status: bool,
    /// Requests of a hundred that may be sent again.
    pub retry_budget: u32,
    /// What speaks HTTP/1.1.
    pub http1: Http1,
}

/// The upstream connections of one worker.
#[derive(Debug)]
pub struct Upstream {
    pool: Rc<Pool<Http1Connection>>,
    hyper_pool: Rc<Pool<HyperConnection>>,
    http2: Rc<Http2Pool>,
    replays: Replays,
    budget: Budget,
    settings: Settings,
    cells: Arc<WorkerCells>,
}

/// How far a request has come upstream. It outlives a send that is given up, for the log.
#[derive(Debug)]
pub struct UpstreamState {
    /// When the request came.
    pub started: Instant,
    /// Where it is, or was last.
    pub endpoint: Option<InFlight>,
    /// How long it waited for an endpoint with room.
    pub queued: Duration,
    /// How often it was sent again.
    pub retries: u32,
    /// Its connection: to be returned to the pool, or dropped to close it.
    pub lease: Option<Lease>,
    /// A span for each attempt, if it is traced.
    pub spans: Option<Box<ClientSpans>>,
}

/// The destination of a request.
#[derive(Debug)]
pub struct Destination<'a> {
    /// The Service port.
    pub backend: &'a Backend,
    /// Its endpoints when the request came.
    pub endpoints: &'a EndpointSet,
    /// How one of them is chosen.
    pub choice: Strategy,
    /// Their protocol.
    pub protocol: &'a EndpointProtocol,
    /// The timeout of one connection attempt, if it differs from the configured one.
    pub connect: Option<Duration>,
    /// What its route says of retries, in the place of `Settings::connect_retries`.
    pub retry: Option<&'a RetryLimit>,
    /// Which host it names.
    pub host: HostSent,
}

impl Destination<'_> {
    /// Begins the request at one of the endpoints, if one of them takes it.
    fn begin(
        &self,
        set: &EndpointSet,
        random: u64,
        now: Moment,
        tried: &[Arc<Endpoint>],
    ) -> Option<InFlight> {
        match self.backend.queue() {
            None => set.pick(self.choice, random, now, tried).map(InFlight::begin),
            Some(queue) => queue.begin(set, self.choice, random, now, tried),
        }
    }

    /// The endpoints of this moment.
    fn renew(&self) -> Arc<EndpointSet> {
        arc_swap::Guard::into_inner(self.backend.endpoints())
    }
}

impl UpstreamState {
    /// For a new request.
    pub fn new(started: Instant) -> Self {
        Self {
            started,
            endpoint: None,
            queued: Duration::ZERO,
            retries: 0,
            lease: None,
            spans: None,
        }
    }
}

/// A connection in use, or a stream of one. Dropping it gives up whatever is still on it: the
/// connection with HTTP/1.1, the stream with HTTP/2.
#[derive(Debug)]
pub struct Lease(Kind);

#[derive(Debug)]
enum Kind {
    Http1(Lent<Http1Connection>),
    Hyper(Lent<HyperConnection>),
    Http2(Http2Lease),
}

impl Lease {
    /// Returns the connection to the pool. Only after the request was sent and the response was read, both
    /// completely.
    pub fn release(self) {
        match self.0 {
            Kind::Http1(lent) => lent.release(),
            Kind::Hyper(lent) => lent.release(),
            // Others use it all the while.
            Kind::Http2(lease) => drop(lease),
        }
    }
}

impl Upstream {
    /// A worker's upstream side without connections.
    pub fn new(settings: Settings, cells: Arc<WorkerCells>) -> Self {
        let pool = Pool::new(settings.idle, settings.idle_per_endpoint, Arc::clone(&cells));
        let hyper_pool = Pool::new(settings.idle, settings.idle_per_endpoint, Arc::clone(&cells));
        let http2 = Http2Pool::new(settings.idle, Arc::clone(&cells));
        let budget = Budget::new(settings.retry_budget);
        Self { pool, hyper_pool, http2, replays: Replays::default(), budget, settings, cells }
    }

    /// Closes connections that have been unused for too long, and forgets old retries. `now_ms` is the worker's clock.
    pub fn tick(&self, now_ms: u64) {
        self.pool.evict(now_ms);
        self.hyper_pool.evict(now_ms);
        self.http2.evict(now_ms);
        self.budget.tick(now_ms);
    }

    /// Whether it keeps no connection to a pod.
    pub fn is_at_rest(&self) -> bool {
        self.pool.is_empty() && self.hyper_pool.is_empty() && self.http2.is_empty()
    }

    /// Sends the request to one of the endpoints of `destination`, and takes it. The first is that
    /// of `state`, if there is one already. `random` draws a random number.
    ///
    /// The request is taken from where it is when it is sent, not moved from future to future.
    pub fn send<'a>(
        &'a self,
        destination: Destination<'a>,
        request: &'a mut Option<Request<RequestBody>>,
        state: &'a mut UpstreamState,
        random: impl Fn() -> u64 + 'a,
    ) -> impl Future<Output = Result<Response<ReplyBody>, Reason>> + 'a {
        let attempt = Attempt {
            upstream: self,
            destination,
            request,
            state,
            random,
            tried: Vec::new(),
            renewed: None,
            is_repeated: false,
            last: Reason::NoEndpoint,
        };
        attempt.run()
    }
}
