//! `errors`: pages of a Service in place of responses with some statuses.
//!
//! The request half keeps what the Service with the pages is told of the request. When the response is known,
//! `request::error_pages` asks for the page.
//!
//! **Invariant**: a Service with pages that does not answer never costs a client its status, or more than
//! [`MOST_TIME`].

use super::subrequest::{Bounds, ask};
use super::{RequestView, Services, StepNote};
use crate::error::Reason;
use crate::http::may_have_body;
use crate::model::middleware::ErrorPages;
use crate::net::fields::Fields;
use crate::net::message::{Request, Response};
use crate::upstream::body::RequestBody;
use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{StatusCode, Uri};
use std::time::Duration;

/// How long a page may take, with its body. The client has waited for the pod already.
pub const MOST_TIME: Duration = Duration::from_secs(5);

/// The most bytes of a page: it is held whole, as its status is decided before it is sent.
const MOST_BYTES: u64 = 1024 * 1024;

/// Fields of a request that say how it is framed or which part of which state of a resource is wanted. A page is
/// asked for whole, without a body.
const NOT_ASKED: [HeaderName; 15] = [
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::EXPECT,
    header::IF_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::IF_RANGE,
    header::IF_UNMODIFIED_SINCE,
    header::RANGE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Fields without which a client cannot act on a status (RFC 9110 section 15): they stay with it.
const OF_STATUS: [HeaderName; 5] = [
    header::ALLOW,
    header::LOCATION,
    header::PROXY_AUTHENTICATE,
    header::RETRY_AFTER,
    header::WWW_AUTHENTICATE,
];

const X_CODE: HeaderName = HeaderName::from_static("x-code");
const X_FORMAT: HeaderName = HeaderName::from_static("x-format");
const X_ORIGINAL_URI: HeaderName = HeaderName::from_static("x-original-uri");

/// What is kept of a request: its target and its fields.
pub(super) type Asked = Request<()>;

/// Keeps what the Service with the pages is told.
pub(super) fn on_request(request: &mut RequestView<'_>) {
    let mut asked = Asked::new(());
    *asked.uri_mut() = request.request.uri().clone();
    *asked.headers_mut() = request.request.headers().clone();
    request.note(StepNote::Asked(Box::new(asked)));
}

/// Whether a response with this status gets a page.
pub(super) fn is_due(pages: &ErrorPages, status: StatusCode, is_ours: bool) -> bool {
    pages.status.iter().any(|range| range.contains(status))
        && (pages.ours || !is_ours)
        && may_have_body(status)
        && may_have_body(shown(pages, status))
}

/// The status that the client gets.
fn shown(pages: &ErrorPages, status: StatusCode) -> StatusCode {
    let rewritten = pages.rewrites.iter().find(|(from, _)| from.contains(status));
    rewritten.map_or(status, |(_, to)| *to)
}

/// Makes a response one with a page.
///
/// # Errors
/// Why there is no page. The response is as it was.
pub async fn page(
    pages: &ErrorPages,
    asked: &Asked,
    over_tls: bool,
    response: &mut Response<Bytes>,
    services: Services<'_>,
) -> Result<(), Reason> {
    let original = response.status();
    let status = shown(pages, original);
    let target = target(pages, asked, over_tls, original).ok_or(Reason::ErrorPageUnavailable)?;
    let mut request = Request::new(RequestBody::Empty);
    *request.uri_mut() = target;
    tell(pages, asked.headers(), request.headers_mut());
    if pages.nginx_fields {
        tell_as_nginx(asked, original, request.headers_mut());
    }
    let bounds = Bounds { time: MOST_TIME, body: MOST_BYTES };
    let mut reply = ask(&pages.backend, request, services, bounds).await?;
    // The body is here: its length is known.
    for name in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::TRAILER] {
        reply.headers.remove(name);
    }
    if status == original {
        keep(response.headers(), &mut reply.headers);
    }
    *response.status_mut() = status;
    *response.headers_mut() = reply.headers;
    *response.body_mut() = reply.body;
    Ok(())
}

/// Copies the fields that belong to a status, but for those that are there.
pub fn keep(from: &impl Fields, to: &mut impl Fields) {
    for name in OF_STATUS.iter().filter(|name| !to.contains(*name)).collect::<Vec<_>>() {
        for value in from.get_all(name) {
            to.append(name, value.clone());
        }
    }
}

/// The fields of the request that the Service with the pages gets.
fn tell(pages: &ErrorPages, from: &impl Fields, to: &mut impl Fields) {
    let is_wanted = |name: &HeaderName| {
        *name == header::HOST
            || pages.request_fields.as_ref().is_none_or(|only| only.contains(name))
    };
    for (name, value) in from.iter() {
        if is_wanted(name) && !NOT_ASKED.contains(name) {
            to.append(name.clone(), value.clone());
        }
    }
}

/// Tells the Service of the response as ingress-nginx does, whatever the client has sent under these names.
fn tell_as_nginx(asked: &Asked, original: StatusCode, to: &mut impl Fields) {
    to.set(X_CODE, HeaderValue::from(original.as_u16()));
    let target = asked.uri().path_and_query().map(PathAndQuery::as_str);
    let target = target.and_then(|target| HeaderValue::from_str(target).ok());
    let accept = asked.headers().get(header::ACCEPT).cloned();
    for (name, value) in [(X_FORMAT, accept), (X_ORIGINAL_URI, target)] {
        to.remove(&name);
        if let Some(value) = value {
            to.set(name, value);
        }
    }
}

/// Where the page is, in origin form. `None` if the text of the request makes it no target.
fn target(pages: &ErrorPages, asked: &Asked, over_tls: bool, original: StatusCode) -> Option<Uri> {
    let status = shown(pages, original);
    let mut target = pages.query.replace("{status}", status.as_str());
    target = target.replace("{originalStatus}", original.as_str());
    if target.contains("{url}") {
        let scheme = if over_tls { "https" } else { "http" };
        let host = asked.headers().get(header::HOST).map_or(&b""[..], HeaderValue::as_bytes);
        let path = asked.uri().path_and_query().map_or("/", PathAndQuery::as_str);
        let url = [scheme.as_bytes(), b"://", host, path.as_bytes()].concat();
        target = target.replace("{url}", &escaped(&url));
    }
    PathAndQuery::try_from(target).ok().map(Uri::from)
}

/// As a value of a query, as Go's `url.QueryEscape` writes it.
pub(super) fn escaped(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                text.push(char::from(*byte));
            }
            b' ' => text.push('+'),
            other => {
                text.push('%');
                text.push(char::from(DIGITS[usize::from(other >> 4)]));
                text.push(char::from(DIGITS[usize::from(other & 15)]));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::middleware::StatusRange;
    use crate::model::{BackendKey, PortKey};

    fn pages(query: &str) -> ErrorPages {
        let range = |first, last| StatusRange { first, last };
        ErrorPages {
            status: vec![range(404, 404), range(500, 599)],
            rewrites: vec![(range(500, 501), StatusCode::NOT_FOUND)],
            backend: BackendKey {
                namespace: "ns".into(),
                service: "pages".into(),
                port: PortKey::Number(80),
                variant: None,
            },
            query: query.into(),
            request_fields: None,
            ours: true,
            nginx_fields: false,
        }
    }

    #[test]
    fn the_target_has_both_statuses_and_the_escaped_address() {
        let mut asked = Asked::new(());
        *asked.uri_mut() = Uri::from_static("/a%20b?q=1&r");
        asked.headers_mut().set(header::HOST, HeaderValue::from_static("h:8080"));
        let target = |query: &str, status, over_tls| {
            target(&pages(query), &asked, over_tls, status).map(|uri| uri.to_string())
        };
        assert_eq!(
            target("/{status}-{originalStatus}?u={url}", StatusCode::NOT_FOUND, true).as_deref(),
            Some("/404-404?u=https%3A%2F%2Fh%3A8080%2Fa%2520b%3Fq%3D1%26r")
        );
        let server_error = StatusCode::INTERNAL_SERVER_ERROR;
        let rewritten = target("/{status}/{originalStatus}", server_error, false);
        assert_eq!(rewritten.as_deref(), Some("/404/500"));
        assert_eq!(target("/a b{status}", server_error, false), None);
    }

    #[test]
    fn a_page_is_for_listed_statuses_that_have_a_body() {
        let due = |code: u16| {
            let mut pages = pages("/");
            pages.status.push(StatusRange { first: 200, last: 399 });
            is_due(&pages, StatusCode::from_u16(code).expect("a status"), false)
        };
        for (code, expected) in
            [(404, true), (503, true), (200, true), (403, false), (204, false), (304, false)]
        {
            assert_eq!(due(code), expected, "{code}");
        }
    }

    #[test]
    fn a_page_is_asked_for_whole_and_with_no_other_fields_than_wanted() {
        let fields =
            ["host", "cookie", "range", "if-none-match", "content-length", "authorization"];
        let mut from = crate::net::fields::FieldMap::new();
        for name in fields {
            from.set(HeaderName::from_static(name), HeaderValue::from_static("1"));
        }
        let told = |pages: &ErrorPages| {
            let mut to = crate::net::fields::FieldMap::new();
            tell(pages, &from, &mut to);
            let mut names: Vec<_> = to.names().map(|name| name.as_str().to_owned()).collect();
            names.sort();
            names
        };
        let mut pages = pages("/");
        assert_eq!(told(&pages), ["authorization", "cookie", "host"]);
        pages.request_fields = Some(vec![header::COOKIE, header::RANGE]);
        assert_eq!(told(&pages), ["cookie", "host"]);
        pages.request_fields = Some(Vec::new());
        assert_eq!(told(&pages), ["host"]);
    }
}
