//! What is known of the last good state of the cluster on disk: whether it is what is served, and
//! how its writes went. Written by its keeper, read by the scrape and by `/readyz`.

use super::locked::Locked;

/// The state. Times are seconds since the Unix epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastGoodCells {
    /// Whether the state is stored at all.
    pub kept: bool,
    /// While the last-good state is served: when the API server last confirmed it.
    pub restored: Option<u64>,
    /// When it was last written by this process.
    pub written: Option<u64>,
    /// Why the last write failed, until one succeeds.
    pub failing: Option<String>,
    /// Writes that failed.
    pub failures: u64,
}

impl LastGoodCells {
    /// Records a write.
    pub fn succeed(&mut self, unix: u64) {
        self.written = Some(unix);
        self.failing = None;
    }

    /// Counts a write that failed.
    pub fn fail(&mut self, why: &str) {
        self.failing = Some(why.to_owned());
        self.failures += 1;
    }
}

/// [`LastGoodCells`], shared.
pub type LastGoodMetrics = Locked<LastGoodCells>;

/// How old something of the time `then` is, for readers: `3 h 5 min`. Both are seconds since the
/// Unix epoch; a time to come is 0 s old.
pub fn age(then: u64, now: u64) -> String {
    let seconds = now.saturating_sub(then);
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_its_two_largest_units() {
        for (seconds, words) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3599, "59 min"),
            (3600, "1 h 0 min"),
            (11_100, "3 h 5 min"),
            (86_400, "1 d 0 h"),
            (273_600, "3 d 4 h"),
        ] {
            assert_eq!(age(1000, 1000 + seconds), words);
        }
        assert_eq!(age(1000, 10), "0 s", "clocks go back");
    }

    #[test]
    fn a_failure_is_counted_for_ever_and_told_until_a_success() {
        let metrics = LastGoodMetrics::default();
        metrics.update(|cells| cells.fail("no room"));
        assert_eq!(metrics.read().failing.as_deref(), Some("no room"));
        metrics.update(|cells| cells.succeed(7));
        let cells = metrics.read();
        assert_eq!((cells.failing, cells.failures, cells.written), (None, 1, Some(7)));
    }
}
