//! The backends of a model, with what those of the table in force have already.

use super::{Backend, EndpointProtocol, Gone, Table, Update};
use crate::balance::EndpointSet;
use crate::model::{self, BackendKey, BackendState, Broken, Delta, Limits, Model, Treatment};
use arc_swap::ArcSwap;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The backends of a model, and what is to be put into the cells of those that the previous table
/// has already.
pub(super) fn backends(
    model: &Model,
    previous: Option<&Table>,
) -> (Box<[Arc<Backend>]>, Vec<Update>) {
    let mut known = Known::new(previous.map_or(&[], |table| &table.backends));
    let mut updates = Vec::new();
    let all = model.backends.iter().map(|backend| {
        let old = known.find(&backend.key, of_rule(broken(backend)));
        build(backend, old, &mut updates)
    });
    (all.collect(), updates)
}

/// The backends of a model that differs little from that of the previous table.
pub(super) struct Carried {
    pub(super) backends: Box<[Arc<Backend>]>,
    pub(super) updates: Vec<Update>,
    /// The limits of those that are new, or changed.
    pub(super) limits: Vec<(Arc<Backend>, Option<Limits>)>,
    /// Those of the previous table that are in this one no more.
    pub(super) gone: Vec<Gone>,
}

/// The same for a model that differs little: `from` says of each backend where it was, or
/// [`Delta::CHANGED`]. Both models are sorted by key. `None` if that cannot be of these two.
pub(super) fn carried(model: &Model, from: &[usize], previous: &Table) -> Option<Carried> {
    let old = &previous.backends;
    if from.len() != model.backends.len() {
        return None;
    }
    let (mut backends, mut gone) = (Vec::with_capacity(from.len()), Vec::new());
    let (mut updates, mut limits, mut next) = (Vec::new(), Vec::new(), 0);
    let mut changed: HashSet<*const Backend> = HashSet::new();
    for (backend, &at) in model.backends.iter().zip(from) {
        if at == Delta::CHANGED {
            let built = build(backend, at_key(old, backend), &mut updates);
            limits.extend(due_limit(backend, &built));
            changed.insert(Arc::as_ptr(&built));
            backends.push(built);
            continue;
        }
        // Both are in one order.
        gone.extend(old.get(next..at)?);
        backends.push(Arc::clone(old.get(at)?));
        next = at + 1;
    }
    gone.extend(old.get(next..)?);
    let gone = gone.into_iter().filter(|old| !changed.contains(&Arc::as_ptr(old)));
    let next = |old: &Backend| {
        let at = backends.binary_search_by(|new| new.key.cmp(&old.key)).ok()?;
        Some(Arc::clone(&backends[at]))
    };
    let gone = gone.map(|old| Gone { old: Arc::clone(old), next: next(old) }).collect();
    Some(Carried { backends: backends.into(), updates, limits, gone })
}

/// The one of these, sorted by key, that is the same but for what may change.
fn at_key<'t>(all: &'t [Arc<Backend>], backend: &model::BackendSpec) -> Option<&'t Arc<Backend>> {
    let start = all.partition_point(|old| old.key < backend.key);
    let mut same = all[start..].iter().take_while(|old| old.key == backend.key);
    let broken = of_rule(broken(backend));
    same.find(|old| of_rule(old.broken) == broken)
}

fn broken(backend: &model::BackendSpec) -> Option<Broken> {
    match &backend.state {
        BackendState::Broken(broken) => Some(*broken),
        BackendState::Resolved(_) | BackendState::Named(_) => None,
    }
}

/// A backend: the one that the previous table has, if that is the same but for its endpoints.
fn build(
    backend: &model::BackendSpec,
    old: Option<&Arc<Backend>>,
    updates: &mut Vec<Update>,
) -> Arc<Backend> {
    let none = Arc::default();
    let (specs, external) = match &backend.state {
        BackendState::Broken(_) => (&none, None),
        BackendState::Resolved(specs) => (specs, None),
        BackendState::Named(external) => (&none, Some(external)),
    };
    let broken = broken(backend);
    let protocol = EndpointProtocol::new(&backend.protocol, old.map(|old| &old.protocol));
    let broken = broken.or((!protocol.is_usable()).then_some(Broken::ProtocolUnusable));
    let Treatment { balancing, check, limits: _, host, timeouts } = &backend.treatment;
    let is_same = |old: &&Arc<Backend>| {
        old.broken == broken
            && old.protocol == protocol
            && old.balancing == *balancing
            && old.check == *check
            && old.host == *host
            && old.timeouts == *timeouts
            && old.external.as_ref() == external
    };
    let Some(old) = old.filter(is_same) else {
        let old_set = old.map(|old| old.endpoints());
        let set = EndpointSet::new(specs, old_set.as_deref().map(|set| &**set));
        let endpoints = ArcSwap::from_pointee(set);
        let queue = old.map(|old| old.queue.clone()).unwrap_or_default();
        let answers_calls = old.is_some_and(|old| old.answers_calls());
        // As long as it is checked at all; the next look of the checks tells again.
        let fails_checks = check.is_some() && old.is_some_and(|old| old.fails_checks());
        return Arc::new(Backend {
            key: backend.key.clone(),
            broken,
            protocol,
            balancing: balancing.clone(),
            check: check.clone(),
            external: external.cloned(),
            host: *host,
            timeouts: *timeouts,
            endpoints,
            queue,
            answers_calls: answers_calls.into(),
            fails_checks: fails_checks.into(),
        });
    };
    let old_set = old.endpoints();
    let is_told = external.is_none() && (broken.is_none() || !specs.is_empty());
    if is_told && !old_set.is_of(specs) {
        let set = EndpointSet::new(specs, Some(&old_set));
        updates.push(Update { backend: Arc::clone(old), endpoints: Arc::new(set) });
    }
    Arc::clone(old)
}

/// The limits for the queues of backends from now on.
pub(super) fn limits(
    model: &Model,
    backends: &[Arc<Backend>],
) -> Vec<(Arc<Backend>, Option<Limits>)> {
    let both = model.backends.iter().zip(backends);
    both.filter_map(|(spec, backend)| due_limit(spec, backend)).collect()
}

/// The limit of a backend, if it has one, or its queue has one still.
fn due_limit(
    spec: &model::BackendSpec,
    backend: &Arc<Backend>,
) -> Option<(Arc<Backend>, Option<Limits>)> {
    let own = spec.treatment.limits;
    (own.is_some() || backend.queue().is_some()).then(|| (Arc::clone(backend), own))
}

/// The reasons that tell two backends with one key apart. A protocol may become usable, and leaves
/// the backend the same one.
fn of_rule(broken: Option<Broken>) -> Option<Broken> {
    broken.filter(|broken| *broken != Broken::ProtocolUnusable)
}

/// The backends of the previous table.
struct Known<'t> {
    all: &'t [Arc<Backend>],
    /// The one that is expected next: one table has nearly the backends of the other, in the same
    /// order.
    next: usize,
    /// Where each stands; made when the first is not where it was expected.
    positions: Option<HashMap<BackendIdentity<'t>, usize, foldhash::fast::RandomState>>,
}

type BackendIdentity<'t> = (&'t BackendKey, Option<Broken>);

impl<'t> Known<'t> {
    fn new(all: &'t [Arc<Backend>]) -> Self {
        Self { all, next: 0, positions: None }
    }

    fn find(&mut self, key: &BackendKey, broken: Option<Broken>) -> Option<&'t Arc<Backend>> {
        let is_it = |old: &&Arc<Backend>| of_rule(old.broken) == broken && old.key == *key;
        let expected = self.all.get(self.next).filter(is_it);
        if expected.is_some() {
            self.next += 1;
            return expected;
        }
        let all = self.all;
        let positions = &*self.positions.get_or_insert_with(|| {
            all.iter().zip(0..).map(|(old, at)| ((&old.key, of_rule(old.broken)), at)).collect()
        });
        let at = *positions.get(&(key, broken))?;
        self.next = at + 1;
        self.all.get(at)
    }
}
