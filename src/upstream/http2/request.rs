//! A request as HTTP/2 has it (RFC 9113 section 8.3.1), made of one in the shape of HTTP/1.1.

use crate::net::fields::Fields;
use crate::net::message::Request;
use crate::upstream::body::RequestBody;
use http::header::{self, HeaderName, HeaderValue};
use http::uri::{Authority, Parts, PathAndQuery, Scheme};
use http::{Uri, Version};
use http_body::Body;

/// Fields of a connection, which HTTP/2 does not have (RFC 9113 section 8.2.2). Clients' own are
/// gone long before; these are what was added for HTTP/1.1.
const OF_CONNECTION: [HeaderName; 5] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Converts the head, and leaves the body as it is. `TE: trailers` stays, anything else in `TE`
/// does not.
pub(in crate::upstream) fn convert(
    request: Request<RequestBody>,
    scheme: &Scheme,
) -> (http::Request<()>, RequestBody) {
    let (mut head, body) = request.into_parts();
    let host = head.headers.remove(header::HOST);
    clean(&mut head.headers);
    if let Some(length) = body.size_hint().exact().filter(|&length| length > 0) {
        head.headers.set(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    head.uri = uri(head.uri, host.as_ref(), scheme);
    head.version = Version::HTTP_2;
    (Request::from_parts(head, ()).into(), body)
}

fn clean(headers: &mut impl Fields) {
    for name in &OF_CONNECTION {
        headers.remove(name);
    }
    if headers.get(header::TE).is_some_and(|value| value != "trailers") {
        headers.remove(header::TE);
    }
}

/// Scheme, authority and path. A host that is no authority is left out, which HTTP/2 allows.
fn uri(target: Uri, host: Option<&HeaderValue>, scheme: &Scheme) -> Uri {
    let mut parts = Parts::default();
    parts.scheme = Some(scheme.clone());
    parts.authority = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let path = target.into_parts().path_and_query;
    parts.path_and_query = Some(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
    if parts.authority.is_none() {
        parts.scheme = None;
    }
    // Each part is valid, and they are together what RFC 3986 asks for.
    Uri::from_parts(parts).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_request(target: &'static str, fields: &[(&'static str, &'static str)]) -> Request<()> {
        let mut request = Request::new(RequestBody::Empty);
        *request.uri_mut() = Uri::from_static(target);
        for (name, value) in fields {
            request.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        convert(request, &Scheme::HTTP).0.into()
    }

    #[test]
    fn host_becomes_the_authority_and_fields_of_the_connection_are_gone() {
        let request = mk_request(
            "/a?b=c",
            &[
                ("host", "a.example:8080"),
                ("transfer-encoding", "chunked"),
                ("connection", "upgrade"),
                ("upgrade", "websocket"),
                ("keep-alive", "1"),
                ("te", "trailers"),
                ("x-kept", "1"),
            ],
        );
        assert_eq!(request.uri(), "http://a.example:8080/a?b=c");
        let mut names: Vec<_> = request.headers().names().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["te", "x-kept"]);
    }

    #[test]
    fn only_trailers_are_asked_for_with_te() {
        assert!(mk_request("/", &[("host", "a"), ("te", "gzip")]).headers().is_empty());
    }

    #[test]
    fn a_target_without_a_host_or_with_an_asterisk_stays_what_it_is() {
        assert_eq!(mk_request("/x", &[]).uri(), "/x");
        let request = mk_request("*", &[("host", "a.example")]);
        assert_eq!(request.uri().path(), "*");
        assert_eq!(request.uri().authority().map(Authority::as_str), Some("a.example"));
    }
}
