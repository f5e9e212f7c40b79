//! Model to table: a pure function of the two, but for the live state that unchanged endpoints keep.

use super::{
    Backend, HostEntry, IngressEntry, NONE, PathEntry, RouteEntry, Span, Table, Update, paths,
};
use crate::balance::EndpointSet;
use crate::model::{self, BackendKey, BackendState, HostPattern, Model, PathKind, Rule};
use arc_swap::ArcSwap;
use hashbrown::HashTable;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;

/// Compiles a model. `previous` is the table in force; backends that it has already are shared
/// with it (their endpoints are replaced by `Publisher::publish`, not here).
///
/// Bounds: positions are 32-bit, so the text of all names may reach 4 GiB; a name past it reads as
/// empty. No cluster stores that much.
pub fn compile(model: &Model, previous: Option<&Table>) -> Table {
    let mut builder = Builder::new(model);
    let mut order: Vec<&Rule> = model.rules.iter().collect();
    order.sort_by(|a, b| a.host.cmp(&b.host).then_with(|| precedence(a, b)));
    let defaults = default_backends(model);
    let mut rules = order.as_slice();
    while let Some(first) = rules.first() {
        let end = rules.partition_point(|rule| rule.host <= first.host);
        let default = defaults.get(&first.host).copied();
        builder.host(&first.host, &rules[..end], default);
        rules = &rules[end..];
    }
    let mut bare: Vec<_> = defaults.iter().filter(|(host, _)| !builder.has(host)).collect();
    bare.sort_by_key(|(host, _)| *host);
    for (host, default) in bare {
        builder.host(host, &[], Some(*default));
    }
    builder.finish(previous)
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
fn default_backends(model: &Model) -> HashMap<HostPattern, &model::DefaultBackend> {
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

/// The backends of a model, and what is to be put into the cells of those that the previous table
/// has already.
fn backends(model: &Model, previous: Option<&Table>) -> (Box<[Arc<Backend>]>, Vec<Update>) {
    let known: HashMap<&BackendKey, &Arc<Backend>> =
        previous.into_iter().flat_map(|t| t.backends.iter()).map(|b| (&b.key, b)).collect();
    let mut updates = Vec::new();
    let build = |backend: &model::Backend| {
        let (broken, specs) = match &backend.state {
            BackendState::Broken(broken) => (Some(*broken), &[][..]),
            BackendState::Resolved(specs) => (None, specs.as_slice()),
        };
        let Some(old) = known.get(&backend.key).filter(|old| old.broken == broken) else {
            let endpoints = ArcSwap::from_pointee(EndpointSet::new(specs, None));
            return Arc::new(Backend { key: backend.key.clone(), broken, endpoints });
        };
        let old_set = old.endpoints();
        let set = EndpointSet::new(specs, Some(&old_set));
        if !set.is_same(&old_set) {
            updates.push(Update { backend: Arc::clone(old), endpoints: Arc::new(set) });
        }
        Arc::clone(old)
    };
    (model.backends.iter().map(build).collect(), updates)
}

/// A position or count of the table. Saturates at [`NONE`], which reads as "nothing there".
fn index(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(NONE)
}

struct Builder<'m> {
    model: &'m Model,
    hasher: foldhash::fast::FixedState,
    text: String,
    interned: HashMap<&'m str, Span, foldhash::fast::RandomState>,
    hosts: HashTable<HostEntry>,
    wildcards: HashTable<HostEntry>,
    any: HostEntry,
    paths: Vec<PathEntry>,
    routes: Vec<RouteEntry>,
}

impl<'m> Builder<'m> {
    fn new(model: &'m Model) -> Self {
        let any = HostEntry { name: Span::default(), first: 0, exact: 0, prefix: 0, default: NONE };
        Self {
            model,
            hasher: foldhash::fast::FixedState::default(),
            text: String::new(),
            interned: HashMap::default(),
            hosts: HashTable::new(),
            wildcards: HashTable::new(),
            any,
            paths: Vec::with_capacity(model.rules.len()),
            routes: Vec::with_capacity(model.rules.len() + model.defaults.len()),
        }
    }

    fn intern(&mut self, text: &'m str) -> Span {
        let all = &mut self.text;
        *self.interned.entry(text).or_insert_with(|| {
            if all.len() + text.len() >= NONE as usize {
                return Span::default();
            }
            let span = Span { start: index(all.len()), len: index(text.len()) };
            all.push_str(text);
            span
        })
    }

    fn name(host: &HostPattern) -> &str {
        match host {
            HostPattern::Exact(name) | HostPattern::Wildcard(name) => name,
            HostPattern::Any => "",
        }
    }

    fn has(&self, host: &HostPattern) -> bool {
        let hash = self.hasher.hash_one(Self::name(host).as_bytes());
        let same = |entry: &HostEntry| self.text_of(entry.name) == Self::name(host);
        match host {
            HostPattern::Exact(_) => self.hosts.find(hash, same).is_some(),
            HostPattern::Wildcard(_) => self.wildcards.find(hash, same).is_some(),
            HostPattern::Any => self.any.exact + self.any.prefix > 0,
        }
    }

    fn text_of(&self, span: Span) -> &str {
        &self.text[span.range()]
    }

    /// Adds a host with its rules, which are in the order of [`precedence`].
    fn host(
        &mut self,
        host: &'m HostPattern,
        rules: &[&'m Rule],
        default: Option<&'m model::DefaultBackend>,
    ) {
        let name = self.intern(Self::name(host));
        let wildcard = matches!(host, HostPattern::Wildcard(_));
        let first = self.paths.len();
        let split = rules.partition_point(|rule| rule.path.kind == PathKind::Exact);
        let (exact, prefix) = rules.split_at(split);
        for rule in winners(exact, |rule| &rule.path.text) {
            self.path(rule, &rule.path.text, NONE, (name, wildcard));
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
            self.path(rule, text, parent, (name, wildcard));
        }
        let default = default.map_or(NONE, |default| self.default(default, (name, wildcard)));
        let entry = HostEntry {
            name,
            first: index(first),
            exact: index(prefix_start - first),
            prefix: index(self.paths.len() - prefix_start),
            default,
        };
        let table = match host {
            HostPattern::Exact(_) => &mut self.hosts,
            HostPattern::Wildcard(_) => &mut self.wildcards,
            HostPattern::Any => return self.any = entry,
        };
        let (hasher, text) = (&self.hasher, self.text.as_bytes());
        let hash = |span: Span| hasher.hash_one(&text[span.range()]);
        table.insert_unique(hash(name), entry, |entry| hash(entry.name));
    }

    fn path(&mut self, rule: &'m Rule, text: &'m str, parent: u32, host: (Span, bool)) {
        let route = index(self.routes.len());
        let (text, path) = (self.intern(text), self.intern(&rule.path.text));
        self.paths.push(PathEntry { text, parent, route });
        self.routes.push(RouteEntry {
            backend: index(rule.backend),
            ingress: index(rule.ingress),
            rule: index(rule.rule),
            position: index(rule.position),
            host: host.0,
            path,
            kind: rule.path.kind,
            wildcard: host.1,
        });
    }

    fn default(&mut self, default: &model::DefaultBackend, host: (Span, bool)) -> u32 {
        let route = index(self.routes.len());
        let path = self.intern("/");
        self.routes.push(RouteEntry {
            backend: index(default.backend),
            ingress: index(default.ingress),
            rule: NONE,
            position: NONE,
            host: host.0,
            path,
            kind: PathKind::Prefix,
            wildcard: host.1,
        });
        route
    }

    fn finish(mut self, previous: Option<&Table>) -> Table {
        let model = self.model;
        let (backends, updates) = backends(model, previous);
        let ingresses = model.ingresses.iter().map(|ingress| IngressEntry {
            namespace: self.intern(&ingress.namespace),
            name: self.intern(&ingress.name),
        });
        Table {
            ingresses: ingresses.collect(),
            generation: previous.map_or(0, |table| table.generation + 1),
            text: self.text.into(),
            hasher: self.hasher,
            hosts: self.hosts,
            wildcards: self.wildcards,
            any: self.any,
            paths: self.paths.into(),
            routes: self.routes.into(),
            backends,
            updates,
        }
    }
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
