//! The decision: target, route, permission, endpoints, and the request as its pod gets it.

use super::exchange::Exchange;
use super::rejected_head::Unreadable;
use super::request_origin::RequestOrigin;
use super::{services, session_affinity, steps, trace};
use crate::balance::EndpointSet;
use crate::error::Reason;
use crate::http::{self as stage, ForwardedFields, Noted, Target};
use crate::model::{ACME_CHALLENGES, RequestFacts, Sender};
use crate::net::fields::{FieldMap, Fields};
use crate::net::message::{Request, RequestParts};
use crate::pki::client_certificate::{Mode, Verification};
use crate::proxy::Downstream;
use crate::routing::{Asked, Backend, EndpointProtocol, RouteId, Table};
use crate::upstream::body::{RequestBody, Upload};
use http::{Extensions, HeaderValue, Method, Uri, Version, header};
use http_body::Body;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;

/// Longest method, in bytes: the longest that is registered has 17. RFC 9112 section 3 asks for 501.
const MOST_METHOD_BYTES: usize = 32;

/// A request that has somewhere to go.
pub(super) struct Decided {
    /// Taken when it is sent.
    pub(super) request: Option<Request<RequestBody>>,
    /// Those of its backend, or why there are none, which is to be said only once the steps have let the
    /// request pass.
    pub(super) endpoints: Result<Arc<EndpointSet>, Reason>,
    pub(super) protocol: EndpointProtocol,
    /// Whether a step has to wait before it goes on.
    pub(super) waits: bool,
}

impl Decided {
    /// Chooses the Service, where the route has several, once the steps have let the request pass.
    ///
    /// # Errors
    /// Why there are no endpoints.
    pub(super) fn settle(&mut self, exchange: &mut Exchange) -> Result<(), Reason> {
        if exchange.passage.is_some()
            && let Some(request) = &mut self.request
            && let Some(chosen) = services::choose(exchange, request)
        {
            (self.endpoints, self.protocol) = (chosen.endpoints, chosen.protocol);
        }
        self.endpoints.as_ref().map(drop).map_err(|reason| *reason)
    }
}

/// Reads, routes and rewrites a request; an error is the answer that we give instead.
pub(super) fn decide(exchange: &mut Exchange, mut head: RequestParts) -> Result<Decided, Reason> {
    let downstream = Rc::clone(exchange.downstream());
    let worker = &downstream.worker;
    // Where a body ends and the other protocol begins, not all agree; and HTTP/1.0 has no upgrades.
    let may_change = exchange.upload().is_none() && head.version == Version::HTTP_11;
    // HTTP/1.1 has the same bounds, by hyper.
    if head.version == Version::HTTP_2 {
        stage::read_http2(&mut head, worker.config.limits.header_block)?;
    }
    let sender = RequestOrigin::of(&downstream, &head.headers);
    let over_tls = note_sender(exchange, &sender, &mut head.headers);
    let vouched = sender.vouched(worker.policy.secret_name());
    let has_tls = over_tls || downstream.tls.is_some();
    let target = read_target(&mut head, has_tls, worker.config.limits.request_target);
    let target = target.inspect_err(|_| {
        note_fields(exchange, stage::note_request(&head.headers, vouched));
        exchange.unreadable = Some(Unreadable::of(&head));
    })?;
    let target = &*exchange.target.insert(target);
    let in_time = downstream.stranger.as_ref().is_none_or(|stranger| stranger.may_ask());
    let allowed = worker.policy.judge(sender.ip(), sender.via_cloudflare(), &head.headers);
    let allowed = if in_time { allowed } else { Err(Reason::BreakGlassLimited) };
    let table = worker.tables.load();
    let entry = worker.entries[downstream.listener];
    let (via_cloudflare, fields) = (sender.via_cloudflare(), sender.fields(&target.host));
    let told = of_sender(&fields, &target.host, via_cloudflare);
    let seen = Seen::of(&head, told, &downstream);
    let found = allowed.and_then(|()| find(&table, target, &seen));
    let uri = found.and_then(|id| sent(&table, id, target, &seen));
    let passage = found.ok().and_then(|id| steps::begin(&table, id, &downstream, &head.headers));
    let mut noted = stage::clean_request(&mut head.headers, &target.host, &fields, vouched);
    noted.upgrade = noted.upgrade.filter(|_| may_change);
    let may_go_on = found.and_then(|id| {
        let is_forced = entry.redirects && !target.uri.path().starts_with(ACME_CHALLENGES);
        secured(&table, id, over_tls, is_forced)
    });
    let belongs = match may_go_on {
        // Where it is sent to, it is asked for what is missing here.
        Err(Reason::HttpsRedirect) => Ok(()),
        _ => belongs(&downstream, target),
    };
    note_clean(exchange, noted, &mut head.headers);
    exchange.passage = passage;
    exchange.noted.refused.map_or(Ok(()), Err)?;
    stage::forwards_left(&head.method, &mut head.headers)?;
    let id = allowed.and(belongs).and(found)?;
    let backend = table.backend(id);
    exchange.choice = session_affinity::choose(table.algorithm(id), exchange, &head.headers);
    let endpoints = usable(backend);
    let protocol = protocol(backend, exchange, &mut head.headers);
    exchange.routed(table, id)?;
    may_go_on?;
    let mut request = upstream_request(head, uri?, exchange.upload(), &exchange.noted);
    let waits = exchange.passage.is_some() && steps::run(exchange, &mut request)?;
    let mut decided = Decided { request: Some(request), endpoints, protocol, waits };
    if !waits {
        decided.settle(exchange)?;
    }
    Ok(decided)
}

/// What routes may depend on of the sender of a request.
fn of_sender<'r>(
    fields: &'r ForwardedFields,
    host: &'r HeaderValue,
    via_cloudflare: bool,
) -> Sender<'r> {
    let ForwardedFields { client, proto, port } = fields;
    let (client, proto, port) = (Some(client), Some(proto), Some(port));
    Sender { client, proto, host: Some(host), port, via_cloudflare }
}

/// Notes what fields say, and counts through which data centre of Cloudflare the request came.
fn note_fields(exchange: &mut Exchange, noted: Noted) {
    if let Some(ray) = &noted.cf_ray {
        exchange.downstream().worker.cells.colos.count(ray.as_bytes());
    }
    exchange.noted = noted;
}

/// Notes the same of fields that are clean, and has them tell the pod where the request is not traced.
fn note_clean(exchange: &mut Exchange, noted: Noted, headers: &mut FieldMap) {
    note_fields(exchange, noted);
    trace::mark(exchange, headers);
}

/// Notes who sent a request, and decides whether it is traced. Returns whether the visitor came with TLS.
#[inline(always)]
fn note_sender(
    exchange: &mut Exchange,
    sender: &RequestOrigin<'_>,
    headers: &mut FieldMap,
) -> bool {
    exchange.client = sender.client().cloned();
    exchange.over_tls = sender.is_over_tls();
    if let Some(cause) = sender.unnamed() {
        let downstream = exchange.downstream();
        let cells = &downstream.worker.cells.listeners[downstream.listener];
        cells.unnamed[cause as usize].add(1);
    }
    trace::begin(exchange, headers, sender.ip());
    exchange.over_tls
}

/// The protocol to the pod. Says to it that trailers are taken, where they can be.
pub(super) fn protocol(
    backend: &Backend,
    exchange: &Exchange,
    headers: &mut impl Fields,
) -> EndpointProtocol {
    let protocol = match exchange.noted.upgrade {
        None => backend.protocol.clone(),
        Some(_) => backend.protocol.for_upgrades(),
    };
    if exchange.noted.trailers && protocol.may_be_http2() {
        headers.set(header::TE, HeaderValue::from_static("trailers"));
    }
    protocol
}

/// What of a request, beside its target, its route depends on.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'r> {
    /// The entry points that it came through, as bits.
    pub entry_points: u32,
    /// Its method.
    pub method: &'r Method,
    /// Its fields, as the client sent them.
    pub headers: &'r FieldMap,
    /// What is known of its sender.
    pub sender: Sender<'r>,
    /// The other end of the connection.
    pub peer: IpAddr,
}

impl<'r> Seen<'r> {
    /// A request that came over a connection.
    fn of(head: &'r RequestParts, sender: Sender<'r>, downstream: &Downstream) -> Self {
        let entry_points = downstream.worker.entries[downstream.listener].bits;
        let peer = downstream.peer.ip();
        Self { entry_points, method: &head.method, headers: &head.headers, sender, peer }
    }

    /// A request from nowhere in particular, through any entry point.
    pub fn anywhere(method: &'r Method, headers: &'r FieldMap) -> Self {
        let peer = IpAddr::from(Ipv4Addr::UNSPECIFIED);
        Self { entry_points: u32::MAX, method, headers, sender: Sender::default(), peer }
    }
}

fn read_target(
    head: &mut RequestParts,
    has_tls: bool,
    target_bytes: usize,
) -> Result<Target, Reason> {
    if head.method.as_str().len() > MOST_METHOD_BYTES {
        return Err(Reason::NotImplemented);
    }
    Target::check_scheme(&head.uri, has_tls)?;
    Target::read(head, target_bytes)
}

/// Whether a request may come on its connection: with TLS, only for a host that the connection's
/// certificate and policy cover, so that what was agreed on for one host is never used for another.
fn belongs(downstream: &Downstream, target: &Target) -> Result<(), Reason> {
    match &downstream.tls {
        Some(session) if !session.covered(&target.host, downstream.tls_peer()) => {
            let host = target.host_name()?;
            let covers = session.covers(&target.host, host.as_str(), downstream.tls_peer());
            covers.then_some(()).ok_or(Reason::MisdirectedRequest)
        }
        Some(_) => Ok(()),
        None if downstream.worker.handshakes.is_asking() => without_tls(downstream, target),
        None => Ok(()),
    }
}

/// Whether a request may come without TLS: a demand for a certificate that could be walked around
/// would be none.
fn without_tls(downstream: &Downstream, target: &Target) -> Result<(), Reason> {
    let host = target.host_name()?;
    let mode = downstream.worker.handshakes.mode(host.as_str(), downstream.tls_peer());
    if mode == Mode::Off {
        return Ok(());
    }
    let cells = &downstream.worker.cells.listeners[downstream.listener].handshakes;
    cells.judge(mode, Verification::Plaintext);
    match mode {
        Mode::Require => Err(Reason::ClientCertificateRequired),
        Mode::Off | Mode::Request => Ok(()),
    }
}

/// The route of a request. Together with [`Target::read`] before it, [`secured`] and [`usable`] after
/// it this is the whole decision; `explain` calls the same four.
pub fn find(table: &Table, target: &Target, seen: &Seen<'_>) -> Result<RouteId, Reason> {
    find_path(table, target, target.uri.path(), seen)
}

fn find_path(
    table: &Table,
    target: &Target,
    path: &str,
    seen: &Seen<'_>,
) -> Result<RouteId, Reason> {
    let host = target.host_name()?;
    let request = RequestFacts {
        host: host.as_str(),
        path,
        query: target.uri.query(),
        method: seen.method,
        headers: seen.headers,
        sender: seen.sender,
        peer: seen.peer,
    };
    let asked = Asked { entry_points: seen.entry_points, request: Some(request) };
    table.find(host.as_str(), path, &asked).ok_or(Reason::NoRoute)
}

/// The target that is sent to the pods of a route: the canonical one, or the original one if the Ingress
/// requests it.
pub fn sent(table: &Table, id: RouteId, target: &Target, seen: &Seen<'_>) -> Result<Uri, Reason> {
    if !table.keeps_raw_path(id) {
        return Ok(target.uri.clone());
    }
    target.as_sent(|path| find_path(table, target, path, seen) == Ok(id))
}

/// Whether a visitor may have the route with, or without, TLS. `is_forced`: the entry point asks for it.
pub fn secured(table: &Table, id: RouteId, over_tls: bool, is_forced: bool) -> Result<(), Reason> {
    let redirected = !over_tls && (is_forced || table.redirects(id));
    if redirected { Err(Reason::HttpsRedirect) } else { Ok(()) }
}

/// The endpoints of a backend, or the reason why it has none.
pub fn usable(backend: &Backend) -> Result<Arc<EndpointSet>, Reason> {
    if let Some(broken) = backend.broken {
        return Err(broken.reason());
    }
    let endpoints = arc_swap::Guard::into_inner(backend.endpoints());
    if endpoints.usable().is_empty() {
        return Err(Reason::NoEndpoint);
    }
    Ok(endpoints)
}

/// The request as the upstream gets it: in the shape of HTTP/1.1, with one path and a framing of its own.
fn upstream_request(
    mut head: RequestParts,
    uri: Uri,
    upload: Option<Rc<Upload>>,
    noted: &Noted,
) -> Request<RequestBody> {
    let body = match upload.and_then(|upload| upload.read()) {
        None => {
            // RFC 9110 section 8.6: a method that defines content says so even if there is none.
            if noted.content_length
                || matches!(head.method, Method::POST | Method::PUT | Method::PATCH)
            {
                head.headers.set(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
            }
            RequestBody::Empty
        }
        Some(body) => {
            // hyper takes a GET or HEAD of unknown length to have no body, unless told so.
            if body.size_hint().exact().is_none() {
                head.headers.set(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            }
            RequestBody::Streaming(body)
        }
    };
    if let Some(protocol) = &noted.upgrade {
        head.headers.set(header::CONNECTION, HeaderValue::from_static("upgrade"));
        head.headers.set(header::UPGRADE, protocol.clone());
    }
    head.uri = uri;
    head.version = Version::HTTP_11;
    // What hyper has noted there of the client's connection is not for that to the pod.
    head.extensions = Extensions::new();
    Request::from_parts(head, body)
}
