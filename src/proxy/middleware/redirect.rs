//! `redirectScheme`, `redirectRegex`, and the redirects of ingress-nginx.

use super::{RequestView, StepAnswer, Stop};
use crate::error::Reason;
use crate::model::middleware::{Redirect, RedirectStatus, RedirectTarget};
use crate::net::fields::Fields;
use http::header::{HOST, LOCATION};
use http::{HeaderValue, Method, StatusCode};

/// Sends the client elsewhere, if the redirect is for this request.
pub(super) fn on_request(redirect: &Redirect, request: &RequestView<'_>) -> Result<(), Stop> {
    let Some(location) = location(&redirect.target, request) else {
        return Ok(());
    };
    let Ok(location) = HeaderValue::try_from(location) else {
        return Err(StepAnswer::of(Reason::RewriteRefused).into());
    };
    let status = status(redirect.status, request.request.method());
    Err(StepAnswer::of(Reason::Redirected).with_status(status).with(LOCATION, location).into())
}

/// Where a request is sent; `None` if nowhere else than it is.
fn location(target: &RedirectTarget, request: &RequestView<'_>) -> Option<String> {
    let Url { scheme, host, path } = Url::of(request)?;
    match target {
        RedirectTarget::Scheme { scheme: wanted, port } => {
            let name = without_port(host);
            let port = port.map_or_else(String::new, |port| format!(":{port}"));
            let location = format!("{wanted}://{name}{port}{path}");
            let is_there = scheme == &**wanted && (port.is_empty() || host.ends_with(&port));
            (!is_there).then_some(location)
        }
        RedirectTarget::Regex { regex, replacement } => {
            let url = format!("{scheme}://{host}{path}");
            let replaced = regex.replace_all(&url, replacement);
            (replaced != url).then(|| replaced.into_owned())
        }
        RedirectTarget::Fixed(location) => Some(location.to_string()),
        RedirectTarget::Root(root) => {
            let is_root = request.request.uri().path() == "/";
            is_root.then(|| format!("{scheme}://{host}{root}"))
        }
        RedirectTarget::Host(other) => {
            let port = &host[without_port(host).len()..];
            Some(format!("{scheme}://{other}{port}{path}"))
        }
    }
}

/// The address of a request, as its visitor has it.
struct Url<'r> {
    scheme: &'static str,
    host: &'r str,
    path: &'r str,
}

impl<'r> Url<'r> {
    /// The scheme is what pods are told, which an earlier step may have set: behind a proxy that ends TLS the
    /// connection's own would lead in a circle.
    fn of(request: &'r RequestView<'_>) -> Option<Self> {
        let headers = request.request.headers();
        let told = headers.get("x-forwarded-proto").map(HeaderValue::as_bytes);
        let is_tls = match told {
            Some(b"https" | b"wss") => true,
            Some(b"http" | b"ws") => false,
            _ => request.origin.over_tls,
        };
        let host = headers.get(HOST).unwrap_or(&request.origin.target.host).to_str().ok()?;
        let path = request.request.uri().path_and_query().map_or("/", |path| path.as_str());
        Some(Self { scheme: if is_tls { "https" } else { "http" }, host, path })
    }
}

/// A host without its port; the colons of an IPv6 address are within brackets.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn status(status: RedirectStatus, method: &Method) -> StatusCode {
    let is_get = method == Method::GET;
    match status {
        RedirectStatus::Temporary if is_get => StatusCode::FOUND,
        RedirectStatus::Temporary => StatusCode::TEMPORARY_REDIRECT,
        RedirectStatus::Permanent if is_get => StatusCode::MOVED_PERMANENTLY,
        RedirectStatus::Permanent => StatusCode::PERMANENT_REDIRECT,
        RedirectStatus::Exactly(status) => status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_that_is_not_get_is_kept() {
        for (permanent, method, expected) in [
            (RedirectStatus::Temporary, Method::GET, 302),
            (RedirectStatus::Temporary, Method::HEAD, 307),
            (RedirectStatus::Permanent, Method::GET, 301),
            (RedirectStatus::Permanent, Method::POST, 308),
            (RedirectStatus::Exactly(StatusCode::SEE_OTHER), Method::POST, 303),
        ] {
            assert_eq!(status(permanent, &method).as_u16(), expected, "{permanent:?} {method}");
        }
    }

    #[test]
    fn the_port_goes_with_the_scheme() {
        for (host, expected) in [
            ("a.example:8080", "a.example"),
            ("a.example", "a.example"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(without_port(host), expected);
        }
    }
}
