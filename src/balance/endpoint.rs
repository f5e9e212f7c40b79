//! One endpoint and what is going on there now.

use crate::addr::EndpointAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// An endpoint with its live state, shared by all workers.
#[derive(Debug)]
pub struct Endpoint {
    /// Where it listens.
    pub addr: EndpointAddr,
    /// The same as text, for every line of the log.
    pub text: Box<str>,
    in_flight: AtomicU32,
}

impl Endpoint {
    /// An endpoint with nothing in flight.
    pub fn new(addr: EndpointAddr) -> Self {
        Self { addr, text: addr.to_string().into(), in_flight: AtomicU32::new(0) }
    }

    /// Requests sent and not yet answered to the end, over all workers.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
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
