//! A part of the table in the making.

use super::backends::BackendMap;
use super::hosts::HostMap;
use super::part::Part;
use super::{
    Backend, HostEntry, IngressEntry, NONE, ONE_ROUTE, OrderedEntry, PathEntry, RouteEntry, Run,
    Span, index, paths,
};
use crate::model::{
    self, ACME_CHALLENGES, Algorithm, BackendId, Chain, EntryPoints, HostPattern, Hsts, Ingress,
    Kind, PathKind, Rule, RuleHash, Timeouts,
};
use http::HeaderValue;
use std::collections::HashMap;
use std::sync::Arc;

/// A host with its rules, which are in the order of [`model::table_order`].
pub(super) struct HostRules<'m> {
    pub(super) host: &'m HostPattern,
    pub(super) rules: &'m [Arc<Rule>],
    /// As they take precedence.
    pub(super) defaults: &'m [Arc<model::DefaultBackend>],
}

/// A part in the making.
pub(super) struct Builder<'m> {
    text: String,
    interned: HashMap<&'m str, Span, foldhash::fast::RandomState>,
    /// Name and value of the hosts so far. Routes refer to them by position, until the maps are
    /// built.
    hosts: Vec<(&'m str, u32)>,
    wildcards: Vec<(&'m str, u32)>,
    any: Option<u32>,
    host_entries: Vec<HostEntry>,
    paths: Vec<PathEntry>,
    routes: Vec<RouteEntry>,
    /// Those of the model that its routes name.
    backends: Numbers<'m, BackendId>,
    ingresses: Numbers<'m, Ingress>,
    entry_points: Vec<EntryPoints>,
    rule_hashes: Vec<(u32, RuleHash)>,
    ordered: Vec<OrderedEntry>,
    chains: Vec<Chain>,
    /// By where a list is in memory.
    chain_positions: HashMap<*const (), u32, foldhash::fast::RandomState>,
}

/// Values of the model, and where each is in the part.
struct Numbers<'m, T> {
    /// By where a value is in memory: rules share theirs.
    known: HashMap<*const T, u32, foldhash::fast::RandomState>,
    all: Vec<&'m T>,
}

impl<'m, T> Numbers<'m, T> {
    fn of(&mut self, value: &'m Arc<T>) -> u32 {
        *self.known.entry(Arc::as_ptr(value)).or_insert_with(|| {
            self.all.push(value);
            index(self.all.len() - 1)
        })
    }
}

impl<T> Default for Numbers<'_, T> {
    fn default() -> Self {
        Self { known: HashMap::default(), all: Vec::new() }
    }
}

/// The host of a route: its position among the hosts or wildcards.
#[derive(Clone, Copy)]
struct Of {
    host: u32,
    wildcard: bool,
}

impl<'m> Builder<'m> {
    /// A part with these hosts.
    pub(super) fn build(backends: &BackendMap, hosts: &[HostRules<'m>]) -> Part {
        let mut this = Self {
            text: String::new(),
            interned: HashMap::default(),
            hosts: Vec::with_capacity(hosts.len()),
            wildcards: Vec::new(),
            any: None,
            host_entries: Vec::new(),
            paths: Vec::new(),
            routes: Vec::with_capacity(hosts.len()),
            backends: Numbers::default(),
            ingresses: Numbers::default(),
            entry_points: vec![EntryPoints::ALL],
            rule_hashes: Vec::new(),
            ordered: Vec::new(),
            chains: Vec::new(),
            chain_positions: HashMap::default(),
        };
        hosts.iter().for_each(|host| this.host(host));
        this.finish(backends)
    }

    /// For what many have in common.
    fn intern(&mut self, text: &'m str) -> Span {
        let all = &mut self.text;
        *self.interned.entry(text).or_insert_with(|| append(all, text))
    }

    fn host(&mut self, &HostRules { host, rules: all, defaults }: &HostRules<'m>) {
        let of = match host {
            HostPattern::Exact(_) => Of { host: index(self.hosts.len()), wildcard: false },
            HostPattern::Wildcard(_) => Of { host: index(self.wildcards.len()), wildcard: true },
            HostPattern::Any => Of { host: NONE, wildcard: false },
        };
        let first_route = index(self.routes.len());
        let first = self.paths.len();
        let (rules, ordered): (Vec<&Rule>, Vec<&Rule>) =
            all.iter().map(|rule| &**rule).partition(|rule| rule.matching.ordered.is_none());
        let split = rules.partition_point(|rule| rule.path.kind == PathKind::Exact);
        let (exact, prefix) = rules.split_at(split);
        for rules in alike(exact, |rule| &rule.path.text) {
            self.path(rules, |rule| &rule.path.text, NONE, of);
        }
        let prefix_start = self.paths.len();
        let mut open: Vec<(u32, &str)> = Vec::new();
        for rules in alike(prefix, |rule| rule.path.prefix()) {
            let Some(text) = rules.first().map(|rule| rule.path.prefix()) else { continue };
            while open.last().is_some_and(|(_, above)| !paths::is_under(text, above)) {
                open.pop();
            }
            let parent = open.last().map_or(NONE, |(entry, _)| *entry);
            open.push((index(self.paths.len()), text));
            self.path(rules, |rule| rule.path.prefix(), parent, of);
        }
        let prefix_end = self.paths.len();
        let ordered = self.ordered(ordered, of);
        let is_one_route = first + 1 == prefix_end
            && open.first().is_some_and(|o| o.1.is_empty())
            && ordered.len == 0
            && self.routes.last().is_some_and(|route| route.entry_points == 0)
            && index(self.routes.len()) == first_route + 1;
        let default = self.defaults(defaults, of);
        let value = if is_one_route && first_route < ONE_ROUTE {
            self.paths.truncate(first);
            first_route | ONE_ROUTE
        } else {
            self.host_entries.push(HostEntry {
                first: index(first),
                exact: index(prefix_start - first),
                prefix: index(prefix_end - prefix_start),
                default,
                ordered,
            });
            index(self.host_entries.len() - 1)
        };
        match host {
            HostPattern::Exact(name) => self.hosts.push((name, value)),
            HostPattern::Wildcard(name) => self.wildcards.push((name, value)),
            HostPattern::Any => self.any = Some(value),
        }
    }

    /// Adds a path, whose rules are all for it, in the order in which they take precedence: one for each entry
    /// point that none before it is for.
    fn path(
        &mut self,
        rules: &[&'m Rule],
        text: impl Fn(&'m Rule) -> &'m str,
        parent: u32,
        of: Of,
    ) {
        let route = index(self.routes.len());
        let mut taken = 0;
        for rule in rules {
            let EntryPoints { own, .. } = rule.matching.entry_points;
            if own & !taken == 0 {
                continue;
            }
            taken |= own;
            if index(self.routes.len()) > route
                && let Some(before) = self.routes.last_mut()
            {
                before.more = true;
            }
            self.route(rule, of);
        }
        if let Some(first) = rules.first() {
            let text = self.intern(text(first));
            self.paths.push(PathEntry { text, parent, route });
        }
    }

    /// Adds the rules with an order of their own, the highest priority first; of equals the older Ingress comes
    /// first, and then the one that stands first.
    fn ordered(&mut self, mut rules: Vec<&'m Rule>, of: Of) -> Run {
        let priority = |rule: &Rule| rule.matching.ordered.as_ref().map(|own| own.priority);
        rules.sort_by(|a, b| priority(b).cmp(&priority(a)).then_with(|| a.by_place(b)));
        let first = index(self.ordered.len());
        for rule in rules {
            if let Some(own) = &rule.matching.ordered {
                let route = index(self.routes.len());
                self.ordered.push(OrderedEntry { rule: Arc::clone(own), route });
                self.route(rule, of);
            }
        }
        Run { first, len: index(self.ordered.len()) - first }
    }

    fn route(&mut self, rule: &'m Rule, of: Of) {
        let path = self.intern(&rule.path.text);
        let chain = self.chain(rule.middlewares.as_ref());
        let entry_points = self.entry_points(rule.matching.entry_points);
        // The host that it leads to redirects to TLS: this one need not have a certificate.
        let redirects = rule.ingress.https.redirect
            && !rule.path.text.starts_with(ACME_CHALLENGES)
            && rule.leads_to().is_none();
        if let Some(hash) = &rule.matching.hash {
            self.rule_hashes.push((index(self.routes.len()), **hash));
        }
        self.routes.push(RouteEntry {
            backend: self.backends.of(&rule.backend),
            ingress: self.ingresses.of(&rule.ingress),
            rule: index(rule.rule),
            position: index(rule.position),
            host: of.host,
            path,
            chain,
            kind: rule.path.kind,
            wildcard: of.wildcard,
            redirects,
            spreads: rule.ingress.balance.is_some(),
            more: false,
            bare: rule.matching.is_bare,
            entry_points,
        });
    }

    /// Position of the entry points of a route. All of them, which most name, are at 0.
    fn entry_points(&mut self, named: EntryPoints) -> u16 {
        let known = self.entry_points.iter().position(|other| *other == named);
        let position = known.unwrap_or_else(|| {
            self.entry_points.push(named);
            self.entry_points.len() - 1
        });
        // More than that many different sets of 32 entry points are in no cluster; the rule is then served nowhere.
        u16::try_from(position).unwrap_or(u16::MAX)
    }

    /// Position of the steps of a route. Rules of one Ingress share theirs, and come one after another.
    fn chain(&mut self, chain: Option<&Chain>) -> u32 {
        let Some(chain) = chain.filter(|chain| !chain.is_empty()) else {
            return NONE;
        };
        let known = self.chain_positions.get(&Arc::as_ptr(chain).cast());
        if let Some(position) = known {
            return *position;
        }
        self.chains.push(Arc::clone(chain));
        let position = index(self.chains.len() - 1);
        self.chain_positions.insert(Arc::as_ptr(chain).cast(), position);
        position
    }

    /// Adds those of a host. Returns the first.
    fn defaults(&mut self, all: &'m [Arc<model::DefaultBackend>], of: Of) -> u32 {
        let first = index(self.routes.len());
        for (number, default) in all.iter().enumerate() {
            self.default(default, number + 1 < all.len(), of);
        }
        if all.is_empty() { NONE } else { first }
    }

    fn default(&mut self, default: &'m model::DefaultBackend, more: bool, of: Of) {
        let path = self.intern("/");
        let entry_points = self.entry_points(default.entry_points);
        let chain = self.chain(default.middlewares.as_ref());
        self.routes.push(RouteEntry {
            backend: self.backends.of(&default.backend),
            ingress: self.ingresses.of(&default.ingress),
            rule: NONE,
            position: NONE,
            host: of.host,
            path,
            chain,
            kind: PathKind::Prefix,
            wildcard: of.wildcard,
            redirects: default.ingress.https.redirect,
            spreads: default.ingress.balance.is_some(),
            more,
            bare: false,
            entry_points,
        });
    }

    fn finish(mut self, backends: &BackendMap) -> Part {
        let mut hsts: Vec<&Hsts> = Vec::new();
        let mut timeouts: Vec<&Timeouts> = Vec::new();
        let mut algorithms: Vec<&Algorithm> = Vec::new();
        let ingresses = std::mem::take(&mut self.ingresses.all).into_iter();
        let ingresses = ingresses.map(|ingress| IngressEntry {
            object: ingress.kind,
            namespace: self.intern(&ingress.namespace),
            name: append(&mut self.text, &ingress.name),
            hsts: ingress.https.hsts.as_ref().map_or(NONE, |value| position(&mut hsts, value)),
            timeouts: ingress.timeouts.as_ref().map_or(NONE, |own| position(&mut timeouts, own)),
            algorithm: ingress.balance.as_ref().map_or(NONE, |own| position(&mut algorithms, own)),
            raw_path: ingress.raw_path,
            max_body: ingress.max_body,
        });
        let ingresses: Box<[IngressEntry]> = ingresses.collect();
        let hsts = hsts.into_iter().map(|value| field(value.as_str()));
        let (hosts, positions) = HostMap::new(&self.hosts);
        let (wildcards, wildcard_positions) = HostMap::new(&self.wildcards);
        for route in &mut self.routes {
            let positions = if route.wildcard { &wildcard_positions } else { &positions };
            route.host = positions.get(route.host as usize).copied().unwrap_or(NONE);
        }
        Part {
            text: self.text.into(),
            hosts,
            wildcards,
            any: self.any,
            host_entries: self.host_entries.into(),
            paths: self.paths.into(),
            routes: self.routes.into(),
            has_ingress_routes: ingresses.iter().any(|one| one.object == Kind::IngressRoute),
            ingresses,
            hsts: hsts.collect(),
            timeouts: timeouts.into_iter().copied().collect(),
            algorithms: algorithms.into_iter().cloned().collect(),
            entry_points: self.entry_points.into(),
            rule_hashes: self.rule_hashes.into(),
            ordered: self.ordered.into(),
            chains: self.chains.into(),
            backends: self.backends.all.iter().map(|&id| of_id(backends, id)).collect(),
        }
    }
}

fn of_id(backends: &BackendMap, id: &BackendId) -> Arc<Backend> {
    Arc::clone(backends.get(id).expect("a rule names a backend of its model"))
}

/// The value of a field. One that cannot be is none, and keeps its position: those behind it are
/// referred to by theirs.
fn field(value: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(value).ok()
}

/// Where a value is among those so far: clusters have a few at most.
fn position<'m, T: PartialEq>(all: &mut Vec<&'m T>, value: &'m T) -> u32 {
    let known = all.iter().position(|other| *other == value);
    index(known.unwrap_or_else(|| {
        all.push(value);
        all.len() - 1
    }))
}

fn append(all: &mut String, text: &str) -> Span {
    if all.len() + text.len() >= NONE as usize {
        return Span::default();
    }
    let span = Span { start: index(all.len()), len: index(text.len()) };
    all.push_str(text);
    span
}

/// Each run of rules with the same key.
fn alike<'a, 'm>(
    rules: &'a [&'m Rule],
    key: impl Fn(&'m Rule) -> &'m str + Copy + 'a,
) -> impl Iterator<Item = &'a [&'m Rule]> + 'a {
    rules.chunk_by(move |a, b| key(a) == key(b))
}
