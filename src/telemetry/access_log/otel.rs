//! A log record of OpenTelemetry (its logs data model) as one line of JSON. The attributes are those of the semantic
//! conventions for HTTP, TLS and networks (1.29); what these do not have is under `ravelin.`. Durations are seconds.

use super::clock::ClockText;
use super::clock::moment;
use super::custom::{Custom, Out, QUERY_BYTES, named};
use super::details::More;
use super::host;
use super::line::Line;
use super::object::Object;
use super::tcp_line::TcpLine;
use crate::telemetry::traces::{TraceIds, TraceParent};
use std::time::Duration;

const NAME_BYTES: usize = 512;
const HOST_BYTES: usize = 260;
const PATH_BYTES: usize = 2048;

/// What the conventions know as methods; others are `_OTHER`.
pub(in crate::telemetry) const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// Appends the line; returns whether a field was cut.
pub(super) fn write(custom: &Custom, line: &Line<'_>, more: &More<'_>, out: &mut Out<'_>) -> bool {
    let ended = out.clock.wall(line.time);
    let mut object = Object::open(out.bytes);
    head(&mut object, ended, severity(line));
    write_trace(&mut object, line, more);
    object.begin("attributes");
    write_request(&mut object, custom, line, more);
    write_connection(&mut object, custom, more);
    write_response(&mut object, line, more);
    let fields = more.details.map(|details| (&*details.request, &*details.response));
    let (request, response) = fields.unwrap_or_default();
    for (name, field) in named(&custom.request, request) {
        object.listed("http.request.header.", name.name.as_str(), field);
    }
    for (name, field) in named(&custom.response, response) {
        object.listed("http.response.header.", name.name.as_str(), field);
    }
    object.end();
    body(&mut object, line);
    object.close()
}

/// The span of the request, or, if it has none, that of its sender.
fn write_trace(object: &mut Object<'_>, line: &Line<'_>, more: &More<'_>) {
    let sender = || {
        let parent = more.details.and_then(|details| details.traceparent.as_ref())?;
        let TraceParent { trace_id, span_id, sampled } = TraceParent::read(parent.as_bytes())?;
        Some((TraceIds { trace_id, span_id }, sampled))
    };
    let Some((ids, sampled)) = line.trace.map(|ids| (ids, true)).or_else(sender) else { return };
    object.text("trace_id", &ids.trace_id.text(), 32);
    object.text("span_id", &ids.span_id.text(), 16);
    object.text("trace_flags", if sampled { b"01" } else { b"00" }, 2);
}

fn head(object: &mut Object<'_>, ended: Duration, severity: Severity) {
    // To the millisecond, as all times of lines.
    let millis = u64::try_from(ended.as_millis()).unwrap_or_default();
    object.shown("timestamp", format_args!("{:.3}", moment(Duration::from_millis(millis))));
    object.number("severity_number", severity as u64);
    object.text("severity_text", severity.text().as_bytes(), NAME_BYTES);
}

/// `GET /path 200`, for who reads a list of records.
fn body(object: &mut Object<'_>, line: &Line<'_>) {
    let mut text = Vec::new();
    text.extend_from_slice(line.method.as_bytes());
    text.push(b' ');
    text.extend_from_slice(line.path.as_bytes());
    text.extend_from_slice(format!(" {}", line.status).as_bytes());
    object.text("body", &text, PATH_BYTES + 64);
}

/// Severity, with its number in the data model.
#[derive(Clone, Copy)]
enum Severity {
    Info = 9,
    Warn = 13,
    Error = 17,
}

impl Severity {
    fn text(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }
}

fn severity(line: &Line<'_>) -> Severity {
    match line.status {
        500.. => Severity::Error,
        400.. => Severity::Warn,
        300.. => Severity::Info,
        // It broke off.
        _ if line.reason.is_some() => Severity::Warn,
        _ => Severity::Info,
    }
}

fn write_request(object: &mut Object<'_>, custom: &Custom, line: &Line<'_>, more: &More<'_>) {
    if METHODS.contains(&line.method) {
        object.text("http.request.method", line.method.as_bytes(), 32);
    } else {
        object.text("http.request.method", b"_OTHER", 32);
        object.text("http.request.method_original", line.method.as_bytes(), 32);
    }
    object.text("url.scheme", if more.over_tls { b"https" } else { b"http" }, 8);
    object.text("url.path", line.path.as_bytes(), PATH_BYTES);
    if let Some(query) = more.query.filter(|_| custom.query) {
        object.text("url.query", query.as_bytes(), QUERY_BYTES);
    }
    let (name, port) = host::split(line.host);
    object.text("server.address", name, HOST_BYTES);
    let port = port.and_then(|port| std::str::from_utf8(port).ok()?.parse::<u16>().ok());
    object.number("server.port", u64::from(port.unwrap_or(if more.over_tls { 443 } else { 80 })));
    object.text("client.address", line.client, NAME_BYTES);
    if let Some(user_agent) = line.user_agent {
        object.text("user_agent.original", user_agent, NAME_BYTES);
    }
    if let Some(user) = line.user {
        object.text("user.name", user, NAME_BYTES);
    }
    object.number("http.request.body.size", line.bytes_in);
    if let Some(route) = more.details.and_then(|details| details.route.as_ref()) {
        object.text("http.route", route.path.as_bytes(), PATH_BYTES);
    }
}

fn write_connection(object: &mut Object<'_>, custom: &Custom, more: &More<'_>) {
    object.shown("network.peer.address", more.peer.ip());
    object.number("network.peer.port", u64::from(more.peer.port()));
    object.text("network.transport", b"tcp", 8);
    if let Some(tls) = more.tls {
        object.text("tls.protocol.name", b"tls", 8);
        object.text("tls.protocol.version", tls.version.label().as_bytes(), 8);
        object.text("tls.cipher", tls.suite.label().as_bytes(), NAME_BYTES);
        if let Some(server_name) = tls.server_name {
            object.text("tls.client.server_name", server_name.as_bytes(), HOST_BYTES);
        }
        object.flag("tls.resumed", tls.resumed);
    }
    if let Some(name) = custom.entry_points.get(more.listener) {
        object.text("ravelin.entry_point", name.as_bytes(), NAME_BYTES);
    }
}

fn write_response(object: &mut Object<'_>, line: &Line<'_>, more: &More<'_>) {
    object.text("network.protocol.name", b"http", 8);
    // `HTTP/2.0` is `2`.
    let version = line.protocol.strip_prefix("HTTP/").unwrap_or_default();
    let version = version.strip_suffix(".0").filter(|major| *major != "1").unwrap_or(version);
    if !version.is_empty() {
        object.text("network.protocol.version", version.as_bytes(), 8);
    }
    object.number("http.response.status_code", u64::from(line.status));
    object.number("http.response.body.size", line.bytes_out);
    object.seconds("http.server.request.duration", line.duration);
    match line.reason {
        Some(reason) => object.text("error.type", reason.as_bytes(), NAME_BYTES),
        None if line.status >= 500 => object.shown("error.type", line.status),
        None => {}
    }
    if let Some(labels) = more.labels {
        object.text("ravelin.route", labels.route.as_bytes(), NAME_BYTES);
        object.text("ravelin.service", labels.service.as_bytes(), NAME_BYTES);
    }
    if let Some(endpoint) = line.endpoint {
        object.text("ravelin.endpoint", endpoint.as_bytes(), NAME_BYTES);
    }
    if let Some(upstream) = line.upstream {
        object.seconds("ravelin.upstream.duration", upstream);
    }
    object.number("ravelin.retries", u64::from(line.retries));
    if let Some(ray) = line.cf_ray {
        object.text("ravelin.cf_ray", ray, 64);
    }
}

/// The record of a connection that was relayed.
pub(super) fn write_tcp(line: &TcpLine<'_>, out: &mut Vec<u8>, clock: &mut ClockText) {
    let ended = clock.wall(line.time);
    let is_whole = line.end == "complete";
    let mut object = Object::open(out);
    head(&mut object, ended, if is_whole { Severity::Info } else { Severity::Warn });
    object.begin("attributes");
    object.text("client.address", line.client.as_bytes(), NAME_BYTES);
    object.text("network.transport", b"tcp", 8);
    if let Some(server_name) = line.server_name {
        object.text("tls.client.server_name", server_name.as_bytes(), HOST_BYTES);
    }
    if let Some(endpoint) = line.endpoint {
        object.text("ravelin.endpoint", endpoint.as_bytes(), NAME_BYTES);
    }
    object.number("ravelin.bytes_in", line.bytes_in);
    object.number("ravelin.bytes_out", line.bytes_out);
    object.seconds("ravelin.connection.duration", line.duration);
    if let Some(connect) = line.connect {
        object.seconds("ravelin.connect.duration", connect);
    }
    object.number("ravelin.retries", u64::from(line.retries));
    if !is_whole {
        object.text("error.type", line.end.as_bytes(), NAME_BYTES);
    }
    object.end();
    object.text("body", b"TCP connection", NAME_BYTES);
    let _ = object.close();
}
