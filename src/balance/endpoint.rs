//! One endpoint and what is going on there now.

use super::Moment;
use super::health::Health;
use super::latency::Latency;
use crate::addr::EndpointAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// An endpoint with its live state, shared by all workers.
#[derive(Debug)]
pub struct Endpoint {
    /// Where it listens.
    pub addr: EndpointAddr,
    /// The same as text, for every line of the log.
    pub text: Box<str>,
    in_flight: AtomicU32,
    latency: Latency,
    pub(super) health: Health,
}

impl Endpoint {
    /// An endpoint with nothing in flight, beside these others of its Service.
    pub(super) fn beside<'a>(
        addr: EndpointAddr,
        others: impl Iterator<Item = &'a Arc<Self>>,
    ) -> Self {
        Self {
            addr,
            text: addr.to_string().into(),
            in_flight: AtomicU32::new(0),
            latency: Latency::beside(others.map(|other| &other.latency)),
            health: Health::default(),
        }
    }

    /// Requests sent and not yet answered to the end, over all workers.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// What a further request would wait for, in microseconds: those in flight and itself, each as
    /// long as answers take of late.
    pub(super) fn load(&self, now: Moment) -> u64 {
        (u64::from(self.in_flight()) + 1) * u64::from(self.latency.micros(now))
    }

    /// Whether it has failed so often that it is to be left out, and has not answered since, or fails
    /// its checks. Whether
    /// it is left out depends on how many others are: [`super::EndpointSet::ejected`].
    pub fn is_ejected(&self) -> bool {
        self.health.is_out()
    }

    /// Notes what its checks have come to: whether it may have requests, as far as they know.
    /// Returns whether that is news.
    pub fn checked(&self, fit: bool) -> bool {
        self.health.set_fit(fit)
    }

    /// Notes the head of an answer. Returns whether that ends an ejection.
    pub fn answered(&self) -> bool {
        self.health.succeed()
    }

    /// Notes what it took from sending a request to the head of its answer, or to giving up on it.
    pub fn took(&self, span: Duration, now: Moment) {
        self.latency.add(span, now);
    }

    /// Notes that it failed. `most` failures in a row eject it, 0 never; `random` is a fresh random
    /// number. Returns whether this one did.
    pub fn failed(&self, now: Moment, most: u32, random: u64) -> bool {
        self.health.fail(now, most, random)
    }
}

/// Counts one request in flight for as long as it lives.
#[derive(Debug)]
pub struct InFlight(Arc<Endpoint>);

impl InFlight {
    /// Begins a request.
    pub fn begin(endpoint: &Arc<Endpoint>) -> Self {
        endpoint.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(endpoint))
    }

    /// Where the request went.
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
