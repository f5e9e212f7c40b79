//! The life of a request: target, route, endpoint, upstream, response.
//!
//! Every outcome ends in an `Exchange`. It counts and logs the request when the last byte has been sent
//! or the request is dropped.

mod calls;
mod charge;
mod decide;
mod encoded_body;
mod error_pages;
mod etags;
mod exchange;
mod follow_up;
mod mirror;
mod part_body;
mod parts;
mod peek;
mod rejected_head;
mod request_origin;
mod response;
mod response_body;
mod routed;
mod send;
mod services;
mod session_affinity;
mod steps;
mod trace;
mod tunnel;

pub use decide::{Seen, find, secured, sent, usable};
pub use exchange::MOST_OF_REST;
pub use rejected_head::record_unread;
pub use response_body::ResponseBody;
pub use tunnel::{Tunnel, TunnelSlot};

use crate::error::Reason;
use crate::net::deadline::{Phase, Watch};
use crate::net::fields::Fields;
use crate::net::message::{Request, Response};
use crate::proxy::Downstream;
use crate::tls::Session;
use crate::upstream::ReplyBody;
use crate::upstream::body::{ClientBody, Flow, Inbound, ROOM, Upload, UploadLimits};
use charge::Charge;
use decide::{Decided, decide};
use exchange::Exchange;
use http::{HeaderValue, StatusCode, header};
use http_body::Body;
use response::{answer_of_ours, pass_on};
use send::send;
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;

/// Answers one request. Never fails: every error becomes a response of our own.
/// Routing happens in the call; only the upstream exchange is a future, kept small because it is moved
/// for every request. `watch` is its deadline; `head_bytes`: length of the request head, if it came in HTTP/1.1.
pub fn forward(
    downstream: &Rc<Downstream>,
    watch: Rc<Watch>,
    tunnel: &TunnelSlot,
    request: Request<ClientBody>,
    head_bytes: Option<usize>,
) -> impl Future<Output = Result<Response<ResponseBody>, Infallible>> + use<> {
    let (head, body) = request.into_parts();
    let (charge, has_room) = Charge::of(&downstream.account, &head, head_bytes);
    let upload = begin_upload(downstream, &watch, body);
    let mut exchange = Exchange::begin(Rc::clone(downstream), watch, &head, upload, charge);
    exchange.keep_request(&head.headers);
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
            Ok(decided) => go_on(&mut exchange, decided).await,
            Err(reason) => Err(*reason),
        };
        // Where nobody was to read the body, the connection decides by itself.
        let leaves_unread = exchange.leaves_unread() && decided.is_ok();
        let Downstream { worker, streams, tls, .. } = &**exchange.downstream();
        // After CONNECT a client may send what is no request of ours (RFC 9110 section 9.3.6). HTTP/2
        // ends connections by GOAWAY.
        let close = streams.is_none()
            && (exchange.downstream().is_draining()
                || worker.deadlines.is_starving()
                || leaves_unread
                || matches!(result, Err(Reason::ConnectRefused | Reason::MemoryExhausted))
                || tls.as_ref().is_some_and(Session::is_outdated));
        let mut response = match result {
            Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                return Ok(Box::pin(switch(exchange, response, tunnel)).await);
            }
            // Boxed, as its size would be that of every request.
            result if error_pages::may_be_due(&exchange) => {
                Box::pin(error_pages::respond(exchange, result)).await
            }
            Ok(response) => pass_on(exchange, response),
            Err(reason) => answer_of_ours(exchange, reason),
        };
        if close {
            response.headers_mut().set(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }
}

/// Has the steps that wait decide, and sends the request to a pod.
async fn go_on(
    exchange: &mut Exchange,
    decided: &mut Decided,
) -> Result<Response<ReplyBody>, Reason> {
    if decided.waits {
        // Boxed, as its size would be that of every request.
        Box::pin(steps::resume(exchange, &mut decided.request)).await?;
        decided.settle(exchange)?;
    }
    let Decided { request, endpoints, protocol, .. } = decided;
    let endpoints = endpoints.as_ref().map_err(|reason| *reason)?;
    let mut result = send(exchange, request, endpoints, protocol).await;
    if exchange.passage.as_ref().is_some_and(|passage| passage.has_follow_up()) {
        // Boxed, as its size would be that of every request.
        result = Box::pin(follow_up::follow(exchange, result)).await;
    }
    if let Some(upload) = exchange.upload() {
        upload.settle();
    }
    match result {
        Ok(response) if exchange.passage.as_ref().is_some_and(|passage| passage.detects_type) => {
            // Boxed, as its size would be that of every request.
            Box::pin(peek::name_type(exchange, response)).await
        }
        result => result,
    }
}

/// Starts the clock of the exchange, and the record of its body if there is one.
fn begin_upload(
    downstream: &Downstream,
    watch: &Rc<Watch>,
    body: ClientBody,
) -> Option<Rc<Upload>> {
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

/// Hands both connections over, if the client has asked for that.
async fn switch(
    exchange: Exchange,
    mut response: Response<ReplyBody>,
    slot: Option<TunnelSlot>,
) -> Response<ResponseBody> {
    session_affinity::set_cookie(&exchange, response.headers_mut());
    let switched = match slot {
        Some(slot) => tunnel::switch(exchange, response, &slot).await,
        None => Err((exchange, Reason::UpstreamUpgraded)),
    };
    switched.unwrap_or_else(|(exchange, reason)| answer_of_ours(exchange, reason))
}
