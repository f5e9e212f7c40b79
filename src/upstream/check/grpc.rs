//! The health service of gRPC (`grpc/grpc-proto`, `grpc/health/v1/health.proto`): one call of `Check` for the server
//! as a whole.

use super::{CheckFailure, request};
use crate::error::Reason;
use crate::model::HealthCheck;
use crate::net::addr::EndpointAddr;
use crate::net::fields::Fields;
use crate::routing::EndpointProtocol;
use crate::upstream::connect::{self, EndpointStream, Opened};
use crate::upstream::http2;
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use tokio::task::JoinSet;

const PATH: &str = "/grpc.health.v1.Health/Check";

/// A message without fields, behind its five bytes of length (gRPC over HTTP/2, Length-Prefixed-Message).
const EMPTY_MESSAGE: &[u8] = &[0; 5];

/// The most bytes of an answer that are read: it has seven.
const MOST_ANSWER: usize = 1024;

/// `HealthCheckResponse.status`: its tag as a varint, and `SERVING`.
const SERVING: [u8; 2] = [0x08, 1];

/// Asks the health service.
pub(super) async fn ask(
    addr: EndpointAddr,
    protocol: &EndpointProtocol,
    check: &HealthCheck,
) -> Result<(), CheckFailure> {
    match connect::connect(addr, protocol, check.timeout).await {
        Ok(Opened::Http2(stream)) => call(stream, addr, check).await,
        Ok(Opened::Http1(_)) => Err(CheckFailure::NoAnswer(Reason::UpstreamTlsFailed)),
        Err(failure) => Err(CheckFailure::NoAnswer(failure.reason)),
    }
}

async fn call(
    stream: EndpointStream,
    addr: EndpointAddr,
    check: &HealthCheck,
) -> Result<(), CheckFailure> {
    let scheme = connect::scheme(&stream);
    let closed = |_: h2::Error| CheckFailure::NoAnswer(Reason::UpstreamClosed);
    let (sender, connection) = h2::client::handshake(stream).await.map_err(closed)?;
    // Ends with the check. The receiver of the response sees the error.
    let mut driver = JoinSet::new();
    driver.spawn_local(connection);
    let mut sender = sender.ready().await.map_err(closed)?;
    let mut request = request(addr, PATH, check);
    *request.method_mut() = Method::POST;
    let headers = request.headers_mut();
    headers.set(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.set(header::TE, HeaderValue::from_static("trailers"));
    let (request, _) = http2::convert(request, &scheme);
    let (answer, mut body) = sender.send_request(request, false).map_err(closed)?;
    body.send_data(Bytes::from_static(EMPTY_MESSAGE), true).map_err(closed)?;
    let answer = answer.await.map_err(closed)?;
    if answer.status() != StatusCode::OK {
        return Err(CheckFailure::Status(answer.status()));
    }
    let mut stream = answer.into_body();
    let mut message = Vec::new();
    while let Some(piece) = stream.data().await {
        let piece = piece.map_err(closed)?;
        // It cannot fail: the bytes are those of the stream.
        let _ = stream.flow_control().release_capacity(piece.len());
        message.extend_from_slice(&piece);
        if message.len() > MOST_ANSWER {
            return Err(CheckFailure::NoAnswer(Reason::UpstreamMalformed));
        }
    }
    is_serving(&message).then_some(()).ok_or(CheckFailure::NotServing)
}

/// Whether an answer says `SERVING`. One without a message is an error of gRPC, such as `UNIMPLEMENTED`.
fn is_serving(answer: &[u8]) -> bool {
    let Some((&[compressed, a, b, c, d], message)) = answer.split_first_chunk::<5>() else {
        return false;
    };
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d]));
    compressed == 0 && length.is_ok_and(|length| message.get(..length) == Some(&SERVING))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_serving_is_serving() {
        assert!(is_serving(&[0, 0, 0, 0, 2, 8, 1]));
        for answer in [
            &[][..],
            &[0, 0, 0, 0],
            &[0, 0, 0, 0, 0],
            &[0, 0, 0, 0, 2, 8],
            &[0, 0, 0, 0, 2, 8, 2],
            &[1, 0, 0, 0, 2, 8, 1],
            &[0, 255, 255, 255, 255, 8, 1],
        ] {
            assert!(!is_serving(answer), "{answer:?}");
        }
    }
}
