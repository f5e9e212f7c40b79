//! The decision: target, route, permission, endpoints, and the request as its pod gets it.

use super::Downstream;
use super::exchange::Exchange;
use super::rejected_head::Unreadable;
use super::request_origin::RequestOrigin;
use super::session_affinity;
use crate::balance::EndpointSet;
use crate::error::Reason;
use crate::http::{self as stage, Noted, Target};
use crate::model::Broken;
use crate::net::fields::Fields;
use crate::pki::client_certificate::{Mode, Verification};
use crate::routing::{Backend, EndpointProtocol, RouteId, Table};
use crate::upstream::body::{RequestBody, Upload};
use http::{HeaderValue, Method, Request, Uri, Version, header, request};
use http_body::Body;
use std::rc::Rc;
use std::sync::Arc;

/// Longest method, in bytes: the longest that is registered has 17. RFC 9112 section 3 asks for 501.
const MOST_METHOD_BYTES: usize = 32;

/// A request that has somewhere to go.
pub(super) struct Decided {
    /// Taken when it is sent.
    pub(super) request: Option<Request<RequestBody>>,
    pub(super) endpoints: Arc<EndpointSet>,
    pub(super) protocol: EndpointProtocol,
}

/// Reads, routes and rewrites a request; an error is the answer that we give instead.
pub(super) fn decide(exchange: &mut Exchange, mut head: request::Parts) -> Result<Decided, Reason> {
    let downstream = Rc::clone(exchange.downstream());
    let worker = &downstream.worker;
    let bodyless = exchange.upload().is_none();
    // HTTP/1.1 has the same bounds, by hyper.
    if head.version == Version::HTTP_2 {
        stage::read_http2(&mut head, worker.config.limits.header_block)?;
    }
    let sender = RequestOrigin::of(&downstream, &head.headers);
    exchange.client = sender.client().cloned();
    let over_tls = sender.is_over_tls();
    exchange.over_tls = over_tls;
    if let Some(cause) = sender.unnamed() {
        worker.cells.listeners[downstream.listener].unnamed[cause as usize].add(1);
    }
    let vouched = sender.vouched(worker.policy.secret_name());
    let has_tls = over_tls || downstream.tls.is_some();
    let target = read_target(&mut head, has_tls, worker.config.limits.request_target);
    let target = target.inspect_err(|_| {
        exchange.noted = stage::note_request(&head.headers, vouched);
        exchange.unreadable = Some(Unreadable::of(&head));
    })?;
    let target = &*exchange.target.insert(target);
    let allowed = match sender.via_cloudflare() {
        true => worker.policy.check(&head.headers),
        false => Ok(()),
    };
    let fields = sender.fields(&target.host);
    let mut noted = stage::clean_request(&mut head.headers, &target.host, &fields, vouched);
    // Where a body ends and the other protocol begins, not all agree; and HTTP/1.0 has no upgrades.
    let may_change = bodyless && head.version == Version::HTTP_11;
    noted.upgrade = noted.upgrade.filter(|_| may_change);
    let takes_trailers = noted.trailers;
    let table = worker.tables.load();
    let found = allowed.and_then(|()| find(&table, target));
    let uri = found.and_then(|id| sent(&table, id, target));
    let may_go_on = found.and_then(|id| secured(&table, id, over_tls));
    let belongs = match may_go_on {
        // Where it is sent to, it is asked for what is missing here.
        Err(Reason::HttpsRedirect) => Ok(()),
        _ => belongs(&downstream, target),
    };
    exchange.noted = noted;
    exchange.noted.refused.map_or(Ok(()), Err)?;
    stage::forwards_left(&head.method, &mut head.headers)?;
    let id = allowed.and(belongs).and(found)?;
    let backend = table.backend(id);
    exchange.choice = session_affinity::choose(table.algorithm(id), exchange, &head.headers);
    let endpoints = may_go_on.and_then(|()| usable(backend));
    let protocol = match exchange.noted.upgrade {
        None => backend.protocol.clone(),
        Some(_) => backend.protocol.for_upgrades(),
    };
    if takes_trailers && protocol.may_be_http2() {
        head.headers.set(header::TE, HeaderValue::from_static("trailers"));
    }
    exchange.routed(table, id)?;
    let request = upstream_request(head, uri?, exchange.upload(), &exchange.noted);
    Ok(Decided { request: Some(request), endpoints: endpoints?, protocol })
}

fn read_target(
    head: &mut request::Parts,
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
        Some(session) if !session.covered(&target.host) => {
            let host = target.host_name()?;
            let covers = session.covers(&target.host, host.as_str());
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
    let mode = downstream.worker.handshakes.mode(target.host_name()?.as_str());
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
pub fn find(table: &Table, target: &Target) -> Result<RouteId, Reason> {
    let host = target.host_name()?;
    table.lookup(host.as_str(), target.uri.path()).ok_or(Reason::NoRoute)
}

/// The target that is sent to the pods of a route: the canonical one, or the original one if the Ingress
/// requests it.
pub fn sent(table: &Table, id: RouteId, target: &Target) -> Result<Uri, Reason> {
    if !table.keeps_raw_path(id) {
        return Ok(target.uri.clone());
    }
    let host = target.host_name()?;
    target.as_sent(|path| table.lookup(host.as_str(), path) == Some(id))
}

/// Whether a visitor may have the route with, or without, TLS.
pub fn secured(table: &Table, id: RouteId, over_tls: bool) -> Result<(), Reason> {
    let redirected = !over_tls && table.redirects(id);
    if redirected { Err(Reason::HttpsRedirect) } else { Ok(()) }
}

/// The endpoints of a backend, or the reason why it has none.
pub fn usable(backend: &Backend) -> Result<Arc<EndpointSet>, Reason> {
    match backend.broken {
        Some(Broken::ServiceMissing) => return Err(Reason::ServiceMissing),
        Some(Broken::PortMissing) => return Err(Reason::PortMissing),
        Some(Broken::Unsupported) => return Err(Reason::BackendUnsupported),
        Some(Broken::ProtocolUnusable) => return Err(Reason::ProtocolUnusable),
        Some(Broken::Restricted) => return Err(Reason::RestrictionUnsupported),
        Some(Broken::Altered) => return Err(Reason::AnnotationUnsupported),
        None => {}
    }
    let endpoints = arc_swap::Guard::into_inner(backend.endpoints());
    if endpoints.usable().is_empty() {
        return Err(Reason::NoEndpoint);
    }
    Ok(endpoints)
}

/// The request as the upstream gets it: in the shape of HTTP/1.1, with one path and a framing of its own.
fn upstream_request(
    mut head: request::Parts,
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
    let mut request = Request::new(body);
    *request.method_mut() = head.method;
    *request.uri_mut() = uri;
    *request.headers_mut() = head.headers;
    request
}
