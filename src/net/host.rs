//! Host names: as a request spells them and as a rule means them.
//!
//! Both sides are brought to one form, lower case without port and trailing dot, so that matching
//! is a comparison of bytes.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Longest host name, in bytes (RFC 1035 section 2.3.4, without the trailing dot).
const MAX_HOST_BYTES: usize = 253;

/// The host of one request, in the form that rules are matched against.
///
/// Empty for a request without authority (HTTP/1.0 without `Host`, or `Host:` with no value): such
/// a request matches only rules without host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host<'a>(Cow<'a, str>);

impl<'a> Host<'a> {
    /// Parses a `Host` field value or an authority (RFC 9110 section 7.2: `uri-host [":" port]`).
    ///
    /// Refuses userinfo, lists, and bytes that no host name or IP literal has. Does not allocate
    /// when the value is lower case already.
    pub fn parse(value: &'a str) -> Result<Self, HostError> {
        let (name, upper) = match value.as_bytes().first() {
            Some(b'[') => literal(value)?,
            _ => registered(value)?,
        };
        if name.len() > MAX_HOST_BYTES {
            return Err(HostError::TooLong);
        }
        Ok(Self(if upper { Cow::Owned(name.to_ascii_lowercase()) } else { Cow::Borrowed(name) }))
    }

    /// The normalised name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A registered name or IPv4 address, and whether it has upper case letters. One look at each byte:
/// this is done for every request.
fn registered(value: &str) -> Result<(&str, bool), HostError> {
    let bytes = value.as_bytes();
    let mut upper = false;
    let mut end = bytes.len();
    for (position, &byte) in bytes.iter().enumerate() {
        match byte {
            // The underscore is not DNS, but in use.
            b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' => {}
            b'A'..=b'Z' => upper = true,
            b':' => {
                end = position;
                port(&value[position + 1..])?;
                break;
            }
            _ => return Err(HostError::BadCharacter),
        }
    }
    let dot = usize::from(end > 0 && bytes[end - 1] == b'.');
    Ok((&value[..end - dot], upper))
}

/// An IPv6 literal in its brackets.
fn literal(value: &str) -> Result<(&str, bool), HostError> {
    let end = value.find(']').ok_or(HostError::BadCharacter)?;
    let (name, rest) = value.split_at(end + 1);
    let address = &name[1..end];
    if address.parse::<std::net::Ipv6Addr>().is_err() {
        return Err(HostError::BadCharacter);
    }
    match rest.strip_prefix(':') {
        Some(digits) => port(digits)?,
        None if rest.is_empty() => {}
        None => return Err(HostError::BadCharacter),
    }
    Ok((name, name.bytes().any(|byte| byte.is_ascii_uppercase())))
}

/// RFC 3986 section 3.2.3: zero or more digits.
fn port(digits: &str) -> Result<(), HostError> {
    let valid = digits.len() <= 5
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits.is_empty() || digits.parse::<u16>().is_ok());
    if valid { Ok(()) } else { Err(HostError::BadPort) }
}

/// Why a request's host cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// More than 253 bytes.
    #[error("host name is longer than 253 bytes")]
    TooLong,
    /// A byte that no host name has, or a broken IPv6 literal.
    #[error("host name contains a character that is not allowed")]
    BadCharacter,
    /// Something behind the colon that is no port number.
    #[error("port of the host is not a number from 0 to 65535")]
    BadPort,
}

/// Which hosts a rule is for (`spec.rules[].host`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    /// One host.
    Exact(Arc<str>),
    /// `*.` and this suffix: exactly one label more than the suffix has.
    Wildcard(Arc<str>),
    /// Every host, and requests without one.
    Any,
}

impl HostPattern {
    /// Whether it is for a host, which is normalised. A wildcard stands for exactly one label.
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(name) => **name == *host,
            Self::Wildcard(name) => host
                .split_once('.')
                .is_some_and(|(label, rest)| !label.is_empty() && *rest == **name),
        }
    }

    /// Parses `spec.rules[].host`; `None` and empty mean every host.
    ///
    /// The rules are those of the API server (networking/v1 IngressRule): a DNS name, or `*.`
    /// before one; no IP address and no port. Upper case and a trailing dot are taken as meant.
    pub fn parse(host: Option<&str>) -> Result<Self, String> {
        let Some(host) = host.filter(|host| !host.is_empty()) else {
            return Ok(Self::Any);
        };
        let lower = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        if lower.parse::<IpAddr>().is_ok() {
            return Err("is an IP address, not a DNS name".to_owned());
        }
        if lower.contains('/') {
            return Err("must be a host name only, without scheme or path".to_owned());
        }
        if lower.contains(':') {
            return Err("must not contain a port".to_owned());
        }
        let (wildcard, name) = match lower.strip_prefix("*.") {
            Some(suffix) => (true, suffix),
            None => (false, lower.as_str()),
        };
        if name.contains('*') {
            return Err("may have `*` only as its whole first label".to_owned());
        }
        if lower.len() > MAX_HOST_BYTES {
            return Err("is longer than 253 characters".to_owned());
        }
        if !name.split('.').all(is_dns_label) {
            return Err("is not a DNS name".to_owned());
        }
        Ok(if wildcard { Self::Wildcard(name.into()) } else { Self::Exact(name.into()) })
    }
}

/// RFC 1123 section 2.1, as the API server checks it.
fn is_dns_label(label: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !label.is_empty()
        && label.len() <= 63
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Wildcard(suffix) => write!(f, "*.{suffix}"),
            Self::Any => f.write_str("*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_case_and_trailing_dot_do_not_count() {
        for spelling in ["a.example", "A.Example", "a.example.", "a.example:80", "a.EXAMPLE.:443"] {
            let host = Host::parse(spelling).expect(spelling);
            assert_eq!(host.as_str(), "a.example", "{spelling}");
        }
        assert_eq!(Host::parse("[2001:db8::1]:80").expect("literal").as_str(), "[2001:db8::1]");
        assert_eq!(Host::parse("[2001:DB8::1]").expect("literal").as_str(), "[2001:db8::1]");
        assert_eq!(Host::parse("").expect("empty").as_str(), "");
        assert_eq!(Host::parse("a.example:").expect("empty port").as_str(), "a.example");
    }

    #[test]
    fn junk_is_refused() {
        use HostError::{BadCharacter, BadPort, TooLong};
        for (value, error) in [
            ("u@a.example", BadCharacter),
            ("a.example,b.example", BadCharacter),
            ("a.example/x", BadCharacter),
            ("a b", BadCharacter),
            ("[::1", BadCharacter),
            ("[::1]x", BadCharacter),
            ("a.example:99999", BadPort),
            ("a.example:http", BadPort),
            ("a.example:-1", BadPort),
            ("::1", BadPort),
            ("[::1]:x", BadPort),
            (&"a".repeat(254), TooLong),
        ] {
            assert_eq!(Host::parse(value), Err(error), "{value}");
        }
    }

    #[test]
    fn patterns_follow_the_api_server() {
        let exact = |name: &str| Ok(HostPattern::Exact(name.into()));
        assert_eq!(HostPattern::parse(None), Ok(HostPattern::Any));
        assert_eq!(HostPattern::parse(Some("")), Ok(HostPattern::Any));
        assert_eq!(HostPattern::parse(Some("Foo.example.")), exact("foo.example"));
        let wildcard = HostPattern::parse(Some("*.foo.example"));
        assert_eq!(wildcard, Ok(HostPattern::Wildcard("foo.example".into())));
        for bad in ["*", "*.", "a.*.b", "10.0.0.1", "a.example:80", "-a.b", "a..b", "a_b.c", "*a.b"]
        {
            assert!(HostPattern::parse(Some(bad)).is_err(), "{bad}");
        }
    }
}
