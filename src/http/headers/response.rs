//! An upstream's response fields on their way to the client.

use super::{Found, SERVER_NAME, remove};
use http::header::{self, HeaderMap, HeaderValue};
use std::time::SystemTime;

/// Makes an upstream's response fields ready for the client.
pub fn clean_response(headers: &mut HeaderMap) {
    let mut found = Found::default();
    for (name, value) in headers.iter() {
        match name.as_str() {
            "connection" => {
                found.hop_by_hop |= 1;
                found.name_tokens(value);
            }
            "keep-alive" => found.hop_by_hop |= 1 << 1,
            "proxy-connection" => found.hop_by_hop |= 1 << 2,
            "te" => found.hop_by_hop |= 1 << 5,
            // RFC 9112 section 6.3: it overrides a Content-Length, which must not go on.
            "transfer-encoding" => {
                found.hop_by_hop |= 1 << 6;
                found.framing = true;
            }
            "upgrade" => found.hop_by_hop |= 1 << 7,
            "date" => found.date = true,
            "server" => found.server = true,
            _ => {}
        }
    }
    remove(headers, &found);
    if !found.server {
        headers.insert(header::SERVER, HeaderValue::from_static(SERVER_NAME));
    }
    if !found.date {
        headers.insert(header::DATE, now());
    }
}

/// The time as RFC 9110 section 5.6.7 has it. A response without `Date` gets one (section 6.6.1).
pub(in crate::http) fn now() -> HeaderValue {
    let text = httpdate::fmt_http_date(SystemTime::now());
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::headers::map;

    #[test]
    fn a_response_keeps_its_own_server_name_and_loses_the_connection() {
        let mut headers = map(&[
            ("connection", "close, x-internal"),
            ("x-internal", "1"),
            ("transfer-encoding", "chunked"),
            ("content-length", "3"),
            ("server", "nginx"),
            ("date", "x"),
        ]);
        clean_response(&mut headers);
        assert_eq!(headers, map(&[("server", "nginx"), ("date", "x")]));
        let mut bare = map(&[("content-length", "3")]);
        clean_response(&mut bare);
        let date = bare.remove(header::DATE).expect("a date");
        assert!(date.to_str().is_ok_and(|date| date.ends_with(" GMT")), "{date:?}");
        assert_eq!(bare, map(&[("content-length", "3"), ("server", "ravelin")]));
    }
}
