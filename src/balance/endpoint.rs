//! One endpoint and what is going on there now.

use super::outlier::Health;
use super::peak_ewma::Latency;
use super::{AffinityToken, Moment, Queue};
use crate::net::addr::EndpointAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// The number of the next endpoint. 64 bits last for longer than any process.
static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// A request in flight, in both halves of [`Endpoint::requests`]. The low one never overflows into the high one: there are
/// fewer connections than 2^32.
const ONE_MORE: u64 = (1 << u32::BITS) | 1;

/// An endpoint with its live state, shared by all workers.
#[derive(Debug)]
pub struct Endpoint {
    /// Its number, unique in this process. It tells connections apart: another pod may soon have the same
    /// address.
    pub id: u64,
    /// Where it listens.
    pub addr: EndpointAddr,
    /// Its address as text, for every line of the log.
    pub text: Box<str>,
    /// Requests: in the low half those in flight, in the high half those begun so far. One word, so that counting
    /// them costs a request nothing further.
    requests: AtomicU64,
    /// It is no longer among the endpoints of its Service.
    left: AtomicBool,
    pub(super) latency: Latency,
    pub(super) health: Health,
}

impl Endpoint {
    /// An endpoint with nothing in flight, beside these others of its Service.
    pub(super) fn beside<'a>(
        addr: EndpointAddr,
        others: impl Iterator<Item = &'a Arc<Self>>,
    ) -> Self {
        Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            addr,
            text: addr.to_string().into(),
            requests: AtomicU64::new(0),
            left: AtomicBool::new(false),
            latency: Latency::beside(others.map(|other| &other.latency)),
            health: Health::default(),
        }
    }

    /// The cookie value that leads to this endpoint.
    pub fn token(&self) -> AffinityToken {
        AffinityToken::of(self.addr)
    }

    /// Requests sent and not yet answered to the end, over all workers.
    pub fn in_flight(&self) -> u32 {
        low_half(self.requests.load(Ordering::Relaxed))
    }

    /// Requests sent to it so far, those that were sent again included. Wraps after 2^32: readers take differences.
    pub fn begun(&self) -> u32 {
        low_half(self.requests.load(Ordering::Relaxed) >> u32::BITS)
    }

    /// How long its answers take of late, at least 1 ms, as the last of them left it. A new endpoint has the estimate of the
    /// slowest beside it. `None` until there is one: answers in the first 100 ms of the process may leave it so.
    pub fn recent_latency(&self) -> Option<Duration> {
        self.latency.last().map(|micros| Duration::from_micros(micros.into()))
    }

    /// Whether it was removed from its Service. A later pod with its address is a new endpoint.
    pub fn has_left(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }

    /// Notes that it has gone.
    pub(super) fn leave(&self) {
        self.left.store(true, Ordering::Relaxed);
    }

    /// What a further request would wait for, in microseconds: those in flight and itself, each as
    /// long as answers take of late.
    pub(super) fn load(&self, now: Moment) -> u64 {
        (u64::from(self.in_flight()) + 1) * u64::from(self.latency.micros(now))
    }

    /// Whether it has failed too often without a response since, or fails its health checks. Whether it is
    /// ejected depends on how many others are: [`super::EndpointSet::ejected`].
    pub fn is_ejected(&self) -> bool {
        self.health.is_out()
    }

    /// Whether a request may be sent to it that was sent to those in `tried`: it is none of them, and has
    /// not gone, for a set may be old when a request is sent again.
    pub(super) fn is_new_to(&self, tried: &[Arc<Self>]) -> bool {
        !self.has_left() && !tried.iter().any(|other| other.id == self.id)
    }

    /// Records the result of its health checks: whether it may get requests. Returns whether that changed.
    pub fn checked(&self, fit: bool) -> bool {
        self.health.set_fit(fit)
    }

    /// Records a response head. Returns whether that ends an ejection.
    pub fn answered(&self) -> bool {
        self.health.succeed()
    }

    /// Records the time from sending a request to its response head, or to giving up.
    pub fn took(&self, span: Duration, now: Moment) {
        self.latency.add(span, now);
    }

    /// Records a failure. `most` consecutive failures eject it, 0 never; `random` is a fresh random number.
    /// Returns whether this failure ejected it.
    pub fn failed(&self, now: Moment, most: u32, random: u64) -> bool {
        self.health.fail(now, most, random)
    }
}

/// The low half of the requests of an endpoint.
fn low_half(requests: u64) -> u32 {
    u32::try_from(requests & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}

/// Counts one request in flight until it is dropped.
#[derive(Debug)]
pub struct InFlight {
    endpoint: Arc<Endpoint>,
    /// Requests that wait for its end, where there is a limit.
    queue: Option<Arc<Queue>>,
}

impl InFlight {
    /// Starts a request.
    pub fn begin(endpoint: &Arc<Endpoint>) -> Self {
        endpoint.requests.fetch_add(ONE_MORE, Ordering::Relaxed);
        Self { endpoint: Arc::clone(endpoint), queue: None }
    }

    /// Begins a request, unless the endpoint has `most` already, whichever workers' they are.
    pub(super) fn begin_below(
        endpoint: &Arc<Endpoint>,
        most: u32,
        queue: &Arc<Queue>,
    ) -> Option<Self> {
        let more = |now: u64| (low_half(now) < most).then_some(now.wrapping_add(ONE_MORE));
        endpoint.requests.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Self { endpoint: Arc::clone(endpoint), queue: Some(Arc::clone(queue)) })
    }

    /// Where the request went.
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.endpoint.requests.fetch_sub(1, Ordering::Relaxed);
        if let Some(queue) = &self.queue {
            queue.freed();
        }
    }
}
