//! The statuses that are still to be written, with what is under way, what failed, and what was
//! written so lately that the watch does not show it yet.

use super::{IngressRef, Patch, plan};
use crate::control::write_back::address::Address;
use crate::control::write_back::failure::{Backoff, Failure};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

type Uid = Arc<str>;

/// The work of one leader. It decides, and does no I/O.
#[derive(Debug)]
pub(in crate::control::write_back) struct Board {
    backoff: Backoff,
    manager: Arc<str>,
    pending: VecDeque<Patch>,
    under_way: HashSet<Uid>,
    /// These were under way when it was last planned.
    again: HashSet<Uid>,
    /// Failures in a row.
    failures: HashMap<Uid, u32>,
    /// Retries, and when they are due.
    waiting: BTreeMap<(Instant, Uid), Patch>,
    /// What was written, from which resourceVersion on. Until the watch shows another version, this
    /// is what the status says.
    written: HashMap<Uid, (Arc<str>, Vec<Address>)>,
}

impl Board {
    pub(in crate::control::write_back) fn new(backoff: Backoff, manager: Arc<str>) -> Self {
        Self {
            backoff,
            manager,
            pending: VecDeque::new(),
            under_way: HashSet::new(),
            again: HashSet::new(),
            failures: HashMap::new(),
            waiting: BTreeMap::new(),
            written: HashMap::new(),
        }
    }

    /// Plans again. Entries that wait after a failure keep waiting.
    pub(in crate::control::write_back) fn replan(
        &mut self,
        ingresses: &[IngressRef],
        addresses: &[Address],
    ) {
        let mut versions = HashMap::new();
        let mut current = ingresses.to_vec();
        for ingress in &mut current {
            versions.insert(Arc::clone(&ingress.uid), Arc::clone(&ingress.version));
            if let Some((version, addresses)) = self.written.get(&ingress.uid)
                && *version == ingress.version
            {
                ingress.addresses.clone_from(addresses);
                ingress.writer = (!addresses.is_empty()).then(|| Arc::clone(&self.manager));
            }
        }
        self.written.retain(|uid, (version, _)| versions.get(uid) == Some(version));
        self.failures.retain(|uid, _| versions.contains_key(uid));
        let times = std::mem::take(&mut self.waiting).into_keys();
        let waiting: HashMap<Uid, Instant> = times.map(|(at, uid)| (uid, at)).collect();
        self.pending.clear();
        // Even if nothing is to be written any more: what is under way may be what was.
        self.again.clone_from(&self.under_way);
        for patch in plan(&current, addresses, &self.manager) {
            if self.under_way.contains(&patch.uid) {
                continue;
            }
            if let Some(at) = waiting.get(&patch.uid) {
                self.waiting.insert((*at, Arc::clone(&patch.uid)), patch);
            } else {
                self.pending.push_back(patch);
            }
        }
    }

    /// The next write, if one is due.
    pub(in crate::control::write_back) fn next(&mut self, now: Instant) -> Option<Patch> {
        let due = self.waiting.first_key_value().is_some_and(|((at, _), _)| *at <= now);
        let waited = if due { self.waiting.pop_first().map(|(_, patch)| patch) } else { None };
        let patch = waited.or_else(|| self.pending.pop_front())?;
        self.under_way.insert(Arc::clone(&patch.uid));
        Some(patch)
    }

    /// When [`Self::next`] has something: `None` if never, unless something changes.
    pub(in crate::control::write_back) fn wake(&self, now: Instant) -> Option<Instant> {
        if !self.pending.is_empty() {
            return Some(now);
        }
        self.waiting.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes the result of a write. Returns whether to plan again.
    pub(in crate::control::write_back) fn finished(
        &mut self,
        patch: Patch,
        result: Result<(), Failure>,
        now: Instant,
        random: f64,
    ) -> bool {
        let uid = Arc::clone(&patch.uid);
        self.under_way.remove(&uid);
        match result {
            Ok(()) => {
                self.failures.remove(&uid);
                self.written.insert(Arc::clone(&uid), (patch.version, patch.addresses));
            }
            // The watch will say so as well.
            Err(Failure::Gone) => {
                self.failures.remove(&uid);
            }
            Err(failure) => {
                let failures = self.failures.entry(Arc::clone(&uid)).or_default();
                *failures = failures.saturating_add(1);
                let at = now + self.backoff.after(*failures, failure, random);
                self.waiting.insert((at, Arc::clone(&uid)), patch);
            }
        }
        self.again.remove(&uid)
    }

    /// The objects that a write has failed for and that are tried again.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> Vec<&str> {
        self.waiting.keys().map(|(_, uid)| &**uid).collect()
    }
}
