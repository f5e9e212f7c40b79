//! What Traefik counts of requests, for its dashboards and alerts: `metrics.traefik`.
//!
//! Traefik has requests by exact status where ravelin has classes (`pkg/observability/metrics/prometheus.go` and
//! `pkg/middlewares/metrics/metrics.go` of Traefik 3). Nothing of it exists unless it is asked for.

use super::histogram::{Bounds, Histogram, Totals};
use super::series::{MethodLabel, Outcome};
use super::tls::{TlsSuite, TlsVersion};
use crate::error::labels;
use crate::model::{BackendKey, Kind};
use crate::net::counters::LocalCounter;
use crate::routing::{RouteId, Table};
use http::StatusCode;
use std::sync::{Arc, OnceLock};
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

/// The requests of one route on one worker, as Traefik counts them.
#[derive(Debug)]
pub(super) struct TraefikCells {
    /// The name that Traefik has for its Service; nothing where no rule matched.
    pub(super) service: Option<Box<str>>,
    bounds: Bounds,
    kinds: Box<[OnceLock<Box<Counted>>]>,
    /// Requests within TLS, by [`TlsVersion`] and [`TlsSuite`].
    pub(super) tls: [[LocalCounter; TlsSuite::ALL.len()]; TlsVersion::ALL.len()],
    pub(super) retries: LocalCounter,
}

/// The bounds of all of these histograms.
pub(super) fn bounds() -> Bounds {
    Bounds::new(&BUCKETS.map(Duration::from_secs_f64))
}

impl TraefikCells {
    pub(super) fn of(bounds: &Bounds, table: &Table, route: Option<RouteId>) -> Self {
        let named = |id| service_name(table.route(id).object, &table.backend(id).key).into();
        Self {
            service: route.map(named),
            bounds: bounds.clone(),
            kinds: (0..KINDS).map(|_| OnceLock::new()).collect(),
            tls: Default::default(),
            retries: LocalCounter::default(),
        }
    }

    /// Counts one request. Only the owning worker may call this.
    pub(super) fn record(&self, outcome: &Outcome) {
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

/// The name that Traefik's provider has for a Service of an Ingress: namespace, name and port, with `-` for whatever is
/// neither letter nor digit (`pkg/provider/provider.go`, `Normalize`), and the provider's own name. Of an IngressRoute
/// Traefik names the route instead, by a hash of its rule, which changes with every edit; here it is the Service, too.
fn service_name(object: Kind, key: &BackendKey) -> String {
    let provider = match object {
        Kind::IngressRoute => "kubernetescrd",
        _ => "kubernetes",
    };
    let whole = format!("{}-{}-{}", key.namespace, key.service, key.port);
    let words: Vec<&str> = whole.split(|letter: char| !letter.is_alphanumeric()).collect();
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    format!("{}@{provider}", words.join("-"))
}

/// The entry points of the listeners, by position: their labels.
pub type EntryPointNames = Box<[Arc<str>]>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PortKey;
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
        let cells = TraefikCells::of(&bounds(), &Table::empty(), None);
        for (method, status) in [
            (MethodLabel::Get, 200),
            (MethodLabel::Get, 200),
            (MethodLabel::Get, 201),
            (MethodLabel::Other, 200),
        ] {
            cells.record(&outcome(method, status));
        }
        let expected = [
            (("EXTENSION_METHOD", 200), (1, 1, 2)),
            (("GET", 200), (2, 2, 4)),
            (("GET", 201), (1, 1, 2)),
        ];
        assert_eq!(counts(&cells), BTreeMap::from(expected));
        assert_eq!((cells.retries.total(), cells.service.as_deref()), (4, None));
        let tls = &cells.tls[TlsVersion::V1_3 as usize][TlsSuite::Aes128Gcm as usize];
        assert_eq!(tls.total(), 4);
    }

    #[test]
    fn a_pod_with_any_number_of_statuses_has_a_bounded_number_of_series() {
        let cells = TraefikCells::of(&bounds(), &Table::empty(), None);
        for status in 200..600 {
            cells.record(&outcome(MethodLabel::Get, status));
        }
        let counts = counts(&cells);
        assert_eq!(counts.len(), KINDS);
        assert_eq!(counts.values().map(|(count, ..)| count).sum::<u64>(), 400);
    }

    #[test]
    fn services_have_the_names_that_traefik_gives_them() {
        let key = |service: &str, port| BackendKey {
            namespace: "shop".into(),
            service: service.into(),
            port,
            variant: None,
        };
        let of = |object, key: &BackendKey| service_name(object, key);
        let web = key("web", PortKey::Number(80));
        assert_eq!(of(Kind::Ingress, &web), "shop-web-80@kubernetes");
        assert_eq!(of(Kind::IngressRoute, &web), "shop-web-80@kubernetescrd");
        let named = key("a.b", PortKey::Name("http-alt".into()));
        assert_eq!(of(Kind::Ingress, &named), "shop-a-b-http-alt@kubernetes");
    }
}
