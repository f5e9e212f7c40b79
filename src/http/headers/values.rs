//! What single fields say, and which names are whose.

use crate::net::fields::Fields;
use http::header::{self, HeaderValue};
use std::net::Ipv4Addr;

/// Makes one field of several: HTTP/2 splits `Cookie` into crumbs, which HTTP/1.1 has not (RFC 9113
/// section 8.2.3), and backends do not agree which of several counts.
pub(super) fn join_cookies(headers: &mut impl Fields) {
    let crumbs: Vec<&[u8]> = headers.get_all(header::COOKIE).map(HeaderValue::as_bytes).collect();
    if let Ok(whole) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.set(header::COOKIE, whole);
    }
}

/// Whether a client may change to this protocol: one name, with or without a version (RFC 9110 section
/// 7.8), and neither HTTP/2, by which requests would pass unseen, nor TLS.
pub(super) fn may_change_to(protocol: &HeaderValue) -> bool {
    let bytes = protocol.as_bytes();
    let name = bytes.split(|&byte| byte == b'/').next().unwrap_or_default();
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~/".contains(byte);
    let refused: [&[u8]; 4] = [b"h2c", b"h2", b"http", b"tls"];
    !name.is_empty()
        && bytes.iter().all(is_token)
        && !refused.iter().any(|refused| name.eq_ignore_ascii_case(refused))
}

/// Whether it is a call of gRPC.
pub fn is_grpc(headers: &impl Fields) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(is_type_of_grpc)
}

/// Whether a content type is that of server-sent events (HTML, section 9.2.5).
pub(super) fn is_type_of_events(content_type: &HeaderValue) -> bool {
    content_type.as_bytes().starts_with(b"text/event-stream")
}

/// Whether a `TE` asks for trailers, as gRPC does (RFC 9110 section 10.1.4).
pub(super) fn asks_for_trailers(value: &HeaderValue) -> bool {
    let mut words = value.as_bytes().split(|&byte| byte == b',');
    words.any(|word| word.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

/// Whether a content type is one of gRPC's: `application/grpc` alone, or with `+` or `;` behind it
/// ("gRPC over HTTP2", Requests). `application/grpc-web` is another protocol, of HTTP's own errors.
pub(super) fn is_type_of_grpc(content_type: &HeaderValue) -> bool {
    let rest = content_type.as_bytes().strip_prefix(b"application/grpc");
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// Whether it is an address that only Pseudo IPv4 makes, 240.0.0.0/4. With that feature off,
/// `CF-Pseudo-IPv4` is the visitor's own text.
pub(super) fn is_pseudo(value: &HeaderValue) -> bool {
    let ip = value.to_str().ok().and_then(|text| text.parse::<Ipv4Addr>().ok());
    ip.is_some_and(|ip| ip.octets()[0] >= 240)
}

/// Whether a field is one that frames a message, in a spelling that CGI, WSGI and their kin cannot
/// tell from it: with underscores for hyphens.
pub(super) fn is_framing_alias(name: &str) -> bool {
    matches!(name, "transfer_encoding" | "content_length")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::fields::FieldMap;

    #[test]
    fn a_connection_changes_to_one_protocol_that_is_not_http_or_tls() {
        for (value, may) in [
            ("websocket", true),
            ("WebSocket", true),
            ("SPDY/3.1", true),
            ("tcp", true),
            ("h2c", false),
            ("H2C", false),
            ("HTTP/2.0", false),
            ("TLS/1.0", false),
            ("websocket, h2c", false),
            ("web socket", false),
            ("", false),
        ] {
            assert_eq!(may_change_to(&HeaderValue::from_static(value)), may, "{value}");
        }
    }

    #[test]
    fn a_call_of_grpc_is_known_by_its_type_and_one_of_grpc_web_is_none() {
        for (value, is) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;charset=utf-8", true),
            ("application/grpc-web", false),
            ("application/json", false),
        ] {
            assert_eq!(is_type_of_grpc(&HeaderValue::from_static(value)), is, "{value}");
        }
    }

    #[test]
    fn crumbs_of_cookies_become_one_field_in_their_order() {
        let mut headers = FieldMap::new();
        for crumb in ["a=1", "b=2; c=3", "d=4"] {
            headers.append(header::COOKIE, HeaderValue::from_static(crumb));
        }
        join_cookies(&mut headers);
        let all: Vec<_> = headers.get_all(header::COOKIE).collect();
        assert_eq!(all, ["a=1; b=2; c=3; d=4"]);
    }
}
