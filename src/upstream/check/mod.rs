//! One request that checks an endpoint, on a connection of its own: what answers there is what a new
//! connection of a visitor's would meet.

mod grpc;

use super::connect::{self, EndpointStream, Opened};
use super::http1::Http1Connection;
use super::http2;
use crate::error::Reason;
use crate::model::{CheckKind, HealthCheck, PlainCheck};
use crate::net::addr::EndpointAddr;
use crate::net::fields::Fields;
use crate::net::message::{Request, Response};
use crate::routing::EndpointProtocol;
use crate::upstream::body::RequestBody;
use http::{HeaderValue, StatusCode, Uri, header};
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// The `User-Agent` of checks, so that pods can tell them from visitors.
const USER_AGENT: &str = concat!("ravelin/", env!("CARGO_PKG_VERSION"), " health check");

/// Redirects that are followed, one after the other.
const MOST_REDIRECTS: usize = 5;

/// Why an endpoint does not pass a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckFailure {
    /// There is no answer: [`Reason::UpstreamTimeout`] on a timeout.
    NoAnswer(Reason),
    /// The answer has this status.
    Status(StatusCode),
    /// The health service of gRPC says something else than `SERVING`.
    NotServing,
}

/// Sends one health check to an endpoint. Does not wait for the body of an answer.
///
/// # Errors
/// It does not pass.
pub async fn check(
    addr: EndpointAddr,
    protocol: &EndpointProtocol,
    check: &HealthCheck,
) -> Result<(), CheckFailure> {
    let addr = match check.port {
        Some(port) => EndpointAddr::new(addr.ip(), port.get()),
        None => addr,
    };
    let protocol = spoken(protocol, check);
    if check.kind == CheckKind::Grpc {
        let asking = grpc::ask(addr, &protocol, check);
        let answer = timeout(check.timeout, asking).await;
        return answer.unwrap_or(Err(CheckFailure::NoAnswer(Reason::UpstreamTimeout)));
    }
    let mut path = Arc::clone(&check.path);
    for _ in 0..=MOST_REDIRECTS {
        let opened = connect::connect(addr, &protocol, check.timeout).await;
        let opened = opened.map_err(|failure| CheckFailure::NoAnswer(failure.reason))?;
        let asking = ask(opened, request(addr, &path, check));
        let answer = timeout(check.timeout, asking).await.unwrap_or(Err(Reason::UpstreamTimeout));
        let head = answer.map_err(CheckFailure::NoAnswer)?;
        match next_path(&head, addr, check) {
            Some(next) => path = next,
            None if check.passes(head.status()) => return Ok(()),
            None => return Err(CheckFailure::Status(head.status())),
        }
    }
    Err(CheckFailure::NoAnswer(Reason::UpstreamMalformed))
}

/// What is spoken for a check.
fn spoken(protocol: &EndpointProtocol, check: &HealthCheck) -> EndpointProtocol {
    match (check.plain, check.kind, protocol) {
        (Some(PlainCheck::Http), CheckKind::Http, _) => EndpointProtocol::Http,
        (Some(_), ..) => EndpointProtocol::H2c,
        (None, CheckKind::Grpc, EndpointProtocol::Http) => EndpointProtocol::H2c,
        (None, ..) => protocol.clone(),
    }
}

/// Where a redirect leads, if that is another path of the endpoint: nobody else is asked.
fn next_path(head: &Response<()>, addr: EndpointAddr, check: &HealthCheck) -> Option<Arc<str>> {
    if !check.follows || !matches!(head.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let target: Uri = head.headers().get(header::LOCATION)?.to_str().ok()?.parse().ok()?;
    let is_same = target.authority().is_none_or(|authority| {
        check.host.as_deref().is_some_and(|host| authority.as_str().eq_ignore_ascii_case(host))
            || authority.as_str() == addr.to_string()
    });
    let path = target.path_and_query().filter(|path| path.as_str().starts_with('/'));
    is_same.then_some(path?.as_str().into())
}

async fn ask(opened: Opened, mut request: Request<RequestBody>) -> Result<Response<()>, Reason> {
    match opened {
        Opened::Http1(stream) => {
            let response = Http1Connection::new(stream).send(&mut request, true).await;
            response.map(|response| response.map(drop)).map_err(|_| Reason::UpstreamClosed)
        }
        Opened::Http2(stream) => ask_http2(stream, request).await,
    }
}

async fn ask_http2(
    stream: EndpointStream,
    request: Request<RequestBody>,
) -> Result<Response<()>, Reason> {
    let scheme = connect::scheme(&stream);
    let closed = |_: h2::Error| Reason::UpstreamClosed;
    let (sender, connection) = h2::client::handshake(stream).await.map_err(closed)?;
    // Ends with the check. The receiver of the response sees the error.
    let mut driver = JoinSet::new();
    driver.spawn_local(connection);
    let mut sender = sender.ready().await.map_err(closed)?;
    let (request, _) = http2::convert(request, &scheme);
    let (answer, _) = sender.send_request(request, true).map_err(closed)?;
    answer.await.map(|response| Response::from(response).map(drop)).map_err(closed)
}

fn request(addr: EndpointAddr, path: &str, check: &HealthCheck) -> Request<RequestBody> {
    let mut request = Request::new(RequestBody::Empty);
    *request.method_mut() = check.method.clone();
    *request.uri_mut() = Uri::try_from(path).unwrap_or_default();
    let written = check.host.as_deref().map(HeaderValue::from_str);
    let host = written.unwrap_or_else(|| HeaderValue::from_str(&addr.to_string()));
    let headers = request.headers_mut();
    if let Ok(host) = host {
        headers.set(header::HOST, host);
    }
    headers.set(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    headers.set(header::ACCEPT, HeaderValue::from_static("*/*"));
    for (name, value) in &*check.fields {
        headers.set(name, value.clone());
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_leads_to_another_path_of_the_endpoint_and_to_nobody_else() {
        let addr: std::net::SocketAddr = "10.0.0.1:80".parse().expect("an address");
        let addr = EndpointAddr::new(addr.ip(), addr.port());
        let mut check = HealthCheck::of("/".into());
        check.host = Some("app.example".into());
        let next = |check: &HealthCheck, status: u16, location: &'static str| {
            let mut head = Response::new(());
            *head.status_mut() = StatusCode::from_u16(status).expect("a status");
            head.headers_mut().set(header::LOCATION, HeaderValue::from_static(location));
            next_path(&head, addr, check).map(|path| path.to_string())
        };
        assert_eq!(next(&check, 302, "/up"), None, "it is not asked for");
        check.follows = true;
        for (status, location, expected) in [
            (302, "/up?x=1", Some("/up?x=1")),
            (308, "http://10.0.0.1:80/up", Some("/up")),
            (307, "https://APP.example/up", Some("/up")),
            (302, "https://login.example/up", None),
            (302, "http://10.0.0.1:81/up", None),
            (302, "up", None),
            (300, "/up", None),
            (200, "/up", None),
        ] {
            assert_eq!(next(&check, status, location).as_deref(), expected, "{status} {location}");
        }
    }
}
