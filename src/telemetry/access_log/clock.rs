//! The time of lines.

use std::time::{Duration, Instant, SystemTime};

/// Time as text. The part down to the second is formatted once a second, and the wall clock is
/// read as often: in between, time goes by the monotonic clock, which is read for every request
/// anyway.
#[derive(Debug, Default)]
pub(super) struct ClockText {
    /// The wall clock at one moment.
    anchor: Option<(Instant, Duration)>,
    second: u64,
    text: String,
}

impl ClockText {
    /// Sets the clock. Lines then have times since `now`, which is `wall` since the Unix epoch.
    pub(super) fn set(&mut self, now: Instant, wall: Duration) {
        self.anchor = Some((now, wall));
        self.second = wall.as_secs();
        // A clock past the year 9999 is written as the epoch.
        let second = i64::try_from(self.second).unwrap_or_default();
        let stamp = jiff::Timestamp::from_second(second).unwrap_or_default();
        self.text = stamp.to_string();
        self.text.pop();
    }

    pub(super) fn write(&mut self, time: Instant, out: &mut Vec<u8>) {
        let since = self.wall(time);
        out.extend_from_slice(self.text.as_bytes());
        let millis = since.subsec_millis();
        let digit = |place: u32| b'0' + u8::try_from(millis / place % 10).unwrap_or_default();
        out.extend_from_slice(&[b'.', digit(100), digit(10), digit(1), b'Z']);
    }

    /// The time since the Unix epoch at this moment.
    #[inline(always)]
    pub(super) fn wall(&mut self, time: Instant) -> Duration {
        let wall = |(at, wall): (Instant, Duration)| wall + time.saturating_duration_since(at);
        let mut since = self.anchor.map(wall).unwrap_or_default();
        if self.anchor.is_none() || since.as_secs() != self.second {
            since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            self.set(time, since);
        }
        since
    }
}

/// A moment that a clock can show; the epoch for one past the year 9999.
pub(super) fn moment(since_epoch: Duration) -> jiff::Timestamp {
    jiff::SignedDuration::try_from(since_epoch)
        .ok()
        .and_then(|since| jiff::Timestamp::from_duration(since).ok())
        .unwrap_or_default()
}
