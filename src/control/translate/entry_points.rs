//! On which entry points the routes of an Ingress are served: `router.entrypoints` of Traefik.

use super::annotations::{Annotations, field};
use super::report::{Problem, Report};
use crate::config::{Config, Listener, ListenerProtocol, Members};
use crate::control::quote::quote;
use crate::control::suggest::nearest;
use crate::model::{Broken, EntryPoints, Severity, Why};
use std::sync::Arc;

/// A list of names. Without one, a route is served on the entry points that are default.
pub(super) const ENTRY_POINTS: &str = "traefik.ingress.kubernetes.io/router.entrypoints";

/// Other names that installations of Traefik have for its chart's entry points. They count where the
/// configuration has no entry point of that name.
const ALIASES: [(&str, &str); 3] =
    [("http", "web"), ("https", "websecure"), ("web-secure", "websecure")];

/// An entry point, as routes see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedEntryPoint {
    /// What routes call it.
    pub name: Arc<str>,
    /// Whether all of its listeners with HTTP have TLS.
    pub is_secure: bool,
    /// The connections of its listeners.
    pub carries: CarriedTraffic,
    /// The ports of its listeners.
    pub ports: Vec<u16>,
    /// Whether routes that name no entry point are served there.
    pub is_default: bool,
    /// Middlewares that requests pass before those of their route.
    pub middlewares: Vec<Arc<str>>,
}

/// What connections of an entry point have, over all of its listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CarriedTraffic {
    /// Whether some have no TLS.
    pub plain: bool,
    /// Whether some have TLS.
    pub tls: bool,
    /// Whether some are for routes of HTTP.
    pub http: bool,
    /// Whether all come from Cloudflare.
    pub cloudflare_alone: bool,
}

/// What comes of a route of connections that cannot be served.
const REFUSED: &str = "its connections are refused";

/// The ports that Cloudflare's proxy has (Cloudflare, "Network ports").
const PROXIED_PORTS: [u16; 13] =
    [80, 8080, 8880, 2052, 2082, 2086, 2095, 443, 2053, 2083, 2087, 2096, 8443];

impl CarriedTraffic {
    /// Those of listeners with these protocols; of none, by whether it is meant for TLS.
    fn of(listeners: &[&Listener], is_secure: bool) -> Self {
        let protocols: Vec<ListenerProtocol> = listeners.iter().map(|one| one.protocol).collect();
        let has = |wanted| protocols.contains(&wanted);
        let (http, https) = match protocols[..] {
            [] => (!is_secure, is_secure),
            _ => (has(ListenerProtocol::Http), has(ListenerProtocol::Https)),
        };
        let tcp = has(ListenerProtocol::Tcp);
        let is_cloudflares = |listener: &&Listener| {
            let mut sets = listener.admit.sets.iter();
            sets.all(|set| set.members == Members::Cloudflare)
        };
        let cloudflare_alone = !listeners.is_empty() && listeners.iter().all(is_cloudflares);
        Self { plain: http || tcp, tls: https || tcp, http: http || https, cloudflare_alone }
    }
}

/// The entry points of a configuration, in its order: the position of each is its bit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryPointTable(Vec<NamedEntryPoint>);

impl Default for EntryPointTable {
    /// Those of Traefik's chart.
    fn default() -> Self {
        let preset = |name: &str, is_secure| NamedEntryPoint {
            name: name.into(),
            is_secure,
            carries: CarriedTraffic::of(&[], is_secure),
            ports: Vec::new(),
            is_default: true,
            middlewares: Vec::new(),
        };
        Self(vec![preset("web", false), preset("websecure", true)])
    }
}

/// Entry points on which the routes of an Ingress are alike: before their own Middlewares, requests pass the same.
pub(super) struct Way<'t> {
    pub(super) entry_points: EntryPoints,
    /// One of them, for messages.
    pub(super) name: &'t str,
    pub(super) middlewares: &'t [Arc<str>],
}

impl Way<'_> {
    /// One way for all, without Middlewares: an authority that looks for the answer to its challenge is neither
    /// redirected nor asked who it is.
    pub(super) fn plain(entry_points: EntryPoints) -> Vec<Self> {
        vec![Self { entry_points, name: "", middlewares: &[] }]
    }
}

/// The entry points of an Ingress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct EntryPointsRead {
    pub(super) entry_points: EntryPoints,
    /// Whether it names some, all of which have TLS.
    pub(super) is_secure: bool,
    /// Why no route of it is served.
    pub(super) broken: Option<Broken>,
}

impl EntryPointTable {
    /// Those of a configuration.
    pub fn of(config: &Config) -> Self {
        let all = config.entry_points.iter().map(|point| {
            let own = point.listeners.iter().filter_map(|&at| config.listeners.get(at));
            let own: Vec<&Listener> = own.collect();
            let has = |wanted| own.iter().any(|listener| listener.protocol == wanted);
            let is_secure = match own.is_empty() {
                true => *point.name == *"websecure",
                false => has(ListenerProtocol::Https) && !has(ListenerProtocol::Http),
            };
            let ports = own.iter().map(|listener| listener.address.port()).collect();
            let (name, middlewares) = (Arc::clone(&point.name), point.middlewares.clone());
            let (carries, is_default) = (CarriedTraffic::of(&own, is_secure), point.is_default);
            NamedEntryPoint { name, is_secure, carries, ports, is_default, middlewares }
        });
        Self(all.collect())
    }

    /// These.
    #[cfg(test)]
    pub(super) fn new(all: Vec<NamedEntryPoint>) -> Self {
        Self(all)
    }

    fn position(&self, name: &str) -> Option<usize> {
        let name = name.to_ascii_lowercase();
        let position = |name: &str| self.0.iter().position(|point| *point.name == *name);
        position(&name).or_else(|| {
            let (_, preset) = ALIASES.into_iter().find(|(alias, _)| *alias == name)?;
            position(preset)
        })
    }

    /// The bits of those that a condition holds for.
    fn bits(&self, holds: impl Fn(&NamedEntryPoint) -> bool) -> u32 {
        let own = self.0.iter().enumerate().filter(|(_, point)| holds(point));
        own.fold(0, |bits, (at, _)| bits | 1 << at)
    }

    /// Those of a route that names none.
    fn default(&self) -> EntryPoints {
        match self.0.iter().all(|point| point.is_default) {
            true => EntryPoints::ALL,
            false => EntryPoints { own: self.bits(|point| point.is_default), also: 0 },
        }
    }

    /// Reads those of an Ingress.
    ///
    /// A name that is none costs nothing beside a known one: the routes are served nowhere else than with Traefik.
    /// Where no name is known they keep their place, unserved.
    pub(super) fn read(
        &self,
        annotations: Annotations<'_>,
        report: &mut Report<'_>,
    ) -> EntryPointsRead {
        let names = annotations.list(ENTRY_POINTS);
        let read = EntryPointsRead { entry_points: self.default(), ..Default::default() };
        if names.is_empty() {
            return read;
        }
        if annotations.ignores(ENTRY_POINTS, Some("names entry points"), report) {
            return read;
        }
        self.named(read, &names, &field(ENTRY_POINTS), report)
    }

    /// Reads those of an IngressRoute. With `tls` it is served where there is TLS alone.
    pub(super) fn of_route(
        &self,
        names: &[&str],
        has_tls: bool,
        report: &mut Report<'_>,
    ) -> EntryPointsRead {
        let read = EntryPointsRead { entry_points: self.default(), ..Default::default() };
        let mut read = match names.is_empty() {
            true => read,
            false => self.named(read, names, "spec.entryPoints", report),
        };
        if has_tls && !read.is_secure && read.broken.is_none() {
            let secure = self.bits(|point| point.is_secure);
            let EntryPoints { own, .. } = read.entry_points;
            if own & secure == 0 {
                let reason = "asks for TLS, and none of its entry points has it: it is not served";
                let fix = "name an entry point with TLS, such as websecure, or remove `tls`";
                report.add("spec.tls", Problem::error(Why::Invalid, "", reason, fix));
            }
            let plain = |point: &NamedEntryPoint| {
                point.carries.http && !point.is_secure && point.is_default
            };
            let also = self.bits(plain) & !secure;
            let also = if own & secure == 0 { 0 } else { also };
            read.entry_points = EntryPoints { own: own & secure, also };
            read.is_secure = true;
        }
        read
    }

    /// Reads those of an IngressRouteTCP. With `tls` it is served where connections have TLS, without it where they
    /// have none. `own` is empty where there is none of these, which was told.
    pub(super) fn of_tcp_route(
        &self,
        names: &[&str],
        has_tls: bool,
        report: &mut Report<'_>,
    ) -> EntryPointsRead {
        let read = EntryPointsRead { entry_points: self.default(), ..Default::default() };
        let mut read = match names.is_empty() {
            true => read,
            false => self.looked_up(read, names, "spec.entryPoints", REFUSED, report),
        };
        let fits = self.bits(|point| match has_tls {
            true => point.carries.tls,
            false => point.carries.plain,
        });
        let EntryPoints { own, .. } = read.entry_points;
        if own & fits == 0 && read.broken.is_none() {
            let (place, reason, fix) = match has_tls {
                true => (
                    "spec.tls",
                    "asks for TLS, and no connection of its entry points has it: it is not served",
                    "name an entry point with TLS, such as websecure, or one of a listener with protocol = \"tcp\"",
                ),
                false => (
                    "spec.entryPoints",
                    "have connections with TLS alone, and the route has no `tls`: it is not served",
                    "add `tls`, or name an entry point of a listener with protocol = \"tcp\"",
                ),
            };
            report.add(place, Problem::error(Why::Invalid, "", reason, fix));
        }
        read.entry_points = EntryPoints { own: own & fits, also: 0 };
        if read.broken.is_none() {
            self.warn_of_cloudflare(own & fits, has_tls, report);
        }
        read
    }

    /// Says where a route gets connections from Cloudflare alone, which passes on HTTP and nothing else.
    fn warn_of_cloudflare(&self, own: u32, has_tls: bool, report: &mut Report<'_>) {
        let is_proxied = |point: &NamedEntryPoint| {
            has_tls && point.ports.iter().all(|port| PROXIED_PORTS.contains(port))
        };
        let points = self.0.iter().enumerate().filter(|(at, _)| own & (1 << at) != 0);
        let mut lost =
            points.filter(|(_, point)| point.carries.cloudflare_alone && !is_proxied(point));
        if let Some((_, point)) = lost.next() {
            let reason = format!(
                "has {}, where Cloudflare alone may connect, which passes on HTTP and nothing else",
                quote(&point.name)
            );
            let fix = "use Spectrum of Cloudflare; or name the networks of the clients in `admit` of its listener, with a \
                       DNS record that is not proxied; or write a Service of type LoadBalancer for the pods";
            let problem = Problem::error(Why::Unsupported, "", reason, fix);
            report.add("spec.entryPoints", problem.with(Severity::Warning));
        }
    }

    /// Those with routes of HTTP within TLS, as bits.
    pub(super) fn bits_of_https(&self) -> u32 {
        self.bits(|point| point.carries.http && point.carries.tls)
    }

    /// Whether one of these entry points has routes of HTTP as well.
    pub(super) fn have_http(&self, bits: u32) -> bool {
        bits & self.bits(|point| point.carries.http) != 0
    }

    /// Those of these names for routes of HTTP, in the field `place`.
    fn named(
        &self,
        read: EntryPointsRead,
        names: &[&str],
        place: &str,
        report: &mut Report<'_>,
    ) -> EntryPointsRead {
        let mut read = self.looked_up(read, names, place, "its routes answer 503", report);
        let own = read.entry_points.own;
        if read.broken.is_none() && !self.have_http(own) {
            let reason = "have no HTTP: its routes are not served";
            let fix = "name an entry point of a listener with protocol = \"http\" or \"https\"";
            report.add(place, Problem::error(Why::RestrictionUnsupported, "", reason, fix));
            read.broken = Some(Broken::Restricted);
        }
        read
    }

    /// Those of these names, in the field `place`. `then` says what comes of a route that names none.
    fn looked_up(
        &self,
        mut read: EntryPointsRead,
        names: &[&str],
        place: &str,
        then: &str,
        report: &mut Report<'_>,
    ) -> EntryPointsRead {
        let known: Vec<usize> = names.iter().filter_map(|name| self.position(name)).collect();
        let then = known.is_empty().then_some(then);
        for name in names.iter().filter(|name| self.position(name).is_none()) {
            report.add(place, self.unknown(name, then));
        }
        if known.is_empty() {
            read.broken = Some(Broken::Restricted);
            return read;
        }
        let own = known.iter().fold(0, |bits, at| bits | 1 << at);
        read.is_secure = known.iter().all(|&at| self.0[at].is_secure);
        // Visitors without TLS are sent there, instead of the 404 that Traefik has for them.
        let plain =
            |point: &NamedEntryPoint| point.carries.http && !point.is_secure && point.is_default;
        let also = if read.is_secure { self.bits(plain) } else { 0 };
        read.entry_points = match own == self.bits(|_| true) {
            true => EntryPoints::ALL,
            false => EntryPoints { own, also },
        };
        read
    }

    /// The problem of a name that is none, and what comes of the route where it names no other.
    fn unknown(&self, name: &str, then: Option<&str>) -> Problem {
        let names = || self.0.iter().map(|point| &*point.name);
        let fix = match nearest(name, names()) {
            Some(near) => format!("did you mean {}?", quote(near)),
            None => {
                let all: Vec<&str> = names().collect();
                format!("add an [[entry_point]] of this name, or use {}", all.join(", "))
            }
        };
        let name = quote(name);
        if let Some(then) = then {
            let reason = format!("{name} is not an entry point: {then}");
            return Problem::error(Why::RestrictionUnsupported, "", reason, fix);
        }
        let reason =
            format!("{name} is not an entry point: routes are served on the others that it names");
        Problem::error(Why::AnnotationIgnored, "", reason, fix).with(Severity::Warning)
    }

    /// Divides entry points by what requests pass there.
    pub(super) fn ways(&self, EntryPoints { own, also }: EntryPoints) -> Vec<Way<'_>> {
        let mut ways: Vec<Way<'_>> = Vec::new();
        if self.0.iter().all(|point| point.middlewares.is_empty()) {
            let entry_points = EntryPoints { own, also };
            return vec![Way { entry_points, name: "", middlewares: &[] }];
        }
        for (at, point) in self.0.iter().enumerate() {
            let bit = 1 << at;
            let of_point = EntryPoints { own: own & bit, also: also & bit };
            if of_point.own | of_point.also == 0 {
                continue;
            }
            match ways.iter_mut().find(|way| way.middlewares == point.middlewares) {
                Some(way) => {
                    way.entry_points.own |= of_point.own;
                    way.entry_points.also |= of_point.also;
                }
                None => ways.push(Way {
                    entry_points: of_point,
                    name: &point.name,
                    middlewares: &point.middlewares,
                }),
            }
        }
        if let [way] = &mut ways[..]
            && own == u32::MAX
        {
            way.entry_points = EntryPoints::ALL;
        }
        ways
    }
}
