//! The generic cell rate algorithm (ITU-T I.371 annex A): a token bucket that is one number.
//!
//! The number is the time at which the bucket is full again. A request moves it by the interval between two
//! requests, and passes if it is no further ahead than all the tokens of the bucket.

use crate::model::middleware::RateLimit;
use std::time::Duration;

/// How long Traefik waits at most for a token, where half an interval is longer.
const MOST_GRACE: Duration = Duration::from_millis(500);

/// A rate, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    /// From one token to the next; at least 1.
    interval: u64,
    /// How far ahead a bucket may be before a request finds no token.
    tolerance: u64,
    /// How early a request may come before its token. Traefik has it wait for so long and then pass: what passes
    /// is the same, and no request is held for it.
    grace: u64,
}

impl Rate {
    /// That of a middleware.
    pub(super) fn of(limit: &RateLimit) -> Self {
        let interval = nanoseconds(limit.period) / u64::from(limit.average.get());
        let rate = Self::every(Duration::from_nanos(interval), u64::from(limit.burst.get()));
        Self { grace: (rate.interval / 2).min(nanoseconds(MOST_GRACE)), ..rate }
    }

    /// A token each `interval`, and `burst` of them at once.
    pub(super) fn every(interval: Duration, burst: u64) -> Self {
        let interval = nanoseconds(interval).max(1);
        let tolerance = interval.saturating_mul(burst.saturating_sub(1));
        Self { interval, tolerance, grace: 0 }
    }

    /// Takes a token from a bucket that is full at `full`, and returns when it is full then. A refused request
    /// takes none.
    ///
    /// # Errors
    /// If there is none: how long it is until there is one.
    pub(super) fn take(self, full: u64, now: u64) -> Result<u64, Duration> {
        let wait = full.saturating_sub(now).saturating_sub(self.tolerance);
        if wait > self.grace {
            return Err(Duration::from_nanos(wait));
        }
        Ok(self.charge(full, now))
    }

    /// Interval, tolerance and grace in microseconds, for a store; the interval is at least 1.
    pub(super) fn in_microseconds(self) -> [u64; 3] {
        [(self.interval / 1000).max(1), self.tolerance / 1000, self.grace / 1000]
    }

    /// Takes a token whether there is one or not.
    pub(super) fn charge(self, full: u64, now: u64) -> u64 {
        full.max(now).saturating_add(self.interval)
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::middleware::LimitKey;
    use http::StatusCode;
    use proptest::prelude::*;
    use std::num::NonZeroU32;

    pub(in crate::proxy) fn mk_limit(average: u32, period: Duration, burst: u32) -> RateLimit {
        let positive = |number| NonZeroU32::new(number).expect("more than zero");
        RateLimit {
            average: positive(average),
            period,
            burst: positive(burst),
            key: LimitKey::Route,
            except: Vec::new(),
            status: StatusCode::TOO_MANY_REQUESTS,
            shared: None,
        }
    }

    fn mk_rate(average: u32, burst: u32) -> Rate {
        Rate::of(&mk_limit(average, Duration::from_secs(1), burst))
    }

    #[test]
    fn a_burst_passes_at_once_and_then_one_for_each_token() {
        let rate = mk_rate(10, 3);
        let second = 1_000_000_000;
        let mut full = 0;
        for _ in 0..3 {
            full = rate.take(full, second).expect("a token");
        }
        assert_eq!(rate.take(full, second), Err(Duration::from_millis(100)));
        let later = second + 40_000_000;
        assert_eq!(rate.take(full, later), Err(Duration::from_millis(60)));
        let early = rate.take(full, second + 50_000_000).expect("half an interval early");
        assert_eq!(early, second + 400_000_000);
    }

    #[test]
    fn the_grace_of_slow_rates_is_half_a_second() {
        let rate = Rate::of(&mk_limit(1, Duration::from_secs(3600), 1));
        let full = rate.take(0, 0).expect("a token");
        assert_eq!(rate.take(full, 0), Err(Duration::from_secs(3600)));
        let almost = 3_599_400_000_000;
        assert!(rate.take(full, almost).is_err());
        assert!(rate.take(full, almost + 100_000_000).is_ok());
    }

    #[test]
    fn extreme_rates_neither_overflow_nor_stop() {
        for (average, period, burst) in
            [(u32::MAX, 1, u32::MAX), (1, u64::MAX, u32::MAX), (1, u64::MAX, 1)]
        {
            let rate = Rate::of(&mk_limit(average, Duration::from_secs(period), burst));
            let full = rate.take(0, u64::MAX - 1).expect("a token");
            assert!(full >= u64::MAX - 1);
        }
    }

    proptest! {
        /// Never more than the burst, the rate times the time, and one that came early.
        #[test]
        fn in_any_time_no_more_pass_than_the_rate_allows(
            average in 1_u32..1000, burst in 1_u32..50, gaps in prop::collection::vec(0_u64..20_000_000, 1..300),
        ) {
            let rate = mk_rate(average, burst);
            let (mut now, mut full, mut passed) = (1_000_000_000_u64, 0, Vec::new());
            for gap in gaps {
                now += gap;
                if let Ok(next) = rate.take(full, now) {
                    full = next;
                    passed.push(now);
                }
            }
            for first in 0..passed.len() {
                for last in first..passed.len() {
                    let time = passed[last] - passed[first];
                    let most = u64::from(burst) + 1 + time / rate.interval + 1;
                    prop_assert!((last - first + 1) as u64 <= most);
                }
            }
        }
    }
}
