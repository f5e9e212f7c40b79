//! When the keeper does what: its intervals and their jitter.

use super::fetch::FetchDeadlines;
use crate::control::jitter;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

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
        let pause = match failures {
            0 => refresh,
            _ => jitter::doubled(self.retry, failures, refresh),
        };
        jitter::spread(pause, jitter::fraction())
    }
}

/// Waits until then, or forever.
pub(super) async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_attempt_is_soon_and_failures_bring_the_next_one_on() {
        let (pace, refresh) = (RefreshIntervals::default(), Duration::from_secs(12 * 3600));
        assert!(pace.before_first() <= pace.first);
        for (failures, minutes) in [(0, 720), (1, 1), (2, 2), (11, 720), (u32::MAX, 720)] {
            let (pause, base) =
                (pace.between(refresh, failures), Duration::from_secs(minutes * 60));
            assert!(pause >= base.mul_f64(0.89) && pause <= base.mul_f64(1.11), "{pause:?}");
        }
    }
}
