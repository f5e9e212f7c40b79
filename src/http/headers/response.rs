//! An upstream's response fields on their way to the client.

use super::values::{is_type_of_events, is_type_of_grpc};
use super::{Found, SERVER_NAME};
use crate::error::Reason;
use crate::net::fields::{FieldMap, Fields};
use crate::net::http1::{agreed_length, content_length};
use http::StatusCode;
use http::header::{self, HeaderValue};
use std::time::SystemTime;

/// Properties of a response's fields, collected on the way through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplyNoted {
    /// Whether its body is one of gRPC.
    pub grpc: bool,
    /// Whether its body is a stream of server-sent events.
    pub events: bool,
    /// Whether it has an ETag.
    pub etag: bool,
}

/// Makes an upstream's response fields ready for the client. `is_head`: whether it answers HEAD.
///
/// # Errors
/// The fields contradict each other, or say of the body what is not undone here.
pub fn clean_response(
    headers: &mut FieldMap,
    status: StatusCode,
    is_head: bool,
) -> Result<ReplyNoted, Reason> {
    let mut found = Found::default();
    let mut noted = ReplyNoted::default();
    headers.retain(|name, value| {
        match name.as_str() {
            "connection" => {
                found.name_tokens(value);
                return false;
            }
            "content-length" => {
                found.lengths += 1;
                found.odd_length |= content_length(value.as_bytes()).is_none();
            }
            "content-type" => {
                noted.grpc |= is_type_of_grpc(value);
                noted.events |= is_type_of_events(value);
            }
            // RFC 9112 section 6.3: it overrides a Content-Length, which must not go on.
            "transfer-encoding" => {
                found.framing = true;
                found.note_coding(value);
                return false;
            }
            other if is_of_connection(other) => return false,
            "date" => found.date = true,
            "etag" => noted.etag = true,
            "server" => found.server = true,
            _ => {}
        }
        true
    });
    found.remove_named(headers);
    let has_body = !is_head && may_have_body(status);
    if found.has_too_many_options() || (has_body && found.has_other_coding()) {
        return Err(Reason::UpstreamMalformed);
    }
    // RFC 9110 section 8.6: none in 1xx and 204.
    found.framing |= status.is_informational() || status == StatusCode::NO_CONTENT;
    if found.framing {
        headers.remove(header::CONTENT_LENGTH);
    } else if found.lengths > 1 || found.odd_length {
        join_lengths(headers)?;
    }
    // `Connection` may have named them.
    let is_named = !found.named.is_empty();
    if !found.server || (is_named && !headers.contains(header::SERVER)) {
        headers.set(header::SERVER, HeaderValue::from_static(SERVER_NAME));
    }
    if !found.date || (is_named && !headers.contains(header::DATE)) {
        headers.set(header::DATE, now());
    }
    Ok(noted)
}

/// Whether a field of a response is for this connection alone (RFC 9110 section 7.6.1), whatever it says.
fn is_of_connection(name: &str) -> bool {
    matches!(name, "keep-alive" | "proxy-connection" | "te" | "upgrade" | "http2-settings")
}

/// Makes the fields of an upstream's interim response ready for the client.
pub fn clean_interim(headers: &mut FieldMap) {
    let mut found = Found::default();
    headers.retain(|name, value| match name.as_str() {
        "connection" => {
            found.name_tokens(value);
            false
        }
        "content-length" | "transfer-encoding" => false,
        other => !is_of_connection(other),
    });
    found.remove_named(headers);
}

/// Whether an answer with this status has a body, to another method than HEAD (RFC 9110 section 6.4.1).
pub fn may_have_body(status: StatusCode) -> bool {
    let without = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    !without && !status.is_informational()
}

/// Makes one length of several, or of a list, that all say the same (RFC 9110 section 8.6).
fn join_lengths(headers: &mut impl Fields) -> Result<(), Reason> {
    let joined = agreed_length(headers.get_all(header::CONTENT_LENGTH));
    headers.set(header::CONTENT_LENGTH, joined.ok_or(Reason::UpstreamMalformed)?.into());
    Ok(())
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
        assert_eq!(clean_response(&mut headers, StatusCode::OK, false), Ok(ReplyNoted::default()));
        assert_eq!(headers, map(&[("server", "nginx"), ("date", "x")]));
        let mut bare = map(&[("content-length", "3")]);
        assert_eq!(clean_response(&mut bare, StatusCode::OK, false), Ok(ReplyNoted::default()));
        let date = bare.remove(header::DATE).expect("a date");
        assert!(date.to_str().is_ok_and(|date| date.ends_with(" GMT")), "{date:?}");
        assert_eq!(bare, map(&[("content-length", "3"), ("server", "ravelin")]));
    }

    #[test]
    fn what_a_type_says_of_the_body_is_noted() {
        for (content_type, grpc, events) in [
            ("application/grpc+proto", true, false),
            ("application/grpc-web", false, false),
            ("text/event-stream; charset=utf-8", false, true),
            ("text/plain", false, false),
        ] {
            let mut headers = map(&[("content-type", content_type)]);
            let noted = clean_response(&mut headers, StatusCode::OK, false);
            let etag = false;
            assert_eq!(noted, Ok(ReplyNoted { grpc, events, etag }), "{content_type}");
        }
    }

    /// The `Content-Length` of an answer after cleaning.
    fn cleaned(fields: &[(&str, &str)], status: u16, is_head: bool) -> Result<Vec<String>, Reason> {
        let mut headers = map(fields);
        let status = StatusCode::from_u16(status).expect("a status");
        clean_response(&mut headers, status, is_head)?;
        let lengths = headers.get_all(header::CONTENT_LENGTH);
        Ok(lengths.map(|value| value.to_str().expect("digits").to_owned()).collect())
    }

    #[test]
    fn lengths_that_agree_are_one_and_others_are_an_error() {
        let one = |length: &str| Ok(vec![length.to_owned()]);
        let malformed = Err(Reason::UpstreamMalformed);
        let of = |lengths: &[&str], status| {
            let fields: Vec<_> = lengths.iter().map(|value| ("content-length", *value)).collect();
            cleaned(&fields, status, false)
        };
        assert_eq!(of(&["5"], 200), one("5"));
        assert_eq!(of(&["5", "5"], 200), one("5"));
        assert_eq!(of(&["5, 5"], 200), one("5"));
        assert_eq!(of(&["5 ,\t5", "05"], 200), one("5"));
        for lengths in [&["5", "6"][..], &["5, 6"], &["+5"], &["5,"], &[""], &["5", "x"]] {
            assert_eq!(of(lengths, 200), malformed, "{lengths:?}");
        }
        assert_eq!(of(&["5", "5"], 304), one("5"), "of the answer that it stands for");
        assert_eq!(of(&["5"], 204), Ok(vec![]));
        assert_eq!(of(&["5", "6"], 204), Ok(vec![]));
        assert_eq!(cleaned(&[("content-length", "7")], 200, true), one("7"));
    }

    #[test]
    fn a_coding_that_is_not_undone_here_is_an_error_where_there_is_a_body() {
        for codings in [&["gzip, chunked"][..], &["gzip"], &["chunked", "chunked"], &["identity"]] {
            let fields: Vec<_> =
                codings.iter().map(|value| ("transfer-encoding", *value)).collect();
            let malformed = Err(Reason::UpstreamMalformed);
            assert_eq!(cleaned(&fields, 200, false), malformed, "{codings:?}");
            assert_eq!(cleaned(&fields, 200, true), Ok(vec![]), "{codings:?}");
            assert_eq!(cleaned(&fields, 304, false), Ok(vec![]), "{codings:?}");
        }
        assert_eq!(cleaned(&[("transfer-encoding", "Chunked")], 200, false), Ok(vec![]));
    }

    #[test]
    fn an_answer_has_a_date_and_a_name_even_if_connection_takes_its_own() {
        let mut headers = map(&[("connection", "date, Server"), ("date", "x"), ("server", "y")]);
        assert_eq!(clean_response(&mut headers, StatusCode::OK, false), Ok(ReplyNoted::default()));
        assert!(headers.get("date").is_some_and(|date| date != "x"), "{headers:?}");
        assert_eq!(headers.get("server"), Some(&HeaderValue::from_static("ravelin")));
    }

    #[test]
    fn connection_names_so_many_fields_and_no_more() {
        let named = |count: usize| vec!["a"; count].join(",");
        let result = |count| cleaned(&[("connection", &*named(count))], 200, false);
        assert_eq!(result(64), Ok(vec![]));
        assert_eq!(result(65), Err(Reason::UpstreamMalformed));
    }
}
