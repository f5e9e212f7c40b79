//! One line: what is in it, and how it becomes JSON.
//!
//! Every field has a bound, of bytes as they are written: escaping turns one byte into up to six, and
//! HPACK lets a client repeat a field for one byte. A field that is longer is cut at a character, and
//! the line names it in `truncated`.

use super::clock::ClockText;
use crate::net::addr::PeerAddr;
use crate::pki::client_certificate::Verification;
use crate::telemetry::TlsVersion;
use crate::telemetry::json;
use crate::telemetry::traces::TraceIds;
use http::Version;
use std::time::{Duration, Instant};

/// Names out of manifests and the configuration, and addresses: a name with its namespace is 317 bytes
/// at most (RFC 1123, 253 and 63).
const NAME_BYTES: usize = 512;

/// `CF-Ray` is 20 bytes.
const RAY_BYTES: usize = 64;

/// The longest registered method (RFC 9110 section 16.1.1) is UPDATEREDIRECTREF.
const METHOD_BYTES: usize = 32;

/// A name of DNS is 253 bytes, a colon and a port 6.
const HOST_BYTES: usize = 260;

/// Long enough for what people link to; HAProxy cuts a whole line at 1 KiB, nginx writes up to 8 KiB.
const PATH_BYTES: usize = 2048;

/// Those of browsers are below 200 bytes, those of their apps below 400.
const USER_AGENT_BYTES: usize = 512;

/// A line at its longest: all bounds, and what is around the values.
#[cfg(test)]
const LINE_BYTES: usize = 7 * NAME_BYTES
    + RAY_BYTES
    + METHOD_BYTES
    + 2 * HOST_BYTES
    + PATH_BYTES
    + USER_AGENT_BYTES
    + 1024;

/// The part of a line that is common to a connection, made once.
#[derive(Debug, Default)]
pub struct ConnectionText(pub(super) Box<[u8]>);

impl ConnectionText {
    /// Text for a connection from `peer` to a listener of this name; `balancer` is the load balancer, if it
    /// came through one.
    pub fn new(peer: PeerAddr, balancer: Option<PeerAddr>, listener: &str) -> Self {
        let mut text = Vec::new();
        name(&mut text, br#""peer":""#, &peer.to_string());
        if let Some(balancer) = balancer {
            name(&mut text, br#""balancer":""#, &balancer.to_string());
        }
        name(&mut text, br#""listener":""#, listener);
        Self(text.into())
    }

    /// The same for a connection with TLS: its version, the name of the ClientHello, and whether an
    /// earlier session was resumed.
    pub fn with_tls(self, version: TlsVersion, sni: Option<&str>, resumed: bool) -> Self {
        let mut text = self.0.into_vec();
        name(&mut text, br#""tls":""#, version.label());
        if let Some(sni) = sni {
            // A DNS name, of which rustls takes no longer one.
            field(&mut text, br#""sni":""#, sni.as_bytes(), HOST_BYTES);
        }
        text.extend_from_slice(match resumed {
            true => br#""tls_resumed":true,"#.as_slice(),
            false => br#""tls_resumed":false,"#.as_slice(),
        });
        Self(text.into())
    }

    /// The same for a connection with a client certificate request: its result.
    pub fn with_client_certificate(self, verification: Option<Verification>) -> Self {
        let Some(verification) = verification else {
            return self;
        };
        let mut text = self.0.into_vec();
        name(&mut text, br#""client_certificate":""#, verification.label());
        Self(text.into())
    }
}

/// The part of a line that is common to a route, made once.
#[derive(Debug, Default)]
pub struct RouteText(pub(super) Box<[u8]>);

impl RouteText {
    /// Text for requests that an Ingress (`namespace/name`) sends to a Service
    /// (`namespace/name:port`).
    pub fn new(route: &str, service: &str) -> Self {
        let mut text = Vec::new();
        name(&mut text, br#""route":""#, route);
        name(&mut text, br#""service":""#, service);
        Self(text.into())
    }
}

/// The log line of one request. The query of the target is omitted, because it may contain credentials.
#[derive(Debug)]
pub struct Line<'a> {
    /// When the answer was complete; written as RFC 3339 in UTC.
    pub time: Instant,
    /// The client's address.
    pub client: &'a [u8],
    /// Peer and listener.
    pub connection: &'a ConnectionText,
    /// Ingress and Service, if a rule matched.
    pub route: Option<&'a RouteText>,
    /// Where it was sent.
    pub endpoint: Option<&'a str>,
    /// `CF-Ray`, if Cloudflare sent it.
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
    /// Who asked, as Cloudflare Access says.
    pub user: Option<&'a [u8]>,
    /// `User-Agent` as received.
    pub user_agent: Option<&'a [u8]>,
    /// Its trace, if it is traced.
    pub trace: Option<TraceIds>,
}

/// A version as lines have it.
pub fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/1.1",
    }
}

impl Line<'_> {
    /// Appends the line as JSON; returns whether a field was cut. Serialising with serde takes four times
    /// as long, and this is done for every request.
    pub(super) fn write(&self, out: &mut Vec<u8>, clock: &mut ClockText) -> bool {
        out.extend_from_slice(b"{\"time\":\"");
        clock.write(self.time, out);
        out.extend_from_slice(b"\",");
        let mut text = Text { out, cut: Cut::default() };
        text.field::<CLIENT>(self.client);
        text.out.extend_from_slice(&self.connection.0);
        if let Some(route) = self.route {
            text.out.extend_from_slice(&route.0);
        }
        if let Some(endpoint) = self.endpoint {
            text.field::<ENDPOINT>(endpoint.as_bytes());
        }
        if let Some(cf_ray) = self.cf_ray {
            text.field::<CF_RAY>(cf_ray);
        }
        text.field::<METHOD>(self.method.as_bytes());
        text.field::<HOST>(self.host);
        text.field::<PATH>(self.path.as_bytes());
        plain(text.out, br#""protocol":""#, self.protocol);
        if let Some(reason) = self.reason {
            plain(text.out, br#""reason":""#, reason);
        }
        if let Some(user) = self.user {
            text.field::<USER>(user);
        }
        if let Some(user_agent) = self.user_agent {
            text.field::<USER_AGENT>(user_agent);
        }
        let Text { out, cut } = text;
        number(out, br#""status":"#, u64::from(self.status));
        number(out, br#""duration_us":"#, micros(self.duration));
        if let Some(upstream) = self.upstream {
            number(out, br#""upstream_us":"#, micros(upstream));
        }
        number(out, br#""bytes_in":"#, self.bytes_in);
        number(out, br#""bytes_out":"#, self.bytes_out);
        number(out, br#""retries":"#, u64::from(self.retries));
        if let Some(trace) = self.trace {
            write_trace(out, trace);
        }
        cut.write(out);
        // In place of the last comma.
        out.pop();
        out.extend_from_slice(b"}\n");
        cut != Cut::default()
    }
}

/// Ids have nothing to escape.
#[cold]
fn write_trace(out: &mut Vec<u8>, trace: TraceIds) {
    out.extend_from_slice(br#""trace_id":""#);
    out.extend_from_slice(&trace.trace_id.text());
    out.extend_from_slice(br#"","span_id":""#);
    out.extend_from_slice(&trace.span_id.text());
    out.extend_from_slice(b"\",");
}

/// The fields of a line that are a client's text or long, each with everything before its value and its
/// bound.
const FIELDS: [(&[u8], usize); 8] = [
    (br#""client":""#, NAME_BYTES),
    (br#""endpoint":""#, NAME_BYTES),
    (br#""cf_ray":""#, RAY_BYTES),
    (br#""method":""#, METHOD_BYTES),
    (br#""host":""#, HOST_BYTES),
    (br#""path":""#, PATH_BYTES),
    (br#""user_agent":""#, USER_AGENT_BYTES),
    (br#""user":""#, NAME_BYTES),
];

// Positions in FIELDS.
const CLIENT: usize = 0;
const ENDPOINT: usize = 1;
const CF_RAY: usize = 2;
const METHOD: usize = 3;
const HOST: usize = 4;
const PATH: usize = 5;
const USER_AGENT: usize = 6;
const USER: usize = 7;

/// A line on its way.
struct Text<'o> {
    out: &'o mut Vec<u8>,
    cut: Cut,
}

impl Text<'_> {
    /// Appends one of [`FIELDS`], known by the compiler, so that what is before it is copied without a
    /// call.
    #[inline(always)]
    fn field<const POSITION: usize>(&mut self, value: &[u8]) {
        let (prefix, most) = FIELDS[POSITION];
        self.cut.note(POSITION, field(self.out, prefix, value, most));
    }
}

/// Which of [`FIELDS`] were cut, a bit each.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Cut(u16);

impl Cut {
    fn note(&mut self, position: usize, cut: bool) {
        self.0 |= u16::from(cut) << position;
    }

    /// Appends their names, if there are any.
    fn write(self, out: &mut Vec<u8>) {
        if self.0 == 0 {
            return;
        }
        out.extend_from_slice(br#""truncated":["#);
        for (position, (name, _)) in FIELDS.into_iter().enumerate() {
            if self.0 & (1 << position) != 0 {
                // With its quotes, without what stands before the value.
                out.extend_from_slice(name.strip_suffix(b":\"").unwrap_or(name));
                out.push(b',');
            }
        }
        out.pop();
        out.extend_from_slice(b"],");
    }
}

pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Appends `"name":"value",` with a name of ours; `prefix` is everything before the value.
pub(super) fn name(out: &mut Vec<u8>, prefix: &[u8], value: &str) {
    field(out, prefix, value.as_bytes(), NAME_BYTES);
}

/// Appends `"name":"value",`; `prefix` is everything before the value. Returns whether the value would
/// take more than `most` bytes and was cut.
#[inline(always)]
fn field(out: &mut Vec<u8>, prefix: &[u8], value: &[u8], most: usize) -> bool {
    out.extend_from_slice(prefix);
    let cut = json::write_text(out, value, most);
    out.extend_from_slice(b"\",");
    cut
}

/// The same for a word of ours, in which there is nothing to escape.
#[inline(always)]
pub(super) fn plain(out: &mut Vec<u8>, prefix: &[u8], word: &str) {
    out.extend_from_slice(prefix);
    out.extend_from_slice(word.as_bytes());
    out.extend_from_slice(b"\",");
}

/// Appends `"name":number,`; `name` is everything before the number.
#[inline(always)]
pub(super) fn number(out: &mut Vec<u8>, name: &[u8], value: u64) {
    out.extend_from_slice(name);
    match u8::try_from(value) {
        // Nearly all there is of retries, and of bytes from the client.
        Ok(digit @ 0..10) => out.push(b'0' + digit),
        _ => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
    }
    out.push(b',');
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGENT: &str = "user_agent";

    fn written(value: &[u8], path: &str) -> (Vec<u8>, bool) {
        let connection = ConnectionText(Box::default());
        let line = Line {
            time: Instant::now(),
            client: b"192.0.2.9",
            connection: &connection,
            route: None,
            endpoint: None,
            cf_ray: Some(value),
            method: "GET",
            host: value,
            path,
            protocol: "HTTP/2.0",
            status: 200,
            reason: None,
            duration: Duration::ZERO,
            upstream: None,
            bytes_in: u64::MAX,
            bytes_out: u64::MAX,
            retries: u32::MAX,
            user: Some(value),
            user_agent: Some(value),
            trace: None,
        };
        let mut out = Vec::new();
        let cut = line.write(&mut out, &mut ClockText::default());
        (out, cut)
    }

    #[test]
    fn a_line_is_bounded_whatever_a_client_sends_and_names_what_was_cut() {
        for byte in [b'a', b'"', 1, 0xff] {
            let long = vec![byte; 30_000];
            let (out, cut) = written(&long, &"/\u{1f600}".repeat(5000));
            assert!(cut && out.len() <= LINE_BYTES, "{byte}: {} bytes", out.len());
            let value: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
            let expected = serde_json::json!(["cf_ray", "host", "path", AGENT, "user"]);
            assert_eq!(value["truncated"], expected, "{byte}");
        }
    }

    #[test]
    fn what_fits_is_whole_and_not_marked() {
        let agent = "b".repeat(RAY_BYTES);
        let (out, cut) = written(agent.as_bytes(), &"/".repeat(PATH_BYTES));
        assert!(!cut);
        let value: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        assert_eq!((&value[AGENT], value.get("truncated")), (&agent.into(), None));
    }
}
