//! The first bytes of a pod's body before its head is sent, where `contentType` asks what they look like.

use super::exchange::Exchange;
use crate::error::Reason;
use crate::http::may_have_body;
use crate::net::fields::Fields;
use crate::net::message::Response;
use crate::proxy::middleware::detect;
use crate::upstream::ReplyBody;
use http::{HeaderValue, StatusCode, header};
use http_body::Body;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

/// How long the head of a response waits for the body: a pod that sends its head long before is a stream.
const MOST_WAIT: Duration = Duration::from_millis(200);

/// Gives a response without `Content-Type` the type that its body looks like.
///
/// # Errors
/// If the body breaks off before its first byte.
pub(super) async fn name_type(
    exchange: &mut Exchange,
    mut response: Response<ReplyBody>,
) -> Result<Response<ReplyBody>, Reason> {
    let (status, headers) = (response.status(), response.headers());
    // Compressed bytes would tell of the compression.
    let is_named = [header::CONTENT_TYPE, header::CONTENT_ENCODING];
    let is_named = is_named.into_iter().any(|name| headers.contains(name));
    let has_body = status != StatusCode::SWITCHING_PROTOCOLS && may_have_body(status);
    if is_named || !has_body || exchange.is_head() || response.body().is_end_stream() {
        return Ok(response);
    }
    let body = response.body_mut();
    let first = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx));
    let Ok(first) = tokio::time::timeout(MOST_WAIT, first).await else { return Ok(response) };
    let data = first.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
    let name = data.filter(|data| !data.is_empty()).map(|data| detect(data));
    if let Some(name) = name {
        response.headers_mut().set(header::CONTENT_TYPE, HeaderValue::from_static(name));
    }
    match first {
        Some(Ok(frame)) => Ok(response.map(|body| body.with_first(frame))),
        Some(Err(_)) => {
            exchange.give_up_upstream();
            Err(Reason::UpstreamTruncated)
        }
        None => Ok(response),
    }
}
