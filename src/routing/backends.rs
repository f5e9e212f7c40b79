//! The backends of a model, with what those of the table in force have already.

use super::{Backend, EndpointProtocol, Gone, Table, Update};
use crate::balance::EndpointSet;
use crate::model::{
    self, BackendId, BackendKey, BackendState, Broken, ChangedBackend, HostPattern, Limits, Model,
    SharedMap, Treatment,
};
use arc_swap::ArcSwap;
use std::sync::Arc;

/// The backends of a table.
pub(super) type BackendMap = SharedMap<Arc<BackendId>, Arc<Backend>>;

/// The backends of a model, and what is to be put into the cells of those that the previous table
/// has already.
pub(super) fn backends(model: &Model, previous: Option<&Table>) -> (BackendMap, Vec<Update>) {
    let mut updates = Vec::new();
    // Both are in one order.
    let mut known = previous.into_iter().flat_map(|table| table.backends.iter()).peekable();
    let all = model.backends.entries().map(|(id, backend)| {
        while known.next_if(|(other, _)| *other < id).is_some() {}
        let old = known.next_if(|(other, _)| *other == id).map(|(_, old)| old);
        (Arc::clone(id), build(backend, old, &mut updates))
    });
    (all.collect(), updates)
}

/// The backends of a model that differs little from that of the previous table.
pub(super) struct Carried {
    pub(super) backends: BackendMap,
    pub(super) updates: Vec<Update>,
    /// The limits of those that are new, or changed.
    pub(super) limits: Vec<DueLimit>,
    /// Those of the previous table that are in this one no more.
    pub(super) gone: Vec<Gone>,
    /// The hosts that lead to one that has another one in its place.
    pub(super) hosts: Vec<HostPattern>,
}

/// The same for a model that differs little. Costs a look at what has changed. `None` if that cannot be of these two.
pub(super) fn carried(
    model: &Model,
    changed: &[ChangedBackend],
    previous: &Table,
) -> Option<Carried> {
    let mut backends = previous.backends.clone();
    let (mut updates, mut limits) = (Vec::new(), Vec::new());
    let (mut gone, mut stale) = (Vec::new(), Vec::new());
    for ChangedBackend { id, hosts } in changed {
        let old = previous.backends.get(&**id);
        let next = model.backends.get(id).map(|backend| {
            let built = build(backend, old, &mut updates);
            limits.extend(due_limit(backend, &built));
            built
        });
        if old.map(Arc::as_ptr) == next.as_ref().map(Arc::as_ptr) {
            continue;
        }
        match &next {
            Some(next) => backends.insert(Arc::clone(id), Arc::clone(next)),
            None => backends.remove(&**id),
        };
        if let Some(old) = old {
            // Nobody leads to one that is gone.
            if next.is_some() {
                stale.extend(hosts.as_ref()?.iter().cloned());
            }
            gone.push(Gone { old: Arc::clone(old), next });
        }
    }
    let is_whole = backends.len() == model.backends.len();
    is_whole.then_some(Carried { backends, updates, limits, gone, hosts: stale })
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
    let broken = broken(backend);
    let old = old.filter(|old| of_rule(old.broken) == of_rule(broken));
    let none = Arc::default();
    let (specs, external) = match &backend.state {
        BackendState::Broken(_) => (&none, None),
        BackendState::Resolved(specs) => (specs, None),
        BackendState::Named(external) => (&none, Some(external)),
    };
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
            etags_differ: old.is_some_and(|old| old.etags_differ()).into(),
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

/// The limit of a backend from now on.
pub(super) type DueLimit = (Arc<Backend>, Option<Limits>);

/// The limits for the queues of backends from now on.
pub(super) fn limits(model: &Model, backends: &BackendMap) -> Vec<DueLimit> {
    let both = model.backends.iter().zip(backends.values());
    both.filter_map(|(spec, backend)| due_limit(spec, backend)).collect()
}

/// The limit of a backend, if it has one, or its queue has one still.
fn due_limit(spec: &model::BackendSpec, backend: &Arc<Backend>) -> Option<DueLimit> {
    let own = spec.treatment.limits;
    (own.is_some() || backend.queue().is_some()).then(|| (Arc::clone(backend), own))
}

/// The reasons that tell two backends with one key apart. A protocol may become usable, and leaves
/// the backend the same one.
fn of_rule(broken: Option<Broken>) -> Option<Broken> {
    broken.filter(|broken| *broken != Broken::ProtocolUnusable)
}

/// The backend of this key. The same port stands there for rules that are refused as well, behind the one of all others.
pub(super) fn of_port<'t>(all: &'t BackendMap, key: &BackendKey) -> Option<&'t Arc<Backend>> {
    let (id, backend) = all.first_from(|id| id.key.cmp(key))?;
    (id.key == *key).then_some(backend)
}
