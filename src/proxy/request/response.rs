//! The response: the pod's, made valid for the client's protocol, or one of our own.

use super::exchange::Exchange;
use super::response_body::ResponseBody;
use super::{session_affinity, steps};
use crate::error::Reason;
use crate::http::{self as stage, Target};
use crate::net::fields::{Fields, trim_values};
use crate::upstream::{MOST_ANSWER_FIELDS, ReplyBody};
use bytes::Bytes;
use http::{HeaderValue, Response, Version, header};
use hyper::ext::ReasonPhrase;

/// Passes the pod's answer on, in the shape of HTTP/1.1, or answers that it cannot be.
pub(super) fn pass_on(
    mut exchange: Exchange,
    mut response: Response<ReplyBody>,
) -> Response<ResponseBody> {
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
    session_affinity::set_cookie(&exchange, response.headers_mut());
    steps::finish(&mut exchange, &mut response, false);
    exchange.answered(response.status());
    let has_body = !exchange.is_head() && stage::may_have_body(response.status());
    response.map(|incoming| match has_body {
        true => ResponseBody::of_upstream(incoming, exchange),
        // A body that a pod sends anyway over HTTP/2 is dropped with its stream.
        false => ResponseBody::empty(exchange),
    })
}

pub(super) fn answer_of_ours(mut exchange: Exchange, reason: Reason) -> Response<ResponseBody> {
    let own = steps::take_answer(&mut exchange, reason);
    exchange.refused(reason, own.as_ref().map_or(reason.status(), |own| own.status()));
    let mut response = match exchange.is_grpc() {
        true => stage::answer_grpc(reason),
        false => stage::answer(reason),
    };
    if let Some(own) = own {
        steps::apply(*own, &mut response, exchange.is_grpc());
    }
    if reason == Reason::HttpsRedirect
        && let Some(target) = exchange.target.as_ref().and_then(Target::over_tls)
    {
        response.headers_mut().set(header::LOCATION, target);
    }
    steps::finish(&mut exchange, &mut response, true);
    // With HTTP/2 hyper would send it.
    if exchange.is_head() {
        let length = response.body().len();
        response.headers_mut().set(header::CONTENT_LENGTH, HeaderValue::from(length));
        *response.body_mut() = Bytes::new();
    }
    response.map(|text| ResponseBody::of_ours(text, exchange))
}
