//! The routing table: immutable, compiled from a `Model`, looked up by host and path.
//!
//! ```text
//! Model -> compile -> Table -> Publisher::publish => TableHandle::load (once per request)
//! ```
//!
//! A lookup is a hash of the host, one probe for a wildcard, and a binary search over the paths of the
//! host. Its cost does not depend on the number of hosts, and only logarithmically on the number of
//! paths. The table stores its text in blocks and refers to it by position. A host whose only rule is
//! `/`, the common case, needs no more than its record in the map of hosts.
//!
//! **Invariant**: `compile` and lookup are pure, and [`Publisher`] is the only place that swaps the table;
//! knows no Kubernetes type (`tests/layering`).

mod backends;
mod compile;
mod hosts;
mod lookup;
mod paths;
mod protocol;
mod publish;
#[cfg(test)]
mod tests;

pub use compile::{compile, table_order};
pub use protocol::EndpointProtocol;
pub use publish::{Held, Publisher, TableCache, TableHandle};

use crate::balance::{EndpointSet, Queue};
use crate::model::{
    Algorithm, BackendKey, Balancing, Broken, EndpointSpec, ExternalName, HealthCheck, Limits,
    PathKind, Timeouts,
};
use arc_swap::ArcSwap;
use hosts::HostMap;
use http::HeaderValue;
use std::fmt;
use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// "No such entry" in the index fields below.
const NONE: u32 = u32::MAX;

/// Marks the value of a host all of whose requests go to one route, which the other bits number.
/// Without it the value is a position in [`Table::host_entries`].
const ONE_ROUTE: u32 = 1 << 31;

/// A position or count of the table. Saturates at [`NONE`], which reads as "nothing there".
fn index(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(NONE)
}

/// A part of [`Table::text`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Span {
    start: u32,
    len: u32,
}

impl Span {
    fn range(self) -> Range<usize> {
        self.start as usize..(self.start + self.len) as usize
    }
}

/// Everything that is served, as the request path needs it.
pub struct Table {
    generation: u64,
    text: Box<str>,
    /// Exact hosts, by name.
    hosts: HostMap,
    /// Wildcard hosts, by the name behind `*.`.
    wildcards: HostMap,
    /// Rules without host. Its default is the default backend for every host.
    any: Option<u32>,
    host_entries: Box<[HostEntry]>,
    paths: Box<[PathEntry]>,
    routes: Box<[RouteEntry]>,
    ingresses: Box<[IngressEntry]>,
    /// The values of `Strict-Transport-Security`, each once.
    hsts: Box<[Option<HeaderValue>]>,
    /// The timeouts set by Ingresses, without duplicates.
    timeouts: Box<[Timeouts]>,
    /// How Ingresses have their requests spread, each once.
    algorithms: Box<[Algorithm]>,
    backends: Box<[Arc<Backend>]>,
    /// What is due for the cells of backends shared with the previous table.
    updates: Vec<Update>,
    /// The limits of backends that have some, or had.
    limits: Vec<(Arc<Backend>, Option<Limits>)>,
}

/// New endpoints for a backend that stays.
struct Update {
    backend: Arc<Backend>,
    endpoints: Arc<EndpointSet>,
}

/// One host: where its paths are in [`Table::paths`], the Exact ones before the Prefix ones.
#[derive(Clone, Copy, Debug)]
struct HostEntry {
    first: u32,
    exact: u32,
    prefix: u32,
    /// The route for what no path matches, or [`NONE`].
    default: u32,
}

/// One path of one host.
#[derive(Clone, Copy, Debug)]
struct PathEntry {
    /// The whole path (Exact), or without trailing slash (Prefix).
    text: Span,
    /// For a Prefix, the entry of the longest other Prefix above it, or [`NONE`].
    parent: u32,
    route: u32,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug)]
struct RouteEntry {
    backend: u32,
    ingress: u32,
    /// Position in `spec.rules` and `http.paths`; [`NONE`] for a default backend.
    rule: u32,
    position: u32,
    /// Where its record is in the map of hosts or wildcards; [`NONE`] for every host.
    host: u32,
    path: Span,
    kind: PathKind,
    wildcard: bool,
    /// Whether visitors without TLS are sent to the same address with it.
    redirects: bool,
    /// Whether its Ingress says how requests are spread.
    spreads: bool,
}

#[derive(Clone, Copy, Debug)]
struct IngressEntry {
    namespace: Span,
    name: Span,
    /// Position in [`Table::hsts`], or [`NONE`].
    hsts: u32,
    /// Position in [`Table::timeouts`], or [`NONE`].
    timeouts: u32,
    /// Position in [`Table::algorithms`], or [`NONE`].
    algorithm: u32,
    raw_path: bool,
    max_body: Option<NonZeroU64>,
}

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
    endpoints: ArcSwap<EndpointSet>,
    /// Where requests wait; nothing while there was never a limit.
    queue: OnceLock<Arc<Queue>>,
    /// Whether an endpoint has answered a call of gRPC as one.
    answers_calls: AtomicBool,
}

impl Backend {
    /// The endpoints of this moment.
    pub fn endpoints(&self) -> arc_swap::Guard<Arc<EndpointSet>> {
        self.endpoints.load()
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
    fn store(&self, endpoints: Arc<EndpointSet>) {
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

    fn answers_calls(&self) -> bool {
        self.answers_calls.load(Ordering::Relaxed)
    }

    /// The queue for requests while every endpoint has reached its limit; `None` without a limit.
    pub fn queue(&self) -> Option<&Arc<Queue>> {
        self.queue.get().filter(|queue| queue.is_limited())
    }

    /// Puts limits in force, for those that wait already as well.
    fn limit(&self, limits: Option<Limits>) {
        self.queue.get_or_init(Arc::default).set(limits);
    }
}

/// The number of a route in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RouteId(u32);

/// What is known of a route, for labels, logs and `explain`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route<'a> {
    /// Namespace of the Ingress.
    pub namespace: &'a str,
    /// Name of the Ingress.
    pub ingress: &'a str,
    /// Host of the rule without `*.`; empty for every host.
    pub host: &'a str,
    /// Whether the host is a wildcard.
    pub wildcard: bool,
    /// Where in the Ingress: `(rule, path)`, or nothing for its default backend.
    pub position: Option<(usize, usize)>,
    /// `pathType` and `path`; `/` for a default backend.
    pub kind: PathKind,
    /// See `kind`.
    pub path: &'a str,
}

impl Route<'_> {
    /// The field of the Ingress that defines this route.
    pub fn field(&self) -> String {
        match self.position {
            Some((rule, path)) => format!("spec.rules[{rule}].http.paths[{path}]"),
            None => "spec.defaultBackend".to_owned(),
        }
    }

    /// The host as in the manifest, `*` for every host.
    pub fn host_pattern(&self) -> String {
        match (self.host, self.wildcard) {
            ("", _) => "*".to_owned(),
            (name, true) => format!("*.{name}"),
            (name, false) => name.to_owned(),
        }
    }
}

impl Table {
    /// A table that routes nothing.
    pub fn empty() -> Self {
        compile(&crate::model::Model::default(), None)
    }

    /// The number of this table: increases with every compiled table of this process.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Number of routes, default backends included.
    pub fn route_count(&self) -> usize {
        self.routes.len()
    }

    /// Number of distinct hosts, wildcards included.
    pub fn host_count(&self) -> usize {
        self.hosts.len() + self.wildcards.len()
    }

    /// Every Service port that a route leads to.
    pub fn backends(&self) -> &[Arc<Backend>] {
        &self.backends
    }

    /// Every route, sorted as compiled: by host, Exact before Prefix, then path.
    pub fn routes(&self) -> impl Iterator<Item = RouteId> {
        (0..).take(self.routes.len()).map(RouteId)
    }

    /// Whether a visitor without TLS is sent to the same address with it.
    pub fn redirects(&self, id: RouteId) -> bool {
        self.routes[id.0 as usize].redirects
    }

    /// The value of `Strict-Transport-Security` for clients with TLS.
    pub fn hsts(&self, id: RouteId) -> Option<&HeaderValue> {
        let ingress = self.routes[id.0 as usize].ingress;
        self.hsts.get(self.ingresses[ingress as usize].hsts as usize)?.as_ref()
    }

    /// Whether its pods get the path as it was sent.
    pub fn keeps_raw_path(&self, id: RouteId) -> bool {
        let ingress = self.routes[id.0 as usize].ingress;
        self.ingresses[ingress as usize].raw_path
    }

    /// The most bytes that the bodies of its requests may have, if there is a limit.
    pub fn max_body(&self, id: RouteId) -> Option<NonZeroU64> {
        let ingress = self.routes[id.0 as usize].ingress;
        self.ingresses[ingress as usize].max_body
    }

    /// The timeouts of its requests, if its Ingress sets any.
    pub fn timeouts(&self, id: RouteId) -> Option<&Timeouts> {
        let ingress = self.routes[id.0 as usize].ingress;
        self.timeouts.get(self.ingresses[ingress as usize].timeouts as usize)
    }

    /// The load balancing of a route: from its Ingress, or else from its Service.
    pub fn algorithm(&self, id: RouteId) -> &Algorithm {
        let route = &self.routes[id.0 as usize];
        let ingress = route.spreads.then(|| self.ingresses[route.ingress as usize]);
        let own = ingress.and_then(|ingress| self.algorithms.get(ingress.algorithm as usize));
        own.unwrap_or(&self.backends[route.backend as usize].balancing.algorithm)
    }

    /// Describes a route of this table.
    pub fn route(&self, id: RouteId) -> Route<'_> {
        let entry = &self.routes[id.0 as usize];
        let ingress = &self.ingresses[entry.ingress as usize];
        Route {
            namespace: self.text(ingress.namespace),
            ingress: self.text(ingress.name),
            host: if entry.wildcard { &self.wildcards } else { &self.hosts }.name(entry.host),
            wildcard: entry.wildcard,
            position: (entry.rule != NONE)
                .then_some((entry.rule as usize, entry.position as usize)),
            kind: entry.kind,
            path: self.text(entry.path),
        }
    }

    /// Where a route of this table leads.
    pub fn backend(&self, id: RouteId) -> &Arc<Backend> {
        &self.backends[self.routes[id.0 as usize].backend as usize]
    }

    fn text(&self, span: Span) -> &str {
        &self.text[span.range()]
    }
}

impl HostEntry {
    fn exact(&self) -> Range<usize> {
        self.first as usize..(self.first + self.exact) as usize
    }

    fn prefix(&self) -> Range<usize> {
        let end = self.exact().end;
        end..end + self.prefix as usize
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("generation", &self.generation)
            .field("hosts", &self.host_count())
            .field("routes", &self.route_count())
            .field("backends", &self.backends.len())
            .finish_non_exhaustive()
    }
}
