//! What a rule asks of a request beyond host and path: entry points, an order of its own, and conditions.

use super::HostPattern;
use super::middleware::Pattern;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;

/// Entry points as bits, in the order of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryPoints {
    /// Where the rule is served.
    pub own: u32,
    /// Where it is served as well, if no other rule is for the same path there.
    pub also: u32,
}

impl EntryPoints {
    /// All of them.
    pub const ALL: Self = Self { own: u32::MAX, also: 0 };
}

impl Default for EntryPoints {
    fn default() -> Self {
        Self::ALL
    }
}

/// What a rule asks of a request beyond host and path. Most ask for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matching {
    /// Where it is served.
    pub entry_points: EntryPoints,
    /// Its own order and conditions, if it has some.
    pub ordered: Option<Arc<Ordered>>,
    /// Whether it is written as a host alone, and so is shorter than one with a path.
    pub is_bare: bool,
    /// Whether its host is an alias, which every rule or default backend with that host comes before.
    pub is_alias: bool,
}

/// A rule that has a priority of its own, or conditions that the tables of hosts and paths do not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ordered {
    /// Traefik's `priority`: the highest that matches has the request. Without one it is the length of the rule in
    /// bytes, as Traefik writes it.
    pub priority: i64,
    /// Everything that it asks of a request, but its host where that is the one that it is listed under.
    pub condition: Condition,
}

/// A condition on a request (Traefik 3, "Routers", rules).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// All of them hold.
    All(Vec<Condition>),
    /// One of them holds.
    Any(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
    /// `Host`.
    Host(HostPattern),
    /// `HostRegexp`, not anchored.
    HostRegexp(Pattern),
    /// `Path`: the whole path.
    Path(Box<str>),
    /// `PathPrefix`, compared by character.
    PathPrefix(Box<str>),
    /// A Prefix of an Ingress, compared by element; without trailing slash.
    PathElements(Box<str>),
    /// `PathRegexp`, not anchored.
    PathRegexp(Pattern),
    /// `Header`: one of the values of the field is this.
    Header(HeaderName, HeaderValue),
    /// `HeaderRegexp`: one of the values of the field matches; not anchored.
    HeaderRegexp(HeaderName, Pattern),
    /// `Query`: one of the values of the parameter is this.
    Query(Box<str>, Box<str>),
    /// `QueryRegexp`: one of the values of the parameter matches; not anchored.
    QueryRegexp(Box<str>, Pattern),
    /// `Method`.
    Method(Method),
    /// `ClientIP`: the peer is in this network.
    ClientIp(IpNet),
}

/// The length of a rule as Traefik writes it for an Ingress, ``Host("h") && PathPrefix("/p")``, which is its
/// priority (`pkg/muxer/http/mux.go`, GetRulePriority). `host` is empty for all hosts; `written`: the bytes of the
/// matcher's text within quotes.
pub fn rule_length(host: &str, is_wildcard: bool, matcher: &str, written: usize) -> i64 {
    let of_host = match host.len() {
        0 => 0,
        length => length + if is_wildcard { "*.".len() } else { 0 } + r#"Host("") && "#.len(),
    };
    i64::try_from(of_host + matcher.len() + r#"("")"#.len() + written).unwrap_or(i64::MAX)
}

/// What of a request conditions are about.
#[derive(Clone, Copy, Debug)]
pub struct RequestFacts<'r> {
    /// Normalised (`model::Host`).
    pub host: &'r str,
    /// Canonical (`model::CanonicalPath`).
    pub path: &'r str,
    /// The query, as it was sent.
    pub query: Option<&'r str>,
    /// The method.
    pub method: &'r Method,
    /// The fields, as the client sent them.
    pub headers: &'r HeaderMap,
    /// The other end of the connection, or what a PROXY protocol header names.
    pub peer: IpAddr,
}

impl Condition {
    /// Whether it holds for a request.
    pub fn holds(&self, request: &RequestFacts<'_>) -> bool {
        match self {
            Self::All(all) => all.iter().all(|one| one.holds(request)),
            Self::Any(any) => any.iter().any(|one| one.holds(request)),
            Self::Not(not) => !not.holds(request),
            Self::Host(host) => host.matches(request.host),
            Self::HostRegexp(pattern) => pattern.is_match(request.host),
            Self::Path(path) => **path == *request.path,
            Self::PathPrefix(prefix) => request.path.starts_with(&**prefix),
            Self::PathElements(prefix) => {
                let rest = request.path.strip_prefix(&**prefix);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            Self::PathRegexp(pattern) => pattern.is_match(request.path),
            Self::Header(name, value) => request.headers.get_all(name).iter().any(|v| v == value),
            Self::HeaderRegexp(name, pattern) => {
                let mut values = request.headers.get_all(name).iter();
                values.any(|value| value.to_str().is_ok_and(|value| pattern.is_match(value)))
            }
            Self::Query(key, value) => request.parameters(key).any(|given| given == **value),
            Self::QueryRegexp(key, pattern) => {
                request.parameters(key).any(|given| pattern.is_match(&given))
            }
            Self::Method(method) => method == request.method,
            Self::ClientIp(network) => network.contains(&request.peer.to_canonical()),
        }
    }
}

impl RequestFacts<'_> {
    /// The values of a parameter of the query, decoded (WHATWG URL, application/x-www-form-urlencoded).
    fn parameters(&self, key: &str) -> impl Iterator<Item = String> {
        let pairs = self.query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        pairs.filter_map(move |pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name) == key).then(|| decode(value))
        })
    }
}

/// `+` is a space, and `%` begins an escape; an escape that is none stays as it is.
fn decode(text: &str) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let (bytes, mut decoded, mut at) = (text.as_bytes(), Vec::with_capacity(text.len()), 0);
    while let Some(&byte) = bytes.get(at) {
        let escape = (digit(bytes.get(at + 1)), digit(bytes.get(at + 2)));
        match (byte, escape) {
            (b'%', (Some(high), Some(low))) => {
                decoded.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                at += 3;
                continue;
            }
            (b'+', _) => decoded.push(b' '),
            (other, _) => decoded.push(other),
        }
        at += 1;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_hold_as_in_traefik() {
        let mut headers = HeaderMap::new();
        headers.append("x-a", HeaderValue::from_static("one"));
        headers.append("x-a", HeaderValue::from_static("two"));
        let request = RequestFacts {
            host: "www.a.example",
            path: "/apiary/x",
            query: Some("a=1&b=x%20y&c&d=+"),
            method: &Method::GET,
            headers: &headers,
            peer: "::ffff:10.0.0.1".parse().expect("an address"),
        };
        let pattern = |text: &str| Pattern::new(text).expect("valid");
        let field = HeaderName::from_static("x-a");
        let host = |text: &str| HostPattern::parse(Some(text)).expect("a host");
        for (condition, expected) in [
            (Condition::Host(host("www.a.example")), true),
            (Condition::Host(host("*.a.example")), true),
            (Condition::Host(host("a.example")), false),
            (Condition::HostRegexp(pattern("^w+\\.")), true),
            (Condition::PathPrefix("/api".into()), true),
            (Condition::PathElements("/api".into()), false),
            (Condition::PathElements("/apiary".into()), true),
            (Condition::PathRegexp(pattern("/x$")), true),
            (Condition::Header(field.clone(), HeaderValue::from_static("two")), true),
            (Condition::Header(field.clone(), HeaderValue::from_static("Two")), false),
            (Condition::HeaderRegexp(field, pattern("^o")), true),
            (Condition::Query("a".into(), "1".into()), true),
            (Condition::Query("b".into(), "x y".into()), true),
            (Condition::Query("c".into(), "".into()), true),
            (Condition::Query("a".into(), "".into()), false),
            (Condition::QueryRegexp("d".into(), pattern("^ $")), true),
            (Condition::Method(Method::POST), false),
            (Condition::ClientIp("10.0.0.0/8".parse().expect("a network")), true),
        ] {
            assert_eq!(condition.holds(&request), expected, "{condition:?}");
            assert_eq!(Condition::Not(Box::new(condition)).holds(&request), !expected);
        }
    }
}
