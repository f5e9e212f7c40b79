//! The clock that the state of endpoints goes by: one for all workers, in milliseconds.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// The origin of the clock. Every [`Moment`] is of this process, so any instant of it serves.
static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A point in time, in milliseconds since the first use in this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// The moment of an instant; what was before the first is the first.
    pub fn at(instant: Instant) -> Self {
        Self(millis(instant.saturating_duration_since(*ORIGIN)))
    }

    /// Now. Reads the clock: not for every request.
    pub fn now() -> Self {
        Self::at(Instant::now())
    }

    /// So long after this one.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }

    /// The number.
    pub(super) fn millis(self) -> u64 {
        self.0
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
