//! Traefik's text: the Common Log Format, and the number of the request, router, URL of the pod and milliseconds.

use super::clock::moment;
use super::custom::{Custom, HEADER_BYTES, Out, named};
use super::details::More;
use super::line::Line;
use super::object::join;
use super::traefik::{TARGET_BYTES, of_route, target, url, write_router};
use crate::telemetry::kept_fields::KeptField;
use std::io::Write;
use std::time::Duration;

const NAME_BYTES: usize = 512;

/// The date of lines, formatted once a second.
#[derive(Debug, Default)]
pub(super) struct ClfClock {
    second: Option<u64>,
    text: String,
}

impl ClfClock {
    fn at(&mut self, since_epoch: Duration) -> &str {
        let second = since_epoch.as_secs();
        if self.second != Some(second) {
            let date = moment(Duration::from_secs(second));
            self.text = date.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string();
            self.second = Some(second);
        }
        &self.text
    }
}

/// Appends the line; returns whether a field was cut.
pub(super) fn write(custom: &Custom, line: &Line<'_>, more: &More<'_>, out: &mut Out<'_>) -> bool {
    let started = out.clock.wall(line.time).saturating_sub(line.duration);
    let mut text = Text { out: out.bytes, cut: false };
    text.word(line.client);
    text.out.extend_from_slice(b" - ");
    text.word(line.user.unwrap_or_default());
    // A `Vec` takes everything.
    let _ = write!(text.out, " [{}] \"", out.clf.borrow_mut().at(started));
    text.word(line.method.as_bytes());
    text.out.push(b' ');
    match target(custom, line, more) {
        none if none.is_empty() => text.out.push(b'-'),
        target => text.escaped(&target, TARGET_BYTES, b""),
    }
    text.out.push(b' ');
    text.word(line.protocol.as_bytes());
    let _ = write!(text.out, "\" {} {} ", line.status, line.bytes_out);
    for name in ["referer", "user-agent"] {
        let fields = more.details.map(|details| &*details.request).unwrap_or_default();
        let mut fields = named(&custom.request, fields);
        let field = fields.find(|(logged, _)| logged.name == name).map(|(_, field)| field);
        text.quoted(field);
    }
    let _ = write!(text.out, "{} \"", custom.next());
    let route = of_route(more);
    match route {
        Some((details, labels)) => write_router(details, labels, text.out),
        None => text.out.push(b'-'),
    }
    text.out.extend_from_slice(b"\" \"");
    match route.zip(line.endpoint) {
        Some(((details, _), endpoint)) => {
            let url = url(details, endpoint);
            // CrowdSec takes no digit in the scheme of a URL.
            let url = url.strip_prefix("h2c:").map_or(url.clone(), |rest| format!("http:{rest}"));
            text.word(url.as_bytes());
        }
        None => text.out.push(b'-'),
    }
    let _ = writeln!(text.out, "\" {}ms", line.duration.as_millis());
    text.cut
}

struct Text<'o> {
    out: &'o mut Vec<u8>,
    cut: bool,
}

impl Text<'_> {
    /// A word, in which a space would end it; a hyphen for none.
    fn word(&mut self, value: &[u8]) {
        match value {
            b"" => self.out.push(b'-'),
            value => self.escaped(value, NAME_BYTES, b" "),
        }
    }

    /// A field in quotation marks, and a space.
    fn quoted(&mut self, field: Option<&KeptField>) {
        self.out.push(b'"');
        match field.map(|field| join(field, b",")).filter(|value| !value.is_empty()) {
            Some(value) => self.escaped(&value, HEADER_BYTES, b""),
            None => self.out.push(b'-'),
        }
        self.out.extend_from_slice(b"\" ");
    }

    /// At most so many bytes. What would end the line or the field is written as nginx writes it, `\x22`: Traefik
    /// writes `\"`, at which the parsers of its lines give up.
    fn escaped(&mut self, value: &[u8], most: usize, others: &[u8]) {
        const HEX: &[u8; 16] = b"0123456789ABCDEF";
        let end = self.out.len() + most;
        for &byte in value {
            let is_plain = matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
            let bytes = if is_plain && !others.contains(&byte) { 1 } else { 4 };
            if self.out.len() + bytes > end {
                self.cut = true;
                return;
            }
            if bytes == 1 {
                self.out.push(byte);
            } else {
                let [high, low] = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                self.out.extend_from_slice(&[b'\\', b'x', high, low]);
            }
        }
    }
}
