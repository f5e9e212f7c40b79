//! A JSON object on its way, with bounds on what is written.

use super::custom::{HEADER_BYTES, REDACTED};
use crate::telemetry::json;
use crate::telemetry::kept_fields::KeptField;
use std::io::Write;
use std::time::Duration;

/// Appends members to an object. Keys need no escapes: they are ours, or names of fields (RFC 9110 section 5.1).
pub(super) struct Object<'o> {
    out: &'o mut Vec<u8>,
    is_first: bool,
    /// Whether a value was cut.
    pub(super) cut: bool,
}

impl<'o> Object<'o> {
    /// Opens one.
    pub(super) fn open(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, is_first: true, cut: false }
    }

    /// Goes on with one that has members.
    pub(super) fn go_on(out: &'o mut Vec<u8>) -> Self {
        Self { out, is_first: false, cut: false }
    }

    fn key(&mut self, prefix: &str, key: &str) {
        if !std::mem::replace(&mut self.is_first, false) {
            self.out.push(b',');
        }
        for part in ["\"", prefix, key, "\":"] {
            self.out.extend_from_slice(part.as_bytes());
        }
    }

    /// Opens an object within.
    pub(super) fn begin(&mut self, key: &str) {
        self.key("", key);
        self.out.push(b'{');
        self.is_first = true;
    }

    /// Closes it.
    pub(super) fn end(&mut self) {
        self.out.push(b'}');
        self.is_first = false;
    }

    /// A text of at most so many bytes.
    pub(super) fn text(&mut self, key: &str, value: &[u8], most: usize) {
        self.key("", key);
        self.string(value, most);
    }

    /// The same with a key of two parts.
    pub(super) fn prefixed(&mut self, prefix: &str, key: &str, value: &[u8], most: usize) {
        self.key(prefix, key);
        self.string(value, most);
    }

    fn string(&mut self, value: &[u8], most: usize) {
        self.out.push(b'"');
        self.cut |= json::write_text(self.out, value, most);
        self.out.push(b'"');
    }

    /// A whole number.
    pub(super) fn number(&mut self, key: &str, value: u64) {
        self.key("", key);
        self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    /// A duration in seconds, to the microsecond.
    pub(super) fn seconds(&mut self, key: &str, value: Duration) {
        self.key("", key);
        // A `Vec` takes everything.
        let _ = write!(self.out, "{}.{:06}", value.as_secs(), value.subsec_micros());
    }

    /// True or false.
    pub(super) fn flag(&mut self, key: &str, value: bool) {
        self.key("", key);
        self.out.extend_from_slice(if value { b"true".as_slice() } else { b"false" });
    }

    /// What writes itself, which needs no escapes.
    pub(super) fn shown(&mut self, key: &str, value: impl std::fmt::Display) {
        self.key("", key);
        let _ = write!(self.out, "\"{value}\"");
    }

    /// A text that is written by `write`, which appends nothing that JSON escapes.
    pub(super) fn written(&mut self, key: &str, write: impl FnOnce(&mut Vec<u8>)) {
        self.key("", key);
        self.out.push(b'"');
        write(self.out);
        self.out.push(b'"');
    }

    /// The values of a field with commas in between.
    pub(super) fn joined(&mut self, key: &str, field: &KeptField) {
        self.joined_as("", key, field, b", ");
    }

    /// The same with a key of two parts, and another separator.
    pub(super) fn joined_as(&mut self, prefix: &str, key: &str, field: &KeptField, comma: &[u8]) {
        let value = join(field, comma);
        self.prefixed(prefix, key, &value, HEADER_BYTES);
    }

    /// The values of a field as a list.
    pub(super) fn listed(&mut self, prefix: &str, key: &str, field: &KeptField) {
        self.key(prefix, key);
        self.out.push(b'[');
        let mut left = HEADER_BYTES;
        let redacted = field.values.is_empty().then_some(REDACTED.as_bytes());
        let values = field.values.iter().map(http::HeaderValue::as_bytes);
        for (number, value) in values.chain(redacted).enumerate() {
            if number > 0 {
                self.out.push(b',');
            }
            let start = self.out.len();
            self.string(value, left);
            left = left.saturating_sub(self.out.len() - start);
        }
        self.out.push(b']');
    }

    /// Closes it, and the line.
    pub(super) fn close(self) -> bool {
        self.out.extend_from_slice(b"}\n");
        self.cut
    }
}

/// The values of a field in one.
pub(super) fn join(field: &KeptField, comma: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    if field.values.is_empty() {
        all.extend_from_slice(REDACTED.as_bytes());
    }
    for (number, value) in field.values.iter().enumerate() {
        if number > 0 {
            all.extend_from_slice(comma);
        }
        all.extend_from_slice(value.as_bytes());
    }
    all
}
