//! What Traefik counts of requests, for its dashboards and alerts: `metrics.traefik`.
//!
//! Traefik has requests by exact status where ravelin has classes (`pkg/observability/metrics/prometheus.go` and
//! `pkg/middlewares/metrics/metrics.go` of Traefik 3). Nothing of it exists unless it is asked for.

use super::histogram::{Bounds, Histogram, Totals};
use super::outcome::{MethodLabel, Outcome};
use super::tls::{TlsSuite, TlsVersion};
use crate::error::labels;
use crate::model::{BackendKey, RuleHash};
use crate::net::counters::LocalCounter;
use crate::routing::{Route, RouteId, Table};
use http::StatusCode;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// Traefik's own bounds (`metrics.prometheus.buckets`), in seconds: its dashboard asks for 0.3 and 1.2.
const BUCKETS: [f64; 4] = [0.1, 0.3, 1.2, 5.0];

/// Kinds of requests that are told apart for a route, on one worker: methods, statuses and protocols. A pod that answers
/// with more statuses has those counted with others of their class.
const KINDS: usize = 64;

labels! { fn label;
    /// What a request is, as Traefik's label `protocol` has it.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
    pub enum RequestProtocol {
        /// Anything else.
        #[default]
        Http = "http",
        /// It became a WebSocket.
        WebSocket = "websocket",
        /// Its response is a stream of server-sent events.
        Events = "sse",
        /// A call of gRPC.
        Grpc = "grpc",
        /// A call of gRPC-Web.
        GrpcWeb = "grpc-web",
    }
}

/// What requests are told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RequestKind {
    pub(super) method: MethodLabel,
    pub(super) status: StatusCode,
    pub(super) protocol: RequestProtocol,
    /// Whether its Service was asked: what a middleware answers is the entry point's alone.
    pub(super) is_asked: bool,
}

impl RequestKind {
    /// The method as Traefik has it, which calls those that it does not know otherwise.
    pub(super) fn method(&self) -> &'static str {
        match self.method {
            MethodLabel::Other => "EXTENSION_METHOD",
            known => known.as_str(),
        }
    }

    /// Where to look first.
    fn place(&self) -> usize {
        let status = usize::from(self.status.as_u16());
        let (method, protocol) = (self.method as usize, self.protocol as usize);
        (7 * status + 13 * method + 29 * protocol + 31 * usize::from(self.is_asked)) % KINDS
    }

    fn class(&self) -> u16 {
        self.status.as_u16() / 100
    }
}

/// The requests of one kind.
#[derive(Debug)]
struct Counted {
    kind: RequestKind,
    durations: Histogram,
    bytes_in: LocalCounter,
    bytes_out: LocalCounter,
}

impl Counted {
    fn new(kind: RequestKind, bounds: &Bounds) -> Self {
        let durations = Histogram::new(bounds);
        Self {
            kind,
            durations,
            bytes_in: LocalCounter::default(),
            bytes_out: LocalCounter::default(),
        }
    }
}

/// What Traefik calls a route.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct RouteNames {
    /// Its router.
    pub(super) router: Box<str>,
    /// Its Service, where it has not several.
    pub(super) service: Box<str>,
    provider: &'static str,
}

impl RouteNames {
    /// Those of a route of this table, for requests on one listener.
    pub(super) fn of(table: &Table, route: RouteId, ways: &RouterWays, listener: usize) -> Self {
        let (route, backend) = (table.route(route), table.backend(route));
        let (router, provider) = (router_name(&route), provider(route.rule_hash));
        let service = match route.rule_hash {
            // Traefik makes a Service of its own for each rule.
            Some(_) => router.clone(),
            None => service_name(&backend.key, provider),
        };
        let router = match ways.prefix(&route, listener) {
            Some(prefix) => format!("{prefix}-{router}"),
            None => router,
        };
        Self { router: router.into(), service: service.into(), provider }
    }
}

/// Where Traefik has a router of its own for an entry point: those with TLS by default, as its chart has them, if the route is
/// served elsewhere as well (`pkg/server/aggregator.go`, `applyModel`).
#[derive(Clone, Debug, Default)]
pub struct RouterWays {
    /// The entry points that there are, as bits.
    pub entry_points: u32,
    /// The entry point of each listener with TLS.
    pub secure: Box<[Option<Arc<str>>]>,
}

impl RouterWays {
    fn prefix(&self, route: &Route<'_>, listener: usize) -> Option<&str> {
        let is_of_several = (route.entry_points & self.entry_points).count_ones() > 1;
        self.secure.get(listener)?.as_deref().filter(|_| is_of_several)
    }
}

/// The requests of one route on one worker, as Traefik counts them.
#[derive(Debug)]
pub(super) struct TraefikCells {
    /// The names that Traefik has for it; nothing where no rule matched.
    pub(super) names: Option<RouteNames>,
    bounds: Bounds,
    kinds: Box<[OnceLock<Box<Counted>>]>,
    /// Requests within TLS, by [`TlsVersion`] and [`TlsSuite`].
    pub(super) tls: [[LocalCounter; TlsSuite::ALL.len()]; TlsVersion::ALL.len()],
    pub(super) retries: LocalCounter,
    /// Requests by the one of several Services that was chosen. Locked by the worker, and by a scrape for a moment.
    chosen: Mutex<Vec<(BackendKey, Arc<Self>)>>,
}

/// The bounds of all of these histograms.
pub(super) fn bounds() -> Bounds {
    Bounds::new(&BUCKETS.map(Duration::from_secs_f64))
}

impl TraefikCells {
    pub(super) fn new(bounds: &Bounds, names: Option<RouteNames>) -> Self {
        Self {
            names,
            bounds: bounds.clone(),
            kinds: (0..KINDS).map(|_| OnceLock::new()).collect(),
            tls: Default::default(),
            retries: LocalCounter::default(),
            chosen: Mutex::default(),
        }
    }

    /// Counts one request; `chosen`: its Service, if its route has several. Only the owning worker may call this.
    pub(super) fn record(&self, outcome: &Outcome, chosen: Option<&BackendKey>) {
        let (Some(key), Some(names)) = (chosen, &self.names) else { return self.count(outcome) };
        self.count(outcome);
        let mut all = self.chosen.lock().unwrap_or_else(PoisonError::into_inner);
        let position = all.iter().position(|(known, _)| known == key).unwrap_or_else(|| {
            let service = service_name(key, names.provider).into();
            let names = RouteNames { service, ..names.clone() };
            all.push((key.clone(), Arc::new(Self::new(&self.bounds, Some(names)))));
            all.len() - 1
        });
        all[position].1.count(outcome);
    }

    /// The same by Service, if there are several.
    pub(super) fn services(&self) -> Vec<Arc<Self>> {
        let all = self.chosen.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(_, cells)| Arc::clone(cells)).collect()
    }

    fn count(&self, outcome: &Outcome) {
        if let Some(counted) = self.counted(outcome) {
            counted.durations.record(outcome.duration);
            counted.bytes_in.add(outcome.bytes_in);
            counted.bytes_out.add(outcome.bytes_out);
        }
        if let Some((version, suite)) = outcome.tls {
            self.tls[version as usize][suite as usize].add(1);
        }
        self.retries.add(u64::from(outcome.retries));
    }

    /// Where a request counts: with its own kind, or, where there are too many, with one of its class.
    fn counted(&self, outcome: &Outcome) -> Option<&Counted> {
        let Outcome { method, status, protocol, is_asked, .. } = *outcome;
        let kind = RequestKind { method, status, protocol, is_asked };
        let all = || self.kinds.iter().cycle().skip(kind.place()).take(KINDS);
        for cell in all() {
            let counted = cell.get_or_init(|| Box::new(Counted::new(kind, &self.bounds)));
            if counted.kind == kind {
                return Some(counted);
            }
        }
        let others = || all().filter_map(|cell| cell.get().map(|counted| &**counted));
        others().find(|counted| counted.kind.class() == kind.class()).or_else(|| others().next())
    }

    /// Adds every kind that there has been to totals.
    pub(super) fn add_to(&self, mut totals: impl FnMut(RequestKind, &Histogram, u64, u64)) {
        for counted in self.kinds.iter().filter_map(OnceLock::get) {
            let (bytes_in, bytes_out) = (counted.bytes_in.total(), counted.bytes_out.total());
            totals(counted.kind, &counted.durations, bytes_in, bytes_out);
        }
    }
}

/// The sum of requests of one kind.
#[derive(Clone, Debug, Default)]
pub(super) struct TraefikTotals {
    pub(super) durations: Totals,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
}

/// The name of a router: namespace and name of its object, with host and path of an Ingress, or with the hash of the rule
/// of an IngressRoute (`pkg/provider/kubernetes` of Traefik).
fn router_name(route: &Route<'_>) -> String {
    let rule = match route.rule_hash {
        Some(hash) => hex(hash),
        None => format!("{}-{}", route.host, route.path),
    };
    let name = format!("{}-{}-{rule}", route.namespace, route.ingress);
    format!("{}{}", normalize(&name), provider(route.rule_hash))
}

/// The provider behind the names of a route and its Services: the rule of an IngressRoute has a hash.
pub(super) fn provider(rule_hash: Option<&RuleHash>) -> &'static str {
    if rule_hash.is_some() { "@kubernetescrd" } else { "@kubernetes" }
}

/// The name of a Service by itself: namespace, name and port.
fn service_name(key: &BackendKey, provider: &str) -> String {
    let name = format!("{}-{}-{}", key.namespace, key.service, key.port);
    format!("{}{provider}", normalize(&name))
}

/// Text with `-` for whatever is neither letter nor digit (`pkg/provider/provider.go`, `Normalize`).
fn normalize(text: &str) -> String {
    let words = text.split(|letter: char| !letter.is_alphanumeric());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-")
}

/// A hash as it is written.
pub(super) fn hex(hash: &RuleHash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The entry points of the listeners, by position: their labels.
pub type EntryPointNames = Box<[Arc<str>]>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Kind, PathKind, PortKey};
    use std::collections::BTreeMap;

    fn outcome(method: MethodLabel, status: u16) -> Outcome {
        Outcome {
            method,
            status: StatusCode::from_u16(status).expect("a status"),
            protocol: RequestProtocol::Http,
            is_asked: true,
            reason: None,
            duration: Duration::from_millis(200),
            upstream: None,
            bytes_in: 1,
            bytes_out: 2,
            tls: Some((TlsVersion::V1_3, TlsSuite::Aes128Gcm)),
            retries: 1,
            trace_id: None,
        }
    }

    fn counts(cells: &TraefikCells) -> BTreeMap<(&'static str, u16), (u64, u64, u64)> {
        let mut all = BTreeMap::new();
        cells.add_to(|kind, durations, bytes_in, bytes_out| {
            let mut totals = Totals::default();
            totals.add(durations);
            let key = (kind.method(), kind.status.as_u16());
            assert!(all.insert(key, (totals.count(), bytes_in, bytes_out)).is_none());
        });
        all
    }

    #[test]
    fn requests_count_by_method_and_exact_status() {
        let cells = TraefikCells::new(&bounds(), None);
        for (method, status) in [
            (MethodLabel::Get, 200),
            (MethodLabel::Get, 200),
            (MethodLabel::Get, 201),
            (MethodLabel::Other, 200),
        ] {
            cells.record(&outcome(method, status), None);
        }
        let expected = [
            (("EXTENSION_METHOD", 200), (1, 1, 2)),
            (("GET", 200), (2, 2, 4)),
            (("GET", 201), (1, 1, 2)),
        ];
        assert_eq!(counts(&cells), BTreeMap::from(expected));
        assert_eq!((cells.retries.total(), &cells.names), (4, &None));
        let tls = &cells.tls[TlsVersion::V1_3 as usize][TlsSuite::Aes128Gcm as usize];
        assert_eq!(tls.total(), 4);
    }

    #[test]
    fn a_pod_with_any_number_of_statuses_has_a_bounded_number_of_series() {
        let cells = TraefikCells::new(&bounds(), None);
        for status in 200..600 {
            cells.record(&outcome(MethodLabel::Get, status), None);
        }
        let counts = counts(&cells);
        assert_eq!(counts.len(), KINDS);
        assert_eq!(counts.values().map(|(count, ..)| count).sum::<u64>(), 400);
    }

    #[test]
    fn routers_and_services_have_the_names_that_traefik_gives_them() {
        let key = |service: &str, port| BackendKey {
            namespace: "shop".into(),
            service: service.into(),
            port,
            variant: None,
        };
        assert_eq!(
            service_name(&key("web", PortKey::Number(80)), "@kubernetes"),
            "shop-web-80@kubernetes"
        );
        let named = key("a.b", PortKey::Name("http-alt".into()));
        assert_eq!(service_name(&named, "@kubernetes"), "shop-a-b-http-alt@kubernetes");
        let route = |host, path, rule_hash| Route {
            object: Kind::Ingress,
            namespace: "shop",
            ingress: "web.x",
            host,
            wildcard: false,
            position: None,
            kind: PathKind::Prefix,
            path,
            rule_hash,
            entry_points: 3,
        };
        let cart = route("shop.example", "/cart/", None);
        assert_eq!(router_name(&cart), "shop-web-x-shop-example-cart@kubernetes");
        assert_eq!(router_name(&route("", "/", None)), "shop-web-x@kubernetes");
        let hash = [0x1f, 0, 2, 3, 4, 5, 6, 7, 8, 0xaa];
        let of_rule = route("shop.example", "/", Some(&hash));
        assert_eq!(router_name(&of_rule), "shop-web-x-1f0002030405060708aa@kubernetescrd");
        let secure = Box::new([None, Some("websecure".into())]);
        let ways = RouterWays { entry_points: 7, secure };
        assert_eq!(
            [0, 1, 2].map(|listener| ways.prefix(&cart, listener)),
            [None, Some("websecure"), None]
        );
        let alone = RouterWays { entry_points: 2, ..ways };
        assert_eq!(alone.prefix(&cart, 1), None);
    }
}
