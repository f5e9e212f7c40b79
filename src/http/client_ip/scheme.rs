//! The scheme that the visitor used, which may be another than the socket's: under "Flexible"
//! Cloudflare speaks plain HTTP for visitors with https.

use super::single;
use crate::net::fields::Fields;
use http::HeaderName;

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const CF_VISITOR: HeaderName = HeaderName::from_static("cf-visitor");

/// A visitor's scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Without TLS.
    Http,
    /// With TLS.
    Https,
}

impl Scheme {
    /// As in `X-Forwarded-Proto`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// `ws` and `wss` are what they become on the wire (RFC 6455 section 1.3).
    fn parse(word: &[u8]) -> Option<Self> {
        let is = |name: &[u8]| word.eq_ignore_ascii_case(name);
        if is(b"https") || is(b"wss") {
            return Some(Self::Https);
        }
        (is(b"http") || is(b"ws")).then_some(Self::Http)
    }
}

/// The scheme from a trusted peer: the last entry of `X-Forwarded-Proto`; otherwise,
/// from Cloudflare, `CF-Visitor`. `None` where neither is readable.
pub(super) fn of_visitor(headers: &impl Fields, via_cloudflare: bool) -> Option<Scheme> {
    let told = headers.get_all(&X_FORWARDED_PROTO).next_back();
    let last = told.and_then(|value| value.as_bytes().rsplit(|&byte| byte == b',').next());
    let told = last.and_then(|word| Scheme::parse(word.trim_ascii()));
    if told.is_some() || !via_cloudflare {
        return told;
    }
    cf_visitor(single(headers, &CF_VISITOR).ok()??.as_bytes())
}

/// `{"scheme":"https"}`.
fn cf_visitor(value: &[u8]) -> Option<Scheme> {
    match value {
        br#"{"scheme":"https"}"# => return Some(Scheme::Https),
        br#"{"scheme":"http"}"# => return Some(Scheme::Http),
        _ => {}
    }
    let object: serde_json::Value = serde_json::from_slice(value).ok()?;
    Scheme::parse(object.get("scheme")?.as_str()?.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::fields::FieldMap;
    use http::HeaderValue;

    fn read(proto: &[&str], visitor: &[&str], via_cloudflare: bool) -> Option<&'static str> {
        let mut headers = FieldMap::new();
        let fields = proto.iter().map(|value| (X_FORWARDED_PROTO, value));
        for (name, value) in fields.chain(visitor.iter().map(|value| (CF_VISITOR, value))) {
            headers.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        of_visitor(&headers, via_cloudflare).map(Scheme::as_str)
    }

    #[test]
    fn the_scheme_is_the_word_of_the_nearest_proxy() {
        for (proto, visitor, via_cloudflare, expected) in [
            (&["https"][..], &[][..], true, Some("https")),
            (&["HTTPS"], &[], true, Some("https")),
            (&["wss"], &[], true, Some("https")),
            (&["ws"], &[], false, Some("http")),
            (&["http, https"], &[], false, Some("https")),
            (&["https", "http"], &[], false, Some("http")),
            (&["http"], &[r#"{"scheme":"https"}"#], true, Some("http")),
            (&[], &[r#"{"scheme":"https"}"#], true, Some("https")),
            (&["x"], &[r#"{ "scheme" : "https", "a": 1 }"#], true, Some("https")),
            (&[], &[r#"{"scheme":"http"}"#], true, Some("http")),
            // Only Cloudflare's own word.
            (&[], &[r#"{"scheme":"https"}"#], false, None),
            (&[], &[r#"{"scheme":"https"}"#, r#"{"scheme":"http"}"#], true, None),
            (&[], &[r#"{"scheme":"gopher"}"#], true, None),
            (&[], &["https"], true, None),
            (&[""], &[], true, None),
            (&[], &[], true, None),
        ] {
            assert_eq!(read(proto, visitor, via_cloudflare), expected, "{proto:?} {visitor:?}");
        }
    }
}
