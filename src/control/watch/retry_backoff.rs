//! How long to wait after a failure.

use crate::control::jitter;
use std::time::Duration;

/// After the first failure: an API server that restarts refuses for a moment.
const FIRST: Duration = Duration::from_millis(250);

/// The most: what was repaired is noticed within two minutes in any case.
const MOST: Duration = Duration::from_secs(30);

/// The most that an API server may ask for by `Retry-After`.
const MOST_ASKED: Duration = Duration::from_secs(60);

/// Waits that double, and differ from node to node.
#[derive(Debug)]
pub(super) struct RetryBackoff {
    first: Duration,
    failures: u32,
}

impl Default for RetryBackoff {
    fn default() -> Self {
        Self::beginning_with(FIRST)
    }
}

impl RetryBackoff {
    /// One whose first wait is another.
    pub(super) fn beginning_with(first: Duration) -> Self {
        Self { first, failures: 0 }
    }

    /// Something has succeeded.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// How long to wait after one more failure, and at least what the API server asks for.
    pub(super) fn next(&mut self, asked: Option<Duration>) -> Duration {
        self.next_within(MOST.max(self.first), asked)
    }

    /// The same, with another bound.
    pub(super) fn next_within(&mut self, most: Duration, asked: Option<Duration>) -> Duration {
        let wait = self.first.saturating_mul(1 << self.failures.min(16)).min(most);
        self.failures = self.failures.saturating_add(1);
        jittered(wait).max(asked.unwrap_or_default().min(MOST_ASKED))
    }
}

/// Three to four quarters of it, by the system's randomness: a thousand nodes that lost the same API
/// server do not come back at one time.
pub(super) fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(0.75 + 0.25 * jitter::fraction())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_begin_anew_after_a_success() {
        let mut pace = RetryBackoff::default();
        let mut before = Duration::ZERO;
        for _ in 0..7 {
            let wait = pace.next(None);
            assert!(wait > before && wait <= MOST, "{wait:?} after {before:?}");
            before = wait;
        }
        assert!((0..100).all(|_| pace.next(None) <= MOST));
        pace.reset();
        assert!(pace.next(None) <= FIRST);
    }

    #[test]
    fn what_the_server_asks_for_is_kept_within_reason() {
        let mut pace = RetryBackoff::default();
        assert_eq!(pace.next(Some(Duration::from_secs(7))), Duration::from_secs(7));
        assert_eq!(pace.next(Some(Duration::from_secs(86_400))), MOST_ASKED);
    }
}
