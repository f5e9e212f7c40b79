//! The response: the pod's, made valid for the client's protocol, or one of our own.

use super::exchange::Exchange;
use super::response_body::ResponseBody;
use super::{etags, part_body, session_affinity, steps};
use crate::error::Reason;
use crate::http::{self as stage, ReplyNoted, Target};
use crate::net::fields::Fields;
use crate::net::message::Response;
use crate::proxy::clean_reply;
use crate::upstream::ReplyBody;
use bytes::Bytes;
use http::{HeaderValue, Version, header};
use hyper::ext::ReasonPhrase;

/// Passes the pod's answer on, in the shape of HTTP/1.1, or answers that it cannot be.
pub(super) fn pass_on(
    mut exchange: Exchange,
    mut response: Response<ReplyBody>,
) -> Response<ResponseBody> {
    match receive(&mut exchange, &mut response) {
        Ok(()) => answer_of_upstream(exchange, response),
        Err(reason) => answer_of_ours(exchange, reason),
    }
}

/// Brings the pod's answer into the shape of HTTP/1.1, if it can be. In line, as [`deliver`] is: both were so
/// before routes with `errors` called them too, and what they pass on is large.
#[inline(always)]
pub(super) fn receive(
    exchange: &mut Exchange,
    response: &mut Response<ReplyBody>,
) -> Result<(), Reason> {
    let is_http2 = response.version() == Version::HTTP_2;
    let noted = make_ready(exchange, response).inspect_err(|_| exchange.give_up_upstream())?;
    if noted.etag {
        etags::compare(exchange, response.status(), response.headers());
    }
    exchange.heard(noted, is_http2);
    Ok(())
}

/// Makes what one protocol tolerates valid for the other.
fn make_ready(
    exchange: &Exchange,
    response: &mut Response<ReplyBody>,
) -> Result<ReplyNoted, Reason> {
    let noted = clean_reply(response, exchange.is_head())?;
    let status = response.status();
    *response.version_mut() = Version::HTTP_11;
    // hyper would make up one.
    if status.canonical_reason().is_none() && response.extensions().get::<ReasonPhrase>().is_none()
    {
        response.extensions_mut().insert(ReasonPhrase::from_static(b""));
    }
    Ok(noted)
}

fn answer_of_upstream(
    mut exchange: Exchange,
    mut response: Response<ReplyBody>,
) -> Response<ResponseBody> {
    session_affinity::set_cookie(&exchange, response.headers_mut());
    steps::finish(&mut exchange, &mut response, false);
    deliver(exchange, response)
}

/// Sends the pod's answer, with everything done to its head.
#[inline(always)]
pub(super) fn deliver(
    mut exchange: Exchange,
    response: Response<ReplyBody>,
) -> Response<ResponseBody> {
    exchange.keep_response(response.headers());
    exchange.answered(response.status());
    let has_body = !exchange.is_head() && stage::may_have_body(response.status());
    let passage = exchange.passage.as_mut();
    let (mut head, incoming) = response.into_parts();
    let body = if let Some(is_text) = passage.as_ref().and_then(|passage| passage.web_body()) {
        ResponseBody::of_web(incoming, is_text, exchange)
    } else {
        match (has_body, passage.and_then(|passage| passage.take_encoder())) {
            (true, Some(encoder)) => ResponseBody::encoded(incoming, encoder, exchange),
            (true, None) => match part_body::tell_length(&mut head) {
                Some(length) => ResponseBody::of_part(incoming, length, exchange),
                None => ResponseBody::of_upstream(incoming, exchange),
            },
            // A body that a pod sends anyway over HTTP/2 is dropped with its stream.
            (false, _) => ResponseBody::empty(exchange),
        }
    };
    Response::from_parts(head, body)
}

pub(super) fn answer_of_ours(mut exchange: Exchange, reason: Reason) -> Response<ResponseBody> {
    let mut response = ours(&mut exchange, reason);
    steps::finish(&mut exchange, &mut response, true);
    deliver_ours(exchange, response)
}

/// Our answer for a reason, or that of the step that has answered for it.
pub(super) fn ours(exchange: &mut Exchange, reason: Reason) -> Response<Bytes> {
    let own = steps::take_answer(exchange, reason);
    exchange.refused(reason, own.as_ref().map_or(reason.status(), |own| own.status()));
    let mut response = match exchange.is_grpc() {
        true => stage::answer_grpc(reason),
        false => stage::answer(reason),
    };
    // What a step has written stays as it is.
    let is_text = own.as_ref().is_none_or(|own| own.body.is_none());
    if let Some(own) = own {
        steps::apply(*own, &mut response, exchange.is_grpc());
    }
    if is_text && !exchange.is_grpc() {
        stage::make_problem(reason, exchange.noted.accept.as_ref(), &mut response);
    }
    if reason == Reason::HttpsRedirect
        && let Some(target) = exchange.target.as_ref().and_then(Target::over_tls)
    {
        response.headers_mut().set(header::LOCATION, target);
    }
    response
}

/// Sends an answer of ours, with everything done to its head.
pub(super) fn deliver_ours(
    mut exchange: Exchange,
    mut response: Response<Bytes>,
) -> Response<ResponseBody> {
    exchange.keep_response(response.headers());
    // With HTTP/2 it would be sent.
    if exchange.is_head() {
        let length = response.body().len();
        response.headers_mut().set(header::CONTENT_LENGTH, HeaderValue::from(length));
        *response.body_mut() = Bytes::new();
    }
    response.map(|text| ResponseBody::of_ours(text, exchange))
}
