//! Durations in buckets.

use super::traces::TraceId;
use crate::net::counters::LocalCounter;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

/// Upper bounds in microseconds, ascending.
#[derive(Clone, Debug)]
pub(super) struct Bounds(Arc<[u64]>);

impl Bounds {
    pub(super) fn new(bounds: &[Duration]) -> Self {
        Self(bounds.iter().copied().map(micros).collect())
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// A histogram with a single writing thread.
#[derive(Debug)]
pub(super) struct Histogram {
    bounds: Bounds,
    /// Not cumulative; the last one is for what is above every bound.
    buckets: Box<[LocalCounter]>,
    sum_us: LocalCounter,
    /// Of each bucket the last request that was traced; none until one was. Locked for those requests alone.
    exemplars: OnceLock<Box<Mutex<Exemplars>>>,
}

/// By bucket.
type Exemplars = Box<[Option<Exemplar>]>;

/// A request that was traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exemplar {
    pub(super) trace_id: TraceId,
    pub(super) duration: Duration,
    pub(super) at: SystemTime,
}

impl Histogram {
    pub(super) fn new(bounds: &Bounds) -> Self {
        let buckets = (0..=bounds.0.len()).map(|_| LocalCounter::default()).collect();
        Self {
            bounds: bounds.clone(),
            buckets,
            sum_us: LocalCounter::default(),
            exemplars: OnceLock::new(),
        }
    }

    /// Counts one duration. Only the owning thread may call this.
    pub(super) fn record(&self, duration: Duration) {
        let us = micros(duration);
        if let Some(bucket) = self.buckets.get(self.bucket(us)) {
            bucket.add(1);
        }
        self.sum_us.add(us);
    }

    fn bucket(&self, us: u64) -> usize {
        let above = || self.bounds.0.len();
        self.bounds.0.iter().position(|&bound| us <= bound).unwrap_or_else(above)
    }

    /// Keeps a request that was traced as the exemplar of its bucket.
    #[cold]
    pub(super) fn exemplify(&self, duration: Duration, trace_id: TraceId) {
        let none = || Box::new(Mutex::new(vec![None; self.buckets.len()].into()));
        let exemplars = self.exemplars.get_or_init(none);
        let mut exemplars = exemplars.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = exemplars.get_mut(self.bucket(micros(duration))) {
            *place = Some(Exemplar { trace_id, duration, at: SystemTime::now() });
        }
    }
}

/// The sum of several histograms with the same bounds.
#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    /// Upper bound in seconds, and count of that bucket alone: as the encoder wants them.
    buckets: Vec<(f64, u64)>,
    sum_us: u64,
    /// By bucket; empty without any.
    exemplars: Vec<Option<Exemplar>>,
}

impl Totals {
    #[expect(clippy::cast_precision_loss, reason = "bounds are below a day: 2^37 microseconds")]
    pub(super) fn add(&mut self, histogram: &Histogram) {
        if self.buckets.is_empty() {
            let bounds = histogram.bounds.0.iter().map(|bound| *bound as f64 / 1e6);
            self.buckets = bounds.chain([f64::INFINITY]).map(|bound| (bound, 0)).collect();
        }
        for ((_, total), bucket) in self.buckets.iter_mut().zip(&histogram.buckets) {
            *total += bucket.total();
        }
        self.sum_us += histogram.sum_us.total();
        let Some(exemplars) = histogram.exemplars.get() else { return };
        self.exemplars.resize(self.buckets.len(), None);
        let exemplars = exemplars.lock().unwrap_or_else(PoisonError::into_inner);
        for (newest, own) in self.exemplars.iter_mut().zip(&*exemplars) {
            let is_newer = |one: &Exemplar| newest.is_none_or(|newest| newest.at < one.at);
            if let Some(own) = own.filter(is_newer) {
                *newest = Some(own);
            }
        }
    }

    /// The exemplar of a bucket.
    pub(super) fn exemplar(&self, bucket: usize) -> Option<&Exemplar> {
        self.exemplars.get(bucket)?.as_ref()
    }

    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }

    #[expect(clippy::cast_precision_loss, reason = "a sum of seconds needs no more precision")]
    pub(super) fn sum_seconds(&self) -> f64 {
        self.sum_us as f64 / 1e6
    }

    pub(super) fn bounded(&self) -> &[(f64, u64)] {
        &self.buckets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_lands_in_the_first_bucket_that_holds_it() {
        let bounds = Bounds::new(&[1_000, 2_500, 60_000_000].map(Duration::from_micros));
        let histogram = Histogram::new(&bounds);
        for us in [0, 1_000, 1_001, 60_000_000, 60_000_001] {
            histogram.record(Duration::from_micros(us));
        }
        let mut totals = Totals::default();
        totals.add(&histogram);
        assert_eq!(totals.bounded(), [(0.001, 2), (0.0025, 1), (60.0, 1), (f64::INFINITY, 1)]);
        assert_eq!(totals.count(), 5);
    }
}
