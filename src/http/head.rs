//! A request head as it is meant, however its protocol packs it.
//!
//! HTTP/2 splits cookies into crumbs, has fields for the request line, and counts 32 bytes for each
//! (RFC 9113 sections 6.5.2, 8.2.3 and 8.3.1). What passes over HTTP/1.1 is to pass over HTTP/2 as well, so
//! the limits are those of HTTP/1.1, for the same head written in that.

use crate::config::defaults;
use crate::error::Reason;
use crate::net::fields::{Fields, trim_values};
use crate::net::message::RequestParts;
use http::{HeaderValue, Method, header};

/// Bytes that RFC 9113 section 6.5.2 adds to each field when it counts a header list.
const FIELD_OVERHEAD: usize = 32;

/// Crumbs of cookies that are let in beyond [`defaults::HEADER_COUNT`]: browsers keep up to 180 cookies
/// for a site.
const CRUMBS: usize = 256;

/// Most bytes by which the header list of HTTP/2 is longer than the head of HTTP/1.1: for each field, for
/// each crumb with its name, and for the four pseudo-header fields with theirs.
pub(super) const PACKING: usize = FIELD_OVERHEAD * defaults::HEADER_COUNT
    + (FIELD_OVERHEAD + "cookie".len()) * CRUMBS
    + 4 * (FIELD_OVERHEAD + ":authority".len());

/// Brings the head of a request in HTTP/2 to what HTTP/1.1 would have: values without space around
/// them. Refuses what is too large for that.
///
/// # Errors
/// More fields than [`defaults::HEADER_COUNT`], cookies counted once, or more bytes than `header_bytes`.
pub fn read_http2(head: &mut RequestParts, header_bytes: usize) -> Result<(), Reason> {
    trim_values(&mut head.headers);
    let target = head.uri.path_and_query().map_or(1, |target| target.as_str().len());
    let host = head.uri.authority().map_or(0, |authority| authority.as_str().len());
    let first = head.method.as_str().len() + target + "  HTTP/1.1\r\nhost: \r\n\r\n".len();
    let (mut bytes, mut fields, mut crumbs) = (first + host, 0, 0);
    for (name, value) in head.headers.iter() {
        // `: ` and CRLF, or `; ` between two crumbs.
        let is_further = *name == header::COOKIE && crumbs > 0;
        bytes += value.len() + if is_further { 2 } else { name.as_str().len() + 4 };
        fields += usize::from(!is_further);
        crumbs += usize::from(*name == header::COOKIE);
    }
    let is_too_large = fields > defaults::HEADER_COUNT || bytes > header_bytes;
    if is_too_large { Err(Reason::HeadersTooLarge) } else { Ok(()) }
}

/// Counts `Max-Forwards` down where it has a meaning (RFC 9110 section 7.6.2).
///
/// # Errors
/// `Max-Forwards: 0`: the request is answered here. TRACE is not implemented here.
pub fn forwards_left(method: &Method, headers: &mut impl Fields) -> Result<(), Reason> {
    if !matches!(*method, Method::OPTIONS | Method::TRACE) {
        return Ok(());
    }
    let Some(value) = headers.get(header::MAX_FORWARDS) else {
        return Ok(());
    };
    let is_number = value.as_bytes().iter().all(u8::is_ascii_digit);
    let text = value.to_str().ok().filter(|text| is_number && !text.is_empty());
    // A value that is not a number is ignored. One that is too large is counted down from the largest.
    let Some(text) = text else { return Ok(()) };
    match text.parse::<u32>().unwrap_or(u32::MAX) {
        0 if *method == Method::TRACE => Err(Reason::NotImplemented),
        0 => Err(Reason::MaxForwards),
        left => {
            headers.set(header::MAX_FORWARDS, HeaderValue::from(left - 1));
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::fields::FieldMap;
    use http::HeaderName;

    fn read(fields: &[(&str, &str)], header_bytes: usize) -> Result<FieldMap, Reason> {
        let request = http::Request::get("https://a/").body(()).expect("a request");
        let mut head = RequestParts::from(request.into_parts().0);
        for (name, value) in fields {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            head.headers.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        read_http2(&mut head, header_bytes).map(|()| head.headers)
    }

    #[test]
    fn a_head_is_as_long_as_it_would_be_in_http_1_1() {
        let written = "GET / HTTP/1.1\r\nhost: a\r\ncookie: a=1; b=2; c=3\r\nx: y\r\n\r\n".len();
        let fields = [("cookie", "a=1"), ("cookie", "b=2"), ("x", "y"), ("cookie", "c=3")];
        assert!(read(&fields, written).is_ok());
        assert_eq!(read(&fields, written - 1), Err(Reason::HeadersTooLarge));
    }

    #[test]
    fn crumbs_are_one_field_and_others_are_counted() {
        let crumbs = vec![("cookie", "a=1"); 180];
        assert!(read(&crumbs, 64 * 1024).is_ok());
        let others = vec![("x", "1"); defaults::HEADER_COUNT];
        assert!(read(&others, 64 * 1024).is_ok());
        let both = [&others[..], &crumbs[..1]].concat();
        assert_eq!(read(&both, 64 * 1024), Err(Reason::HeadersTooLarge));
    }

    #[test]
    fn values_have_no_space_around_them() {
        let headers = read(&[("x", " a b\t")], 1024).expect("a short head");
        assert_eq!(headers["x"], "a b");
    }

    #[test]
    fn max_forwards_counts_down_to_an_answer_of_ours() {
        let left = |method: Method, value: &str| {
            let mut headers = FieldMap::new();
            headers.set(header::MAX_FORWARDS, HeaderValue::from_str(value).expect("a value"));
            forwards_left(&method, &mut headers)?;
            Ok(headers[header::MAX_FORWARDS].to_str().expect("text").to_owned())
        };
        let some = |value: &str| Ok(value.to_owned());
        assert_eq!(left(Method::OPTIONS, "2"), some("1"));
        assert_eq!(left(Method::TRACE, "1"), some("0"));
        assert_eq!(left(Method::OPTIONS, "0"), Err(Reason::MaxForwards));
        assert_eq!(left(Method::TRACE, "00"), Err(Reason::NotImplemented));
        assert_eq!(left(Method::GET, "0"), some("0"));
        for value in ["", "x", "-1", "1, 2"] {
            assert_eq!(left(Method::OPTIONS, value), some(value));
        }
        assert_eq!(left(Method::OPTIONS, "99999999999"), some("4294967294"));
    }
}
