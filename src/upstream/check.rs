//! One request that checks an endpoint, on a connection of its own: what answers there is what a new
//! connection of a visitor's would meet.

use super::connect::{self, EndpointStream, Opened};
use super::http2;
use crate::error::Reason;
use crate::model::HealthCheck;
use crate::net::addr::EndpointAddr;
use crate::net::fields::Fields;
use crate::routing::EndpointProtocol;
use crate::upstream::body::RequestBody;
use http::{HeaderValue, Request, StatusCode, Uri, header};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// The `User-Agent` of checks, so that pods can tell them from visitors.
const USER_AGENT: &str = concat!("ravelin/", env!("CARGO_PKG_VERSION"), " health check");

/// Sends one health check to an endpoint, and returns the status of the response. Does not wait for the
/// body.
///
/// # Errors
/// Why there is no answer: [`Reason::UpstreamTimeout`] on a timeout.
pub async fn check(
    addr: EndpointAddr,
    protocol: &EndpointProtocol,
    check: &HealthCheck,
) -> Result<StatusCode, Reason> {
    let opened = connect::connect(addr, protocol, check.timeout).await;
    let asking = ask(opened.map_err(|failure| failure.reason)?, addr, check);
    timeout(check.timeout, asking).await.unwrap_or(Err(Reason::UpstreamTimeout))
}

async fn ask(
    opened: Opened,
    addr: EndpointAddr,
    check: &HealthCheck,
) -> Result<StatusCode, Reason> {
    match opened {
        Opened::Http1(mut connection) => {
            let request = request(addr, check);
            let response = connection.sender.send_request(request).await;
            response.map(|response| response.status()).map_err(|_| Reason::UpstreamClosed)
        }
        Opened::Http2(stream) => ask_http2(stream, addr, check).await,
    }
}

async fn ask_http2(
    stream: EndpointStream,
    addr: EndpointAddr,
    check: &HealthCheck,
) -> Result<StatusCode, Reason> {
    let scheme = connect::scheme(&stream);
    let closed = |_: h2::Error| Reason::UpstreamClosed;
    let (sender, connection) = h2::client::handshake(stream).await.map_err(closed)?;
    // Ends with the check. The receiver of the response sees the error.
    let mut driver = JoinSet::new();
    driver.spawn_local(connection);
    let mut sender = sender.ready().await.map_err(closed)?;
    let (request, _) = http2::convert(request(addr, check), &scheme);
    let (answer, _) = sender.send_request(request, true).map_err(closed)?;
    answer.await.map(|response| response.status()).map_err(closed)
}

fn request(addr: EndpointAddr, check: &HealthCheck) -> Request<RequestBody> {
    let mut request = Request::new(RequestBody::Empty);
    *request.uri_mut() = Uri::try_from(&*check.path).unwrap_or_default();
    let written = check.host.as_deref().map(HeaderValue::from_str);
    let host = written.unwrap_or_else(|| HeaderValue::from_str(&addr.to_string()));
    let headers = request.headers_mut();
    if let Ok(host) = host {
        headers.set(header::HOST, host);
    }
    headers.set(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    headers.set(header::ACCEPT, HeaderValue::from_static("*/*"));
    request
}
