//! The life of a request: target, route, endpoint, upstream, response.
//!
//! Every way out of it, the pod's answer as well as ours, ends in an `Exchange`, which counts and
//! logs the request when its last byte is through or when it is given up.

mod body_size;
mod calls;
mod charge;
mod exchange;
mod parts;
mod response_body;
mod routed;
mod send;
mod sender;
mod sticky;
mod tunnel;
mod unread;
mod worker;

pub use response_body::ResponseBody;
pub use tunnel::{Tunnel, TunnelSlot};
pub use unread::record_unread;
pub use worker::{Downstream, Worker};

use crate::balance::EndpointSet;
use crate::error::Reason;
use crate::http::{self as stage, Noted, Target};
use crate::model::{Broken, Protocol};
use crate::net::deadline::{Phase, Watch};
use crate::net::fields::trim_values;
use crate::pki::client_certificate::{Mode, Verdict};
use crate::routing::{Backend, RouteId, Table};
use crate::tls::Session;
use crate::upstream::body::{Flow, Inbound, ROOM, RequestBody, Upload, UploadLimits};
use crate::upstream::{MOST_ANSWER_FIELDS, ReplyBody};
use bytes::Bytes;
use charge::Charge;
use exchange::Exchange;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header, request};
use http_body::Body;
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use send::send;
use sender::Sender;
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use unread::Unreadable;

/// Answers one request. Never fails: whatever goes wrong becomes an answer of ours.
///
/// The decision is made in the call. Only the way to the pod is a future, and that is kept small:
/// hyper moves it for every request. `head_bytes`: how long its head was, if it came in HTTP/1.1.
pub fn forward(
    downstream: &Rc<Downstream>,
    tunnel: &TunnelSlot,
    request: Request<Incoming>,
    head_bytes: Option<usize>,
) -> impl Future<Output = Result<Response<ResponseBody>, Infallible>> + use<> {
    let (head, body) = request.into_parts();
    let watch = match &downstream.streams {
        Some(streams) => streams.begin(),
        None => Rc::clone(&downstream.watch),
    };
    let (charge, has_room) = Charge::of(&downstream.account, &head, head_bytes);
    let upload = begin_upload(downstream, &watch, body);
    let mut exchange = Exchange::begin(Rc::clone(downstream), watch, &head, upload, charge);
    let mut decided = match has_room {
        true => decide(&mut exchange, head),
        false => Err(Reason::MemoryExhausted),
    };
    if let (Err(_), Some(upload)) = (&decided, exchange.upload()) {
        upload.settle();
    }
    let tunnel = exchange.noted.upgrade.is_some().then(|| Rc::clone(tunnel));
    async move {
        let result = match &mut decided {
            Ok(Decided { request, endpoints, protocol }) => {
                send(&mut exchange, request, (endpoints, protocol)).await
            }
            Err(reason) => Err(*reason),
        };
        // Where nobody was to read the body, hyper says that it closes.
        let leaves_unread = exchange.leaves_unread() && decided.is_ok();
        let Downstream { worker, streams, tls, .. } = &**exchange.downstream();
        // After CONNECT a client may send what is no request of ours (RFC 9110 section 9.3.6). HTTP/2
        // ends connections by GOAWAY.
        let close = streams.is_none()
            && (worker.draining.get()
                || worker.deadlines.is_starving()
                || leaves_unread
                || matches!(result, Err(Reason::ConnectRefused | Reason::MemoryExhausted))
                || tls.as_ref().is_some_and(Session::is_outdated));
        let mut response = match result {
            Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                return Ok(Box::pin(switch(exchange, response, tunnel)).await);
            }
            Ok(response) => pass_on(exchange, response),
            Err(reason) => answer_of_ours(exchange, reason),
        };
        if close {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }
}

/// Starts the clock of the exchange, and the record of its body if there is one.
fn begin_upload(downstream: &Downstream, watch: &Rc<Watch>, body: Incoming) -> Option<Rc<Upload>> {
    let timeouts = &downstream.worker.config.timeouts;
    if body.is_end_stream() {
        watch.enter(Phase::Exchange, timeouts.response_head);
        return None;
    }
    let progress = timeouts.body_progress;
    watch.enter(Phase::Exchange, progress);
    let limits = UploadLimits { progress, response_head: timeouts.response_head };
    let flow = Flow::new(Arc::clone(&downstream.account), ROOM);
    let inflow = downstream.streams.as_ref().map(|streams| Rc::clone(streams.inflow()));
    Some(Upload::new(Rc::clone(watch), flow, limits, Inbound::new(body, inflow)))
}

/// Longest method, in bytes: the longest that is registered has 17. RFC 9112 section 3 asks for 501.
const MOST_METHOD_BYTES: usize = 32;

/// A request that has somewhere to go.
struct Decided {
    /// Taken when it is sent.
    request: Option<Request<RequestBody>>,
    endpoints: Arc<EndpointSet>,
    protocol: Protocol,
}

/// Reads, routes and rewrites a request; an error is the answer that we give instead.
fn decide(exchange: &mut Exchange, mut head: request::Parts) -> Result<Decided, Reason> {
    let downstream = Rc::clone(exchange.downstream());
    let worker = &downstream.worker;
    let bodyless = exchange.upload().is_none();
    // HTTP/1.1 has the same bounds, by hyper.
    if head.version == Version::HTTP_2 {
        stage::read_http2(&mut head, worker.config.limits.header_block)?;
    }
    let sender = Sender::of(&downstream, &head.headers);
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
    exchange.choice = sticky::choose(table.algorithm(id), exchange, &head.headers);
    let endpoints = may_go_on.and_then(|()| usable(backend));
    let protocol = match exchange.noted.upgrade {
        None => backend.protocol.clone(),
        Some(_) => backend.protocol.for_upgrades(),
    };
    if takes_trailers && protocol.may_be_http2() {
        head.headers.insert(header::TE, HeaderValue::from_static("trailers"));
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
    cells.judge(mode, Verdict::Plaintext);
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

/// What is sent to the pods of a route: the canonical target, or, where its Ingress says so, the one that
/// came.
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
                head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
            }
            RequestBody::Empty
        }
        Some(body) => {
            // hyper takes a GET or HEAD of unknown length to have no body, unless told so.
            if body.size_hint().exact().is_none() {
                head.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            }
            RequestBody::Streaming(body)
        }
    };
    if let Some(protocol) = &noted.upgrade {
        head.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        head.headers.insert(header::UPGRADE, protocol.clone());
    }
    let mut request = Request::new(body);
    *request.method_mut() = head.method;
    *request.uri_mut() = uri;
    *request.headers_mut() = head.headers;
    request
}

/// Hands both connections over, if the client has asked for that.
async fn switch(
    exchange: Exchange,
    response: Response<ReplyBody>,
    slot: Option<TunnelSlot>,
) -> Response<ResponseBody> {
    let mut response = response;
    sticky::set_cookie(&exchange, response.headers_mut());
    let switched = match slot {
        Some(slot) => tunnel::switch(exchange, response, &slot).await,
        None => Err((exchange, Reason::UpstreamUpgraded)),
    };
    switched.unwrap_or_else(|(exchange, reason)| answer_of_ours(exchange, reason))
}

/// Passes the pod's answer on, in the shape of HTTP/1.1, or answers that it cannot be.
fn pass_on(mut exchange: Exchange, mut response: Response<ReplyBody>) -> Response<ResponseBody> {
    let is_http2 = response.version() == Version::HTTP_2;
    match make_ready(&exchange, &mut response) {
        Ok(()) => {
            exchange.heard(response.headers(), is_http2);
            answer_of_upstream(exchange, response)
        }
        Err(reason) => {
            exchange.give_up_upstream();
            answer_of_ours(exchange, reason)
        }
    }
}

/// Makes what one protocol tolerates valid for the other.
fn make_ready(exchange: &Exchange, response: &mut Response<ReplyBody>) -> Result<(), Reason> {
    if response.version() == Version::HTTP_2 {
        if response.headers().len() > MOST_ANSWER_FIELDS {
            return Err(Reason::UpstreamMalformed);
        }
        trim_values(response.headers_mut());
    }
    let status = response.status();
    stage::clean_response(response.headers_mut(), status, exchange.is_head())?;
    *response.version_mut() = Version::HTTP_11;
    // hyper would make up one.
    if status.canonical_reason().is_none() && response.extensions().get::<ReasonPhrase>().is_none()
    {
        response.extensions_mut().insert(ReasonPhrase::from_static(b""));
    }
    Ok(())
}

fn answer_of_upstream(
    mut exchange: Exchange,
    mut response: Response<ReplyBody>,
) -> Response<ResponseBody> {
    sticky::set_cookie(&exchange, response.headers_mut());
    if let Some(hsts) = exchange.hsts() {
        response.headers_mut().entry(header::STRICT_TRANSPORT_SECURITY).or_insert(hsts.clone());
    }
    exchange.answered(response.status());
    let has_body = !exchange.is_head() && stage::may_have_body(response.status());
    response.map(|incoming| match has_body {
        true => ResponseBody::of_upstream(incoming, exchange),
        // What a pod with HTTP/2 sends all the same is dropped with its stream.
        false => ResponseBody::empty(exchange),
    })
}

fn answer_of_ours(mut exchange: Exchange, reason: Reason) -> Response<ResponseBody> {
    exchange.refused(reason);
    let mut response = match exchange.is_grpc() {
        true => stage::answer_grpc(reason),
        false => stage::answer(reason),
    };
    if reason == Reason::HttpsRedirect {
        let target = exchange.target.as_ref().and_then(Target::over_tls);
        response.headers_mut().extend(target.map(|target| (header::LOCATION, target)));
    }
    if let Some(hsts) = exchange.hsts() {
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, hsts.clone());
    }
    // With HTTP/2 hyper would send it.
    if exchange.is_head() {
        let length = response.body().len();
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        *response.body_mut() = Bytes::new();
    }
    response.map(|text| ResponseBody::of_ours(text, exchange))
}
