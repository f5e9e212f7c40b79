//! The record of what never became a request.

use crate::error::Reason;
use crate::net::beginning::beginning;
use crate::net::fields::Fields;
use crate::net::message::RequestParts;
use crate::proxy::Downstream;
use crate::telemetry::access_log::{Line, More, TlsFacts};
use crate::telemetry::{FailedRequest, MethodLabel, Outcome, RequestProtocol};
use crate::tls::Session;
use http::{HeaderValue, Uri, header};
use std::time::{Duration, Instant};

/// Counts and logs a request head that was invalid or incomplete. `line` is the start of its first line.
pub fn record_unread(downstream: &Downstream, reason: Reason, line: &[u8]) {
    let worker = &downstream.worker;
    let outcome = Outcome {
        method: MethodLabel::Other,
        status: reason.status(),
        protocol: RequestProtocol::Http,
        is_asked: false,
        reason: Some(reason),
        duration: Duration::ZERO,
        upstream: None,
        bytes_in: 0,
        bytes_out: 0,
        tls: downstream.agreed(),
        retries: 0,
        trace_id: None,
    };
    let table = worker.tables.load();
    worker.series.with(downstream.listener, &table, None, |series| series.record(&outcome, None));
    let line = String::from_utf8_lossy(line);
    let (method, target, protocol) = parts(&line);
    let (ray, host, endpoint) = (&b""[..], &b""[..], "");
    let failed =
        FailedRequest { ray, host, path: target, endpoint, route: None, outcome: &outcome };
    worker.cells.failures.note(&failed);
    if let Some(log) = &worker.access_log {
        let line = Line {
            time: Instant::now(),
            client: downstream.fields.client.as_bytes(),
            connection: &downstream.text,
            route: None,
            endpoint: None,
            cf_ray: None,
            method,
            host,
            path: target,
            protocol,
            status: outcome.status.as_u16(),
            reason: Some(reason.label()),
            duration: Duration::ZERO,
            upstream: None,
            bytes_in: 0,
            bytes_out: 0,
            retries: 0,
            user: None,
            user_agent: None,
            trace: None,
        };
        match log.custom() {
            None => log.write(&line),
            Some(custom) => log.write_custom(custom, &line, &bare(downstream)),
        }
    }
}

/// What a line has of its connection alone.
fn bare(downstream: &Downstream) -> More<'_> {
    More {
        details: None,
        labels: None,
        listener: downstream.listener,
        peer: downstream.peer,
        tls: downstream.tls.as_ref().map(tls_facts),
        over_tls: downstream.tls.is_some(),
        query: None,
        origin_status: None,
        until_sent: None,
    }
}

/// What lines have of a TLS session.
pub(super) fn tls_facts(session: &Session) -> TlsFacts<'_> {
    TlsFacts {
        version: session.version,
        suite: session.suite,
        server_name: session.server_name.as_deref(),
        resumed: session.resumed,
    }
}

/// Most bytes of a host or a path that the log has of a target that was refused.
const MOST_BYTES: usize = 1024;

/// Host and path of a request whose target was refused, as they were sent.
#[derive(Debug)]
pub(super) struct Unreadable {
    host: Option<HeaderValue>,
    target: Uri,
}

impl Unreadable {
    pub(super) fn of(head: &RequestParts) -> Box<Self> {
        let host = head.headers.get(header::HOST).cloned();
        Box::new(Self { host, target: head.uri.clone() })
    }

    pub(super) fn host(&self) -> &[u8] {
        let authority = self.target.authority().map(|authority| authority.as_str().as_bytes());
        let host = authority.or(self.host.as_ref().map(HeaderValue::as_bytes)).unwrap_or_default();
        &host[..host.len().min(MOST_BYTES)]
    }

    pub(super) fn path(&self) -> &str {
        beginning(self.target.path(), MOST_BYTES)
    }
}

/// Method, target without its query, and protocol of a first line, as far as it has them.
fn parts(line: &str) -> (&str, &str, &'static str) {
    let Some((method, rest)) = line.split_once(' ') else {
        // TLS, or whatever else: nothing of it is a method.
        return ("", "", "");
    };
    let (target, protocol) = rest.rsplit_once(' ').unwrap_or((rest, ""));
    let path = target.split('?').next().unwrap_or_default();
    let protocol = match protocol {
        "HTTP/1.1" => "HTTP/1.1",
        "HTTP/1.0" => "HTTP/1.0",
        _ => "",
    };
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if method.bytes().all(is_token) { (method, path, protocol) } else { ("", path, protocol) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_line_is_taken_apart_as_far_as_it_is_one() {
        for (line, expected) in [
            ("GET /a#b HTTP/1.1", ("GET", "/a#b", "HTTP/1.1")),
            ("GET /a?key=secret#b HTTP/1.1", ("GET", "/a", "HTTP/1.1")),
            ("GET /a b HTTP/1.0", ("GET", "/a b", "HTTP/1.0")),
            ("GET /a", ("GET", "/a", "")),
            ("G\0T /a HTTP/2.0", ("", "/a", "")),
            ("GARBAGE", ("", "", "")),
            ("", ("", "", "")),
        ] {
            assert_eq!(parts(line), expected, "{line:?}");
        }
    }
}
