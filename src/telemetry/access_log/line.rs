//! One line: what is in it, and how it becomes JSON.

use crate::addr::PeerAddr;
use crate::client_ip::ClientIp;
use std::time::{Duration, SystemTime};

/// What every line of one connection begins with, made once.
#[derive(Debug)]
pub struct ConnectionText(Box<[u8]>);

impl ConnectionText {
    /// Text for a connection of `client`, whose other end is `peer`, to a listener of this name.
    pub fn new(client: ClientIp, peer: PeerAddr, listener: &str) -> Self {
        let mut text = Vec::new();
        let fields = [
            ("client", &client.to_string()),
            ("peer", &peer.to_string()),
            ("listener", &listener.to_owned()),
        ];
        for (name, value) in fields {
            field(&mut text, name, value);
        }
        Self(text.into())
    }
}

/// What every line of one route contains, made once.
#[derive(Debug, Default)]
pub struct RouteText(Box<[u8]>);

impl RouteText {
    /// Text for requests that an Ingress (`namespace/name`) sends to a Service
    /// (`namespace/name:port`).
    pub fn new(route: &str, service: &str) -> Self {
        let mut text = Vec::new();
        field(&mut text, "route", route);
        field(&mut text, "service", service);
        Self(text.into())
    }
}

/// One request, as the log has it. The query of the target is left out: it is where credentials
/// are.
#[derive(Debug)]
pub struct Line<'a> {
    /// When the answer was complete; written as RFC 3339 in UTC.
    pub time: SystemTime,
    /// Client, peer and listener.
    pub connection: &'a ConnectionText,
    /// Ingress and Service, if a rule matched.
    pub route: Option<&'a RouteText>,
    /// Where it was sent.
    pub endpoint: Option<&'a str>,
    /// `CF-Ray` as received.
    pub cf_ray: Option<&'a [u8]>,
    /// Request method; empty if there was no readable request.
    pub method: &'a str,
    /// `Host` as received.
    pub host: &'a [u8],
    /// Canonical path.
    pub path: &'a str,
    /// Protocol version of the request.
    pub protocol: &'static str,
    /// Status sent.
    pub status: u16,
    /// Why it was not the pod's answer, whole.
    pub reason: Option<&'static str>,
    /// From the request head to the last byte of the answer.
    pub duration: Duration,
    /// From sending upstream to the response head.
    pub upstream: Option<Duration>,
    /// Body bytes from the client.
    pub bytes_in: u64,
    /// Body bytes to the client.
    pub bytes_out: u64,
    /// How often it was sent again.
    pub retries: u32,
    /// `User-Agent` as received.
    pub user_agent: Option<&'a [u8]>,
}

impl Line<'_> {
    /// Appends the line as JSON. Serialising with serde takes four times as long, and this is done
    /// for every request.
    pub(super) fn write(&self, out: &mut Vec<u8>, clock: &mut ClockText) {
        out.extend_from_slice(b"{\"time\":\"");
        clock.write(self.time, out);
        out.extend_from_slice(b"\",");
        out.extend_from_slice(&self.connection.0);
        if let Some(route) = self.route {
            out.extend_from_slice(&route.0);
        }
        let bytes = |text: Option<&'static str>| text.map(str::as_bytes);
        let fields = [
            ("endpoint", self.endpoint.map(str::as_bytes)),
            ("cf_ray", self.cf_ray),
            ("method", Some(self.method.as_bytes())),
            ("host", Some(self.host)),
            ("path", Some(self.path.as_bytes())),
            ("protocol", bytes(Some(self.protocol))),
            ("reason", bytes(self.reason)),
            ("user_agent", self.user_agent),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                field(out, name, value);
            }
        }
        number(out, "status", u64::from(self.status));
        number(out, "duration_us", micros(self.duration));
        if let Some(upstream) = self.upstream {
            number(out, "upstream_us", micros(upstream));
        }
        number(out, "bytes_in", self.bytes_in);
        number(out, "bytes_out", self.bytes_out);
        number(out, "retries", u64::from(self.retries));
        // In place of the last comma.
        out.pop();
        out.extend_from_slice(b"}\n");
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Appends `"name":"value",`. `name` needs no escapes.
fn field(out: &mut Vec<u8>, name: &str, value: impl AsRef<[u8]>) {
    key(out, name);
    out.push(b'"');
    let value = value.as_ref();
    if value.iter().all(|&byte| PLAIN[usize::from(byte)]) {
        out.extend_from_slice(value);
    } else {
        escape(out, &String::from_utf8_lossy(value));
    }
    out.extend_from_slice(b"\",");
}

/// Appends `"name":number,`.
fn number(out: &mut Vec<u8>, name: &str, value: u64) {
    key(out, name);
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    out.push(b',');
}

fn key(out: &mut Vec<u8>, name: &str) {
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// The inside of a JSON string (RFC 8259 section 7).
fn escape(out: &mut Vec<u8>, text: &str) {
    let quoted = serde_json::to_string(text).unwrap_or_default();
    let inside = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    out.extend_from_slice(inside.as_bytes());
}

/// Printable ASCII but quote and backslash.
static PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0x20;
    while byte < 0x7f {
        table[byte] = byte != b'"' as usize && byte != b'\\' as usize;
        byte += 1;
    }
    table
};

/// Time as text. The part down to the second is formatted once a second.
#[derive(Debug, Default)]
pub(super) struct ClockText {
    second: u64,
    text: String,
}

impl ClockText {
    fn write(&mut self, time: SystemTime, out: &mut Vec<u8>) {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        if self.text.is_empty() || self.second != since.as_secs() {
            self.second = since.as_secs();
            // A clock past the year 9999 is shown as the epoch.
            let second = i64::try_from(self.second).unwrap_or_default();
            let stamp = jiff::Timestamp::from_second(second).unwrap_or_default();
            self.text = stamp.to_string();
            self.text.pop();
        }
        out.extend_from_slice(self.text.as_bytes());
        let millis = since.subsec_millis();
        let digit = |place: u32| b'0' + u8::try_from(millis / place % 10).unwrap_or_default();
        out.extend_from_slice(&[b'.', digit(100), digit(10), digit(1), b'Z']);
    }
}
