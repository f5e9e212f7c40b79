//! The next table of a row of models: what a change does not touch is shared with the table before.

use super::backends::{Carried, carried};
use super::builder::{Builder, HostRules};
use super::compile::{HOSTS, compile, default_backends, of_host, part_count, part_of, rules_of};
use super::part::Part;
use super::tcp::TcpRoutes;
use super::{Backend, Table};
use crate::model::{Delta, HostPattern, Model, Rule};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Compiles a model, and of a table of the model before it no more than `delta` touches. The result is that
/// of [`compile`]: so it is compiled where `previous` is of another model than the one before, or where hosts
/// are that many more or fewer that others are to be together.
///
/// Costs what the parts of the touched hosts have, and a look at one pointer for each part and each backend.
pub fn recompile(model: &Model, delta: &Delta, previous: &Table) -> Table {
    let is_next = delta.since != 0 && previous.model == Some(delta.since);
    let follows = is_next && has_fitting_parts(previous, delta);
    let table = follows.then(|| incremental(model, delta, previous)).flatten();
    let table = table.unwrap_or_else(|| compile(model, Some(previous)));
    Table { model: Some(delta.now), ..table }
}

/// Whether as many parts are right as there are, about, and most of them stay.
fn has_fitting_parts(previous: &Table, delta: &Delta) -> bool {
    let (now, touched) = (previous.parts.len(), delta.hosts.len());
    let most = part_count(previous.hosts + touched);
    let least = part_count(previous.hosts.saturating_sub(touched));
    most <= 2 * now && now <= 4 * least && touched <= HOSTS.max(previous.hosts / 4)
}

fn incremental(model: &Model, delta: &Delta, previous: &Table) -> Option<Table> {
    let Carried { backends, updates, limits, gone } = carried(model, &delta.backends, previous)?;
    let count = previous.parts.len();
    let mut stale: BTreeMap<usize, Vec<HostPattern>> = BTreeMap::new();
    for host in &delta.hosts {
        stale.entry(part_of(host, count)).or_default().push(host.clone());
    }
    // Nobody leads to one that is gone. One with another in its place may be named by any host.
    let replaced = gone.iter().filter(|gone| gone.next.is_some());
    let replaced: HashSet<*const Backend> = replaced.map(|gone| Arc::as_ptr(&gone.old)).collect();
    if !replaced.is_empty() {
        let has_one =
            |part: &Part| part.backends.iter().any(|one| replaced.contains(&Arc::as_ptr(one)));
        for (number, _) in previous.parts.iter().enumerate().filter(|(_, part)| has_one(part)) {
            stale.entry(number).or_default();
        }
    }
    let defaults = default_backends(model);
    let mut parts = previous.parts.clone();
    for (number, mut hosts) in stale {
        parts[number].add_hosts(&mut hosts);
        hosts.sort_unstable();
        hosts.dedup();
        let rules: Vec<Vec<&Rule>> = hosts
            .iter()
            .map(|host| model.rules[rules_of(&model.rules, host)].iter().collect())
            .collect();
        let all = hosts.iter().zip(&rules).map(|(host, rules)| HostRules {
            host,
            rules,
            defaults: of_host(&defaults, host),
        });
        let all = all.filter(|host| !host.rules.is_empty() || !host.defaults.is_empty());
        let all: Vec<_> = all.collect();
        parts[number] = Arc::new(Builder::build(model, &backends, &all));
    }
    let tcp = TcpRoutes::of(model, &backends);
    let mut table = Table::of(previous.generation + 1, parts, tcp, backends, updates, limits);
    table.gone = Some(gone);
    Some(table)
}

impl Part {
    /// Adds the hosts that it has.
    fn add_hosts(&self, hosts: &mut Vec<HostPattern>) {
        hosts.extend(self.hosts.names().map(|name| HostPattern::Exact(name.into())));
        hosts.extend(self.wildcards.names().map(|name| HostPattern::Wildcard(name.into())));
        hosts.extend(self.any.map(|_| HostPattern::Any));
    }
}
