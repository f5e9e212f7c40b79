//! One request that checks an endpoint, on a connection of its own: what answers there is what a new
//! connection of a visitor's would meet.

use super::connect::{self, EndpointStream, Opened};
use crate::addr::EndpointAddr;
use crate::body::RequestBody;
use crate::error::Reason;
use crate::model::{HealthCheck, Protocol};
use http::{HeaderValue, Request, StatusCode, Uri, Version, header, uri};
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// What a pod sees in `User-Agent`, to tell checks from visitors.
const USER_AGENT: &str = concat!("ravelin/", env!("CARGO_PKG_VERSION"), " health check");

/// Asks an endpoint once, and returns the status of its answer. The body is not waited for.
///
/// # Errors
/// Why there is no answer: [`Reason::UpstreamTimeout`] where it does not come within the time-out.
pub async fn check(
    addr: EndpointAddr,
    protocol: &Protocol,
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
    let scheme = match stream {
        EndpointStream::Plain(_) => uri::Scheme::HTTP,
        EndpointStream::Tls(_) => uri::Scheme::HTTPS,
    };
    let closed = |_: h2::Error| Reason::UpstreamClosed;
    let (sender, connection) = h2::client::handshake(stream).await.map_err(closed)?;
    let driver = tokio::task::spawn_local(async move {
        // Whoever waits for the answer learns of the error by that.
        let _ = connection.await;
    });
    let _ends = Ends(driver.abort_handle());
    let mut sender = sender.ready().await.map_err(closed)?;
    let (mut head, _) = request(addr, check).into_parts();
    let host = head.headers.remove(header::HOST);
    let mut parts = uri::Parts::default();
    parts.path_and_query = head.uri.into_parts().path_and_query;
    parts.authority = host.and_then(|host| uri::Authority::try_from(host.as_bytes()).ok());
    parts.scheme = Some(scheme);
    // Both were checked when the annotations were read.
    head.uri = Uri::from_parts(parts).map_err(|_| Reason::Internal)?;
    head.version = Version::HTTP_2;
    let (answer, _) = sender.send_request(Request::from_parts(head, ()), true).map_err(closed)?;
    answer.await.map(|response| response.status()).map_err(closed)
}

/// Ends the task of a connection with the check.
struct Ends(AbortHandle);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn request(addr: EndpointAddr, check: &HealthCheck) -> Request<RequestBody> {
    let mut request = Request::new(RequestBody::Empty);
    *request.uri_mut() = Uri::try_from(&*check.path).unwrap_or_default();
    let written = check.host.as_deref().map(HeaderValue::from_str);
    let host = written.unwrap_or_else(|| HeaderValue::from_str(&addr.to_string()));
    let headers = request.headers_mut();
    headers.extend(host.ok().map(|host| (header::HOST, host)));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
    request
}
