//! The next table of a row of models: what a change does not touch is shared with the table before.

use super::Table;
use super::backends::{Carried, carried};
use super::builder::{Builder, HostRules};
use super::compile::{HOSTS, compile, default_backends, of_host, part_count, part_of};
use super::part::Part;
use super::tcp::TcpRoutes;
use crate::model::{Delta, HostPattern, Model};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Compiles a model, and of a table of the model before it no more than `delta` touches. The result is that
/// of [`compile`]: so it is compiled where `previous` is of another model than the one before, or where hosts
/// are that many more or fewer that others are to be together.
///
/// Costs what the parts of the touched hosts have, and a copy of one pointer for each part; all default backends, or
/// routes of connections, if one of them may be another.
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
    let most = part_count(previous.counts.hosts + touched);
    let least = part_count(previous.counts.hosts.saturating_sub(touched));
    most <= 2 * now && now <= 4 * least && touched <= HOSTS.max(previous.counts.hosts / 4)
}

fn incremental(model: &Model, delta: &Delta, previous: &Table) -> Option<Table> {
    let Carried { backends, updates, limits, gone, hosts } =
        carried(model, &delta.backends, previous)?;
    let count = previous.parts.len();
    let mut stale: BTreeMap<usize, Vec<HostPattern>> = BTreeMap::new();
    for host in delta.hosts.iter().chain(&hosts) {
        stale.entry(part_of(host, count)).or_default().push(host.clone());
    }
    let defaults = match delta.defaults {
        true => Arc::new(default_backends(model)),
        false => Arc::clone(&previous.defaults),
    };
    let (mut parts, mut counts) = (previous.parts.clone(), previous.counts);
    for (number, mut hosts) in stale {
        parts[number].add_hosts(&mut hosts);
        hosts.sort_unstable();
        hosts.dedup();
        let all = hosts.iter().map(|host| HostRules {
            host,
            rules: model.rules.of(host),
            defaults: of_host(&defaults, host),
        });
        let all = all.filter(|host| !host.rules.is_empty() || !host.defaults.is_empty());
        let all: Vec<_> = all.collect();
        let part = Arc::new(Builder::build(&backends, &all));
        counts.exchange(&parts[number], &part);
        parts[number] = part;
    }
    let is_replaced = gone.iter().any(|gone| gone.next.is_some());
    let tcp = match delta.tcp || is_replaced {
        true => Arc::new(TcpRoutes::of(model, &backends)),
        false => Arc::clone(&previous.tcp),
    };
    let (generation, model, gone) = (previous.generation + 1, None, Some(gone));
    Some(Table { generation, parts, counts, defaults, tcp, backends, model, updates, limits, gone })
}

impl Part {
    /// Adds the hosts that it has.
    fn add_hosts(&self, hosts: &mut Vec<HostPattern>) {
        hosts.extend(self.hosts.names().map(|name| HostPattern::Exact(name.into())));
        hosts.extend(self.wildcards.names().map(|name| HostPattern::Wildcard(name.into())));
        hosts.extend(self.any.map(|_| HostPattern::Any));
    }
}
