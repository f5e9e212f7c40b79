//! Reason to response: the one place where our own answers are written.

use crate::error::Reason;
use crate::net::fields::Fields;
use crate::net::message::Response;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};

/// The body of our answer: the status, the reason's word and its sentence, in plain text.
pub fn answer_text(reason: Reason, status: StatusCode) -> String {
    let phrase = status.canonical_reason().unwrap_or_default();
    format!("{} {phrase}\n{}: {}\n", status.as_u16(), reason.label(), reason.text())
}

/// Our answer to a request.
pub fn answer(reason: Reason) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(answer_text(reason, reason.status())));
    *response.status_mut() = reason.status();
    let headers = response.headers_mut();
    headers.set(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    // Our own response says nothing about the resource; it must not be cached.
    headers.set(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.set(header::DATE, super::headers::now());
    headers.set(header::SERVER, HeaderValue::from_static(super::headers::SERVER_NAME));
    if let Some(seconds) = retry_after(reason) {
        headers.set(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// When to come again, in seconds (RFC 9110 section 10.2.3), for answers with 503 and 429. A step that knows better says
/// it in its own answer.
fn retry_after(reason: Reason) -> Option<u16> {
    match reason {
        // The next moment may have room.
        Reason::MemoryExhausted
        | Reason::MemoryReclaimed
        | Reason::QueueFull
        | Reason::QueueTimeout
        | Reason::InFlightLimited
        | Reason::RateLimited
        | Reason::BreakGlassLimited
        | Reason::CutByDrain => Some(1),
        // A pod that starts, or a fetch.
        Reason::NoEndpoint | Reason::AccessKeysMissing | Reason::CircuitOpen => Some(5),
        Reason::AuthThrottled => Some(60),
        // Until somebody has mended the manifests.
        Reason::ServiceMissing
        | Reason::PortMissing
        | Reason::BackendUnsupported
        | Reason::ProtocolUnusable
        | Reason::RestrictionUnsupported
        | Reason::AnnotationUnsupported
        | Reason::MiddlewareUnusable => Some(60),
        _ => None,
    }
}

/// The same for a gRPC call, which takes its status from `grpc-status` and shows the text of
/// `grpc-message`: a trailers-only response ("gRPC over HTTP2", Responses). The HTTP status is 200, except
/// for a response about the connection and not the call.
pub fn answer_grpc(reason: Reason) -> Response<Bytes> {
    let mut response = answer(reason).map(|_| Bytes::new());
    if reason != Reason::MisdirectedRequest {
        *response.status_mut() = StatusCode::OK;
    }
    let headers = response.headers_mut();
    headers.set(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.set("grpc-status", HeaderValue::from(grpc_status(reason.status())));
    let message = format!("{}: {}", reason.label(), reason.text());
    // Reasons are plain ASCII without `%`, which is all that the message's encoding asks for.
    if let Ok(message) = HeaderValue::try_from(message) {
        headers.set("grpc-message", message);
    }
    response
}

/// The code of gRPC for the status of an answer of ours: what its clients make of the HTTP status ("HTTP to gRPC
/// Status Code Mapping"), but more exact where we know more. UNAVAILABLE is what they try again.
pub fn grpc_status(status: StatusCode) -> u16 {
    const DEADLINE_EXCEEDED: u16 = 4;
    const PERMISSION_DENIED: u16 = 7;
    const RESOURCE_EXHAUSTED: u16 = 8;
    const UNIMPLEMENTED: u16 = 12;
    const INTERNAL: u16 = 13;
    const UNAVAILABLE: u16 = 14;
    const UNAUTHENTICATED: u16 = 16;
    match status.as_u16() {
        401 => UNAUTHENTICATED,
        403 => PERMISSION_DENIED,
        404 | 418 => UNIMPLEMENTED,
        408 | 504 => DEADLINE_EXCEEDED,
        413 | 414 | 431 => RESOURCE_EXHAUSTED,
        421 | 429 | 502 | 503 => UNAVAILABLE,
        _ => INTERNAL,
    }
}

/// The response as bytes that end the connection: for heads that never became a request.
pub fn answer_bytes(reason: Reason) -> Bytes {
    let (body, response) = (answer_text(reason, reason.status()), answer(reason));
    let status = response.status();
    let phrase = status.canonical_reason().unwrap_or_default();
    let mut bytes = format!("HTTP/1.1 {} {phrase}\r\n", status.as_u16()).into_bytes();
    for (name, value) in response.headers().iter() {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    let rest = format!("content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    bytes.extend_from_slice(rest.as_bytes());
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_in_its_answer() {
        for reason in Reason::ALL {
            let response = answer(reason);
            assert_eq!(response.status(), reason.status());
            let wait = response.headers().get("retry-after");
            assert_eq!(wait.is_some(), matches!(reason.status().as_u16(), 429 | 503), "{reason:?}");
            let body = String::from_utf8(response.into_body().to_vec()).expect("UTF-8");
            assert!(body.contains(reason.label()) && body.contains(reason.text()), "{body}");
            let grpc = answer_grpc(reason);
            let field = |name: &str| grpc.headers().get(name).and_then(|value| value.to_str().ok());
            assert!(field("grpc-status").is_some_and(|status| status != "0"), "{reason:?}");
            assert!(field("grpc-message").is_some_and(|text| !text.contains('%')), "{reason:?}");
            let raw = String::from_utf8(answer_bytes(reason).to_vec()).expect("UTF-8");
            let (head, raw_body) = raw.split_once("\r\n\r\n").expect("a head");
            assert_eq!(raw_body, body);
            assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}");
            assert!(head.ends_with("connection: close"), "{head}");
        }
    }
}
