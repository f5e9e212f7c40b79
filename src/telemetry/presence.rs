//! Whether the route of a series is still there, and whether scrapes see the series.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// The state of one series.
#[derive(Debug, Default)]
pub(super) struct Presence {
    /// When the control thread found the route gone, in seconds since the Unix epoch; 0 while it
    /// is there.
    gone_since: AtomicU64,
    /// A scrape does not see it any more.
    unlisted: AtomicBool,
}

impl Presence {
    pub(super) fn mark(&self, present: bool, now: u64) {
        let since = self.gone_since.load(Relaxed);
        if present != (since == 0) {
            self.gone_since.store(if present { 0 } else { now.max(1) }, Relaxed);
        }
    }

    /// Notes whether scrapes see it.
    pub(super) fn list(&self, listed: bool) {
        self.unlisted.store(!listed, Relaxed);
    }

    /// Whether scrapes see it.
    pub(super) fn is_listed(&self) -> bool {
        !self.unlisted.load(Relaxed)
    }

    pub(super) fn gone_for(&self, now: u64) -> Option<u64> {
        let since = self.gone_since.load(Relaxed);
        (since != 0).then(|| now.saturating_sub(since))
    }
}
