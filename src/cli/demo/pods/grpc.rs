//! A pod that speaks gRPC over HTTP/2 without TLS: the health service, as much as says that it serves
//! (<https://github.com/grpc/grpc/blob/master/doc/health-checking.md>).

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::body::{Body, Frame, Incoming};
use std::convert::Infallible;

/// Where the health of a server is asked.
const CHECK: &str = "/grpc.health.v1.Health/Check";

/// `HealthCheckResponse { status: SERVING }` in its frame: not compressed, two bytes long.
const SERVING: &[u8] = &[0, 0, 0, 0, 2, 8, 1];

/// Longest request: five bytes of frame, and the name of a service.
const LONGEST: usize = 1024;

/// Codes of gRPC: <https://grpc.github.io/grpc/core/md_doc_statuscodes.html>.
const OK: &str = "0";
const INVALID_ARGUMENT: &str = "3";
const NOT_FOUND: &str = "5";
const UNIMPLEMENTED: &str = "12";

/// Answers one call. The empty name of a service stands for the whole server; no other is known.
pub(super) async fn call(
    request: Request<Incoming>,
) -> Response<impl Body<Data = Bytes, Error = Infallible>> {
    let path = request.uri().path().to_owned();
    let body = Limited::new(request.into_body(), LONGEST).collect().await;
    let (code, message) = match (path.as_str(), body.map(|body| body.to_bytes())) {
        (CHECK, Ok(frame)) if *frame == [0; 5] => (OK, SERVING),
        (CHECK, Ok(_)) => (NOT_FOUND, &[][..]),
        (CHECK, Err(_)) => (INVALID_ARGUMENT, &[][..]),
        _ => (UNIMPLEMENTED, &[][..]),
    };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(code));
    // Without its length, as servers of gRPC send it: curl reads no trailers after the last byte of a known one.
    let frames = [Frame::data(Bytes::from_static(message)), Frame::trailers(trailers)];
    let body = StreamBody::new(stream::iter(frames.map(Ok::<_, Infallible>)));
    let mut response = Response::new(body);
    let kind = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
