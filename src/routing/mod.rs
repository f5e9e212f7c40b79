//! The routing table: immutable, compiled from a `Model`, looked up by host and path.
//!
//! ```text
//! Model -> compile -> Table -> Publisher::publish => TableHandle::load (once per request)
//! ```
//!
//! A lookup is a hash of the host, one probe for a wildcard, and a binary search over the paths of the
//! host. Its cost does not depend on the number of hosts, and only logarithmically on the number of
//! paths. Hosts are in parts, by the hash of their names: a change recompiles the parts of the hosts
//! that it touches (`recompile`), and tables share the others.
//!
//! **Invariant**: `compile` and lookup are pure, and [`Publisher`] is the only place that swaps the table;
//! knows no Kubernetes type (`tests/layering`).

mod backend;
mod backends;
mod builder;
mod compile;
mod counts;
mod hosts;
mod lookup;
mod ordered;
mod part;
mod paths;
mod protocol;
mod publish;
mod recompile;
mod tcp;
#[cfg(test)]
mod tests;

pub use backend::Backend;
pub use compile::compile;
pub use lookup::Asked;
pub use protocol::EndpointProtocol;
pub use publish::{Held, Publisher, TableCache, TableHandle};
pub use recompile::recompile;
pub use tcp::{AskedConnection, TcpEntry};

use crate::balance::EndpointSet;
use crate::model::{Algorithm, BackendKey, Chain, Kind, Ordered, PathKind, RuleHash, Timeouts};
use backends::{BackendMap, DueLimit};
use compile::Defaults;
use counts::Counts;
use http::HeaderValue;
use part::Part;
use std::fmt;
use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::Arc;
use tcp::TcpRoutes;

/// "No such entry" in the index fields below.
const NONE: u32 = u32::MAX;

/// Marks the value of a host all of whose requests go to one route, which the other bits number.
/// Without it the value is a position in [`Part::host_entries`].
const ONE_ROUTE: u32 = 1 << 31;

/// A position or count of the table. Saturates at [`NONE`], which reads as "nothing there".
fn index(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(NONE)
}

/// A section of [`Part::text`].
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
    /// The hosts, by the hash of their names: a power of two of parts, and the one of the rules without
    /// host behind them.
    parts: Box<[Arc<Part>]>,
    counts: Counts,
    /// The default backends that parts are compiled with.
    defaults: Arc<Defaults>,
    /// The routes of connections.
    tcp: Arc<TcpRoutes>,
    /// Those of the model. Tables share what a change has not touched.
    backends: BackendMap,
    /// The model that this is of, where it is one of a row of them ([`Delta`]).
    model: Option<u64>,
    /// What is due for the cells of backends shared with the previous table.
    updates: Vec<Update>,
    /// The limits of backends that have some, or had.
    limits: Vec<DueLimit>,
    /// The backends of the previous table that this one does not have, if they are known.
    gone: Option<Vec<Gone>>,
}

/// New endpoints for a backend that stays.
struct Update {
    backend: Arc<Backend>,
    endpoints: Arc<EndpointSet>,
}

/// A backend of the previous table, and the one in its place.
struct Gone {
    old: Arc<Backend>,
    next: Option<Arc<Backend>>,
}

/// One host: where its paths are in [`Part::paths`], the Exact ones before the Prefix ones.
#[derive(Clone, Copy, Debug)]
struct HostEntry {
    first: u32,
    exact: u32,
    prefix: u32,
    /// The route for what no path matches, or [`NONE`].
    default: u32,
    /// Where its rules with an order of their own are in [`Part::ordered`].
    ordered: Run,
}

/// Entries that stand together.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    first: u32,
    len: u32,
}

impl Run {
    fn range(self) -> Range<usize> {
        self.first as usize..(self.first + self.len) as usize
    }
}

/// A rule with an order of its own.
#[derive(Clone, Debug)]
struct OrderedEntry {
    rule: Arc<Ordered>,
    route: u32,
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

/// What a path leads to. Positions are those of its part.
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
    /// Position in [`Table::chains`], or [`NONE`].
    chain: u32,
    kind: PathKind,
    wildcard: bool,
    /// Whether visitors without TLS are sent to the same address with it.
    redirects: bool,
    /// Whether its Ingress says how requests are spread.
    spreads: bool,
    /// Whether the next route is for the same path, at other entry points.
    more: bool,
    /// Whether its rule is written as a host alone.
    bare: bool,
    /// Position in [`Part::entry_points`].
    entry_points: u16,
}

#[derive(Clone, Copy, Debug)]
struct IngressEntry {
    object: Kind,
    namespace: Span,
    name: Span,
    /// Position in [`Part::hsts`], or [`NONE`].
    hsts: u32,
    /// Position in [`Part::timeouts`], or [`NONE`].
    timeouts: u32,
    /// Position in [`Part::algorithms`], or [`NONE`].
    algorithm: u32,
    raw_path: bool,
    max_body: Option<NonZeroU64>,
}

/// The number of a route in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RouteId {
    part: u32,
    /// In its part.
    route: u32,
}

/// What is known of a route, for labels, logs and `explain`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route<'a> {
    /// Ingress or IngressRoute.
    pub object: Kind,
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
    /// The hash of its rule, if it is of an IngressRoute.
    pub rule_hash: Option<&'a RuleHash>,
    /// Where it is served, as bits.
    pub entry_points: u32,
}

impl Route<'_> {
    /// The field of the Ingress that defines this route.
    pub fn field(&self) -> String {
        match self.position {
            Some((route, _)) if self.object == Kind::IngressRoute => {
                format!("spec.routes[{route}]")
            }
            Some((rule, path)) => format!("spec.rules[{rule}].http.paths[{path}]"),
            None => "spec.defaultBackend".to_owned(),
        }
    }

    /// `pathType`, or `Default` for a default backend.
    pub fn kind_text(&self) -> &'static str {
        if self.position.is_some() { self.kind.as_str() } else { "Default" }
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
        self.counts.routes
    }

    /// Number of distinct hosts, wildcards included.
    pub fn host_count(&self) -> usize {
        self.counts.hosts
    }

    /// Every Service port that a route leads to.
    pub fn backends(&self) -> impl Iterator<Item = &Arc<Backend>> {
        self.backends.values()
    }

    /// Every route: those of a host together, Exact before Prefix, then by path. Hosts are in no order.
    pub fn routes(&self) -> impl Iterator<Item = RouteId> {
        let parts = (0..).zip(&self.parts);
        parts.flat_map(|(part, of)| {
            (0..).take(of.routes.len()).map(move |route| RouteId { part, route })
        })
    }

    /// Whether a visitor without TLS is sent to the same address with it.
    pub fn redirects(&self, id: RouteId) -> bool {
        self.part(id).entry(id.route).redirects
    }

    /// The value of `Strict-Transport-Security` for clients with TLS.
    pub fn hsts(&self, id: RouteId) -> Option<&HeaderValue> {
        let part = self.part(id);
        part.hsts.get(part.ingress(id.route).hsts as usize)?.as_ref()
    }

    /// Whether its pods get the path as it was sent.
    pub fn keeps_raw_path(&self, id: RouteId) -> bool {
        self.part(id).ingress(id.route).raw_path
    }

    /// The most bytes that the bodies of its requests may have, if there is a limit.
    pub fn max_body(&self, id: RouteId) -> Option<NonZeroU64> {
        self.part(id).ingress(id.route).max_body
    }

    /// The steps of its requests, if it asks for any.
    pub fn chain(&self, id: RouteId) -> Option<&Chain> {
        let part = self.part(id);
        part.chains.get(part.routes[id.route as usize].chain as usize)
    }

    /// The backend of this key: for steps that send requests of their own.
    pub fn backend_of(&self, key: &BackendKey) -> Option<&Arc<Backend>> {
        backends::of_port(&self.backends, key)
    }

    /// The timeouts of its requests, if its Ingress sets any.
    pub fn timeouts(&self, id: RouteId) -> Option<&Timeouts> {
        let part = self.part(id);
        part.timeouts.get(part.ingress(id.route).timeouts as usize)
    }

    /// The load balancing of a route: from its Ingress, or else from its Service.
    pub fn algorithm(&self, id: RouteId) -> &Algorithm {
        let part = self.part(id);
        let ingress = part.entry(id.route).spreads.then(|| part.ingress(id.route));
        let own = ingress.and_then(|ingress| part.algorithms.get(ingress.algorithm as usize));
        own.unwrap_or(&part.backend(id.route).balancing.algorithm)
    }

    /// Describes a route of this table.
    pub fn route(&self, id: RouteId) -> Route<'_> {
        self.part(id).route(id.route)
    }

    /// Where a route of this table leads.
    pub fn backend(&self, id: RouteId) -> &Arc<Backend> {
        self.part(id).backend(id.route)
    }

    fn part(&self, id: RouteId) -> &Part {
        &self.parts[id.part as usize]
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
