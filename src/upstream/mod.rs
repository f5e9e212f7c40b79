//! One request to one Service: endpoint, connection, retry, response head.
//!
//! What may be tried again: a connection that could not be made (nothing was sent), on another
//! endpoint; and a connection from the pool that turned out to be closed, if hyper had not written
//! the request yet, or if the request is safe to repeat (RFC 9110 section 9.2.2) and has no body.

mod connect;
mod pool;
mod replay;
mod stream;

pub use pool::{Lease, Pool};

use crate::balance::{EndpointSet, InFlight};
use crate::body::RequestBody;
use crate::error::Reason;
use crate::telemetry::WorkerCells;
use http::{Request, Response};
use hyper::body::Incoming;
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

impl Upstream {
    /// A worker's upstream side without connections.
    pub fn new(settings: Settings, cells: Arc<WorkerCells>) -> Self {
        let pool = Pool::new(settings.idle, settings.idle_per_endpoint, Arc::clone(&cells));
        Self { pool, replays: Replays::default(), settings, cells }
    }

    /// Closes connections that have been unused for too long. `now_ms` is the worker's clock.
    pub fn tick(&self, now_ms: u64) {
        self.pool.evict(now_ms);
    }

    /// Sends the request to one of `endpoints` and takes it. `random` draws a random number.
    ///
    /// The request is taken from where it is when it is sent, not moved from future to future.
    pub async fn send(
        &self,
        endpoints: &EndpointSet,
        request: &mut Option<Request<RequestBody>>,
        journey: &mut Journey,
        random: impl Fn() -> u64,
    ) -> Result<Response<Incoming>, Reason> {
        let mut tried = Vec::new();
        let mut failure = Reason::NoEndpoint;
        while let Some(endpoint) = endpoints.pick(random(), &tried) {
            let addr = endpoint.addr;
            journey.endpoint = Some(InFlight::begin(endpoint));
            journey.lease = self.pool.take(addr).await;
            if journey.lease.is_some() {
                self.cells.upstream.reuses.add(1);
                match self.send_on(&mut journey.lease, request, true).await {
                    Err(_) if request.is_some() => self.count_retry(journey),
                    result => return result,
                }
            }
            // Boxed: it is rare, and its size would be moved with every request.
            match Box::pin(connect::connect(addr, self.settings.connect)).await {
                Ok(connection) => {
                    self.cells.upstream.connects.add(1);
                    journey.lease = Some(self.pool.adopt(addr, connection));
                    return self.send_on(&mut journey.lease, request, false).await;
                }
                Err(reason) => {
                    self.cells.upstream.connect_failures.add(1);
                    failure = reason;
                }
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

    /// Sends on one connection. `reused` tells that the upstream may have closed it meanwhile: then
    /// a request that may be sent again is put back. A connection that failed is closed.
    async fn send_on(
        &self,
        lease: &mut Option<Lease>,
        slot: &mut Option<Request<RequestBody>>,
        reused: bool,
    ) -> Result<Response<Incoming>, Reason> {
        let (Some(request), Some(connection)) = (slot.take(), lease.as_mut()) else {
            return Err(Reason::Internal);
        };
        let kept = (reused && may_repeat(&request)).then(|| self.replays.keep(&request));
        let result = connection.send(request).await.map_err(|mut error| {
            let unwritten = error.take_message().filter(|_| reused);
            let reason = reason(error.error());
            let kept = kept.as_ref().filter(|_| reason == Reason::UpstreamClosed);
            *slot = unwritten.or_else(|| kept.map(Replay::request));
            *lease = None;
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
