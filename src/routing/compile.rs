//! Model to table: a pure function of the two, but for the live state that unchanged endpoints keep.

use super::backends::{backends, limits};
use super::builder::{Builder, HostRules};
use super::hosts::hash;
use super::tcp::TcpRoutes;
use super::{Counts, Table, lookup};
use crate::model::{self, HostPattern, Model};
use std::collections::HashMap;
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
    let defaults = Arc::new(default_backends(model));
    let mut hosts: Vec<HostRules<'_>> = Vec::new();
    for (host, rules) in model.rules.hosts() {
        hosts.push(HostRules { host, rules, defaults: of_host(&defaults, host) });
    }
    let mut bare: Vec<_> =
        defaults.iter().filter(|(host, _)| model.rules.of(host).is_empty()).collect();
    bare.sort_by_key(|(host, _)| *host);
    let bare = bare.into_iter();
    hosts.extend(bare.map(|(host, defaults)| HostRules { host, rules: &[], defaults }));
    let (backends, updates) = backends(model, previous);
    let count = part_count(hosts.len());
    let mut of_parts: Vec<Vec<HostRules<'_>>> = Vec::new();
    of_parts.resize_with(count, Vec::new);
    for host in hosts {
        of_parts[part_of(host.host, count)].push(host);
    }
    let parts: Box<[_]> =
        of_parts.iter().map(|hosts| Arc::new(Builder::build(&backends, hosts))).collect();
    let limits = limits(model, &backends);
    let generation = previous.map_or(0, |table| table.generation + 1);
    let tcp = Arc::new(TcpRoutes::of(model, &backends));
    let counts = Counts::of(&parts);
    let (model, gone) = (None, None);
    Table { generation, parts, counts, defaults, tcp, backends, model, updates, limits, gone }
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

/// The default backends of each host, and under [`HostPattern::Any`] those of all hosts: one for each entry point
/// that none before it is for.
pub(super) type Defaults = HashMap<HostPattern, Vec<Arc<model::DefaultBackend>>>;

/// Finds them.
pub(super) fn default_backends(model: &Model) -> Defaults {
    let mut order: Vec<_> = model.defaults.iter().cloned().map(Arc::new).collect();
    order.sort_by(|a, b| a.by_rank(b));
    let mut chosen = Defaults::new();
    for default in order {
        for host in default.hosts.iter().chain([&HostPattern::Any]) {
            let of_host = chosen.entry(host.clone()).or_default();
            let taken = of_host.iter().fold(0, |taken, other| taken | other.entry_points.own);
            if default.entry_points.own & !taken != 0 {
                of_host.push(Arc::clone(&default));
            }
        }
    }
    chosen
}

/// Those of one host.
pub(super) fn of_host<'d>(
    defaults: &'d Defaults,
    host: &HostPattern,
) -> &'d [Arc<model::DefaultBackend>] {
    defaults.get(host).map_or(&[], Vec::as_slice)
}
