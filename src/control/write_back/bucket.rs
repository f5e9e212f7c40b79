//! Token buckets: how many writes at once, and how many in the long run.

use std::time::{Duration, Instant};

/// A bound on a rate.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// How many at once.
    pub burst: u32,
    /// The time in which one more is granted.
    pub every: Duration,
}

/// What is left of a [`Rate`]. Time is handed in.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    rate: Rate,
    /// Tokens at the time `at`.
    tokens: f64,
    at: Instant,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn new(rate: Rate, now: Instant) -> Self {
        Self { rate, tokens: f64::from(rate.burst.max(1)), at: now }
    }

    /// When the next token is there: `now`, or later.
    pub(super) fn ready(&self, now: Instant) -> Instant {
        let missing = 1.0 - self.tokens(now);
        // A nanosecond more, so that rounding never leaves a token a hair short of whole.
        if missing <= 0.0 {
            now
        } else {
            now + self.rate.every.mul_f64(missing) + Duration::from_nanos(1)
        }
    }

    /// Takes a token. The caller has seen that one is ready.
    pub(super) fn take(&mut self, now: Instant) {
        self.tokens = (self.tokens(now) - 1.0).max(0.0);
        self.at = now;
    }

    /// Whether it is as good as a new one.
    pub(super) fn is_full(&self, now: Instant) -> bool {
        self.tokens(now) >= f64::from(self.rate.burst.max(1))
    }

    fn tokens(&self, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        let every = self.rate.every.as_secs_f64().max(1e-9);
        (self.tokens + passed / every).min(f64::from(self.rate.burst.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RATE: Rate = Rate { burst: 3, every: Duration::from_millis(100) };

    #[test]
    fn a_burst_goes_at_once_and_then_one_at_an_interval() {
        let start = Instant::now();
        let mut bucket = Bucket::new(RATE, start);
        for _ in 0..3 {
            assert_eq!(bucket.ready(start), start);
            bucket.take(start);
        }
        let next = bucket.ready(start);
        assert_eq!(next, start + RATE.every + Duration::from_nanos(1));
        assert_eq!(bucket.ready(next), next);
        bucket.take(next);
        assert!(bucket.ready(next) > next);
        assert!(!bucket.is_full(next));
        assert!(bucket.is_full(next + RATE.every * 4));
    }

    proptest! {
        #[test]
        fn no_more_than_the_burst_and_the_rate_are_granted(
            steps in prop::collection::vec(0u64..250, 1..200),
        ) {
            let start = Instant::now();
            let mut bucket = Bucket::new(RATE, start);
            let (mut now, mut granted) = (start, 0u32);
            for step in steps {
                now += Duration::from_millis(step);
                if bucket.ready(now) <= now {
                    bucket.take(now);
                    granted += 1;
                }
                let passed = (now - start).as_secs_f64() / RATE.every.as_secs_f64();
                prop_assert!(f64::from(granted) <= 3.0 + passed + 1e-6);
            }
        }
    }
}
