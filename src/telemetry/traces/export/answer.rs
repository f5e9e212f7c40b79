//! What a collector answers.

use super::super::otlp::{Rejected, rejected};
use super::envelope::PREFIX;
use super::link::{ExportError, refused};
use crate::config::TraceProtocol;
use crate::net::outbound::said;
use http::{HeaderMap, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// The most of an answer that is read, in bytes.
const MOST_BYTES: usize = 64 * 1024;

/// A success, which may be one in part.
pub(super) type Answered = Rejected;

/// Codes of gRPC after which the same may be sent again (OTLP/gRPC, "Failures"): cancelled, deadline exceeded, resource
/// exhausted, aborted, out of range, unavailable, data loss.
const RETRYABLE: [u32; 7] = [1, 4, 8, 10, 11, 14, 15];

/// Reads the answer to its end, so that the connection can be used again.
pub(super) async fn read(
    protocol: TraceProtocol,
    response: Response<Incoming>,
) -> Result<Answered, ExportError> {
    let (head, mut rest) = response.into_parts();
    let failed = |error| ExportError::http(protocol, &error);
    let mut body = Vec::new();
    let mut trailers = None;
    while let Some(frame) = rest.frame().await {
        match frame.map_err(failed)?.into_data() {
            Ok(data) if body.len() + data.len() > MOST_BYTES => {
                let what = format!("the answer has more than {MOST_BYTES} bytes");
                return Err(ExportError::Http { protocol: protocol.name(), what });
            }
            Ok(data) => body.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    if !head.status.is_success() {
        return Err(refused(head.status, &head.headers));
    }
    match protocol {
        TraceProtocol::Http => Ok(rejected(&body)),
        TraceProtocol::Grpc => {
            // An answer without a message has the status in its head.
            let status = trailers.as_ref().and_then(grpc_status);
            judge(status.or_else(|| grpc_status(&head.headers)))?;
            Ok(rejected(body.get(PREFIX..).unwrap_or_default()))
        }
    }
}

/// Code and words.
type GrpcStatus = (u32, String);

fn grpc_status(headers: &HeaderMap) -> Option<GrpcStatus> {
    let code = headers.get("grpc-status")?.to_str().ok()?.parse().ok()?;
    let words = headers.get("grpc-message").and_then(|words| words.to_str().ok());
    Some((code, words.map(|words| said(&words)).unwrap_or_default()))
}

fn judge(status: Option<GrpcStatus>) -> Result<(), ExportError> {
    match status {
        Some((0, _)) => Ok(()),
        Some((code, words)) => Err(ExportError::Status {
            what: format!("gRPC status {code} {words}"),
            is_retryable: RETRYABLE.contains(&code),
            after: None,
        }),
        None => {
            let what = "there is no grpc-status; gRPC usually is at port 4317".to_owned();
            Err(ExportError::Http { protocol: TraceProtocol::Grpc.name(), what })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_of_grpc_tells_whether_to_send_again() {
        assert!(judge(Some((0, String::new()))).is_ok());
        for (code, is_retryable) in [(14, true), (8, true), (3, false), (16, false), (12, false)] {
            let error = judge(Some((code, "words".to_owned()))).expect_err("no success");
            assert_eq!(error.is_retryable(), is_retryable, "{code}");
            assert!(error.to_string().ends_with(&format!("gRPC status {code} words")), "{error}");
        }
        assert!(judge(None).is_err());
    }
}
