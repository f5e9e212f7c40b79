//! One line: what is in it, and how it becomes JSON.

use crate::addr::PeerAddr;
use crate::client_certificate::Verdict;
use crate::telemetry::TlsVersion;
use std::time::{Duration, Instant, SystemTime};

/// What every line of one connection contains, made once.
#[derive(Debug)]
pub struct ConnectionText(Box<[u8]>);

impl ConnectionText {
    /// Text for a connection whose other end is `peer`, to a listener of this name; `balancer` is
    /// who brought it, if somebody did.
    pub fn new(peer: PeerAddr, balancer: Option<PeerAddr>, listener: &str) -> Self {
        let mut text = Vec::new();
        field(&mut text, br#""peer":""#, peer.to_string().as_bytes());
        if let Some(balancer) = balancer {
            field(&mut text, br#""balancer":""#, balancer.to_string().as_bytes());
        }
        field(&mut text, br#""listener":""#, listener.as_bytes());
        Self(text.into())
    }

    /// The same for a connection with TLS: its version, the name of the ClientHello, and whether an
    /// earlier session was resumed.
    pub fn with_tls(self, version: TlsVersion, name: Option<&str>, resumed: bool) -> Self {
        let mut text = self.0.into_vec();
        field(&mut text, br#""tls":""#, version.label().as_bytes());
        if let Some(name) = name {
            field(&mut text, br#""sni":""#, name.as_bytes());
        }
        text.extend_from_slice(match resumed {
            true => br#""tls_resumed":true,"#.as_slice(),
            false => br#""tls_resumed":false,"#.as_slice(),
        });
        Self(text.into())
    }

    /// The same for a connection whose client was asked for a certificate: what it was found to be.
    pub fn with_client_certificate(self, verdict: Option<Verdict>) -> Self {
        let Some(verdict) = verdict else {
            return self;
        };
        let mut text = self.0.into_vec();
        field(&mut text, br#""client_certificate":""#, verdict.label().as_bytes());
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
        field(&mut text, br#""route":""#, route.as_bytes());
        field(&mut text, br#""service":""#, service.as_bytes());
        Self(text.into())
    }
}

/// One request, as the log has it. The query of the target is left out: it is where credentials
/// are.
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
        field(out, br#""client":""#, self.client);
        out.extend_from_slice(&self.connection.0);
        if let Some(route) = self.route {
            out.extend_from_slice(&route.0);
        }
        let bytes = |text: Option<&'static str>| text.map(str::as_bytes);
        let fields = [
            (br#""endpoint":""#.as_slice(), self.endpoint.map(str::as_bytes)),
            (br#""cf_ray":""#, self.cf_ray),
            (br#""method":""#, Some(self.method.as_bytes())),
            (br#""host":""#, Some(self.host)),
            (br#""path":""#, Some(self.path.as_bytes())),
            (br#""protocol":""#, bytes(Some(self.protocol))),
            (br#""reason":""#, bytes(self.reason)),
            (br#""user_agent":""#, self.user_agent),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                field(out, name, value);
            }
        }
        number(out, br#""status":"#, u64::from(self.status));
        number(out, br#""duration_us":"#, micros(self.duration));
        if let Some(upstream) = self.upstream {
            number(out, br#""upstream_us":"#, micros(upstream));
        }
        number(out, br#""bytes_in":"#, self.bytes_in);
        number(out, br#""bytes_out":"#, self.bytes_out);
        number(out, br#""retries":"#, u64::from(self.retries));
        // In place of the last comma.
        out.pop();
        out.extend_from_slice(b"}\n");
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Appends `"name":"value",`; `name` is everything before the value.
fn field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    if is_plain(value) {
        out.extend_from_slice(value);
    } else {
        escape(out, &String::from_utf8_lossy(value));
    }
    out.extend_from_slice(b"\",");
}

/// Appends `"name":number,`; `name` is everything before the number.
fn number(out: &mut Vec<u8>, name: &[u8], value: u64) {
    out.extend_from_slice(name);
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    out.push(b',');
}

/// The inside of a JSON string (RFC 8259 section 7).
fn escape(out: &mut Vec<u8>, text: &str) {
    let quoted = serde_json::to_string(text).unwrap_or_default();
    let inside = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    out.extend_from_slice(inside.as_bytes());
}

/// Whether a JSON string may hold the bytes as they are: ASCII without quote, backslash and control
/// characters. Eight at a time: every value of every line comes by here.
fn is_plain(value: &[u8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    // High bit set in each byte that is zero (or follows one that is, which only errs towards no).
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let special = |word: u64| {
        let quote = zero(word ^ (ONES * u64::from(b'"')));
        let backslash = zero(word ^ (ONES * u64::from(b'\\')));
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        quote | backslash | control | (word & HIGHS)
    };
    let (words, rest) = value.as_chunks::<8>();
    // What is missing in the last word is filled with a byte that is plain.
    let mut last = [b' '; 8];
    last[..rest.len()].copy_from_slice(rest);
    let bits = words.iter().fold(0, |bits, word| bits | special(u64::from_le_bytes(*word)));
    bits | special(u64::from_le_bytes(last)) == 0
}

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
        // A clock past the year 9999 is shown as the epoch.
        let second = i64::try_from(self.second).unwrap_or_default();
        let stamp = jiff::Timestamp::from_second(second).unwrap_or_default();
        self.text = stamp.to_string();
        self.text.pop();
    }

    fn write(&mut self, time: Instant, out: &mut Vec<u8>) {
        let wall = |(at, wall): (Instant, Duration)| wall + time.saturating_duration_since(at);
        let mut since = self.anchor.map(wall).unwrap_or_default();
        if self.anchor.is_none() || since.as_secs() != self.second {
            since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            self.set(time, since);
        }
        out.extend_from_slice(self.text.as_bytes());
        let millis = since.subsec_millis();
        let digit = |place: u32| b'0' + u8::try_from(millis / place % 10).unwrap_or_default();
        out.extend_from_slice(&[b'.', digit(100), digit(10), digit(1), b'Z']);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_json_escapes_is_seen_at_every_position() {
        for length in 0..20 {
            let plain = vec![b'~'; length];
            assert!(is_plain(&plain));
            for position in 0..length {
                for byte in 0..=u8::MAX {
                    let mut value = plain.clone();
                    value[position] = byte;
                    let needs = !(0x20..0x80).contains(&byte) || byte == b'"' || byte == b'\\';
                    assert_eq!(is_plain(&value), !needs, "{byte} at {position} of {length}");
                }
            }
        }
    }
}
