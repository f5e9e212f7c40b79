//! `[tracing]`: which requests are traced, and where their spans are sent.

use super::defaults;
use super::log_headers;
use super::raw::{self, Table};
use super::units::{self, Fault};
use super::values::{bytes, count, duration, one_of, path, unknown_word};
use http::uri::Scheme;
use http::{HeaderName, HeaderValue, Uri, header};
use ipnet::IpNet;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;
use toml::de::DeValue;

/// Requests a second that are traced because their senders say so.
const PARENT_LIMIT: RangeInclusive<usize> = 0..=1_000_000;

/// What spans on their way may hold: below 64 KiB there is no room for what a worker hands over at once.
const QUEUE_BYTES: RangeInclusive<usize> = 256 << 10..=1 << 30;

/// The most attributes of the resource, and fields of an export.
const MOST: usize = 64;

/// The longest key or value of an attribute, in bytes.
const MOST_ATTRIBUTE: usize = 1024;

/// The path that collectors have for traces (OTLP/HTTP, "Request").
const TRACES_PATH: &str = "/v1/traces";

/// `[tracing]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracing {
    /// Where spans are sent: `http` or `https`, with the path of OTLP over HTTP.
    pub endpoint: Uri,
    /// How.
    pub protocol: TraceProtocol,
    /// Whether what is sent is compressed.
    pub compression: TraceCompression,
    /// Fields of each export.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// File with further fields, which are secrets. As written; read for each export.
    pub headers_file: Option<PathBuf>,
    /// PEM file with the only CAs to trust. `None`: the public CAs. As written; read for each connection.
    pub ca_file: Option<PathBuf>,
    /// How long an export may take.
    pub timeout: Duration,
    /// What spans on their way may hold, in bytes.
    pub queue: usize,
    /// How many of the requests without a decision are traced.
    pub sample_rate: SampleRate,
    /// Whether the decision of the sender of a request counts.
    pub parent: ParentPolicy,
    /// Requests a second and process that are traced because their senders say so, with [`ParentPolicy::Limited`].
    pub parent_limit: u32,
    /// Clients whose decision always counts.
    pub parent_from: Vec<IpNet>,
    /// The formats of trace contexts that are read and written. At least one, each once.
    pub propagation: Vec<TraceFormat>,
    /// Whether pods are told of requests that are not traced.
    pub mark_unsampled: bool,
    /// `service.name`.
    pub service_name: String,
    /// Further attributes of the resource.
    pub resource: Vec<(String, String)>,
    /// Whether the query of a request is a part of its spans.
    pub query: bool,
    /// Header fields of requests that are; never credentials.
    pub request_headers: Vec<HeaderName>,
    /// The same of responses.
    pub response_headers: Vec<HeaderName>,
}

impl Default for Tracing {
    fn default() -> Self {
        Self {
            endpoint: Uri::from_static("http://localhost:4318/v1/traces"),
            protocol: TraceProtocol::Http,
            compression: TraceCompression::None,
            headers: Vec::new(),
            headers_file: None,
            ca_file: None,
            timeout: defaults::TRACING_TIMEOUT,
            queue: defaults::TRACING_QUEUE,
            sample_rate: SampleRate::USUAL,
            parent: ParentPolicy::Limited,
            parent_limit: defaults::TRACING_PARENT_LIMIT,
            parent_from: Vec::new(),
            propagation: vec![TraceFormat::W3c],
            mark_unsampled: true,
            service_name: defaults::TRACING_SERVICE_NAME.to_owned(),
            resource: Vec::new(),
            query: false,
            request_headers: Vec::new(),
            response_headers: Vec::new(),
        }
    }
}

/// How spans are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceProtocol {
    /// OTLP over HTTP/1.1, as Protocol Buffers.
    Http,
    /// OTLP over gRPC.
    Grpc,
}

impl TraceProtocol {
    const WORDS: [(&str, Self); 2] = [("http", Self::Http), ("grpc", Self::Grpc)];

    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Grpc => "gRPC",
        }
    }
}

/// Whether exports are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceCompression {
    /// No.
    None,
    /// By gzip.
    Gzip,
}

impl TraceCompression {
    const WORDS: [(&str, Self); 2] = [("none", Self::None), ("gzip", Self::Gzip)];
}

/// Whether what the sender of a request has decided counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParentPolicy {
    /// That a request is traced counts for so many of them a second, that it is not always.
    Limited,
    /// Always.
    Obey,
    /// Never: a trace begins here.
    Ignore,
}

impl ParentPolicy {
    const WORDS: [(&str, Self); 3] =
        [("limited", Self::Limited), ("obey", Self::Obey), ("ignore", Self::Ignore)];
}

/// The format of a trace context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceFormat {
    /// `traceparent` and `tracestate` (W3C Trace Context).
    W3c,
    /// `b3`.
    B3,
    /// `X-B3-TraceId` and others.
    B3Multi,
}

impl TraceFormat {
    const WORDS: [(&str, Self); 3] =
        [("w3c", Self::W3c), ("b3", Self::B3), ("b3multi", Self::B3Multi)];
}

/// A share of all requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleRate {
    /// Random numbers below it are drawn.
    below: u64,
    /// Whether all are.
    all: bool,
}

impl SampleRate {
    /// One in a hundred.
    const USUAL: Self = Self::of(0.01);

    /// From 0 to 1. `None` for another number.
    pub fn new(rate: f64) -> Option<Self> {
        (0.0..=1.0).contains(&rate).then_some(Self::of(rate))
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a number from 0 to 2^64, which saturates"
    )]
    const fn of(rate: f64) -> Self {
        Self { below: (rate * u64::MAX as f64) as u64, all: rate >= 1.0 }
    }

    /// Whether a random number is among the share.
    #[inline(always)]
    pub fn draws(self, random: u64) -> bool {
        random < self.below || self.all
    }
}

/// Reads the table. `None`: nothing is traced. `secrets` are fields that the configuration has secrets in.
pub(super) fn section(table: &Table<'_>, secrets: &[&HeaderName]) -> Option<Tracing> {
    let default = Tracing::default();
    let protocol = table.read("protocol", |value| one_of(value, &TraceProtocol::WORDS));
    let protocol = protocol.unwrap_or(default.protocol);
    let endpoint =
        table.read("endpoint", |value| raw::string(value).and_then(|text| url(text, protocol)));
    let export = read_export(table, default);
    let read = read_sampling(table, export);
    let read = Tracing {
        service_name: table.read("service_name", service_name).unwrap_or(read.service_name),
        resource: pairs(table, "resource", attribute),
        query: table.read("query", raw::boolean).unwrap_or(false),
        request_headers: log_headers::names(table, "request_headers"),
        response_headers: log_headers::names(table, "response_headers"),
        ..read
    };
    for (key, names) in
        [("request_headers", &read.request_headers), ("response_headers", &read.response_headers)]
    {
        log_headers::refuse_secrets(table, key, names, secrets, "remove it from the list");
    }
    if endpoint.is_none() && !table.has("endpoint") {
        let written = super::keys::TRACING.keys.iter().find(|key| table.has(key));
        if let Some(key) = written {
            let fix = "write the address of the collector in endpoint";
            table.complain(key, Fault::new("endpoint is not set", fix));
        }
    }
    endpoint.map(|endpoint| Tracing { endpoint, protocol, ..read })
}

fn read_export(table: &Table<'_>, default: Tracing) -> Tracing {
    let compression = table.read("compression", |value| one_of(value, &TraceCompression::WORDS));
    Tracing {
        compression: compression.unwrap_or(default.compression),
        headers: pairs(table, "headers", export_header),
        headers_file: table.read("headers_file", path),
        ca_file: table.read("ca_file", path),
        timeout: duration(table, "timeout").unwrap_or(default.timeout),
        queue: table.read("queue", |value| bytes(value, &QUEUE_BYTES)).unwrap_or(default.queue),
        ..default
    }
}

fn read_sampling(table: &Table<'_>, default: Tracing) -> Tracing {
    let parent = table.read("parent", |value| one_of(value, &ParentPolicy::WORDS));
    let limit = table.read("parent_limit", |value| count(value, &PARENT_LIMIT));
    let limit = limit.and_then(|limit| u32::try_from(limit).ok());
    let from = table.list("parent_from");
    let from = from.map(|list| list.strings(&table.path("parent_from"), units::net));
    if table.has("parent_limit") && parent.is_some_and(|parent| parent != ParentPolicy::Limited) {
        let fix = "write parent = \"limited\", or remove the key";
        table.complain("parent_limit", Fault::new("parent is not \"limited\"", fix));
    }
    let propagation = formats(table).unwrap_or(default.propagation);
    Tracing {
        sample_rate: table.read("sample_rate", rate).unwrap_or(default.sample_rate),
        parent: parent.unwrap_or(default.parent),
        parent_limit: limit.unwrap_or(default.parent_limit),
        parent_from: from.unwrap_or_default(),
        propagation,
        mark_unsampled: table.read("mark_unsampled", raw::boolean).unwrap_or(true),
        ..default
    }
}

fn url(text: &str, protocol: TraceProtocol) -> Result<Uri, Fault> {
    let fix = match protocol {
        TraceProtocol::Http => {
            "write one such as \"http://otel-collector.monitoring.svc:4318/v1/traces\""
        }
        TraceProtocol::Grpc => "write one such as \"http://otel-collector.monitoring.svc:4317\"",
    };
    let uri: Uri = text.parse().map_err(|_| Fault::new(format!("\"{text}\" is not a URL"), fix))?;
    let is_known = [Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&uri.scheme());
    let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    if authority.contains('@') {
        let fix = "write the credentials as a field into the file of headers_file";
        return Err(Fault::new("it has a user or a password", fix));
    }
    if !is_known || uri.host().is_none_or(str::is_empty) {
        return Err(Fault::new("it is not the http or https URL of a collector", fix));
    }
    let is_bare = uri.path() == "/" && uri.query().is_none();
    if protocol == TraceProtocol::Grpc && !is_bare {
        return Err(Fault::new("gRPC has a path of its own", fix));
    }
    if !is_bare || protocol == TraceProtocol::Grpc {
        return Ok(uri);
    }
    let mut parts = uri.into_parts();
    parts.path_and_query = Some(http::uri::PathAndQuery::from_static(TRACES_PATH));
    Uri::from_parts(parts).map_err(|_| Fault::new(format!("\"{text}\" is not a URL"), fix))
}

fn rate(value: &DeValue<'_>) -> Result<SampleRate, Fault> {
    let text = match value {
        DeValue::Float(number) => number.as_str(),
        DeValue::Integer(number) => number.as_str(),
        _ => {
            let problem = format!("the value is of type {}, not a number", value.type_str());
            return Err(Fault::new(problem, "write it without quotes, such as 0.01"));
        }
    };
    let rate = text.replace('_', "").parse().ok().and_then(SampleRate::new);
    rate.ok_or_else(|| Fault::new(format!("{text} is out of range"), "give 0 (none) to 1 (all)"))
}

fn formats(table: &Table<'_>) -> Option<Vec<TraceFormat>> {
    let list = table.list("propagation")?;
    let mut formats = list.strings(&table.path("propagation"), |word| {
        let meant = TraceFormat::WORDS.iter().find(|(known, _)| *known == word);
        let known = TraceFormat::WORDS.map(|(known, _)| known);
        meant.map(|(_, meant)| *meant).ok_or_else(|| unknown_word(word, &known))
    });
    if list.is_empty() {
        let fix = "write \"w3c\", \"b3\" or \"b3multi\", or remove the key";
        table.complain("propagation", Fault::new("the list is empty", fix));
    }
    let mut seen = Vec::new();
    formats.retain(|format| {
        let is_new = !seen.contains(format);
        seen.push(*format);
        is_new
    });
    Some(formats)
}

fn service_name(value: &DeValue<'_>) -> Result<String, Fault> {
    let text = raw::string(value)?;
    match text.trim() {
        "" => Err(Fault::new("the name is empty", "write one such as \"ravelin\"")),
        _ if text.len() > MOST_ATTRIBUTE => {
            let fix = format!("write at most {MOST_ATTRIBUTE} bytes");
            Err(Fault::new(format!("the name has {} bytes", text.len()), fix))
        }
        name => Ok(name.to_owned()),
    }
}

/// A list of pairs, at most [`MOST`] of them.
fn pairs<T>(table: &Table<'_>, key: &str, parse: impl Fn(&str) -> Result<T, Fault>) -> Vec<T> {
    let Some(list) = table.list(key) else { return Vec::new() };
    let pairs = list.strings(&table.path(key), parse);
    if pairs.len() > MOST {
        let problem = format!("{} entries are too many", pairs.len());
        table.complain(key, Fault::new(problem, format!("list at most {MOST}")));
    }
    pairs
}

fn attribute(text: &str) -> Result<(String, String), Fault> {
    let fix = "write one such as \"deployment.environment.name=production\"";
    let pair = text.split_once('=').map(|(key, value)| (key.trim(), value.trim()));
    let pair = pair.filter(|(key, value)| !key.is_empty() && !value.is_empty());
    let (key, value) =
        pair.ok_or_else(|| Fault::new(format!("\"{text}\" is not a key and a value"), fix))?;
    if key.len().max(value.len()) > MOST_ATTRIBUTE {
        let fix = format!("write at most {MOST_ATTRIBUTE} bytes on each side");
        return Err(Fault::new("the attribute is too long", fix));
    }
    if key == "service.name" {
        let fix = "write service_name, and remove it here";
        return Err(Fault::new("service.name has a key of its own", fix));
    }
    Ok((key.to_owned(), value.to_owned()))
}

/// Fields that belong to the message, and are not the user's.
const OF_MESSAGE: [HeaderName; 7] = [
    header::HOST,
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::TE,
];

fn export_header(text: &str) -> Result<(HeaderName, HeaderValue), Fault> {
    let name = text.split(':').next().unwrap_or_default().trim();
    if log_headers::is_credential(name) {
        let fix = "write it into the file of headers_file, and remove it here";
        return Err(Fault::new(format!("\"{name}\" is a credential"), fix));
    }
    trace_header(text).ok_or_else(|| {
        let fix = "write one such as \"X-Scope-OrgID: shop\"";
        Fault::new(format!("\"{text}\" cannot be a field of an export"), fix)
    })
}

/// A field of an export: `Name: value`. `None` for what is none, and for fields that are not the user's.
pub fn trace_header(text: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = text.split_once(':')?;
    let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
    let value = HeaderValue::from_str(value.trim()).ok()?;
    let is_ours = OF_MESSAGE.contains(&name) || name.as_str().starts_with("grpc-");
    (!is_ours && !value.is_empty()).then_some((name, value))
}
