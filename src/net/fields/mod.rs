//! Header fields, as every stage reads and changes them.
//!
//! A stage that needs no more than fields takes `&impl Fields` or `&mut impl Fields`, so that what carries a
//! message's head can change without the stages (`tests/layering`).

mod map;

pub use map::FieldMap;

use http::{HeaderMap, HeaderName, HeaderValue};

/// The fields behind a body, as bodies carry them (`http_body::Frame`).
pub type TrailerMap = HeaderMap;

/// A name to look for: a constant, or text.
pub trait FieldName {
    /// Gives the name to `act`; `None` for a text that can be no name.
    fn with<R>(self, act: impl FnOnce(&HeaderName) -> R) -> Option<R>;
}

impl FieldName for &HeaderName {
    #[inline]
    fn with<R>(self, act: impl FnOnce(&HeaderName) -> R) -> Option<R> {
        Some(act(self))
    }
}

impl FieldName for HeaderName {
    #[inline]
    fn with<R>(self, act: impl FnOnce(&HeaderName) -> R) -> Option<R> {
        Some(act(&self))
    }
}

impl FieldName for &str {
    fn with<R>(self, act: impl FnOnce(&HeaderName) -> R) -> Option<R> {
        HeaderName::from_bytes(self.as_bytes()).ok().map(|name| act(&name))
    }
}

/// A name to write.
pub trait IntoFieldName {
    /// The name.
    fn into_name(self) -> HeaderName;
}

impl IntoFieldName for HeaderName {
    #[inline]
    fn into_name(self) -> HeaderName {
        self
    }
}

impl IntoFieldName for &HeaderName {
    fn into_name(self) -> HeaderName {
        self.clone()
    }
}

/// A constant of the program, in lower case.
impl IntoFieldName for &'static str {
    fn into_name(self) -> HeaderName {
        HeaderName::from_static(self)
    }
}

/// The fields of a message's head, or its trailers, by a name that is a constant or text.
pub trait Fields {
    /// The value of a field; of several with this name the first.
    fn get(&self, name: impl FieldName) -> Option<&HeaderValue>;

    /// All values of the fields with this name, in their order.
    fn get_all(&self, name: impl FieldName) -> impl DoubleEndedIterator<Item = &HeaderValue>;

    /// Whether there is a field with this name.
    fn contains(&self, name: impl FieldName) -> bool;

    /// Puts one field in the place of all fields with this name.
    fn set(&mut self, name: impl IntoFieldName, value: HeaderValue);

    /// Adds a field behind those with the same name.
    fn append(&mut self, name: impl IntoFieldName, value: HeaderValue);

    /// Removes all fields with this name, and returns the first value.
    fn remove(&mut self, name: impl FieldName) -> Option<HeaderValue>;

    /// All fields.
    fn iter(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)>;

    /// All fields, to change their values in place.
    fn iter_mut(&mut self) -> impl Iterator<Item = (&HeaderName, &mut HeaderValue)>;
}

/// Trailers.
impl Fields for HeaderMap {
    fn get(&self, name: impl FieldName) -> Option<&HeaderValue> {
        name.with(|name| self.get(name))?
    }

    fn get_all(&self, name: impl FieldName) -> impl DoubleEndedIterator<Item = &HeaderValue> {
        let all = name.with(|name| self.get_all(name).into_iter());
        all.into_iter().flatten()
    }

    fn contains(&self, name: impl FieldName) -> bool {
        name.with(|name| self.contains_key(name)).unwrap_or(false)
    }

    fn set(&mut self, name: impl IntoFieldName, value: HeaderValue) {
        self.insert(name.into_name(), value);
    }

    fn append(&mut self, name: impl IntoFieldName, value: HeaderValue) {
        self.append(name.into_name(), value);
    }

    fn remove(&mut self, name: impl FieldName) -> Option<HeaderValue> {
        name.with(|name| self.remove(name))?
    }

    fn iter(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.iter()
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = (&HeaderName, &mut HeaderValue)> {
        self.iter_mut()
    }
}

/// Whether a header names the client of a request or how it was sent: `Forwarded`,
/// `X-Forwarded-*`, `X-Real-IP`, `CF-*`, its certificate (RFC 9440 section 2.4) and what other proxies call the same. Whatever is neither
/// letter nor digit counts as a hyphen, because CGI, WSGI and their kin cannot tell them apart
/// (RFC 3875 section 4.1.18; lighttpd and PHP go further and map all of them). `name` is in lower
/// case.
pub fn is_claim(name: &str) -> bool {
    let starts = |prefix: &str| {
        let hyphen = |byte: u8| if byte.is_ascii_alphanumeric() { byte } else { b'-' };
        name.len() >= prefix.len()
            && name.bytes().map(hyphen).zip(prefix.bytes()).all(|(a, b)| a == b)
    };
    let is = |wholes: &[&str]| wholes.iter().any(|w| name.len() == w.len() && starts(w));
    // Asked for every field of every request: most are told by their first letter.
    match name.as_bytes().first() {
        Some(b'x') => starts("x-forwarded-") || is(&BEGIN_WITH_X),
        Some(b'c') => starts("cf-") || is(&["client-ip", "client-cert", "client-cert-chain"]),
        Some(b'f') => is(&["forwarded", "forwarded-for", "fastly-client-ip", "front-end-https"]),
        Some(b'p') => is(&["proxy-client-ip"]),
        Some(b't') => is(&["true-client-ip"]),
        Some(b'w') => is(&["wl-proxy-client-ip"]),
        _ => false,
    }
}

/// Whether a field is one that Cloudflare writes: with hyphens. `cf-connecting_ip` is its visitor's,
/// and some backends cannot tell that from the field with hyphens.
pub fn is_cloudflares(name: &str) -> bool {
    name.starts_with("cf-") && name.bytes().all(|byte| byte == b'-' || byte.is_ascii_alphanumeric())
}

/// Names that frameworks look through for a client, beside `X-Forwarded-*`.
const BEGIN_WITH_X: [&str; 12] = [
    "x-appengine-user-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "x-forwarded",
    "x-original-forwarded-for",
    "x-originating-ip",
    "x-real-ip",
    "x-remote-addr",
    "x-remote-ip",
    "x-scheme",
    "x-url-scheme",
];

/// Trims spaces and tabs at both ends of values. In HTTP/1.1 they surround values without being part of
/// them; HTTP/2 does not allow them (RFC 9113 section 8.2.1), but some peers send them.
pub fn trim_values(fields: &mut impl Fields) {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    for (_, value) in fields.iter_mut() {
        let bytes = value.as_bytes();
        if is_blank(bytes.first()) || is_blank(bytes.last()) {
            // A part of a value is one.
            if let Ok(mut trimmed) = HeaderValue::from_bytes(bytes.trim_ascii()) {
                trimmed.set_sensitive(value.is_sensitive());
                *value = trimmed;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_known_in_every_spelling() {
        for name in [
            "cf-connecting-ip",
            "cf_connecting_ip",
            "cf-connecting_ip",
            "cf-worker",
            "cf.connecting~ip",
            "front-end-https",
            "proxy-client-ip",
            "wl-proxy-client-ip",
            "x-envoy-external-address",
            "x-forwarded",
            "client-ip",
            "client-cert",
            "client_cert_chain",
            "forwarded",
            "true_client_ip",
            "x-client-ip",
            "x-cluster-client-ip",
            "x-forwarded-for",
            "x-forwarded_for",
            "x_forwarded_host",
            "x-forwarded-anything",
            "x-original-forwarded-for",
            "x-real_ip",
        ] {
            assert!(is_claim(name), "{name}");
        }
        for name in ["cookie", "cdn-loop", "cf", "x-request-id", "te", "", "client", "client-certs"]
        {
            assert!(!is_claim(name), "{name}");
        }
    }

    #[test]
    fn values_lose_the_space_around_them_and_none_within() {
        let mut fields = HeaderMap::new();
        for value in [" a b\t", "\t", "", "c"] {
            fields.append("x", HeaderValue::from_static(value));
        }
        trim_values(&mut fields);
        assert_eq!(fields.get_all("x").iter().collect::<Vec<_>>(), ["a b", "", "", "c"]);
    }
}
