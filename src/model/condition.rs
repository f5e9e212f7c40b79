//! Conditions on a request or a connection: what `match` of an IngressRoute or IngressRouteTCP is made of.

use super::HostPattern;
use super::middleware::Pattern;
use crate::net::fields::{FieldMap, Fields};
use crate::net::fields::{is_claim, is_cloudflares};
use http::{HeaderName, HeaderValue, Method, header};
use ipnet::IpNet;
use std::borrow::Cow;
use std::net::IpAddr;

/// A condition on a request or a connection (Traefik 3, "Routers", rules).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// All of them hold.
    All(Vec<Condition>),
    /// One of them holds.
    Any(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
    /// `Host`, `HostSNI`.
    Host(HostPattern),
    /// `HostRegexp`, `HostSNIRegexp`, not anchored.
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
    /// `Query` of version 2: the first value of the parameter matches.
    QueryFirst(Box<str>, Pattern),
    /// `Method`.
    Method(Method),
    /// `ClientIP`: the peer is in this network.
    ClientIp(IpNet),
    /// `ALPN`: the client offers this protocol. Of connections alone: no request meets it.
    Alpn(Box<str>),
}

/// What of a connection conditions are about.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionFacts<'c> {
    /// The name in the ClientHello, in lower case and without a dot at its end; empty without one.
    pub server_name: &'c str,
    /// The protocols that the client offers (ALPN, RFC 7301).
    pub protocols: &'c [Vec<u8>],
    /// The other end of the connection, or what a PROXY protocol header names.
    pub peer: IpAddr,
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
    pub headers: &'r FieldMap,
    /// What is known of the sender.
    pub sender: Sender<'r>,
    /// The other end of the connection, or what a PROXY protocol header names.
    pub peer: IpAddr,
}

/// What is known of the sender of a request, in the place of what the request says of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sender<'r> {
    /// `X-Forwarded-For` and `X-Real-IP`: the client's address.
    pub client: Option<&'r HeaderValue>,
    /// `X-Forwarded-Proto`.
    pub proto: Option<&'r HeaderValue>,
    /// `X-Forwarded-Host`.
    pub host: Option<&'r HeaderValue>,
    /// `X-Forwarded-Port`.
    pub port: Option<&'r HeaderValue>,
    /// Whether its `CF-*` fields are Cloudflare's.
    pub via_cloudflare: bool,
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
            Self::PathRegexp(pattern) => pattern.is_match(&readable(request.path)),
            Self::Header(name, value) => request.any_value(name, |given| given == value),
            Self::HeaderRegexp(name, pattern) => request.any_value(name, |given| {
                pattern.is_match(&String::from_utf8_lossy(given.as_bytes()))
            }),
            Self::Query(key, value) => request.parameters(key).any(|given| *given == **value),
            Self::QueryRegexp(key, pattern) => {
                request.parameters(key).any(|given| pattern.is_match(&given))
            }
            Self::QueryFirst(key, pattern) => {
                request.parameters(key).next().is_some_and(|given| pattern.is_match(&given))
            }
            Self::Method(method) => method == request.method,
            Self::ClientIp(network) => network.contains(&request.peer.to_canonical()),
            Self::Alpn(_) => false,
        }
    }

    /// Whether it holds for a connection. What is of requests alone does not.
    pub fn holds_for(&self, connection: &ConnectionFacts<'_>) -> bool {
        match self {
            Self::All(all) => all.iter().all(|one| one.holds_for(connection)),
            Self::Any(any) => any.iter().any(|one| one.holds_for(connection)),
            Self::Not(not) => !not.holds_for(connection),
            Self::Host(host) => host.matches(connection.server_name),
            Self::HostRegexp(pattern) => pattern.is_match(connection.server_name),
            Self::ClientIp(network) => network.contains(&connection.peer.to_canonical()),
            Self::Alpn(protocol) => {
                connection.protocols.iter().any(|offered| **offered == *protocol.as_bytes())
            }
            _ => false,
        }
    }
}

impl RequestFacts<'_> {
    /// Whether one of the values of a field is such, of those that pods will get: what a request claims of its sender
    /// is not what its route depends on, nor is what is for this connection alone.
    fn any_value(&self, name: &HeaderName, is_such: impl Fn(&HeaderValue) -> bool) -> bool {
        let known = match name.as_str() {
            "x-forwarded-for" | "x-real-ip" => self.sender.client,
            "x-forwarded-proto" => self.sender.proto,
            "x-forwarded-host" => self.sender.host,
            "x-forwarded-port" => self.sender.port,
            other => {
                let is_vouched = self.sender.via_cloudflare && is_cloudflares(other);
                let is_hidden = (is_claim(other) && !is_vouched) || self.is_of_connection(name);
                let mut values = self.headers.get_all(name);
                return !is_hidden && values.any(is_such);
            }
        };
        known.is_some_and(is_such)
    }

    /// Whether `Connection` names a field. `Upgrade` is for us as well.
    fn is_of_connection(&self, name: &HeaderName) -> bool {
        let options = self.headers.get_all(header::CONNECTION);
        let options = options.flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
        let named = |option: &[u8]| option.trim_ascii().eq_ignore_ascii_case(name.as_ref());
        *name != header::UPGRADE && options.into_iter().any(named)
    }

    /// The values of a parameter of the query, decoded (WHATWG URL, application/x-www-form-urlencoded). Those with an
    /// escape that is none do not count, as in Go; a semicolon parts parameters as well, as in Traefik.
    fn parameters(&self, key: &str) -> impl Iterator<Item = Cow<'_, str>> {
        let pairs = self.query.unwrap_or_default().split(['&', ';']);
        pairs.filter(|pair| !pair.is_empty()).filter_map(move |pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            decode(name).filter(|name| name == key).and_then(|_| decode(value))
        })
    }
}

/// `+` is a space, and `%` begins an escape. Nothing if that is none.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => digit(bytes.next()?)? << 4 | digit(bytes.next()?)?,
            b'+' => b' ',
            other => other,
        });
    }
    Some(String::from_utf8_lossy(&decoded).into_owned().into())
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// A canonical path as regular expressions see it: what is not reserved is not escaped
/// (`pkg/muxer/http/mux.go`, withRoutingPath).
fn readable(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let mut bytes = path.as_bytes();
    let mut readable = Vec::with_capacity(bytes.len());
    while let [first, rest @ ..] = bytes {
        let escaped = match bytes {
            [b'%', high, low, ..] => {
                digit(*high).zip(digit(*low)).map(|(high, low)| high << 4 | low)
            }
            _ => None,
        };
        match escaped.filter(|byte| !b":/?#[]@!$&'()*+,;=%".contains(byte)) {
            Some(byte) => {
                readable.push(byte);
                bytes = &bytes[3..];
            }
            None => {
                readable.push(*first);
                bytes = rest;
            }
        }
    }
    String::from_utf8_lossy(&readable).into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_hold_as_in_traefik() {
        let mut headers = FieldMap::new();
        headers.append("x-a", HeaderValue::from_static("one"));
        headers.append("x-a", HeaderValue::from_static("two"));
        let request = RequestFacts {
            host: "www.a.example",
            path: "/apiary/x",
            query: Some("a=1&b=x%20y&c&d=+"),
            method: &Method::GET,
            headers: &headers,
            sender: Sender::default(),
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

    fn holds(rule: &Condition, target: &str, fields: &[(&'static str, &[u8])]) -> bool {
        let mut headers = FieldMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_bytes(value).expect("a value"));
        }
        let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q)));
        let (host, method) = ("a.example", &Method::GET);
        let (https, client) = ("https".try_into(), "192.0.2.7".try_into());
        let (https, client) = (https.expect("a value"), client.expect("a value"));
        let sender = Sender { proto: Some(&https), client: Some(&client), ..Sender::default() };
        let peer = [127, 0, 0, 1].into();
        rule.holds(&RequestFacts { host, path, query, method, headers: &headers, sender, peer })
    }

    fn header(name: &'static str, value: &'static str) -> Condition {
        Condition::Header(HeaderName::from_static(name), HeaderValue::from_static(value))
    }

    #[test]
    fn what_a_request_claims_of_its_sender_does_not_count() {
        let claim: &[(&str, &[u8])] = &[("x-forwarded-proto", b"http"), ("x-real-ip", b"10.0.0.1")];
        assert!(holds(&header("x-forwarded-proto", "https"), "/", claim));
        assert!(!holds(&header("x-forwarded-proto", "http"), "/", claim));
        assert!(holds(&header("x-real-ip", "192.0.2.7"), "/", claim));
        assert!(!holds(&header("x-real-ip", "10.0.0.1"), "/", claim));
        let cloudflare = header("cf-ipcountry", "de");
        assert!(!holds(&cloudflare, "/", &[("cf-ipcountry", b"de")]));
        assert!(!holds(&header("true-client-ip", "x"), "/", &[("true-client-ip", b"x")]));
    }

    #[test]
    fn what_is_for_the_connection_does_not_count() {
        let fields: &[(&str, &[u8])] =
            &[("connection", b"Upgrade, X-Hop"), ("x-hop", b"1"), ("upgrade", b"websocket")];
        assert!(!holds(&header("x-hop", "1"), "/", fields));
        assert!(holds(&header("upgrade", "websocket"), "/", fields));
    }

    #[test]
    fn expressions_see_what_is_not_reserved_as_it_is() {
        let path = |text| Condition::PathRegexp(Pattern::new(text).expect("valid"));
        assert!(holds(&path("^/foo bar$"), "/foo%20bar", &[]));
        assert!(holds(&path("^/k.se$"), "/k%C3%A4se", &[]));
        assert!(holds(&path("^/a%2Fb%25$"), "/a%2Fb%25", &[]));
        assert!(!holds(&path("^/a.b$"), "/a%2Fb", &[]));
        let name = HeaderName::from_static("x-a");
        let field = Condition::HeaderRegexp(name, Pattern::new("^k.+se$").expect("valid"));
        assert!(holds(&field, "/", &[("x-a", b"k\xe4se")]));
    }

    #[test]
    fn parameters_are_parted_as_in_traefik() {
        let query = Condition::Query("a".into(), "1".into());
        for (target, expected) in [
            ("/?b=2;a=1", true),
            ("/?a=%zz&a=1", true),
            ("/?%61=%31", true),
            ("/?a=%", false),
            ("/?a=11", false),
        ] {
            assert_eq!(holds(&query, target, &[]), expected, "{target}");
        }
        let first = Condition::QueryFirst("a".into(), Pattern::new("^1$").expect("valid"));
        assert!(holds(&first, "/?b=1&a=1&a=2", &[]) && !holds(&first, "/?a=2&a=1", &[]));
    }

    #[test]
    fn conditions_on_a_connection_hold_as_in_traefik() {
        let host = |text: &str| Condition::Host(HostPattern::parse(Some(text)).expect("a host"));
        let pattern = |text: &str| Condition::HostRegexp(Pattern::new(text).expect("valid"));
        let network = |text: &str| Condition::ClientIp(text.parse().expect("a network"));
        let meets = |condition: &Condition, server_name| {
            let protocols = &[b"h2".to_vec(), b"mqtt".to_vec()];
            let peer = "::ffff:10.0.0.1".parse().expect("an address");
            condition.holds_for(&ConnectionFacts { server_name, protocols, peer })
        };
        for (condition, named, unnamed) in [
            (host("a.example"), true, false),
            (host("*.example"), true, false),
            (host("b.example"), false, false),
            (Condition::Host(HostPattern::Any), true, true),
            (pattern("^a\\."), true, false),
            (pattern(".*"), true, true),
            (network("10.0.0.0/8"), true, true),
            (Condition::Alpn("mqtt".into()), true, true),
            (Condition::Alpn("mqt".into()), false, false),
            (Condition::Method(Method::GET), false, false),
        ] {
            let found = (meets(&condition, "a.example"), meets(&condition, ""));
            assert_eq!(found, (named, unnamed), "{condition:?}");
            let not = Condition::Not(Box::new(condition));
            assert_eq!((meets(&not, "a.example"), meets(&not, "")), (!named, !unnamed), "{not:?}");
        }
        let request = Condition::Alpn("h2".into());
        assert!(!holds(&request, "/", &[]), "a request offers nothing");
    }
}
