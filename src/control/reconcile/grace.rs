//! IngressClasses that were deleted and are still served by, and until when.

use crate::control::translate::CONTROLLER;
use crate::telemetry::ClassGrace;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The clock of the translator's classes.
#[derive(Debug)]
pub(super) struct Grace {
    length: Duration,
    until: BTreeMap<Arc<str>, Instant>,
}

impl Grace {
    pub(super) fn new(length: Duration) -> Self {
        Self { length, until: BTreeMap::new() }
    }

    /// Takes which ones are gone now.
    pub(super) fn note(&mut self, gone: &BTreeSet<Arc<str>>, told: &ClassGrace, now: Instant) {
        if self.until.keys().eq(gone) {
            return;
        }
        for class in gone.iter().filter(|class| !self.until.contains_key(*class)) {
            let fix = format!("create it again, with spec.controller \"{CONTROLLER}\"");
            let served = self.length;
            tracing::warn!(%class, ?served, fix, "an IngressClass of ravelin was deleted; its \
                Ingresses are still served");
        }
        for class in self.until.keys().filter(|class| !gone.contains(*class)) {
            tracing::warn!(%class, "the grace period of a deleted IngressClass has ended");
        }
        let length = self.length;
        let before = std::mem::take(&mut self.until);
        let until = |class: &Arc<str>| {
            (Arc::clone(class), before.get(class).copied().unwrap_or(now + length))
        };
        self.until = gone.iter().map(until).collect();
        let today = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let unix = |(class, until): (&Arc<str>, &Instant)| {
            (Arc::clone(class), (today + until.duration_since(now)).as_secs())
        };
        told.update(|all| *all = self.until.iter().map(unix).collect());
    }

    /// Those whose time is over.
    pub(super) fn expired(&self, now: Instant) -> Vec<Arc<str>> {
        let over = self.until.iter().filter(|(_, until)| **until <= now);
        over.map(|(class, _)| Arc::clone(class)).collect()
    }
}
