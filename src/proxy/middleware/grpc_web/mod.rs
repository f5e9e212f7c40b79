//! `grpcWeb`: calls of browsers (gRPC-Web protocol, `PROTOCOL-WEB.md` of gRPC) as calls of gRPC, and their answers
//! back.
//!
//! In the binary form the messages are those of gRPC, and pass as they come. In the text form they are in base64:
//! the request, which is one message, is held and decoded; the response is encoded piece by piece. What gRPC says in
//! trailers is the last frame of the body.

mod body;
mod cors;

pub use body::WebBody;

use super::forward_auth::hold;
use super::{RequestView, ResponseView, Services, StepAnswer, StepNote, Stop};
use crate::error::Reason;
use crate::http::is_grpc;
use crate::model::middleware::ForwardBody;
use crate::net::fields::Fields;
use crate::upstream::body::{RequestBody, WholeReader};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Method, header};
use std::sync::Arc;

const BINARY: &[u8] = b"application/grpc-web";
const TEXT: &[u8] = b"application/grpc-web-text";
const GRPC: &[u8] = b"application/grpc";

/// The most bytes of a request in base64: gRPC's servers take messages of 4 MiB if nobody tells them otherwise.
const MOST_TEXT: u64 = 4 * 1024 * 1024 / 3 * 4 + 1024;

/// A call, for its response half.
#[derive(Debug)]
pub struct WebCall {
    is_text: bool,
    /// `Origin`, if it is one that may call.
    origin: Option<HeaderValue>,
}

/// Makes a call of gRPC of one of gRPC-Web, and answers preflights for such calls.
pub(super) fn on_request(origins: &[Arc<str>], request: &mut RequestView<'_>) -> Result<(), Stop> {
    if let Some(answer) = cors::preflight(origins, request.request) {
        return Err(answer.into());
    }
    match is_text(request) {
        Some(false) => {
            begin(origins, request, false);
            Ok(())
        }
        Some(true) => Err(Stop::Wait),
        None => Ok(()),
    }
}

/// Whether it is in the text form, if it is a call of gRPC-Web.
fn is_text(request: &RequestView<'_>) -> Option<bool> {
    let content_type = request.request.headers().get(header::CONTENT_TYPE)?.as_bytes();
    if *request.request.method() != Method::POST {
        return None;
    }
    let is = |kind: &[u8]| {
        let rest = content_type.strip_prefix(kind)?;
        matches!(rest.first(), None | Some(b'+' | b';')).then_some(())
    };
    is(TEXT).map(|()| true).or_else(|| is(BINARY).map(|()| false))
}

/// Decodes a call in the text form.
pub(super) async fn wait(
    origins: &[Arc<str>],
    request: &mut RequestView<'_>,
    services: Services<'_>,
) -> Result<(), Box<StepAnswer>> {
    if let Err(reason) = decode(request, services).await {
        // The response half is for who has passed.
        let mut answer = Box::new(StepAnswer::of(reason));
        let origin = cors::allowed(origins, request.request.headers());
        cors::on_response(origin.as_ref(), &mut answer.headers);
        return Err(answer);
    }
    begin(origins, request, true);
    Ok(())
}

async fn decode(request: &mut RequestView<'_>, services: Services<'_>) -> Result<(), Reason> {
    let bound = ForwardBody { max: MOST_TEXT };
    // The answer for `forwardBody` has another status.
    let held = hold(request, bound, services.account).await.map_err(|answer| answer.reason)?;
    let Some(text) = held else { return Ok(()) };
    let bytes = decoded(text.bytes()).ok_or(Reason::MalformedBody)?;
    request.headers().set(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    *request.request.body_mut() = RequestBody::Whole(WholeReader::new(text.with_bytes(bytes)));
    Ok(())
}

fn begin(origins: &[Arc<str>], request: &mut RequestView<'_>, is_text: bool) {
    let headers = request.headers();
    if let Some(value) = retyped(headers, if is_text { TEXT } else { BINARY }, GRPC) {
        headers.set(header::CONTENT_TYPE, value);
    }
    headers.set(header::TE, HeaderValue::from_static("trailers"));
    let origin = cors::allowed(origins, headers);
    request.note(StepNote::GrpcWeb(Box::new(WebCall { is_text, origin })));
}

/// The content type with another beginning.
fn retyped(headers: &impl Fields, from: &[u8], to: &[u8]) -> Option<HeaderValue> {
    let rest = headers.get(header::CONTENT_TYPE)?.as_bytes().strip_prefix(from)?;
    HeaderValue::from_bytes(&[to, rest].concat()).ok()
}

/// What one or more texts in base64 stand for, each with its padding.
fn decoded(text: &[u8]) -> Option<Bytes> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let mut rest = text;
    while !rest.is_empty() {
        // Padding ends a text, and a group of four.
        let padding = rest.iter().position(|byte| *byte == b'=');
        let end = padding.map_or(rest.len(), |position| position / 4 * 4 + 4);
        let (one, behind) = rest.split_at_checked(end)?;
        STANDARD.decode_vec(one, &mut bytes).ok()?;
        rest = behind;
    }
    Some(bytes.into())
}

/// Lets browsers read the response, and makes one of gRPC-Web of that of a pod.
pub(super) fn on_response(response: &mut ResponseView<'_>) {
    let Some(StepNote::GrpcWeb(call)) = response.note.take() else { return };
    if !response.is_ours && is_grpc(response.headers) {
        let kind = if call.is_text { TEXT } else { BINARY };
        if let Some(value) = retyped(response.headers, GRPC, kind) {
            response.headers.set(header::CONTENT_TYPE, value);
        }
        // There is one frame more, and no trailers.
        response.headers.remove(header::CONTENT_LENGTH);
        response.headers.remove(header::TRAILER);
        response.note = Some(StepNote::WebBody { is_text: call.is_text });
    }
    cors::on_response(call.origin.as_ref(), response.headers);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_in_base64_are_decoded_one_after_another() {
        let decoded = |text: &str| decoded(text.as_bytes()).map(|bytes| bytes.to_vec());
        assert_eq!(decoded(""), Some(Vec::new()));
        assert_eq!(decoded("AAAAAAA="), Some(vec![0; 5]));
        assert_eq!(decoded("AAAAAAA=YQ==YWJjYWI="), Some(b"\0\0\0\0\0aabcab".to_vec()));
        for wrong in ["A", "AA", "AAA", "AAAA=", "AAAAA===", "AA=A", "====", "AAA A===", "AAAA\n"] {
            assert_eq!(decoded(wrong), None, "{wrong:?}");
        }
    }
}
