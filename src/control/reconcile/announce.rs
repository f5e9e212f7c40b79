//! How often the log says that a table is in force: the first, and then at most one line in a while,
//! because a roll-out of 5 000 Ingresses makes as many tables.

use std::time::{Duration, Instant};

/// The least time between two lines.
const PAUSE: Duration = Duration::from_secs(30);

/// Tables that have come into force since the last line.
#[derive(Debug, Default)]
pub(super) struct Announcer {
    last: Option<Instant>,
    tables: u64,
}

impl Announcer {
    /// Counts a table. Returns how many there have been since the last line, if it is time for one.
    pub(super) fn count(&mut self, now: Instant) -> Option<u64> {
        self.tables += 1;
        if self.last.is_some_and(|last| now.duration_since(last) < PAUSE) {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.tables))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_of_tables_is_one_line_in_a_while_and_none_is_left_out_of_the_count() {
        let mut announcer = Announcer::default();
        let start = Instant::now();
        assert_eq!(announcer.count(start), Some(1));
        for n in 1..=5000 {
            assert_eq!(announcer.count(start + Duration::from_millis(n)), None);
        }
        assert_eq!(announcer.count(start + PAUSE), Some(5001));
        assert_eq!(announcer.count(start + PAUSE + PAUSE), Some(1));
    }
}
