//! The model, kept up to date: what an update changed is taken out and put in, the rest is moved.
//!
//! An update costs a pass over the numbers in the model, and reads the names of what it changed
//! alone. What comes out depends on the objects and not on the way to them: Ingresses are in the
//! order of their age, rules in that of the table, backends in that of their keys.

use super::backends::Backends;
use super::ownership::Ownership;
use super::reading::{Reading, TcpServed};
use super::slab::Slab;
use super::{Map, Set, Touched};
use crate::config::HostPolicy;
use crate::control::translate::findings::{Findings, Reported};
use crate::control::translate::{shadow, tcp_route};
use crate::model::{
    BackendSpec, DefaultBackend, Delta, HostPattern, Ingress, Kind, Model, Rule, TcpRoute,
};
use crate::routing::{rules_of, table_order};
use std::cmp::Ordering;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// Instead of a position: gone.
const GONE: usize = usize::MAX;

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

/// What came of the Ingresses of the model.
struct Moved {
    /// Where each of the old ones is now, or [`GONE`].
    to: Vec<usize>,
    /// Where each of the new ones is.
    of_new: Vec<usize>,
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
        touched: &Touched,
        readings: &Slab<Reading>,
        backends: &mut Backends,
        findings: &mut Findings,
    ) -> (Arc<Model>, Delta) {
        let came = by_age_of(&touched.came, readings);
        let model = Arc::make_mut(&mut self.model);
        let moved = place_ingresses(&mut model.ingresses, &touched.left, &came);
        let (of_backends, from) = place_backends(&mut model.backends, touched, backends);
        let backend = |old: usize| of_backends.as_ref().map_or(old, |to| to[old]);
        keep_tcp(&mut model.tcp, &moved, backend);
        let new = came.iter().zip(&moved.of_new);
        model.tcp.extend(new.flat_map(|(reading, &at)| placed_tcp(reading, at, backends)));
        model.tcp.sort_by(tcp_order);
        let mut hosts = Set::default();
        let mut defaults_touched = false;
        let mut keep = |rule: &mut Rule| {
            let to = moved.to[rule.ingress];
            if to == GONE {
                hosts.insert(rule.host.clone());
                return false;
            }
            (rule.ingress, rule.backend) = (to, backend(rule.backend));
            true
        };
        model.rules.retain_mut(&mut keep);
        self.ownership.retain(&mut keep);
        let defaults = self.ownership.defaults(model);
        defaults.retain_mut(|default| {
            let to = moved.to[default.ingress];
            if to == GONE {
                defaults_touched = true;
                hosts.extend(default.hosts.drain(..));
                return false;
            }
            (default.ingress, default.backend) = (to, backend(default.backend));
            true
        });
        let mut rules = Vec::new();
        for (reading, ingress) in came.into_iter().zip(moved.of_new) {
            let of = reading.served.defaults.iter().flat_map(|default| &default.hosts);
            hosts.extend(of.chain(reading.served.rules.iter().map(|rule| &rule.host)).cloned());
            rules.extend(placed_rules(reading, ingress, backends));
            defaults_touched |= !reading.served.defaults.is_empty();
            defaults.extend(placed_defaults(reading, ingress, backends));
        }
        defaults.sort_by_key(|default| default.ingress);
        rules.sort_by(table_order);
        merge(&mut model.rules, rules, table_order);
        self.ownership.divide(&hosts, model);
        self.report(&hosts, defaults_touched, findings);
        if defaults_touched {
            hosts.insert(HostPattern::Any);
        }
        let since = std::mem::replace(&mut self.number, next_number());
        let (hosts, now) = (hosts.into_iter().collect(), self.number);
        (Arc::clone(&self.model), Delta { since, now, hosts, backends: from })
    }

    /// The model as it is.
    pub(super) fn model(&self) -> Arc<Model> {
        Arc::clone(&self.model)
    }

    /// Notes that backends have other endpoints, and nothing else is other than before.
    pub(super) fn store(&mut self, numbers: &[usize], backends: &Backends) {
        if !numbers.is_empty() {
            let model = Arc::make_mut(&mut self.model);
            for &number in numbers {
                backends.update(number, &mut model.backends);
            }
        }
    }

    /// Says who shares these hosts, which of their rules get no request, and, if asked for, which default backends.
    fn report(&mut self, hosts: &Set<HostPattern>, defaults: bool, findings: &mut Findings) {
        let mut now = Vec::new();
        tcp_route::report_overlaps(&self.model, self.https, &mut now);
        findings.replace(&mut self.of_tcp, now);
        self.ownership.report(hosts, &self.model, findings);
        let Model { ingresses, rules, defaults: all, .. } = &*self.model;
        for host in hosts {
            let mut now = Vec::new();
            shadow::report_rules(&rules[rules_of(rules, host)], ingresses, &mut now);
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
            shadow::report_defaults(all, ingresses, &mut now);
            findings.replace(&mut self.idle, now);
        }
    }
}

/// Brings the backends of the model up to date. Returns where each of the old ones is now, unless all are
/// where they were; and where each of the new ones was.
fn place_backends(
    all: &mut Vec<BackendSpec>,
    touched: &Touched,
    backends: &mut Backends,
) -> (Option<Vec<usize>>, Vec<usize>) {
    let mut from: Vec<usize> = (0..all.len()).collect();
    let to = touched.backends.then(|| backends.place(all, &mut from));
    for &number in &touched.states {
        if let Some(position) = backends.update(number, all) {
            from[position] = Delta::CHANGED;
        }
    }
    (to, from)
}

/// The rules of an Ingress at this position.
fn placed_rules<'r>(
    reading: &'r Reading,
    ingress: usize,
    backends: &'r Backends,
) -> impl Iterator<Item = Rule> + 'r {
    reading.served.rules.iter().map(move |rule| Rule {
        backend: backends.position(rule.backend),
        ingress,
        ..rule.clone()
    })
}

fn placed_tcp<'r>(
    reading: &'r Reading,
    ingress: usize,
    backends: &'r Backends,
) -> impl Iterator<Item = TcpRoute> + 'r {
    reading.served.tcp.iter().map(move |TcpServed { rule, backends: own, .. }| TcpRoute {
        ingress,
        backends: own.iter().map(|&number| backends.position(number)).collect(),
        rule: Arc::clone(rule),
    })
}

/// Keeps the routes of connections whose objects are still there, with their new positions.
fn keep_tcp(all: &mut Vec<TcpRoute>, moved: &Moved, backend: impl Fn(usize) -> usize) {
    all.retain_mut(|route| {
        route.ingress = moved.to[route.ingress];
        let is_kept = route.ingress != GONE;
        if is_kept {
            route.backends.iter_mut().for_each(|at| *at = backend(*at));
        }
        is_kept
    });
}

/// The highest priority first; of equals the older object, and then the one that stands first.
fn tcp_order(a: &TcpRoute, b: &TcpRoute) -> Ordering {
    let place = |route: &TcpRoute| (route.ingress, route.rule.position);
    let priority = |route: &TcpRoute| route.rule.ordered.priority;
    priority(b).cmp(&priority(a)).then_with(|| place(a).cmp(&place(b)))
}

fn placed_defaults<'r>(
    reading: &'r Reading,
    ingress: usize,
    backends: &'r Backends,
) -> impl Iterator<Item = DefaultBackend> + 'r {
    reading.served.defaults.iter().map(move |default| DefaultBackend {
        backend: backends.position(default.backend),
        ingress,
        ..default.clone()
    })
}

/// A number for a model that no other one has.
fn next_number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Relaxed) + 1
}

/// The order of Ingresses: of two that ask for the same the first one wins.
pub(super) fn by_age(a: &Ingress, b: &Ingress) -> Ordering {
    fn key(ingress: &Ingress) -> (i64, &str, &str, Kind) {
        (ingress.created, &ingress.namespace, &ingress.name, ingress.kind)
    }
    key(a).cmp(&key(b))
}

/// The Ingresses of these numbers, the oldest first.
fn by_age_of<'r>(numbers: &[usize], readings: &'r Slab<Reading>) -> Vec<&'r Reading> {
    let mut all: Vec<&Reading> = numbers.iter().filter_map(|&at| readings.get(at)).collect();
    all.sort_by(|a, b| by_age(&a.ingress, &b.ingress));
    all
}

/// Takes Ingresses out and puts others in; `came` is sorted by age. One that only asks for
/// something else is in both.
fn place_ingresses(all: &mut Vec<Ingress>, left: &[Ingress], came: &[&Reading]) -> Moved {
    let mut to: Vec<usize> = (0..all.len()).collect();
    for ingress in left {
        if let Ok(position) = all.binary_search_by(|other| by_age(other, ingress)) {
            to[position] = GONE;
        }
    }
    let places = came.iter().map(|new| {
        all.binary_search_by(|other| by_age(other, &new.ingress)).unwrap_or_else(|place| place)
    });
    let places: Vec<usize> = places.collect();
    let mut of_new = Vec::with_capacity(came.len());
    let mut next = 0;
    for (old, to) in to.iter_mut().enumerate() {
        while places.get(of_new.len()).is_some_and(|&place| place <= old) {
            of_new.push(next);
            next += 1;
        }
        if *to != GONE {
            *to = next;
            next += 1;
        }
    }
    of_new.extend((next..).take(came.len() - of_new.len()));
    let mut kept = to.iter().map(|&to| to != GONE);
    all.retain(|_| kept.next().unwrap_or(true));
    merge(all, came.iter().map(|reading| reading.ingress.clone()).collect(), by_age);
    Moved { to, of_new }
}

/// Puts sorted values among other sorted values. Looks at few of the old ones.
pub(super) fn merge<T>(all: &mut Vec<T>, new: Vec<T>, order: fn(&T, &T) -> Ordering) {
    if new.is_empty() {
        return;
    }
    let mut merged = Vec::with_capacity(all.len() + new.len());
    let mut old = std::mem::take(all).into_iter();
    for value in new {
        let before = old.as_slice().partition_point(|other| order(other, &value).is_lt());
        merged.extend(old.by_ref().take(before));
        merged.push(value);
    }
    merged.extend(old);
    *all = merged;
}
