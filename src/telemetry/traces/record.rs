//! The spans of a request, as OTLP has them: a server span, and a client span for each attempt to reach a pod.
//!
//! Attributes are those of the semantic conventions for HTTP (stable since 1.23, read in 1.40) and Kubernetes; what these
//! do not have is under `ravelin.`, as in the access log.

use super::SpanSettings;
use super::context::SpanId;
use super::otlp::{Message, span};
use super::spans::{CapturedName, ClientSpan, ClientSpans, RequestTrace};
use crate::error::{Culprit, Reason};
use crate::net::beginning::beginning;
use crate::telemetry::access_log::{Line, METHODS, More, split_host};
use crate::telemetry::kept_fields::KeptField;
use http::HeaderValue;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

// SpanKind.
const SERVER: u64 = 2;
const CLIENT: u64 = 3;
/// Status.code of a failure.
const ERROR: u64 = 2;

// SpanFlags: the W3C flags, and whether it is known that the parent is of another process.
const SAMPLED: u32 = 1;
const IS_REMOTE_KNOWN: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

// Bounds of values, in bytes: as in the access log.
const NAME_BYTES: usize = 512;
const HOST_BYTES: usize = 260;
const PATH_BYTES: usize = 2048;
const HEADER_BYTES: usize = 1024;
/// Keys and values of `tracestate` that are kept whole at least (W3C Trace Context, section 3.3.1.5).
const STATE_BYTES: usize = 512;

/// The end of a request.
#[derive(Debug)]
pub struct Finished<'a> {
    /// As the access log has it.
    pub line: &'a Line<'a>,
    /// The rest of that.
    pub more: &'a More<'a>,
    /// Why the answer was not the pod's, whole.
    pub reason: Option<Reason>,
    /// The wall clock at `line.time`, since the Unix epoch.
    pub wall: Duration,
}

impl Finished<'_> {
    /// Nanoseconds since the Unix epoch.
    fn nanos(&self, at: Instant) -> u64 {
        let before = self.line.time.saturating_duration_since(at);
        u64::try_from(self.wall.saturating_sub(before).as_nanos()).unwrap_or(u64::MAX)
    }

    fn method(&self) -> &str {
        if METHODS.contains(&self.line.method) { self.line.method } else { "HTTP" }
    }

    /// Whether it went wrong, for whichever reason.
    fn is_error(&self) -> bool {
        self.line.status >= 400 || (self.reason.is_some() && self.line.status < 300)
    }

    /// Whether that is for somebody here to look at: what clients do wrong is not (semantic conventions, "Status").
    fn is_fault(&self) -> bool {
        let of_ours = |reason: Reason| !matches!(reason.culprit(), Culprit::Client);
        self.line.status >= 500
            || self.is_error() && self.line.status < 400 && self.reason.is_some_and(of_ours)
    }

    fn write_method(&self, message: &mut Message<'_>) {
        if METHODS.contains(&self.line.method) {
            attribute(message, "http.request.method", self.line.method.as_bytes(), 32);
        } else {
            attribute(message, "http.request.method", b"_OTHER", 32);
            let original = self.line.method.as_bytes();
            attribute(message, "http.request.method_original", original, 32);
        }
    }
}

fn attribute(message: &mut Message<'_>, key: &str, value: &[u8], most: usize) {
    message.text(span::ATTRIBUTES, key, value, most);
}

fn number(message: &mut Message<'_>, key: &str, value: impl Into<u64>) {
    message.integer(span::ATTRIBUTES, key, value.into());
}

/// Begins a span.
struct Head<'a> {
    trace: &'a RequestTrace,
    id: SpanId,
    parent: Option<SpanId>,
    kind: u64,
    started: u64,
    ended: u64,
}

impl Head<'_> {
    fn write(&self, message: &mut Message<'_>, name: &[&str]) {
        message.bytes(span::TRACE_ID, &self.trace.ids.trace_id.bytes());
        message.bytes(span::SPAN_ID, &self.id.bytes());
        if let Some(state) = &self.trace.state {
            // What is not text or too long is no state.
            if let Some(text) = state.to_str().ok().filter(|text| text.len() <= STATE_BYTES) {
                message.bytes(span::TRACE_STATE, text.as_bytes());
            }
        }
        if let Some(parent) = self.parent {
            message.bytes(span::PARENT_SPAN_ID, &parent.bytes());
        }
        message.open(span::NAME, name.iter().map(|part| part.len()).sum());
        name.iter().for_each(|part| message.0.extend_from_slice(part.as_bytes()));
        message.number(span::KIND, self.kind);
        message.fixed64(span::START, self.started);
        message.fixed64(span::END, self.ended);
        let remote = if self.kind == SERVER { IS_REMOTE } else { 0 };
        let remote = self.parent.map_or(0, |_| remote);
        message.fixed32(span::FLAGS, SAMPLED | IS_REMOTE_KNOWN | remote);
    }
}

/// The server span.
pub(super) fn server(
    settings: &SpanSettings,
    trace: &RequestTrace,
    finished: &Finished<'_>,
    out: &mut Vec<u8>,
) {
    let Finished { line, more, .. } = finished;
    let mut message = Message(out);
    let ended = finished.nanos(line.time);
    let nanos = u64::try_from(line.duration.as_nanos()).unwrap_or(u64::MAX);
    let head = Head {
        trace,
        id: trace.ids.span_id,
        parent: trace.parent,
        kind: SERVER,
        started: ended.saturating_sub(nanos),
        ended,
    };
    match &trace.route {
        Some(route) => {
            let path = beginning(&route.path, NAME_BYTES);
            head.write(&mut message, &[finished.method(), " ", path]);
        }
        None => head.write(&mut message, &[finished.method()]),
    }
    finished.write_method(&mut message);
    write_target(settings, finished, &mut message);
    attribute(&mut message, "client.address", line.client, NAME_BYTES);
    let peer = more.peer;
    attribute(&mut message, "network.peer.address", peer.ip().to_string().as_bytes(), NAME_BYTES);
    number(&mut message, "network.peer.port", peer.port());
    write_protocol(line.protocol, &mut message);
    if let Some(user_agent) = line.user_agent {
        attribute(&mut message, "user_agent.original", user_agent, NAME_BYTES);
    }
    number(&mut message, "http.response.status_code", line.status);
    number(&mut message, "http.request.body.size", line.bytes_in);
    number(&mut message, "http.response.body.size", line.bytes_out);
    write_route(trace, &mut message);
    write_ours(settings, finished, &mut message);
    write_fields(&settings.request, &trace.request, &mut message);
    write_fields(&settings.response, &trace.response, &mut message);
    let label = line.reason.map_or_else(|| line.status.to_string(), str::to_owned);
    if finished.is_error() {
        attribute(&mut message, "error.type", label.as_bytes(), NAME_BYTES);
    }
    if finished.is_fault() {
        fail(&mut message);
    }
}

/// Status { code: ERROR }.
fn fail(message: &mut Message<'_>) {
    message.open(span::STATUS, 2);
    message.number(3, ERROR);
}

fn write_target(settings: &SpanSettings, finished: &Finished<'_>, message: &mut Message<'_>) {
    let Finished { line, more, .. } = finished;
    attribute(message, "url.scheme", if more.over_tls { b"https" } else { b"http" }, 8);
    attribute(message, "url.path", line.path.as_bytes(), PATH_BYTES);
    if let Some(query) = more.query.filter(|_| settings.query) {
        attribute(message, "url.query", query.as_bytes(), PATH_BYTES);
    }
    let (name, port) = split_host(line.host);
    attribute(message, "server.address", name, HOST_BYTES);
    let port = port.and_then(|port| std::str::from_utf8(port).ok()?.parse::<u16>().ok());
    number(message, "server.port", port.unwrap_or(if more.over_tls { 443 } else { 80 }));
}

/// `HTTP/2.0` is `2`.
fn write_protocol(protocol: &str, message: &mut Message<'_>) {
    let version = protocol.strip_prefix("HTTP/").unwrap_or_default();
    let version = version.strip_suffix(".0").filter(|major| *major != "1").unwrap_or(version);
    if !version.is_empty() {
        attribute(message, "network.protocol.version", version.as_bytes(), 8);
    }
}

fn write_route(trace: &RequestTrace, message: &mut Message<'_>) {
    let Some(route) = &trace.route else { return };
    attribute(message, "http.route", route.path.as_bytes(), PATH_BYTES);
    write_objects(trace, message);
}

/// The objects of Kubernetes.
fn write_objects(trace: &RequestTrace, message: &mut Message<'_>) {
    let Some(route) = &trace.route else { return };
    attribute(message, "k8s.namespace.name", route.namespace.as_bytes(), NAME_BYTES);
    if let Some(ingress) = &route.ingress {
        attribute(message, "k8s.ingress.name", ingress.as_bytes(), NAME_BYTES);
    }
    attribute(message, "k8s.service.name", route.service.as_bytes(), NAME_BYTES);
}

fn write_ours(settings: &SpanSettings, finished: &Finished<'_>, message: &mut Message<'_>) {
    let Finished { line, more, .. } = finished;
    if let Some(labels) = more.labels {
        attribute(message, "ravelin.route", labels.route.as_bytes(), NAME_BYTES);
        attribute(message, "ravelin.service", labels.service.as_bytes(), NAME_BYTES);
    }
    if let Some(name) = settings.entry_points.get(more.listener) {
        attribute(message, "ravelin.entry_point", name.as_bytes(), NAME_BYTES);
    }
    if let Some(endpoint) = line.endpoint {
        attribute(message, "ravelin.endpoint", endpoint.as_bytes(), NAME_BYTES);
    }
    if let Some(ray) = line.cf_ray {
        attribute(message, "ravelin.cf_ray", ray, 64);
    }
    if let Some(reason) = line.reason.filter(|_| !finished.is_error()) {
        attribute(message, "ravelin.reason", reason.as_bytes(), NAME_BYTES);
    }
    number(message, "ravelin.retries", line.retries);
}

fn write_fields(names: &[CapturedName], fields: &[KeptField], message: &mut Message<'_>) {
    for field in fields {
        let values = field.values.iter().map(HeaderValue::as_bytes);
        let key = &names[field.position].key;
        message.list(span::ATTRIBUTES, key, values, HEADER_BYTES);
    }
}

/// A client span. `is_last`: it ends with the request.
pub(super) fn client(
    settings: &SpanSettings,
    trace: &RequestTrace,
    finished: &Finished<'_>,
    own: &ClientSpan,
    is_last: bool,
    out: &mut Vec<u8>,
) {
    let mut message = Message(out);
    let head = Head {
        trace,
        id: own.id,
        parent: Some(trace.ids.span_id),
        kind: CLIENT,
        started: finished.nanos(own.started),
        ended: finished.nanos(own.ended.unwrap_or(finished.line.time)),
    };
    head.write(&mut message, &[finished.method()]);
    finished.write_method(&mut message);
    let address = own.endpoint.addr.socket_addr();
    write_pod(address, &mut message);
    let url = url(settings, trace, finished, &own.endpoint.text);
    attribute(&mut message, "url.full", url.as_bytes(), PATH_BYTES);
    write_objects(trace, &mut message);
    if own.resends > 0 {
        number(&mut message, "http.request.resend_count", own.resends);
    }
    let status = own.status.map(|status| status.as_u16());
    let status = status.or(finished.more.origin_status.filter(|_| is_last));
    if let Some(status) = status {
        number(&mut message, "http.response.status_code", status);
    }
    // What is wrong with the last one is what is wrong with the request, where no answer came or it broke off.
    let of_request =
        finished.reason.filter(|_| is_last && (status.is_none() || finished.is_fault()));
    match (own.reason.or(of_request), status) {
        (Some(reason), _) => {
            attribute(&mut message, "error.type", reason.label().as_bytes(), NAME_BYTES);
            fail(&mut message);
        }
        (None, Some(status @ 400..)) => {
            attribute(&mut message, "error.type", status.to_string().as_bytes(), 8);
            fail(&mut message);
        }
        (None, _) => {}
    }
}

fn write_pod(address: SocketAddr, message: &mut Message<'_>) {
    let ip = address.ip().to_string();
    for key in ["server.address", "network.peer.address", "k8s.pod.ip"] {
        attribute(message, key, ip.as_bytes(), NAME_BYTES);
    }
    for key in ["server.port", "network.peer.port"] {
        number(message, key, address.port());
    }
}

/// The URL at the pod: with the path as the client asked for it.
fn url(
    settings: &SpanSettings,
    trace: &RequestTrace,
    finished: &Finished<'_>,
    pod: &str,
) -> String {
    let over_tls = trace.route.as_ref().is_some_and(|route| route.over_tls);
    let scheme = if over_tls { "https" } else { "http" };
    let mut url = format!("{scheme}://{pod}{}", finished.line.path);
    if let Some(query) = finished.more.query.filter(|_| settings.query) {
        url.push('?');
        url.push_str(query);
    }
    url
}

/// All spans of a request, each behind its head as `ScopeSpans.spans` has it. Returns how many there are.
pub(super) fn write(
    settings: &SpanSettings,
    trace: &RequestTrace,
    clients: Option<&ClientSpans>,
    finished: &Finished<'_>,
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> u64 {
    let mut count = 0;
    let mut close = |scratch: &mut Vec<u8>| {
        Message(out).bytes(2, scratch);
        scratch.clear();
        count += 1;
    };
    scratch.clear();
    server(settings, trace, finished, scratch);
    close(scratch);
    let spans = clients.map(|clients| &*clients.spans).unwrap_or_default();
    for (position, own) in spans.iter().enumerate() {
        client(settings, trace, finished, own, position + 1 == spans.len(), scratch);
        close(scratch);
    }
    count
}
