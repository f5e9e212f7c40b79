//! The watch as a source of changes.

use super::{Cluster, State};
use crate::control::objects::Change;
use crate::control::source::{Changes, Source, Wake};
use crate::control::watch::references::references_of;
use crate::model::ObjectRef;
use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// How long a change waits for the Secrets that it refers to: fetching one takes some milliseconds, and
/// an API server that does not answer must hold up nothing.
const FETCH: Duration = Duration::from_secs(1);

impl State {
    /// Whether an object refers to a Secret that is being fetched. Without it the object would be
    /// reported, and possibly served worse than before.
    fn is_early(&self, identity: &ObjectRef, now: Instant) -> bool {
        let is_fetched = |secret: &ObjectRef| {
            self.fetched.get(secret).is_some_and(|since| now.duration_since(*since) < FETCH)
        };
        if self.fetched.is_empty() {
            return false;
        }
        let object = self.objects.get(identity);
        object.is_some_and(|object| {
            references_of(identity, &object).any(|(secret, _)| is_fetched(&secret))
        })
    }
}

/// Findings about the objects themselves it has none: the API server has
/// validated them.
impl Source for Arc<Cluster> {
    fn look(&mut self) -> Option<Changes> {
        let mut state = self.lock();
        let all = std::mem::take(&mut state.changed);
        let now = Instant::now();
        let (later, changed) = all.into_iter().partition(|identity| state.is_early(identity, now));
        state.changed = later;
        let changed: BTreeSet<ObjectRef> = changed;
        let change = |identity| {
            let object = state.objects.get(&identity);
            Change { identity, object }
        };
        let objects: Vec<Change> = changed.into_iter().map(change).collect();
        let findings = state.held.take_news(&self.bequest);
        let is_news = !objects.is_empty() || findings.is_some();
        is_news.then_some(Changes { objects, findings })
    }

    fn follow(&self, wake: Sender<Wake>) -> Option<Box<dyn Any>> {
        self.lock().wake = Some(wake);
        Some(Box::new(()))
    }
}
