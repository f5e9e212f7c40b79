//! Traefik's JSON (its `pkg/middlewares/accesslog`): the same names, types and units, sorted as Go sorts them.

use super::clock::moment;
use super::custom::{Custom, Out, named};
use super::details::{More, RouteDetails};
use super::host;
use super::line::Line;
use super::object::Object;
use crate::telemetry::SeriesLabels;
use crate::telemetry::traefik::{hex, provider};
use std::time::Duration;

/// Names and addresses, as in ravelin's own lines.
const NAME_BYTES: usize = 512;

const HOST_BYTES: usize = 260;
const METHOD_BYTES: usize = 32;

/// Path and query.
pub(super) const TARGET_BYTES: usize = 4096;

/// What Traefik writes for nothing.
const NONE: &[u8] = b"-";

/// Appends the line; returns whether a field was cut.
pub(super) fn write(custom: &Custom, line: &Line<'_>, more: &More<'_>, out: &mut Out<'_>) -> bool {
    let ended = out.clock.wall(line.time);
    let mut object = Object::open(out.bytes);
    object.shown("ClientAddr", more.peer);
    object.text("ClientHost", line.client, NAME_BYTES);
    object.shown("ClientPort", more.peer.port());
    object.text("ClientUsername", line.user.unwrap_or(NONE), NAME_BYTES);
    object.number("DownstreamContentSize", line.bytes_out);
    object.number("DownstreamStatus", u64::from(line.status));
    object.number("Duration", nanos(line.duration));
    let origin = more.until_sent.map_or(Duration::ZERO, |sent| line.duration.saturating_sub(sent));
    object.number("OriginContentSize", more.origin_status.map_or(0, |_| line.bytes_out));
    object.number("OriginDuration", nanos(origin));
    object.number("OriginStatus", u64::from(more.origin_status.unwrap_or_default()));
    object.number("Overhead", nanos(line.duration.saturating_sub(origin)));
    let (name, port) = host::split(line.host);
    object.text("RequestAddr", line.host, HOST_BYTES);
    object.number("RequestContentSize", line.bytes_in);
    object.number("RequestCount", custom.next());
    object.text("RequestHost", name, HOST_BYTES);
    object.text("RequestMethod", line.method.as_bytes(), METHOD_BYTES);
    object.text("RequestPath", &target(custom, line, more), TARGET_BYTES);
    object.text("RequestPort", port.unwrap_or(NONE), HOST_BYTES);
    object.text("RequestProtocol", line.protocol.as_bytes(), METHOD_BYTES);
    object.text("RequestScheme", if more.tls.is_some() { b"https" } else { b"http" }, 8);
    object.number("RetryAttempts", u64::from(line.retries));
    write_route(&mut object, line, more);
    if let Some(trace) = line.trace {
        object.text("SpanId", &trace.span_id.text(), 16);
    }
    let started = moment(ended.saturating_sub(line.duration));
    object.shown("StartLocal", started);
    object.shown("StartUTC", started);
    write_tls(&mut object, more);
    if let Some(trace) = line.trace {
        object.text("TraceId", &trace.trace_id.text(), 32);
    }
    let fields = more.details.map(|details| (&*details.request, &*details.response));
    let (request, response) = fields.unwrap_or_default();
    for (name, field) in named(&custom.response, response) {
        object.joined_as("downstream_", &name.canonical, field, b",");
    }
    let entry_point = custom.entry_points.get(more.listener).map(|name| name.as_bytes());
    object.text("entryPointName", entry_point.unwrap_or_default(), NAME_BYTES);
    object.text("level", b"info", NAME_BYTES);
    object.text("msg", b"", NAME_BYTES);
    for (name, field) in named(&custom.request, request) {
        object.joined_as("request_", &name.canonical, field, b",");
    }
    if let Some(trace) = line.trace {
        object.text("span_id", &trace.span_id.text(), 16);
    }
    object.shown("time", moment(Duration::from_secs(ended.as_secs())));
    if let Some(trace) = line.trace {
        object.text("trace_id", &trace.trace_id.text(), 32);
    }
    object.close()
}

fn write_tls(object: &mut Object<'_>, more: &More<'_>) {
    if let Some(tls) = more.tls {
        object.text("TLSCipher", tls.suite.label().as_bytes(), NAME_BYTES);
        object.text("TLSVersion", tls.version.label().as_bytes(), NAME_BYTES);
    }
}

fn write_route(object: &mut Object<'_>, line: &Line<'_>, more: &More<'_>) {
    if let Some(route) = of_route(more) {
        object.written("RouterName", |out| write_router(route.0, route.1, out));
    }
    if let Some(endpoint) = line.endpoint {
        object.text("ServiceAddr", endpoint.as_bytes(), NAME_BYTES);
    }
    if let Some((details, labels)) = of_route(more) {
        object.written("ServiceName", |out| write_service(details, labels, out));
        if let Some(endpoint) = line.endpoint {
            object.text("ServiceURL", url(details, endpoint).as_bytes(), NAME_BYTES);
        }
    }
}

type OfRoute<'a> = (&'a RouteDetails, &'a SeriesLabels);

pub(super) fn of_route<'a>(more: &More<'a>) -> Option<OfRoute<'a>> {
    more.details?.route.as_ref().zip(more.labels)
}

/// The URL of a pod.
pub(super) fn url(route: &RouteDetails, endpoint: &str) -> String {
    format!("{}://{endpoint}", route.scheme)
}

/// The name of a router, as metrics have it, but for the entry point in front of it.
pub(super) fn write_router(route: &RouteDetails, labels: &SeriesLabels, out: &mut Vec<u8>) {
    let object = labels.route.chars().chain(['-']);
    match &route.rule_hash {
        Some(hash) => write_words(object.chain(hex(hash).chars()).take(NAME_BYTES), out),
        None => {
            let name = object.chain(labels.host.chars()).chain(['-']);
            write_words(name.chain(route.path.chars()).take(NAME_BYTES), out);
        }
    }
    out.extend_from_slice(provider(route.rule_hash.as_ref()).as_bytes());
}

/// That of a Service: of an IngressRoute it is the router's.
fn write_service(route: &RouteDetails, labels: &SeriesLabels, out: &mut Vec<u8>) {
    if route.rule_hash.is_some() {
        return write_router(route, labels, out);
    }
    write_words(labels.service.chars(), out);
    out.extend_from_slice(provider(None).as_bytes());
}

/// Letters and digits of ASCII, with a hyphen for whatever is in between (its `provider.Normalize`, which keeps the
/// letters of all scripts, at which parsers give up).
fn write_words(text: impl Iterator<Item = char>, out: &mut Vec<u8>) {
    let (start, mut gap) = (out.len(), false);
    for letter in text {
        match u8::try_from(letter).ok().filter(u8::is_ascii_alphanumeric) {
            Some(byte) => {
                if gap && out.len() > start {
                    out.push(b'-');
                }
                out.push(byte);
                gap = false;
            }
            None => gap = true,
        }
    }
}

/// Path, with the query if that is logged.
pub(super) fn target(custom: &Custom, line: &Line<'_>, more: &More<'_>) -> Vec<u8> {
    let mut target = line.path.as_bytes().to_vec();
    if let Some(query) = more.query.filter(|_| custom.query) {
        target.push(b'?');
        target.extend_from_slice(query.as_bytes());
    }
    target
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
