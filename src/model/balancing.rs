//! How the requests for a Service are spread over its endpoints.

use http::HeaderName;
use std::fmt;
use std::sync::Arc;

/// Default name of the cookie.
pub const COOKIE_NAME: &str = "ravelin";

/// Longest name or path of a cookie, in bytes: browsers drop cookies whose name, value and attributes
/// pass 4096 bytes (RFC 6265 section 6.1), and ignore an attribute of more than 1024 (RFC 6265bis).
const MOST_COOKIE_TEXT: usize = 1024;

/// How an endpoint is chosen for a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// The less loaded of two endpoints drawn at random.
    #[default]
    LeastLoad,
    /// One after the other.
    RoundRobin,
    /// The same one for the same key, for as long as it is there.
    Hash(HashKey),
    /// By load the first time, and by a cookie from then on.
    Cookie(Arc<CookieSettings>),
}

/// The part of a request that is hashed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HashKey {
    /// The address of the client; of an IPv6 address its /64, which is one visitor's.
    Client,
    /// The first field of this name. Without it the request goes by load.
    Header(Arc<HeaderName>),
}

/// A cookie that names the endpoint (RFC 6265 section 4.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CookieSettings {
    /// A token, see [`is_cookie_name`].
    pub name: Arc<str>,
    /// `Secure`. `None`: where the visitor came with TLS.
    pub secure: Option<bool>,
    /// `HttpOnly`.
    pub http_only: bool,
    /// `SameSite`.
    pub same_site: SameSite,
    /// `Max-Age` in seconds, more than 0. `None`: until the browser is closed.
    pub max_age: Option<u32>,
    /// `Path`, see [`is_cookie_path`].
    pub path: Arc<str>,
    /// `Domain`, see [`cookie_domain`]. `None`: the host of the request alone.
    pub domain: Option<Arc<str>>,
}

impl Default for CookieSettings {
    fn default() -> Self {
        Self {
            name: COOKIE_NAME.into(),
            secure: None,
            http_only: true,
            same_site: SameSite::Lax,
            max_age: None,
            path: "/".into(),
            domain: None,
        }
    }
}

/// On which requests that other sites cause a browser sends a cookie (RFC 6265bis section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SameSite {
    /// When a link is followed.
    Lax,
    /// On none.
    Strict,
    /// On all; browsers want `Secure` for that.
    None,
}

impl SameSite {
    /// The value of the attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lax => "Lax",
            Self::Strict => "Strict",
            Self::None => "None",
        }
    }
}

/// Whether a text can be the name of a cookie: a token (RFC 6265 section 4.1.1, RFC 9110 section
/// 5.6.2) of at most 1024 bytes.
pub fn is_cookie_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (1..=MOST_COOKIE_TEXT).contains(&text.len()) && text.bytes().all(allowed)
}

/// Whether a text can be the `Path` of a cookie: it begins with `/` (others are ignored, RFC 6265
/// section 5.2.4), and is of visible ASCII without `;`, at most 1024 bytes.
pub fn is_cookie_path(text: &str) -> bool {
    let allowed = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b';';
    text.len() <= MOST_COOKIE_TEXT && text.starts_with('/') && text.bytes().all(allowed)
}

/// The domain of a cookie, without the dot that it may begin with (RFC 6265 section 5.2.3); `None` for a text that is
/// not a name of a host.
pub fn cookie_domain(text: &str) -> Option<&str> {
    let name = text.strip_prefix('.').unwrap_or(text);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    ((1..=253).contains(&name.len()) && name.bytes().all(allowed) && !name.starts_with('.'))
        .then_some(name)
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeastLoad => f.write_str("least-load"),
            Self::RoundRobin => f.write_str("round-robin"),
            Self::Hash(HashKey::Client) => f.write_str("hash-client"),
            Self::Hash(HashKey::Header(name)) => write!(f, "hash-header {name}"),
            Self::Cookie(settings) => write!(f, "sticky-cookie {}", settings.name),
        }
    }
}

/// Which endpoints are preferred.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Prefer {
    /// None, unless the slices of the Service say so (`hints`).
    #[default]
    None,
    /// Endpoints in our zone.
    SameZone,
    /// Endpoints on our node; if there is none, those in our zone.
    SameNode,
}

impl Prefer {
    /// The values in text form.
    pub const WORDS: [(&'static str, Self); 3] =
        [("same-node", Self::SameNode), ("same-zone", Self::SameZone), ("none", Self::None)];

    /// The value in annotations, configuration and `explain`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SameZone => "same-zone",
            Self::SameNode => "same-node",
        }
    }
}

/// How the requests for one Service port are spread, as the Service and the configuration have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balancing {
    /// For requests whose Ingress does not set it.
    pub algorithm: Algorithm,
    /// Which endpoints are preferred. They are marked: [`EndpointSpec::near`](super::EndpointSpec::near).
    pub prefer: Prefer,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_named_by_a_token() {
        for name in ["ravelin", "__Host-x", "a.b~c", "!"] {
            assert!(is_cookie_name(name), "{name}");
        }
        for name in ["", "a b", "a=b", "a;b", "a\"b", "ä", "a\r", &"n".repeat(1025)] {
            assert!(!is_cookie_name(name), "{name}");
        }
    }

    #[test]
    fn the_domain_of_a_cookie_is_a_name_with_or_without_a_dot_before_it() {
        for (text, domain) in [
            ("a.example", Some("a.example")),
            (".a.example", Some("a.example")),
            ("", None),
            (".", None),
            ("..a", None),
            ("a b", None),
            ("a;Secure", None),
        ] {
            assert_eq!(cookie_domain(text), domain, "{text}");
        }
    }

    #[test]
    fn the_path_of_a_cookie_ends_no_attribute() {
        for path in ["/", "/a b", "/%20"] {
            assert!(is_cookie_path(path), "{path}");
        }
        for path in ["", "a", "/;Domain=x", "/\r\n", "/ü", &format!("/{}", "p".repeat(1024))] {
            assert!(!is_cookie_path(path), "{path}");
        }
    }
}
