//! Requests that a condition holds for.

use super::sample::samples;
use crate::model::middleware::Pattern;
use crate::model::{CanonicalPath, Condition, Host, HostPattern, RequestFacts, Sender};
use crate::net::fields::{FieldMap, Fields};
use http::{HeaderName, HeaderValue, Method};
use std::net::{IpAddr, Ipv4Addr};

/// Most ways in which one condition is met.
const MOST_WAYS: usize = 8;

/// Most texts of one regular expression.
const MOST_SAMPLES: usize = 4;

/// What stands where a rule takes any name or element: a label, and an element of a path.
pub(super) const FILLER: &str = "ravelin-compare";

/// The host of rules without host. It exists nowhere (RFC 6761 section 6.4).
const NO_HOST: &str = "ravelin-compare.invalid";

/// A request in the making.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sketch {
    pub(super) host: Option<String>,
    /// Canonical.
    pub(super) path: Option<String>,
    pub(super) method: Option<Method>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// Names and values, not encoded.
    pub(super) query: Vec<(String, String)>,
    pub(super) peer: Option<IpAddr>,
}

impl Sketch {
    /// Both demands in one. Where they contradict each other the first is kept: the caller checks.
    fn and(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.host = both.host.or_else(|| other.host.clone());
        both.path = both.path.or_else(|| other.path.clone());
        both.method = both.method.or_else(|| other.method.clone());
        both.peer = both.peer.or(other.peer);
        for field in &other.headers {
            if !both.headers.contains(field) {
                both.headers.push(field.clone());
            }
        }
        for parameter in &other.query {
            if !both.query.contains(parameter) {
                both.query.push(parameter.clone());
            }
        }
        both
    }

    pub(super) fn host(&self) -> &str {
        self.host.as_deref().unwrap_or(NO_HOST)
    }

    pub(super) fn path(&self) -> &str {
        self.path.as_deref().unwrap_or("/")
    }

    /// The query as it is sent, if there is one.
    pub(super) fn encoded_query(&self) -> Option<String> {
        let pair = |(name, value): &(String, String)| match value.is_empty() {
            true => encoded(name),
            false => format!("{}={}", encoded(name), encoded(value)),
        };
        let pairs: Vec<String> = self.query.iter().map(pair).collect();
        (!pairs.is_empty()).then(|| pairs.join("&"))
    }

    /// Whether a condition holds for it, with this method where it has none of its own.
    pub(super) fn meets(&self, condition: &Condition, method: &Method) -> bool {
        let (mut headers, query) = (FieldMap::new(), self.encoded_query());
        for (name, value) in &self.headers {
            headers.append(name.clone(), value.clone());
        }
        condition.holds(&RequestFacts {
            host: self.host(),
            path: self.path(),
            query: query.as_deref(),
            method: self.method.as_ref().unwrap_or(method),
            headers: &headers,
            sender: Sender::default(),
            peer: self.peer.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        })
    }
}

/// Everything but unreserved characters is escaped (RFC 3986 section 2.3).
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Ways to meet a condition, the likeliest first. Not each of them does: the caller checks.
pub(super) fn ways(condition: &Condition) -> Vec<Sketch> {
    let one = |sketch: Sketch| vec![sketch];
    let field = |name: &HeaderName, text: &str| {
        let value = HeaderValue::from_str(text).ok()?;
        Some(Sketch { headers: vec![(name.clone(), value)], ..Sketch::default() })
    };
    let parameter = |name: &str, value: String| Sketch {
        query: vec![(name.to_owned(), value)],
        ..Sketch::default()
    };
    match condition {
        Condition::All(all) => all.iter().fold(one(Sketch::default()), |so_far, next| {
            let next = ways(next);
            let both = so_far.iter().flat_map(|way| next.iter().map(|other| way.and(other)));
            both.take(MOST_WAYS).collect()
        }),
        Condition::Any(any) => any.iter().flat_map(ways).take(MOST_WAYS).collect(),
        // What is to be avoided is avoided by chance, or by the other demands.
        Condition::Not(_) => one(Sketch::default()),
        Condition::Host(host) => one(Sketch { host: Some(name(host)), ..Sketch::default() }),
        Condition::HostRegexp(pattern) => {
            let hosts = hosts(pattern).into_iter();
            hosts.map(|host| Sketch { host: Some(host), ..Sketch::default() }).collect()
        }
        Condition::Path(path) | Condition::PathPrefix(path) => one(of_path(path)),
        Condition::PathElements(prefix) => {
            one(of_path(if prefix.is_empty() { "/" } else { prefix }))
        }
        Condition::PathRegexp(pattern) => paths(pattern).iter().map(|path| of_path(path)).collect(),
        Condition::Header(name, value) => {
            one(Sketch { headers: vec![(name.clone(), value.clone())], ..Sketch::default() })
        }
        Condition::HeaderRegexp(name, pattern) => {
            texts(pattern).iter().filter_map(|text| field(name, text)).collect()
        }
        Condition::Query(name, value) => one(parameter(name, value.to_string())),
        Condition::QueryRegexp(name, pattern) | Condition::QueryFirst(name, pattern) => {
            texts(pattern).into_iter().map(|text| parameter(name, text)).collect()
        }
        Condition::Method(method) => {
            one(Sketch { method: Some(method.clone()), ..Sketch::default() })
        }
        Condition::ClientIp(network) => {
            one(Sketch { peer: Some(network.addr()), ..Sketch::default() })
        }
        // Of connections alone.
        Condition::Alpn(_) => Vec::new(),
    }
}

/// Paths at the edges of what a condition says of them: as they are, with a slash, below, and beside.
pub(super) fn edges(condition: &Condition) -> Vec<String> {
    let around = |path: &str| {
        let bare = path.strip_suffix('/').unwrap_or(path);
        let below = format!("{bare}/{FILLER}");
        match bare {
            "" => vec!["/".to_owned(), below],
            _ => vec![bare.to_owned(), format!("{bare}/"), below, format!("{bare}x")],
        }
    };
    match condition {
        Condition::All(some) | Condition::Any(some) => some.iter().flat_map(edges).collect(),
        Condition::Not(one) => edges(one),
        Condition::Path(path) | Condition::PathPrefix(path) | Condition::PathElements(path) => {
            around(path)
        }
        Condition::PathRegexp(pattern) => {
            let paths = paths(pattern).into_iter();
            paths.flat_map(|path| [format!("{path}x"), path]).rev().collect()
        }
        _ => Vec::new(),
    }
}

/// Whether it says anything of a sort.
pub(super) fn asks_for(condition: &Condition, is_such: &impl Fn(&Condition) -> bool) -> bool {
    match condition {
        Condition::All(some) | Condition::Any(some) => some.iter().any(|it| asks_for(it, is_such)),
        Condition::Not(one) => asks_for(one, is_such),
        other => is_such(other),
    }
}

fn name(host: &HostPattern) -> String {
    match host {
        HostPattern::Exact(name) => name.to_string(),
        HostPattern::Wildcard(suffix) => format!("{FILLER}.{suffix}"),
        HostPattern::Any => NO_HOST.to_owned(),
    }
}

fn of_path(path: &str) -> Sketch {
    Sketch { path: Some(path.to_owned()), ..Sketch::default() }
}

/// Texts that an expression takes anywhere in them, with what may have to stand around.
fn texts(pattern: &Pattern) -> Vec<String> {
    let samples = samples(pattern.as_str(), MOST_SAMPLES);
    samples.into_iter().filter(|text| pattern.is_match(text)).collect()
}

fn hosts(pattern: &Pattern) -> Vec<String> {
    let samples = samples(pattern.as_str(), MOST_SAMPLES).into_iter();
    let fitting = samples.filter_map(|text| {
        let text = text.to_lowercase();
        let around = [
            text.clone(),
            format!("{FILLER}{text}"),
            format!("{text}{FILLER}.invalid"),
            format!("{text}.invalid"),
        ];
        around.into_iter().find(|host| {
            let read = Host::parse(host).ok();
            !host.split('.').any(str::is_empty)
                && read.is_some_and(|read| read.as_str() == *host)
                && pattern.is_match(host)
        })
    });
    fitting.collect()
}

fn paths(pattern: &Pattern) -> Vec<String> {
    let samples = samples(pattern.as_str(), MOST_SAMPLES).into_iter();
    let fitting = samples.filter_map(|text| {
        let around = [
            text.clone(),
            format!("/{text}"),
            format!("/{FILLER}{text}"),
            format!("/{FILLER}/{text}"),
        ];
        around.into_iter().find_map(|path| {
            let path = CanonicalPath::parse(&path).ok()?.as_str().to_owned();
            pattern.is_match(&path).then_some(path)
        })
    });
    fitting.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::new(text).expect("valid")
    }

    fn host(text: &str) -> Condition {
        Condition::Host(HostPattern::parse(Some(text)).expect("a host"))
    }

    fn met(condition: &Condition) -> Vec<Sketch> {
        let ways = ways(condition).into_iter();
        ways.filter(|way| way.meets(condition, &Method::GET)).collect()
    }

    #[test]
    fn what_a_rule_asks_for_is_in_the_request() {
        let name = HeaderName::from_static("x-tenant");
        let rule = Condition::All(vec![
            host("a.example"),
            Condition::PathPrefix("/api".into()),
            Condition::Header(name.clone(), HeaderValue::from_static("blue")),
            Condition::QueryRegexp("v".into(), pattern("^[0-9]+ x$")),
            Condition::Not(Box::new(Condition::PathPrefix("/api/admin".into()))),
        ]);
        let found = met(&rule);
        let first = found.first().expect("a request");
        assert_eq!((first.host(), first.path()), ("a.example", "/api"));
        assert_eq!(first.headers, [(name, HeaderValue::from_static("blue"))]);
        assert_eq!(first.encoded_query().as_deref(), Some("v=1%20x"));
    }

    #[test]
    fn each_alternative_has_a_request() {
        let rule = Condition::All(vec![
            Condition::Any(vec![host("a.example"), host("*.b.example")]),
            Condition::Any(vec![
                Condition::Path("/x".into()),
                Condition::PathRegexp(pattern("y$")),
            ]),
        ]);
        let found = met(&rule);
        let places: Vec<String> =
            found.iter().map(|it| format!("{}{}", it.host(), it.path())).collect();
        let expected = [
            "a.example/x",
            "a.example/y",
            "ravelin-compare.b.example/x",
            "ravelin-compare.b.example/y",
        ];
        assert_eq!(places, expected);
    }

    #[test]
    fn hosts_and_paths_of_expressions_can_be_sent() {
        for (text, expected) in [
            (r"^[a-z]+\.a\.example$", "a.a.example"),
            (r"\.a\.example$", "ravelin-compare.a.example"),
        ] {
            assert_eq!(met(&Condition::HostRegexp(pattern(text)))[0].host(), expected, "{text}");
        }
        for (text, expected) in
            [(r"^/a/\d+", "/a/1"), (r"\.(css|js)$", "/.css"), ("^/ä$", "/%C3%A4")]
        {
            let found = met(&Condition::PathRegexp(pattern(text)));
            let path = found.first().map(|it| it.path().to_owned());
            // What an expression sees of an escape is the character itself.
            assert!(path.as_deref() == Some(expected) || text.contains('ä'), "{text}: {found:?}");
        }
    }

    #[test]
    fn edges_are_on_both_sides_of_a_prefix() {
        let found = edges(&Condition::PathPrefix("/api/".into()));
        assert_eq!(found, ["/api", "/api/", "/api/ravelin-compare", "/apix"]);
        assert_eq!(edges(&Condition::PathElements("".into())), ["/", "/ravelin-compare"]);
    }

    #[test]
    fn what_cannot_be_met_has_no_request() {
        let rule = Condition::All(vec![host("a.example"), host("b.example")]);
        assert!(met(&rule).is_empty());
        let proto = HeaderName::from_static("x-forwarded-proto");
        assert!(met(&Condition::Header(proto, HeaderValue::from_static("https"))).is_empty());
    }
}
