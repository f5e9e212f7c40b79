//! One event as one line of JSON.
//!
//! What a client, a pod, an API server or a library says can be in any field: each has a bound, and so
//! has the line. Formatting stops at the bound, so that a long value is never made.

use crate::telemetry::json;
use jiff::Timestamp;
use std::fmt::{self, Write};
use tracing::field::{Field, Visit};
use tracing::{Level, Metadata};

/// A field as it is written: the longest finding that is worth reading.
pub(super) const FIELD_BYTES: usize = 4096;

/// All fields together. What does not fit is left out.
const FIELDS_BYTES: usize = 16 * 1024;

/// A line in the making: `{"timestamp":...,"level":...,` and then field by field.
pub(super) struct Line {
    out: Vec<u8>,
    /// Names of fields that were cut or left out.
    truncated: Vec<&'static str>,
}

impl Line {
    pub(super) fn begin(of: &Metadata<'_>) -> Self {
        let level = match *of.level() {
            Level::ERROR => "ERROR",
            Level::WARN => "WARN",
            Level::INFO => "INFO",
            Level::DEBUG => "DEBUG",
            Level::TRACE => "TRACE",
        };
        let head = format!("{{\"timestamp\":\"{:.6}\",\"level\":\"{level}\"", Timestamp::now());
        Self { out: head.into_bytes(), truncated: Vec::new() }
    }

    /// The line, and whether something is missing in it.
    pub(super) fn end(mut self, of: &Metadata<'_>) -> (Vec<u8>, bool) {
        self.name("target");
        self.quoted(|text| text.write_str(of.target()));
        let truncated = std::mem::take(&mut self.truncated);
        if !truncated.is_empty() {
            // Names of ours, at most 32 of them.
            self.name("truncated");
            self.quoted(|text| text.write_str(&truncated.join(" ")));
        }
        self.out.extend_from_slice(b"}\n");
        (self.out, !truncated.is_empty())
    }

    fn name(&mut self, name: &str) {
        self.out.extend_from_slice(b",\"");
        json::write_text(&mut self.out, name.as_bytes(), FIELD_BYTES);
        self.out.extend_from_slice(b"\":");
    }

    /// Writes a string; returns whether it was cut.
    fn quoted(&mut self, write: impl FnOnce(&mut Text<'_>) -> fmt::Result) -> bool {
        self.out.push(b'"');
        let left = FIELD_BYTES;
        let mut text = Text { out: &mut self.out, left, cut: false };
        // Fails only at the bound.
        let _ = write(&mut text);
        let cut = text.cut;
        self.out.push(b'"');
        cut
    }

    fn text(&mut self, field: &Field, write: impl FnOnce(&mut Text<'_>) -> fmt::Result) {
        if self.out.len() >= FIELDS_BYTES {
            self.truncated.push(field.name());
            return;
        }
        self.name(field.name());
        if self.quoted(write) {
            self.truncated.push(field.name());
        }
    }

    fn plain(&mut self, field: &Field, value: impl fmt::Display) {
        if self.out.len() >= FIELDS_BYTES {
            self.truncated.push(field.name());
            return;
        }
        self.name(field.name());
        self.out.extend_from_slice(value.to_string().as_bytes());
    }
}

impl Visit for Line {
    fn record_f64(&mut self, field: &Field, value: f64) {
        match value.is_finite() {
            true => self.plain(field, value),
            false => self.plain(field, "null"),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, |text| text.write_str(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, |text| write!(text, "{value:?}"));
    }
}

/// The inside of a string, up to its bound.
struct Text<'l> {
    out: &'l mut Vec<u8>,
    left: usize,
    cut: bool,
}

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.cut {
            return Err(fmt::Error);
        }
        let before = self.out.len();
        self.cut = json::write_text(self.out, text.as_bytes(), self.left);
        self.left -= self.out.len() - before;
        if self.cut { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tracing::{Event, Subscriber};
    use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

    struct Last(Arc<Mutex<Vec<u8>>>);

    impl<S: Subscriber> Layer<S> for Last {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut line = Line::begin(event.metadata());
            event.record(&mut line);
            *self.0.lock().expect("not poisoned") = line.end(event.metadata()).0;
        }
    }

    fn line(log: impl FnOnce()) -> (serde_json::Value, usize) {
        let last = Arc::default();
        let subscriber = tracing_subscriber::registry().with(Last(Arc::clone(&last)));
        tracing::subscriber::with_default(subscriber, log);
        let bytes = last.lock().expect("not poisoned").clone();
        (serde_json::from_slice(&bytes).expect("JSON"), bytes.len())
    }

    #[test]
    fn an_event_is_a_line_of_json_with_its_fields() {
        let (value, _) = line(|| {
            let error = std::io::Error::other("a \"quoted\"\nline");
            tracing::warn!(%error, n = 7_u64, below = -1_i64, ratio = 0.5, ok = true, "not served");
        });
        let expected = serde_json::json!({
            "timestamp": value["timestamp"],
            "level": "WARN",
            "message": "not served",
            "error": "a \"quoted\"\nline",
            "n": 7,
            "below": -1,
            "ratio": 0.5,
            "ok": true,
            "target": "ravelin::telemetry::log::line::tests",
        });
        assert_eq!(value, expected);
        let time = value["timestamp"].as_str().expect("text");
        assert!(time.parse::<Timestamp>().is_ok() && time.ends_with('Z'), "{time}");
    }

    #[test]
    fn what_others_say_is_cut_and_named() {
        let long = "\u{1}".repeat(100_000);
        let (value, bytes) = line(|| tracing::warn!(a = 1, error = %long, "m"));
        assert_eq!(value["truncated"], "error");
        assert!(bytes < FIELD_BYTES + 512, "{bytes}");
        let (value, bytes) = line(|| {
            tracing::warn!(a = ?long, b = ?long, c = ?long, d = ?long, e = ?long, f = ?long, "m");
        });
        assert_eq!(value["truncated"], "a b c d e f");
        assert!(bytes < FIELDS_BYTES + FIELD_BYTES + 512, "{bytes}");
        assert!(value.get("f").is_none());
    }
}
