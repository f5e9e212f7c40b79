//! The model, kept up to date: what an update changed is taken out and put in, the rest stays as it is.
//!
//! An update costs what it changed, and a logarithm of what there is; default backends and routes of connections, of
//! which there are few, are looked at one by one. What comes out depends on the objects and not on the way to them.

use super::backends::Backends;
use super::ownership::Ownership;
use super::reading::{Reading, Served, TcpServed};
use super::slab::Slab;
use super::{Map, Set, Touched};
use crate::config::HostPolicy;
use crate::control::translate::findings::{Findings, Reported};
use crate::control::translate::{shadow, tcp_route};
use crate::model::{
    self, BackendId, BackendSpec, ChangedBackend, Delta, HostPattern, Ingress, Model, Rule,
    TcpRoute,
};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// Ingresses as they stood in the model, by where they are in memory.
pub(super) type Left = Set<*const Ingress>;

/// The model, and what is said of it as a whole.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    model: Arc<Model>,
    /// Its number; 0 for the first one, which nobody has seen.
    number: u64,
    /// About rules that get no request, by host.
    shadowed: Map<HostPattern, Reported>,
    /// About default backends that get no request.
    idle: Reported,
    ownership: Ownership,
    /// The entry points with routes of HTTP within TLS, as bits.
    https: u32,
    /// About routes of connections that get none.
    of_tcp: Reported,
}

impl Assembly {
    /// `https` are the entry points with routes of HTTP within TLS, as bits.
    pub(super) fn new(policy: HostPolicy, https: u32) -> Self {
        Self { ownership: Ownership::new(policy), https, ..Self::default() }
    }

    /// Brings the model up to date with what an update has touched. Returns it, and how it differs from the
    /// one before.
    pub(super) fn update(
        &mut self,
        touched: &mut Touched,
        readings: &Slab<Reading>,
        backends: &Backends,
        findings: &mut Findings,
    ) -> (Arc<Model>, Delta) {
        let came = by_age_of(&touched.came, readings);
        let model = Arc::make_mut(&mut self.model);
        touched.left.iter().for_each(|ingress| model.ingresses.remove(ingress));
        came.iter().for_each(|new| model.ingresses.insert(Arc::clone(&new.ingress)));
        let changed = place_backends(&mut model.backends, touched, backends, readings);
        let left: Left = touched.left.iter().map(Arc::as_ptr).collect();
        let tcp = touched.tcp || came.iter().any(|new| !new.served.tcp.is_empty());
        if tcp {
            place_tcp(&mut model.tcp, &left, &came);
        }
        let mut hosts = std::mem::take(&mut touched.hosts);
        hosts.extend(came.iter().flat_map(|new| new.served.hosts()).cloned());
        let defaults = touched.defaults || came.iter().any(|new| !new.served.defaults.is_empty());
        if defaults {
            let all = self.ownership.defaults(model);
            all.retain(|default| !left.contains(&Arc::as_ptr(&default.ingress)));
            all.extend(came.iter().flat_map(|new| new.served.defaults.iter().cloned()));
            all.sort_by(|a, b| a.ingress.by_age(&b.ingress));
        }
        let mut new = rules_by_host(came.iter().map(|new| &new.served));
        self.ownership.divide(&hosts, &left, &mut new, model);
        self.report(&hosts, defaults, findings);
        if defaults {
            hosts.insert(HostPattern::Any);
        }
        let since = std::mem::replace(&mut self.number, next_number());
        let (hosts, now) = (hosts.into_iter().collect(), self.number);
        let defaults = defaults || self.ownership.moves_defaults();
        (Arc::clone(&self.model), Delta { since, now, hosts, backends: changed, defaults, tcp })
    }

    /// The model as it is.
    pub(super) fn model(&self) -> Arc<Model> {
        Arc::clone(&self.model)
    }

    /// Notes that backends have other endpoints, and nothing else is other than before.
    pub(super) fn store(&mut self, backends: &[(Arc<BackendId>, Arc<BackendSpec>)]) {
        if !backends.is_empty() {
            let all = &mut Arc::make_mut(&mut self.model).backends;
            for (id, backend) in backends {
                all.insert(Arc::clone(id), Arc::clone(backend));
            }
        }
    }

    /// Says who shares these hosts, which of their rules get no request, and, if asked for, which default backends.
    fn report(&mut self, hosts: &Set<HostPattern>, defaults: bool, findings: &mut Findings) {
        let mut now = Vec::new();
        tcp_route::report_overlaps(&self.model, self.https, &mut now);
        findings.replace(&mut self.of_tcp, now);
        self.ownership.report(hosts, &self.model, findings);
        let Model { rules, defaults: all, .. } = &*self.model;
        for host in hosts {
            let mut now = Vec::new();
            shadow::report_rules(rules.of(host), &mut now);
            if now.is_empty() {
                if let Some(mut found) = self.shadowed.remove(host) {
                    findings.replace(&mut found, now);
                }
            } else {
                findings.replace(self.shadowed.entry(host.clone()).or_default(), now);
            }
        }
        if defaults {
            let mut now = Vec::new();
            shadow::report_defaults(all, &mut now);
            findings.replace(&mut self.idle, now);
        }
    }
}

/// Brings the backends of the model up to date. Returns those that are others.
fn place_backends(
    all: &mut model::Backends,
    touched: &Touched,
    backends: &Backends,
    readings: &Slab<Reading>,
) -> Vec<ChangedBackend> {
    let mut changed: BTreeMap<&Arc<BackendId>, ChangedBackend> = BTreeMap::new();
    for id in &touched.gone {
        all.remove(id);
        changed.insert(id, ChangedBackend { id: Arc::clone(id), hosts: Some(Vec::new()) });
    }
    for &number in &touched.states {
        let Some((id, spec)) = backends.spec(number) else { continue };
        all.insert(Arc::clone(id), Arc::clone(spec));
        let hosts = || {
            let users = backends.users(number).filter_map(|user| readings.get(user));
            users.flat_map(|user| user.served.hosts_of(id)).cloned().collect()
        };
        let hosts = touched.replaced.contains(&number).then(hosts);
        changed.insert(id, ChangedBackend { id: Arc::clone(id), hosts });
    }
    changed.into_values().collect()
}

fn rules_by_host<'s>(
    served: impl Iterator<Item = &'s Served>,
) -> Map<&'s HostPattern, Vec<Arc<Rule>>> {
    let mut all: Map<&HostPattern, Vec<Arc<Rule>>> = Map::default();
    for rule in served.flat_map(|served| &served.rules) {
        all.entry(&rule.host).or_default().push(Arc::clone(rule));
    }
    all
}

/// Takes the routes of connections out whose objects have left, and puts in those that came.
fn place_tcp(all: &mut Vec<TcpRoute>, left: &Left, came: &[&Reading]) {
    all.retain(|route| !left.contains(&Arc::as_ptr(&route.ingress)));
    for new in came {
        let routes = new.served.tcp.iter();
        all.extend(routes.map(|TcpServed { rule, backends, .. }| TcpRoute {
            ingress: Arc::clone(&new.ingress),
            backends: backends.clone(),
            rule: Arc::clone(rule),
        }));
    }
    all.sort_by(tcp_order);
}

/// The highest priority first; of equals the older object, and then the one that stands first.
fn tcp_order(a: &TcpRoute, b: &TcpRoute) -> Ordering {
    let priority = |route: &TcpRoute| route.rule.ordered.priority;
    let by_priority = priority(b).cmp(&priority(a));
    let by_age = by_priority.then_with(|| a.ingress.by_age(&b.ingress));
    by_age.then_with(|| a.rule.position.cmp(&b.rule.position))
}

/// A number for a model that no other one has.
fn next_number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Relaxed) + 1
}

/// The Ingresses of these numbers, the oldest first.
fn by_age_of<'r>(numbers: &[usize], readings: &'r Slab<Reading>) -> Vec<&'r Reading> {
    let mut all: Vec<&Reading> = numbers.iter().filter_map(|&at| readings.get(at)).collect();
    all.sort_by(|a, b| a.ingress.by_age(&b.ingress));
    all
}
