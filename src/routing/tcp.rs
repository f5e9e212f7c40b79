//! Routes of connections, looked up by what is known before the first byte of what they carry: the name and the
//! protocols of a ClientHello, and the address of the peer.
//!
//! A route stands under each of its names; rules that may be for any name stand together, in order of priority. A
//! lookup costs what stands under one name, and not what the table has.

use super::backends::BackendMap;
use super::{Backend, Table};
use crate::error::Reason;
use crate::model::{
    Broken, ConnectionFacts, HostPattern, Model, TcpRoute, TcpRule, TcpService, TcpTls,
    drawn_by_weight,
};
use std::collections::HashMap;
use std::sync::Arc;

/// One route of connections.
#[derive(Debug)]
pub struct TcpEntry {
    /// Namespace and name of its IngressRouteTCP.
    pub object: Box<str>,
    /// What it asks for.
    pub rule: Arc<TcpRule>,
    /// Its Service ports, in the order of [`TcpRule::services`].
    pub backends: Box<[Arc<Backend>]>,
}

impl TcpEntry {
    /// The field that defines it.
    pub fn field(&self) -> String {
        format!("spec.routes[{}]", self.rule.position)
    }

    /// The Service ports as text, with commas between.
    pub fn service_text(&self) -> String {
        let services: Vec<String> = self.backends.iter().map(|one| one.key.to_string()).collect();
        services.join(", ")
    }

    /// The Service ports, each with its share of the connections.
    pub fn services(&self) -> impl Iterator<Item = (&TcpService, &Arc<Backend>)> + Clone {
        self.rule.services.iter().zip(&self.backends)
    }

    /// One of the Service ports by weight: of those that are whole and have a pod, if there are some; else of all.
    /// `random` is a random number. `None`: all weights are 0.
    pub fn drawn(&self, random: u64) -> Option<(&TcpService, &Arc<Backend>)> {
        let weight = |(service, _): &(&TcpService, _)| service.weight;
        let usable = self.services().filter(|(_, backend)| is_usable(backend, backend.has_pods()));
        drawn_by_weight(usable, weight, random)
            .or_else(|| drawn_by_weight(self.services(), weight, random))
    }

    /// Why it refuses every connection, if it does: it is broken, or what [`Self::drawn`] may give is. Backends of which
    /// `assumed` is true are taken to have pods.
    pub fn refusal(&self, assumed: impl Fn(&Backend) -> bool) -> Option<Reason> {
        if let Some(broken) = self.rule.broken {
            return Some(broken.reason());
        }
        let with_weight = self.services().filter(|(service, _)| service.weight > 0);
        let mut drawable = with_weight.map(|(_, backend)| backend);
        let all = drawable.clone();
        if drawable.any(|backend| is_usable(backend, backend.has_pods() || assumed(backend))) {
            return None;
        }
        let mut broken = all.filter_map(|backend| backend.broken);
        Some(broken.next().map_or(Reason::NoEndpoint, Broken::reason))
    }

    /// Its names as they are written, `*` for all of them.
    pub fn hosts(&self) -> String {
        let all: Vec<String> = self.rule.hosts.iter().map(ToString::to_string).collect();
        all.join(", ")
    }
}

fn is_usable(backend: &Backend, has_pods: bool) -> bool {
    backend.broken.is_none() && has_pods
}

type ByName = HashMap<Arc<str>, Vec<u32>, foldhash::fast::RandomState>;

/// The routes of connections. Each list has positions in `routes`, the first to match first.
#[derive(Debug, Default)]
pub(super) struct TcpRoutes {
    routes: Box<[Arc<TcpEntry>]>,
    exact: ByName,
    /// By what stands behind `*.`.
    wildcard: ByName,
    /// Rules with TLS that may be for any name.
    any: Vec<u32>,
    /// Rules without TLS.
    plain: Vec<u32>,
    /// The entry points that have some with TLS, as bits.
    tls_at: u32,
    /// The same without TLS.
    plain_at: u32,
}

impl TcpRoutes {
    /// Those of a model, which are in their order.
    pub(super) fn of(model: &Model, backends: &BackendMap) -> Self {
        let mut all = Self::default();
        let mut routes = Vec::with_capacity(model.tcp.len());
        for (route, number) in model.tcp.iter().zip(0..) {
            all.place(&route.rule, number);
            routes.push(Arc::new(entry(route, backends)));
        }
        all.routes = routes.into();
        all
    }

    fn place(&mut self, rule: &TcpRule, number: u32) {
        if rule.tls == TcpTls::None {
            self.plain_at |= rule.entry_points;
            self.plain.push(number);
            return;
        }
        self.tls_at |= rule.entry_points;
        for host in &rule.hosts {
            let (map, name) = match host {
                HostPattern::Exact(name) => (&mut self.exact, name),
                HostPattern::Wildcard(name) => (&mut self.wildcard, name),
                HostPattern::Any => {
                    self.any.push(number);
                    continue;
                }
            };
            map.entry(Arc::clone(name)).or_default().push(number);
        }
    }

    /// The first of some that is for a connection.
    fn first(&self, numbers: &[u32], asked: &AskedConnection<'_>) -> Option<u32> {
        let is_it = |number: &u32| {
            let rule = &self.routes[*number as usize].rule;
            rule.entry_points & asked.entry_points != 0
                && rule.ordered.condition.holds_for(&asked.facts)
        };
        numbers.iter().copied().find(is_it)
    }

    /// The one of a connection with TLS.
    fn find(&self, asked: &AskedConnection<'_>) -> Option<&Arc<TcpEntry>> {
        let name = asked.facts.server_name;
        let of = |map: &ByName, name: &str| {
            let numbers = map.get(name)?;
            self.first(numbers, asked)
        };
        let exact = of(&self.exact, name);
        let wildcard = name.split_once('.').and_then(|(_, parent)| of(&self.wildcard, parent));
        let any = self.first(&self.any, asked);
        let first = [exact, wildcard, any].into_iter().flatten().min()?;
        self.routes.get(first as usize)
    }
}

fn entry(route: &TcpRoute, backends: &BackendMap) -> TcpEntry {
    let own = route.backends.iter().filter_map(|id| backends.get(&**id)).cloned();
    TcpEntry {
        object: format!("{}/{}", route.ingress.namespace, route.ingress.name).into(),
        rule: Arc::clone(&route.rule),
        backends: own.collect(),
    }
}

/// A connection, and where it came in.
#[derive(Clone, Copy, Debug)]
pub struct AskedConnection<'c> {
    /// The entry points of its listener, as bits.
    pub entry_points: u32,
    /// What conditions are about.
    pub facts: ConnectionFacts<'c>,
}

/// What routes of HTTP have to say to the name of a ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// One of them is for this name.
    Named,
    /// One of them is for all names.
    Any,
    None,
}

impl Table {
    /// Whether connections with TLS may have routes of their own at one of these entry points.
    pub fn has_tcp_tls(&self, entry_points: u32) -> bool {
        self.tcp.tls_at & entry_points != 0
    }

    /// The same for connections without TLS.
    pub fn has_tcp_plain(&self, entry_points: u32) -> bool {
        self.tcp.plain_at & entry_points != 0
    }

    /// Every route of connections, in the order in which they are tried.
    pub fn tcp_routes(&self) -> &[Arc<TcpEntry>] {
        &self.tcp.routes
    }

    /// The route of a connection without TLS. It comes before routes of HTTP.
    pub fn tcp_plain(&self, asked: &AskedConnection<'_>) -> Option<&Arc<TcpEntry>> {
        let first = self.tcp.first(&self.tcp.plain, asked)?;
        self.tcp.routes.get(first as usize)
    }

    /// The route of a connection with TLS; `None` if it is one of HTTP. With `is_mixed` the listener has routes of
    /// HTTP as well, which come first for their names, and for names that nothing but a catch-all is for
    /// (`pkg/server/router/tcp/router.go`, ServeTCP).
    pub fn tcp_tls(&self, asked: &AskedConnection<'_>, is_mixed: bool) -> Option<&Arc<TcpEntry>> {
        let found = self.tcp.find(asked)?;
        if !is_mixed {
            return Some(found);
        }
        match self.claim(asked.facts.server_name, asked.entry_points) {
            Claim::Named => None,
            Claim::Any if found.rule.is_catch_all => None,
            Claim::Any | Claim::None => Some(found),
        }
    }

    fn claim(&self, name: &str, entry_points: u32) -> Claim {
        let named = [self.record(name, |part| &part.hosts), self.wildcard(name)];
        let serves = |(part, value): (usize, u32)| self.parts[part].serves(value, entry_points);
        if named.into_iter().flatten().any(serves) {
            return Claim::Named;
        }
        let is_any = self.any().is_some_and(|(part, value)| {
            serves((part, value)) || self.parts[part].has_default(value, entry_points)
        });
        if is_any { Claim::Any } else { Claim::None }
    }
}
