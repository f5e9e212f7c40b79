//! Model to table: a pure function of the two, but for the live state that unchanged endpoints keep.

use super::backends::{backends, limits};
use super::hosts::{HostMap, hash};
use super::part::Part;
use super::{
    Backend, HostEntry, IngressEntry, NONE, ONE_ROUTE, PathEntry, RouteEntry, Span, Table, index,
    lookup, paths,
};
use crate::model::{
    self, ACME_CHALLENGES, Algorithm, HostPattern, Hsts, Model, PathKind, Rule, Timeouts,
};
use http::HeaderValue;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Hosts in a part, on average, at most. A change recompiles as many, and counts a reference
/// to each other part.
pub(super) const HOSTS: usize = 48;

/// Compiles a model. `previous` is the table in force; backends that it has already are shared
/// with it (their endpoints are replaced by `Publisher::publish`, not here).
///
/// Bounds: positions are 32-bit, so the text of all names of a part may reach 4 GiB; a name past it reads
/// as empty. No cluster stores that much.
pub fn compile(model: &Model, previous: Option<&Table>) -> Table {
    let mut order: Vec<&Rule> = model.rules.iter().collect();
    // Costs one look at each rule where they are in order already, as those of a translation are.
    order.sort_by(|a, b| table_order(a, b));
    let defaults = default_backends(model);
    let mut hosts: Vec<HostRules> = Vec::new();
    for rules in order.chunk_by(|a, b| a.host == b.host) {
        if let Some(Rule { host, .. }) = rules.first() {
            hosts.push(HostRules { host, rules, default: defaults.get(host).copied() });
        }
    }
    let has_rules = |host| order.binary_search_by(|rule| rule.host.cmp(host)).is_ok();
    let mut bare: Vec<_> = defaults.iter().filter(|(host, _)| !has_rules(host)).collect();
    bare.sort_by_key(|(host, _)| *host);
    let bare = bare.into_iter();
    hosts.extend(bare.map(|(host, default)| HostRules {
        host,
        rules: &[],
        default: Some(*default),
    }));
    let (backends, updates) = backends(model, previous);
    let count = part_count(hosts.len());
    let mut of_parts: Vec<Vec<HostRules>> = Vec::new();
    of_parts.resize_with(count, Vec::new);
    for host in hosts {
        of_parts[part_of(host.host, count)].push(host);
    }
    let parts: Box<[_]> =
        of_parts.iter().map(|hosts| Arc::new(Builder::build(model, &backends, hosts))).collect();
    let limits = limits(model, &backends);
    let generation = previous.map_or(0, |table| table.generation + 1);
    Table::of(generation, parts, backends, updates, limits)
}

/// How many parts so many hosts are in.
pub(super) fn part_count(hosts: usize) -> usize {
    hosts.div_ceil(HOSTS).next_power_of_two() + 1
}

/// Which of so many parts has a host.
pub(super) fn part_of(host: &HostPattern, parts: usize) -> usize {
    match host {
        HostPattern::Exact(name) | HostPattern::Wildcard(name) => lookup::number(hash(name), parts),
        HostPattern::Any => parts - 1,
    }
}

/// A host with its rules, which are in the order of [`precedence`].
pub(super) struct HostRules<'m, 'r> {
    pub(super) host: &'m HostPattern,
    pub(super) rules: &'r [&'m Rule],
    pub(super) default: Option<&'m model::DefaultBackend>,
}

/// The order of rules in a table: by host, then as they take precedence, of equals the winner first.
pub fn table_order(a: &Rule, b: &Rule) -> Ordering {
    a.host.cmp(&b.host).then_with(|| precedence(a, b))
}

/// Where the rules of a host are among rules in [`table_order`].
pub fn rules_of(rules: &[Rule], host: &HostPattern) -> Range<usize> {
    let start = rules.partition_point(|rule| rule.host < *host);
    start..start + rules[start..].partition_point(|rule| rule.host == *host)
}

/// Paths of one host in the order of the table; of equals the first one wins.
fn precedence(a: &Rule, b: &Rule) -> Ordering {
    let path = match (a.path.kind, b.path.kind) {
        (PathKind::Exact, PathKind::Exact) => a.path.text.cmp(&b.path.text),
        (PathKind::Prefix, PathKind::Prefix) => {
            paths::compare(a.path.prefix(), b.path.prefix())
                // `/foo/` is longer than `/foo`, though both are for the same paths.
                .then_with(|| b.path.text.len().cmp(&a.path.text.len()))
        }
        (a, b) => a.cmp(&b),
    };
    path.then_with(|| (a.ingress, a.rule, a.position).cmp(&(b.ingress, b.rule, b.position)))
}

/// The default backend of each host, and under [`HostPattern::Any`] that of all hosts.
pub(super) fn default_backends(model: &Model) -> HashMap<HostPattern, &model::DefaultBackend> {
    let mut order: Vec<_> = model.defaults.iter().collect();
    order.sort_by_key(|default| (!default.hosts.is_empty(), default.ingress));
    let mut chosen = HashMap::new();
    for default in order {
        for host in &default.hosts {
            chosen.entry(host.clone()).or_insert(default);
        }
        chosen.entry(HostPattern::Any).or_insert(default);
    }
    chosen
}

/// A part in the making.
pub(super) struct Builder<'m> {
    model: &'m Model,
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
    backends: Numbers,
    ingresses: Numbers,
}

/// Positions in the model, and where each is in the part.
#[derive(Default)]
struct Numbers {
    known: HashMap<usize, u32, foldhash::fast::RandomState>,
    all: Vec<usize>,
}

impl Numbers {
    fn of(&mut self, position: usize) -> u32 {
        *self.known.entry(position).or_insert_with(|| {
            self.all.push(position);
            index(self.all.len() - 1)
        })
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
    pub(super) fn build(
        model: &'m Model,
        backends: &[Arc<Backend>],
        hosts: &[HostRules<'m, '_>],
    ) -> Part {
        let mut this = Self {
            model,
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
        };
        hosts.iter().for_each(|host| this.host(host));
        this.finish(backends)
    }

    /// For what many have in common.
    fn intern(&mut self, text: &'m str) -> Span {
        let all = &mut self.text;
        *self.interned.entry(text).or_insert_with(|| append(all, text))
    }

    fn host(&mut self, &HostRules { host, rules, default }: &HostRules<'m, '_>) {
        let of = match host {
            HostPattern::Exact(_) => Of { host: index(self.hosts.len()), wildcard: false },
            HostPattern::Wildcard(_) => Of { host: index(self.wildcards.len()), wildcard: true },
            HostPattern::Any => Of { host: NONE, wildcard: false },
        };
        let first_route = index(self.routes.len());
        let first = self.paths.len();
        let split = rules.partition_point(|rule| rule.path.kind == PathKind::Exact);
        let (exact, prefix) = rules.split_at(split);
        for rule in winners(exact, |rule| &rule.path.text) {
            self.path(rule, &rule.path.text, NONE, of);
        }
        let prefix_start = self.paths.len();
        let mut open: Vec<(u32, &str)> = Vec::new();
        for rule in winners(prefix, |rule| rule.path.prefix()) {
            let text = rule.path.prefix();
            while open.last().is_some_and(|(_, above)| !paths::is_under(text, above)) {
                open.pop();
            }
            let parent = open.last().map_or(NONE, |(entry, _)| *entry);
            open.push((index(self.paths.len()), text));
            self.path(rule, text, parent, of);
        }
        let is_one_route =
            first + 1 == self.paths.len() && open.first().is_some_and(|o| o.1.is_empty());
        let default = default.map_or(NONE, |default| self.default(default, of));
        let value = if is_one_route && first_route < ONE_ROUTE {
            self.paths.truncate(first);
            first_route | ONE_ROUTE
        } else {
            self.host_entries.push(HostEntry {
                first: index(first),
                exact: index(prefix_start - first),
                prefix: index(self.paths.len() - prefix_start),
                default,
            });
            index(self.host_entries.len() - 1)
        };
        match host {
            HostPattern::Exact(name) => self.hosts.push((name, value)),
            HostPattern::Wildcard(name) => self.wildcards.push((name, value)),
            HostPattern::Any => self.any = Some(value),
        }
    }

    fn path(&mut self, rule: &'m Rule, text: &'m str, parent: u32, of: Of) {
        let route = index(self.routes.len());
        let (text, path) = (self.intern(text), self.intern(&rule.path.text));
        self.paths.push(PathEntry { text, parent, route });
        self.routes.push(RouteEntry {
            backend: self.backends.of(rule.backend),
            ingress: self.ingresses.of(rule.ingress),
            rule: index(rule.rule),
            position: index(rule.position),
            host: of.host,
            path,
            kind: rule.path.kind,
            wildcard: of.wildcard,
            redirects: self.redirects(rule.ingress) && !rule.path.text.starts_with(ACME_CHALLENGES),
            spreads: self.spreads(rule.ingress),
        });
    }

    fn redirects(&self, ingress: usize) -> bool {
        self.model.ingresses.get(ingress).is_some_and(|ingress| ingress.https.redirect)
    }

    fn spreads(&self, ingress: usize) -> bool {
        self.model.ingresses.get(ingress).is_some_and(|ingress| ingress.balance.is_some())
    }

    fn default(&mut self, default: &model::DefaultBackend, of: Of) -> u32 {
        let route = index(self.routes.len());
        let path = self.intern("/");
        self.routes.push(RouteEntry {
            backend: self.backends.of(default.backend),
            ingress: self.ingresses.of(default.ingress),
            rule: NONE,
            position: NONE,
            host: of.host,
            path,
            kind: PathKind::Prefix,
            wildcard: of.wildcard,
            redirects: self.redirects(default.ingress),
            spreads: self.spreads(default.ingress),
        });
        route
    }

    fn finish(mut self, backends: &[Arc<Backend>]) -> Part {
        let mut hsts: Vec<&Hsts> = Vec::new();
        let mut timeouts: Vec<&Timeouts> = Vec::new();
        let mut algorithms: Vec<&Algorithm> = Vec::new();
        let model = self.model;
        let numbers = std::mem::take(&mut self.ingresses.all);
        let ingresses = numbers.into_iter().map(|number| &model.ingresses[number]);
        let ingresses = ingresses.map(|ingress| IngressEntry {
            namespace: self.intern(&ingress.namespace),
            name: append(&mut self.text, &ingress.name),
            hsts: ingress.https.hsts.as_ref().map_or(NONE, |value| position(&mut hsts, value)),
            timeouts: ingress.timeouts.as_ref().map_or(NONE, |own| position(&mut timeouts, own)),
            algorithm: ingress.balance.as_ref().map_or(NONE, |own| position(&mut algorithms, own)),
            raw_path: ingress.raw_path,
            max_body: ingress.max_body,
        });
        let ingresses = ingresses.collect();
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
            ingresses,
            hsts: hsts.collect(),
            timeouts: timeouts.into_iter().copied().collect(),
            algorithms: algorithms.into_iter().cloned().collect(),
            backends: self.backends.all.iter().map(|&at| Arc::clone(&backends[at])).collect(),
        }
    }
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

/// The first of each run of rules with the same key.
fn winners<'a, 'm>(
    rules: &'a [&'m Rule],
    key: impl Fn(&'m Rule) -> &'m str + 'a,
) -> impl Iterator<Item = &'m Rule> + 'a {
    let mut last: Option<&'m str> = None;
    rules.iter().copied().filter(move |rule| {
        let this = key(rule);
        last.replace(this) != Some(this)
    })
}
