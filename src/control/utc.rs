//! Times in the files that outlive the process: RFC 3339 in UTC, to the second.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// Seconds since the Unix epoch, written as RFC 3339 does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Utc(pub u64);

impl TryFrom<String> for Utc {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let time: Timestamp = text.parse().map_err(|_| "not a time as in RFC 3339")?;
        u64::try_from(time.as_second()).map(Self).map_err(|_| "a time before 1970")
    }
}

impl From<Utc> for String {
    fn from(time: Utc) -> Self {
        when(time.0)
    }
}

/// Seconds since the Unix epoch as RFC 3339 has them, in UTC.
pub(super) fn when(unix: u64) -> String {
    let seconds = i64::try_from(unix).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX).to_string()
}

/// Seconds since the Unix epoch, from the system clock.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
