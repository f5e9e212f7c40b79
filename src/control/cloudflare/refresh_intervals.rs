//! When the keeper does what: its clock, its intervals and their jitter.

use super::fetch::FetchDeadlines;
use super::life::ClockTimes;
use crate::control::jitter;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// The intervals that are not configurable.
#[derive(Clone, Copy, Debug)]
pub struct RefreshIntervals {
    /// The first attempt happens within this time of the start, at random, so that a thousand nodes that
    /// start together do not fetch together.
    pub first: Duration,
    /// From a failed attempt to the next; doubled with each further failure, up to the configured
    /// `refresh`.
    pub retry: Duration,
    /// Polling interval of a file without events: inotify drops events when its queue is full and has none
    /// for network file systems.
    pub look: Duration,
    /// How long the events of a file have to pause: to save is to truncate, write and close.
    pub quiet: Duration,
    /// For an attempt.
    pub deadlines: FetchDeadlines,
}

impl Default for RefreshIntervals {
    /// 30 s, 1 min, 5 s, 50 ms, and the default deadlines.
    fn default() -> Self {
        Self {
            first: Duration::from_secs(30),
            retry: Duration::from_secs(60),
            look: Duration::from_secs(5),
            quiet: Duration::from_millis(50),
            deadlines: FetchDeadlines::default(),
        }
    }
}

impl RefreshIntervals {
    /// When the first attempt is.
    pub(super) fn before_first(&self) -> Duration {
        self.first.mul_f64(jitter::fraction())
    }

    /// From one attempt to the next, after so many failures in a row.
    pub(super) fn between(&self, refresh: Duration, failures: u32) -> Duration {
        jitter::spread(self.interval(refresh, failures), jitter::fraction())
    }

    fn interval(&self, refresh: Duration, failures: u32) -> Duration {
        let Some(doublings) = failures.checked_sub(1) else { return refresh };
        let factor = 2_u32.saturating_pow(doublings.min(31));
        self.retry.saturating_mul(factor).min(refresh)
    }
}

/// Both clocks of the process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn now(self) -> ClockTimes {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH);
        ClockTimes { monotonic: self.0.elapsed(), unix: unix.map_or(0, |since| since.as_secs()) }
    }

    /// The instant that a moment on the monotonic clock is.
    pub(super) fn instant(self, monotonic: Duration) -> Option<Instant> {
        self.0.checked_add(monotonic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_double_the_interval_up_to_the_configured_one() {
        let (pace, refresh) = (RefreshIntervals::default(), Duration::from_secs(12 * 3600));
        let minutes = |failures| pace.interval(refresh, failures).as_secs() / 60;
        assert_eq!(
            [0, 1, 2, 3, 10, 11, 40, u32::MAX].map(minutes),
            [720, 1, 2, 4, 512, 720, 720, 720]
        );
        assert_eq!(pace.interval(Duration::from_secs(5), 9), Duration::from_secs(5));
    }

    #[test]
    fn jitter_is_a_tenth_either_way() {
        let base = Duration::from_secs(1000);
        assert_eq!([0.0, 0.5, 1.0].map(|r| jitter::spread(base, r).as_secs()), [900, 1000, 1100]);
        assert!(RefreshIntervals::default().before_first() <= RefreshIntervals::default().first);
    }
}
