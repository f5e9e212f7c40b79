//! `ravelin explain`: the decisions of the request path for one URL, step by step.

mod args;
mod connection;
mod handshake;
mod origin;
mod running;
mod text;

pub(super) use args::{ExplainArgs, explain};

use super::certificates::Certificates;
use super::checkout::JudgedAs;
use super::table::{self, Row};
use super::{Failure, Output, What, check, manifests, say};
use crate::app::status::{self, AskedRoute, Decided, Proof, StepEffect, ZoneSettings};
use crate::config::ListenerProtocol;
use crate::config::{Config, Listener};
use crate::control::reconcile::Build;
use crate::error::Reason;
use crate::http::client_ip::Scheme;
use crate::model::{Diagnostic, Kind, ObjectRef, Why};
use crate::net::addr::PeerAddr;
use crate::net::fields::Fields;
use crate::net::message::Request;
use crate::proxy::ListenerEntry;
use crate::proxy::middleware::StepAnswer;
use crate::proxy::request;
use crate::routing::Table;
use crate::tls::TlsPeer;
use http::{HeaderValue, Uri, header};
use origin::Origin;
use serde::Serialize;
use std::num::NonZeroU64;
use std::path::PathBuf;

/// Where a request goes, and why.
#[derive(Debug, Default, Serialize)]
struct Explanation {
    url: String,
    /// Name and address of the listener that takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    listener: Option<String>,
    /// Whether the connection is admitted, and the client address of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<origin::OriginReport>,
    /// What the TLS handshake presents to Cloudflare, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
    /// Where that certificate is from.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_from: Option<String>,
    /// Why it is that one, or none.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_why: Option<String>,
    /// What it presents to other clients, if that is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_others: Option<String>,
    /// Where that is from.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_others_from: Option<String>,
    /// Cloudflare's verdict under Full (strict).
    #[serde(skip_serializing_if = "Option::is_none")]
    full_strict: Option<String>,
    /// The demand on the client, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    /// As matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    /// As matched, and forwarded if `raw_path` does not say otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<Row>,
    /// The route of connections that takes it, before HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<connection::ConnectionReport>,
    /// As forwarded, where the Ingress has it sent as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_path: Option<String>,
    /// Timeouts set by its Ingress.
    #[serde(skip_serializing_if = "Option::is_none")]
    timeouts: Option<String>,
    /// Present where the pods were not looked for, as the input names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    judged_as: Option<JudgedAs>,
    /// The most bytes of a body, where its Ingress has a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_body: Option<NonZeroU64>,
    /// What proves that its requests came through the operator's zone, strongest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    proofs: Vec<Proof>,
    /// The middlewares of the route, in the order of the request, up to the one that answers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    middlewares: Vec<StepEffect>,
    /// `forwarded`, or the status and reason of our own answer.
    answer: String,
    /// What a person may want to know about it.
    note: String,
}

/// Prints where `url` goes, by manifests or a cluster.
fn offline(
    what: &What,
    paths: Vec<PathBuf>,
    method: &str,
    url: &str,
    origin: &Origin,
) -> Result<u8, Failure> {
    let (scheme, mut request) = request(method, url)?;
    origin.write_fields(request.headers_mut())?;
    let read = manifests::read(what, paths)?;
    let table = &read.build.table;
    let limit = read.config.as_ref().map_or(usize::MAX, |config| config.limits.request_target);
    let mut explanation = Explanation { url: url.to_owned(), ..Explanation::default() };
    let taker = read.config.as_ref().map(|config| listener(config, &scheme, &request));
    explanation.listener = taker.as_ref().map(|taker| match taker {
        Ok(listener) => format!("{} {}", listener.name, listener.address),
        Err(none) => none.clone(),
    });
    let taker = taker.and_then(Result::ok);
    explanation.origin = origin.judge(&read, taker, request.headers())?;
    let stopped = explanation.origin.as_ref().and_then(|origin| origin.stopped.clone());
    if let Some((answer, note)) = stopped {
        (explanation.answer, explanation.note) = (answer, note);
        print(what, &explanation)?;
        return Ok(1);
    }
    let without_pods = read.input.judged_as() == JudgedAs::Checkout;
    let entry = entry(read.config.as_ref(), taker);
    let sni = origin.sni.as_deref();
    let asked =
        connection::Asked { table, listener: taker, entry, scheme: &scheme, sni, without_pods };
    if let Some(is_served) = connection::explain(&asked, &request, &mut explanation) {
        print(what, &explanation)?;
        return Ok(u8::from(!is_served));
    }
    let certificates = Certificates::of(read.config.as_ref(), &read.build);
    let (is_https, protocol) = (scheme == "https", taker.map(|listener| listener.protocol));
    let by = handshake::By { protocol, is_https, sni, peer: explanation.tls_peer() };
    let belongs = match handshake::stands(&certificates, &request, by, &mut explanation)? {
        Ok(belongs) => belongs,
        Err(note) => {
            explanation.answer = "refused".to_owned();
            explanation.note = note;
            print(what, &explanation)?;
            return Ok(1);
        }
    };
    let told = explanation.origin.as_ref().and_then(|origin| origin.scheme);
    let over_tls = told.map_or(is_https, |told| told == Scheme::Https);
    let settings = settings(read.config.as_ref(), &certificates, &request, by.peer);
    let way = Way { belongs, over_tls, entry, without_pods, settings };
    let refused = decide(table, &request, limit, &way, &mut explanation).err();
    let reason = refused.as_ref().map(|answer| answer.reason);
    let answer = |own: &StepAnswer| format!("{} {}", own.status().as_u16(), own.reason.label());
    explanation.answer = refused.as_deref().map_or_else(|| "forwarded".to_owned(), answer);
    handshake::add_resolver(&read.build, &mut explanation);
    explanation.note = note(&read.build, &explanation, reason);
    print(what, &explanation)?;
    Ok(u8::from(reason.is_some()))
}

/// What is asked of a request before its route.
fn settings<'s>(
    config: Option<&'s Config>,
    certificates: &'s Certificates<'_>,
    request: &Request<()>,
    peer: TlsPeer,
) -> ZoneSettings<'s> {
    let (host, _) = handshake::named_host(request);
    let demand = certificates.demand(Some(&host), peer).ok();
    ZoneSettings { demand, cloudflare: config.map(|config| &config.cloudflare) }
}

/// An answer of our own: status and reason.
fn refusal(reason: Reason) -> String {
    format!("{} {}", reason.status().as_u16(), reason.label())
}

fn print(what: &What, explanation: &Explanation) -> Result<(), Failure> {
    say(&match what.output {
        Output::Text => text::text(explanation),
        Output::Json => check::json(explanation)?,
    })
}

/// The request that a client makes of a URL: what it sends of it, and to which host.
fn request(method: &str, url: &str) -> Result<(String, Request<()>), Failure> {
    let wrong = |what: &str| {
        Failure::usage(format!("{url:?} is not a URL: {what}; write http://host/path"))
    };
    let uri: Uri = url.parse().map_err(|error: http::uri::InvalidUri| wrong(&error.to_string()))?;
    let scheme = uri.scheme_str().ok_or_else(|| wrong("it has no scheme"))?.to_owned();
    if !matches!(scheme.as_str(), "http" | "https" | "tcp" | "tls") {
        return Err(wrong("its scheme is none of http, https, tcp and tls"));
    }
    let host = uri.authority().ok_or_else(|| wrong("it has no host"))?.as_str().to_owned();
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let target = if target.starts_with('?') { format!("/{target}") } else { target.to_owned() };
    let request = http::Request::builder().method(method).uri(target).header(header::HOST, host);
    let request = request.body(()).map_err(|error| wrong(&error.to_string()))?;
    Ok((scheme, request.into()))
}

/// How a request comes, and what is known of where it goes.
struct Way<'a> {
    /// Whether it belongs on its connection.
    belongs: Result<(), Reason>,
    over_tls: bool,
    /// The listener that it comes through, to routes.
    entry: ListenerEntry,
    /// No pods are named in the input: a Service is enough.
    without_pods: bool,
    /// What is asked of requests before their route.
    settings: ZoneSettings<'a>,
}

impl Explanation {
    /// Whom the connection is from. Who says nothing of that means a visitor of Cloudflare.
    fn tls_peer(&self) -> TlsPeer {
        self.origin.as_ref().map_or(TlsPeer::Cloudflare, |origin| origin.tls_peer)
    }

    /// The other end of the connection and the verified visitor, where they are known.
    fn sent_by(&self) -> (Option<PeerAddr>, Option<HeaderValue>) {
        self.origin.as_ref().map_or((None, None), |origin| (origin.peer, origin.visitor.clone()))
    }
}

/// The steps of `forward`, each noted.
fn decide(
    table: &Table,
    request: &Request<()>,
    limit: usize,
    way: &Way<'_>,
    explanation: &mut Explanation,
) -> Result<(), Box<StepAnswer>> {
    let (peer, visitor) = explanation.sent_by();
    let asked = AskedRoute {
        request,
        most_target: limit,
        entry: way.entry,
        over_tls: way.over_tls,
        belongs: way.belongs,
        peer,
        visitor: visitor.as_ref(),
        // Who says nothing of where it comes from means a visitor of Cloudflare.
        via_cloudflare: explanation.origin.is_none(),
        settings: way.settings,
    };
    let mut decided = Decided::default();
    let found = status::decide(table, &asked, &mut decided);
    (explanation.host, explanation.path) = (decided.host, decided.path);
    (explanation.proofs, explanation.middlewares) = (decided.proofs, decided.steps);
    if let Some(id) = decided.route {
        explanation.route = Some(table::row(table, id));
        if let Some(uri) = decided.uri {
            explanation.raw_path = table.keeps_raw_path(id).then(|| uri.path().to_owned());
            explanation.max_body = table.max_body(id);
            explanation.timeouts = table.timeouts(id).map(ToString::to_string);
        }
    }
    let id = found?;
    match request::usable(table.backend(id)) {
        // Nothing is resolved here.
        Err(Reason::NoEndpoint) if table.backend(id).external.is_some() => Ok(()),
        Err(Reason::NoEndpoint) if way.without_pods => {
            explanation.judged_as = Some(JudgedAs::Checkout);
            Ok(())
        }
        usable => Ok(usable.map(drop)?),
    }
}

/// What is said of a Service whose pods the input does not name.
const NO_SLICES: &str = "checked as a repository: the input has no EndpointSlices, so a Service is \
    enough; in a cluster, a Service without a ready pod answers 503 no_endpoint";

/// What a person may want to know about an answer.
fn note(build: &Build, explanation: &Explanation, reason: Option<Reason>) -> String {
    let route = explanation.route.as_ref();
    match reason {
        None if explanation.judged_as.is_some() => NO_SLICES.to_owned(),
        None => route.map(|row| row.how.clone()).unwrap_or_default(),
        Some(Reason::NoRoute) => no_route(&build.table, explanation),
        Some(reason) => {
            refused_by(build, route, reason).unwrap_or_else(|| reason.text().to_owned())
        }
    }
}

/// The annotations for which a route is not served: of its Ingress, or of its Service.
fn refused_by(build: &Build, route: Option<&Row>, reason: Reason) -> Option<String> {
    let why = match reason {
        Reason::RestrictionUnsupported => Why::RestrictionUnsupported,
        Reason::AnnotationUnsupported => Why::AnnotationUnsupported,
        Reason::MiddlewareUnusable => Why::MiddlewareUnusable,
        _ => return None,
    };
    let (ingress, service) = route.map(|route| (&route.ingress, &route.service))?;
    let is_of_route = |object: &ObjectRef| {
        let name = format!("{}/{}", object.namespace, object.name);
        match object.kind {
            Kind::Ingress => name == *ingress,
            Kind::Service => service.rsplit_once(':').is_some_and(|(own, _)| own == name),
            _ => false,
        }
    };
    let found = build.findings.iter().filter(|finding| {
        finding.why == why
            && finding.field.starts_with("metadata.annotations")
            && is_of_route(&finding.object)
    });
    let words = found.map(|finding| {
        let Diagnostic { object, field, reason, fix, .. } = finding;
        format!("{object}: {field}: {reason} (fix: {fix})")
    });
    let words: Vec<String> = words.collect();
    (!words.is_empty()).then(|| words.join("; "))
}

/// The listener that takes the request, or the words that there is none.
fn listener<'c>(
    config: &'c Config,
    scheme: &str,
    request: &Request<()>,
) -> Result<&'c Listener, String> {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let written = host.and_then(|host| host.parse::<http::uri::Authority>().ok());
    let port = written.and_then(|authority| authority.port_u16());
    let port = port.unwrap_or(if scheme == "https" { 443 } else { 80 });
    let speaks = |protocol: ListenerProtocol| match scheme {
        "tcp" => protocol != ListenerProtocol::Https,
        "tls" => protocol != ListenerProtocol::Http,
        scheme => protocol.as_str() == scheme,
    };
    let fits = |listener: &&Listener| listener.address.port() == port && speaks(listener.protocol);
    let fitting = config.listeners.iter().find(fits);
    fitting.ok_or_else(|| format!("none for {scheme} on port {port}"))
}

/// What a listener is to routes; without one they are all asked.
fn entry(config: Option<&Config>, listener: Option<&Listener>) -> ListenerEntry {
    let any = ListenerEntry { bits: u32::MAX, redirects: false };
    let (Some(config), Some(listener)) = (config, listener) else { return any };
    let at = config.listeners.iter().position(|other| other.name == listener.name);
    at.and_then(|at| ListenerEntry::of(config).get(at).copied()).unwrap_or(any)
}

/// Why nothing matched, as far as the table can tell.
fn no_route(table: &Table, explanation: &Explanation) -> String {
    let host = explanation.host.as_deref().unwrap_or_default();
    let mut paths: Vec<String> = table
        .routes()
        .map(|id| table.route(id))
        .filter(|route| !route.wildcard && route.host == host)
        .map(|route| format!("{} {}", route.kind.as_str(), route.path))
        .collect();
    paths.sort();
    if paths.is_empty() {
        return format!("no rule, wildcard or default backend matches the host {host:?}");
    }
    format!("the host has rules, but none matches this path: {}", paths.join(", "))
}
