//! A backend as the table has it, with its live state.

use super::EndpointProtocol;
use crate::balance::{EndpointSet, Queue};
use crate::model::{
    BackendKey, Balancing, Broken, EndpointSpec, ExternalName, HealthCheck, HostSent, Limits,
    Timeouts,
};
use arc_swap::ArcSwap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// A Service port that routes lead to.
///
/// Its endpoints have a cell of their own: a change of an EndpointSlice replaces the content of the
/// cell and touches no route.
#[derive(Debug)]
pub struct Backend {
    /// Which Service port.
    pub key: BackendKey,
    /// Why it can have no endpoints, if so.
    pub broken: Option<Broken>,
    /// What is spoken with its endpoints.
    pub protocol: EndpointProtocol,
    /// How its endpoints are checked, if they are.
    pub check: Option<Arc<HealthCheck>>,
    /// The DNS name of its endpoints, if they do not come from EndpointSlices: see [`Backend::resolve`].
    pub external: Option<ExternalName>,
    /// The load balancing of its Service, for Ingresses that set none.
    pub balancing: Balancing,
    /// Which host the requests of clients name to its endpoints.
    pub host: HostSent,
    /// Timeouts of its requests, for routes that set none.
    pub timeouts: Option<Timeouts>,
    pub(super) endpoints: ArcSwap<EndpointSet>,
    /// Where requests wait; nothing while there was never a limit.
    pub(super) queue: OnceLock<Arc<Queue>>,
    /// Whether an endpoint has answered a call of gRPC as one.
    pub(super) answers_calls: AtomicBool,
    /// Whether its endpoints were found to have different ETags for one path.
    pub(super) etags_differ: AtomicBool,
    /// Whether all of its endpoints fail their health checks.
    pub(super) fails_checks: AtomicBool,
}

impl Backend {
    /// The endpoints of this moment.
    pub fn endpoints(&self) -> arc_swap::Guard<Arc<EndpointSet>> {
        self.endpoints.load()
    }

    /// The protocol to its endpoints as text, if it is not plain HTTP/1.1.
    pub fn protocol_text(&self) -> Option<String> {
        (self.protocol != EndpointProtocol::Http).then(|| self.protocol.to_string())
    }

    /// Whether it has an endpoint that may be given something at this moment.
    pub fn has_pods(&self) -> bool {
        !self.endpoints().usable().is_empty()
    }

    /// Puts in force the addresses that DNS has for its name: for the resolver, and for
    /// backends with one alone.
    pub fn resolve(&self, specs: &[EndpointSpec]) {
        let old = self.endpoints();
        if self.external.is_some() && old.specs() != specs {
            let set = EndpointSet::new(&specs.into(), Some(&old));
            self.store(Arc::new(set));
        }
    }

    /// Puts others in force.
    pub(super) fn store(&self, endpoints: Arc<EndpointSet>) {
        let old = self.endpoints.swap(endpoints);
        old.leave_for(Some(&self.endpoints()));
        if let Some(queue) = self.queue.get() {
            queue.wake();
        }
    }

    /// Whether it speaks gRPC: its Service is configured so, or an endpoint has responded with gRPC.
    pub fn speaks_grpc(&self) -> bool {
        self.protocol.is_grpc() || (self.protocol.may_be_http2() && self.answers_calls())
    }

    /// Records a gRPC response of an endpoint.
    pub fn answered_call(&self) {
        if !self.answers_calls() {
            self.answers_calls.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn answers_calls(&self) -> bool {
        self.answers_calls.load(Ordering::Relaxed)
    }

    /// Records that its endpoints have different ETags for one path. Returns whether that is new.
    pub fn note_differing_etags(&self) -> bool {
        !self.etags_differ.swap(true, Ordering::Relaxed)
    }

    pub(super) fn etags_differ(&self) -> bool {
        self.etags_differ.load(Ordering::Relaxed)
    }

    /// Whether all of its endpoints fail their health checks: another Service may stand in for it.
    pub fn fails_checks(&self) -> bool {
        self.fails_checks.load(Ordering::Relaxed)
    }

    /// Records whether all of its endpoints fail their health checks.
    pub fn set_fails_checks(&self, fails: bool) {
        self.fails_checks.store(fails, Ordering::Relaxed);
    }

    /// The queue for requests while every endpoint has reached its limit; `None` without a limit.
    pub fn queue(&self) -> Option<&Arc<Queue>> {
        self.queue.get().filter(|queue| queue.is_limited())
    }

    /// Puts limits in force, for those that wait already as well.
    pub(super) fn limit(&self, limits: Option<Limits>) {
        self.queue.get_or_init(Arc::default).set(limits);
    }
}
