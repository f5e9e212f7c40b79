//! Counters and gauges that one thread writes and every thread may read.
//!
//! Each has one writer, so that counting is a load and a store of a line in that core's cache: no locked
//! instruction, no line that travels between cores.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// A counter with a single writing thread.
#[derive(Debug, Default)]
pub struct LocalCounter(AtomicU64);

impl LocalCounter {
    /// Adds `n`. Only the owning thread may call this.
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// The count so far, from any thread.
    pub fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A gauge of values that live in the thread that writes it: each lowers it again on drop, even if a task
/// is cancelled or panics.
#[derive(Debug, Default)]
pub struct ScopedGauge(LocalGauge);

impl ScopedGauge {
    /// Adds one while the returned value lives. Only the owning thread may call this.
    pub fn raise(&self) -> GaugeGuard<'_> {
        self.0.shift(1);
        GaugeGuard(self)
    }

    /// The level now, from any thread.
    pub fn now(&self) -> i64 {
        self.0.now()
    }
}

/// A gauge with a single writing thread, set as a whole.
#[derive(Debug, Default)]
pub struct LocalGauge(AtomicI64);

impl LocalGauge {
    /// Moves by `n`. Only the owning thread may call this.
    pub fn shift(&self, n: i64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// How much there is now, from any thread.
    pub fn now(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One unit of a [`ScopedGauge`].
#[derive(Debug)]
pub struct GaugeGuard<'l>(&'l ScopedGauge);

impl Drop for GaugeGuard<'_> {
    fn drop(&mut self) {
        self.0.0.shift(-1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn a_level_is_lowered_by_whatever_ends_what_it_counts() {
        let level = ScopedGauge::default();
        let open = level.raise();
        let cut = async {
            let _open = level.raise();
            std::future::pending::<()>().await;
        };
        let mut cut = Box::pin(cut);
        let waker = std::task::Waker::noop();
        assert!(cut.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
        let panics = || {
            let _open = level.raise();
            assert_eq!(level.now(), 3);
            std::panic::resume_unwind(Box::new(()));
        };
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
        assert_eq!(level.now(), 2);
        drop(cut);
        drop(open);
        assert_eq!(level.now(), 0);
    }
}
