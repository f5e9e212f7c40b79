//! Durations in fixed buckets.

use super::cells::Count;
use std::time::Duration;

/// Upper bounds in seconds. From 1 ms, below which a request behind Cloudflare is as good as
/// instant, to 60 s, above which it has timed out somewhere; about two a decade at the ends, three
/// where service objectives are usually set.
pub const BUCKETS: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

const BOUNDS_US: [u64; BUCKETS.len()] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000, 60_000_000,
];

/// A histogram with a single writing thread.
#[derive(Debug, Default)]
pub struct Histogram {
    /// Not cumulative; the last one is for what is above every bound.
    buckets: [Count; BUCKETS.len() + 1],
    sum_us: Count,
}

impl Histogram {
    /// Counts one duration. Only the owning thread may call this.
    pub fn record(&self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_US.iter().position(|&bound| us <= bound).unwrap_or(BUCKETS.len());
        self.buckets[bucket].add(1);
        self.sum_us.add(us);
    }
}

/// The sum of several histograms.
#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    pub(super) buckets: [u64; BUCKETS.len() + 1],
    sum_us: u64,
}

impl Totals {
    pub(super) fn add(&mut self, histogram: &Histogram) {
        for (total, bucket) in self.buckets.iter_mut().zip(&histogram.buckets) {
            *total += bucket.total();
        }
        self.sum_us += histogram.sum_us.total();
    }

    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    #[expect(clippy::cast_precision_loss, reason = "a sum of seconds needs no more precision")]
    pub(super) fn sum_seconds(&self) -> f64 {
        self.sum_us as f64 / 1e6
    }

    /// As the encoder wants them: upper bound and count of that bucket alone.
    pub(super) fn bounded(&self) -> Vec<(f64, u64)> {
        let bounds = BUCKETS.into_iter().chain([f64::INFINITY]);
        bounds.zip(self.buckets).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_lands_in_the_first_bucket_that_holds_it() {
        let histogram = Histogram::default();
        for us in [0, 1_000, 1_001, 60_000_000, 60_000_001] {
            histogram.record(Duration::from_micros(us));
        }
        let mut totals = Totals::default();
        totals.add(&histogram);
        assert_eq!((totals.buckets[0], totals.buckets[1]), (2, 1));
        assert_eq!((totals.buckets[14], totals.buckets[15]), (1, 1));
        assert_eq!(totals.count(), 5);
        for (bound, us) in BUCKETS.into_iter().zip(BOUNDS_US) {
            assert!((bound * 1e6 - us as f64).abs() < 0.5);
        }
    }
}
