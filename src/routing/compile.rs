//! Model to table: a pure function of the two, but for the live state that unchanged endpoints keep.

use super::backends::{backends, limits};
use super::builder::{Builder, HostRules};
use super::hosts::hash;
use super::tcp::TcpRoutes;
use super::{Table, lookup, paths};
use crate::model::{self, HostPattern, Model, PathKind, Rule};
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
            hosts.push(HostRules { host, rules, defaults: of_host(&defaults, host) });
        }
    }
    let has_rules = |host| order.binary_search_by(|rule| rule.host.cmp(host)).is_ok();
    let mut bare: Vec<_> = defaults.iter().filter(|(host, _)| !has_rules(host)).collect();
    bare.sort_by_key(|(host, _)| *host);
    let bare = bare.into_iter();
    hosts.extend(bare.map(|(host, defaults)| HostRules { host, rules: &[], defaults }));
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
    let tcp = TcpRoutes::of(model, &backends);
    Table::of(generation, parts, tcp, backends, updates, limits)
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
                // A host alone is a shorter rule than that host with any path.
                .then_with(|| a.matching.is_bare.cmp(&b.matching.is_bare))
        }
        (a, b) => a.cmp(&b),
    };
    path.then_with(|| (a.ingress, a.rule, a.position).cmp(&(b.ingress, b.rule, b.position)))
}

/// The default backends of each host, and under [`HostPattern::Any`] those of all hosts: one for each entry point
/// that none before it is for.
pub(super) type Defaults<'m> = HashMap<HostPattern, Vec<&'m model::DefaultBackend>>;

/// Finds them.
pub(super) fn default_backends(model: &Model) -> Defaults<'_> {
    let mut order: Vec<_> = model.defaults.iter().collect();
    order.sort_by_key(|default| (!default.hosts.is_empty(), default.ingress));
    let mut chosen: Defaults<'_> = HashMap::new();
    for default in order {
        for host in default.hosts.iter().chain([&HostPattern::Any]) {
            let of_host = chosen.entry(host.clone()).or_default();
            let taken = of_host.iter().fold(0, |taken, other| taken | other.entry_points.own);
            if default.entry_points.own & !taken != 0 {
                of_host.push(default);
            }
        }
    }
    chosen
}

/// Those of one host.
pub(super) fn of_host<'d, 'm>(
    defaults: &'d Defaults<'m>,
    host: &HostPattern,
) -> &'d [&'m model::DefaultBackend] {
    defaults.get(host).map_or(&[], Vec::as_slice)
}
