//! What is asked of the JSON: parsed once, with every mistake named.

use super::window::Bounds;
use http::Method;
use std::borrow::Cow;
use std::net::IpAddr;

/// Where the JSON is. A change that breaks readers gets another number.
const API: &str = "/api/v1/";

/// Entries of an answer unless `limit` says otherwise, and the most.
const LIMIT: usize = 100;
const MOST: usize = 500;

/// Bytes of a search text: the longest host (RFC 1035) fits.
const MOST_SEARCHED: usize = 253;

/// The names under [`API`], for mistakes.
const NAMES: &str =
    "status, routes, certificates, gate, pods, findings, requests, failures, explain";

/// A question.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Question {
    Status,
    Routes(Search),
    Certificates(Search),
    Gate,
    Pods(Search),
    Findings(Search),
    Requests(Search),
    Failures(FailureQuery),
    Explain(Box<ExplainQuery>),
}

/// A part of a list, and which entries.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Search {
    pub(super) bounds: Bounds,
    /// In lower case; empty for all.
    pub(super) text: String,
}

impl Search {
    /// Whether any of these texts has the one that is searched for.
    pub(super) fn matches(&self, texts: &[&str]) -> bool {
        let has = |text: &&str| text.to_ascii_lowercase().contains(&self.text);
        self.text.is_empty() || texts.iter().any(has)
    }
}

/// Which of the last failures.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FailureQuery {
    pub(super) search: Search,
    /// The Ray ID, without the colo and in lower case: Cloudflare's page has it so, `CF-Ray` has the colo.
    pub(super) ray: Option<String>,
}

impl FailureQuery {
    /// Whether a request with this `CF-Ray` is asked for.
    pub(super) fn is_asked(&self, ray: &str) -> bool {
        self.ray.as_ref().is_none_or(|asked| *asked == bare(ray))
    }
}

/// A Ray ID without its colo.
fn bare(ray: &str) -> String {
    ray.split('-').next().unwrap_or_default().to_ascii_lowercase()
}

/// The request that `explain` is asked about.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ExplainQuery {
    pub(super) host: String,
    /// With its query.
    pub(super) path: String,
    pub(super) method: Method,
    /// `http` or `https`; the listener decides if there is none.
    pub(super) scheme: Option<String>,
    pub(super) listener: Option<String>,
    /// The source address of the connection.
    pub(super) from: Option<IpAddr>,
    /// The client that a trusted source names.
    pub(super) visitor: Option<IpAddr>,
}

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mistake {
    /// Nothing has that name.
    NotFound,
    /// A parameter is wrong.
    Parameter(String),
}

/// Whether a path is one of the JSON.
pub(crate) fn is_api(path: &str) -> bool {
    path == "/api" || path.starts_with("/api/")
}

impl Mistake {
    pub(super) fn text(&self) -> String {
        match self {
            Self::NotFound => format!("not found; {API} has {NAMES}"),
            Self::Parameter(text) => text.clone(),
        }
    }
}

impl Question {
    pub(super) fn parse(path: &str, query: &str) -> Result<Self, Mistake> {
        let name = path.strip_prefix(API).ok_or(Mistake::NotFound)?;
        let pairs = || form_urlencoded::parse(query.as_bytes());
        match name {
            "status" => none(pairs()).map(|()| Self::Status),
            "gate" => none(pairs()).map(|()| Self::Gate),
            "routes" => search(pairs()).map(Self::Routes),
            "certificates" => search(pairs()).map(Self::Certificates),
            "pods" => search(pairs()).map(Self::Pods),
            "findings" => search(pairs()).map(Self::Findings),
            "requests" => search(pairs()).map(Self::Requests),
            "failures" => failures(pairs()).map(Self::Failures),
            "explain" => explain(pairs()).map(|query| Self::Explain(Box::new(query))),
            _ => Err(Mistake::NotFound),
        }
    }
}

/// A parameter.
type Pair<'q> = (Cow<'q, str>, Cow<'q, str>);

fn wrong(name: &str, value: &str, fix: &str) -> Mistake {
    let quoted: String = value.chars().take(64).collect();
    Mistake::Parameter(format!("{name} is {quoted:?}: {fix}"))
}

fn unknown(name: &str, known: &str) -> Mistake {
    let quoted: String = name.chars().take(64).collect();
    Mistake::Parameter(format!("unknown parameter {quoted:?}: {known}"))
}

fn none<'q>(mut pairs: impl Iterator<Item = Pair<'q>>) -> Result<(), Mistake> {
    pairs.next().map_or(Ok(()), |(name, _)| Err(unknown(&name, "this answer takes none")))
}

fn search<'q>(pairs: impl Iterator<Item = Pair<'q>>) -> Result<Search, Mistake> {
    let mut found = Search { bounds: Bounds { after: 0, limit: LIMIT }, text: String::new() };
    for (name, value) in pairs {
        let number = || value.parse::<usize>().ok();
        match &*name {
            "after" => {
                found.bounds.after =
                    number().ok_or_else(|| wrong("after", &value, "give the number in next"))?;
            }
            "limit" => {
                let fits = number().filter(|limit| (1..=MOST).contains(limit));
                let fix = || wrong("limit", &value, &format!("give a number from 1 to {MOST}"));
                found.bounds.limit = fits.ok_or_else(fix)?;
            }
            "q" if value.len() > MOST_SEARCHED => {
                return Err(wrong("q", &value, &format!("give at most {MOST_SEARCHED} bytes")));
            }
            "q" => found.text = value.to_ascii_lowercase(),
            _ => return Err(unknown(&name, "a list takes after, limit and q")),
        }
    }
    Ok(found)
}

fn failures<'q>(pairs: impl Iterator<Item = Pair<'q>>) -> Result<FailureQuery, Mistake> {
    let (rays, rest): (Vec<_>, Vec<_>) = pairs.partition(|(name, _)| name == "ray");
    let ray = match &*rays {
        [] => None,
        [(_, value)] if (1..=MOST_SEARCHED).contains(&bare(value).len()) => Some(bare(value)),
        [(_, value), ..] => return Err(wrong("ray", value, "give one Ray ID")),
    };
    let search = search(rest.into_iter()).map_err(|mistake| match mistake {
        Mistake::Parameter(text) => {
            Mistake::Parameter(text.replace("limit and q", "limit, q and ray"))
        }
        Mistake::NotFound => Mistake::NotFound,
    })?;
    Ok(FailureQuery { search, ray })
}

fn explain<'q>(pairs: impl Iterator<Item = Pair<'q>>) -> Result<ExplainQuery, Mistake> {
    let mut query = ExplainQuery { path: "/".to_owned(), ..ExplainQuery::default() };
    for (name, value) in pairs {
        let address = || {
            let address = value.parse::<IpAddr>().map(|ip| ip.to_canonical());
            address.map_err(|_| wrong(&name, &value, "give an IP address"))
        };
        match &*name {
            // A field of the form that was left empty.
            _ if value.is_empty() => {}
            "host" => query.host = value.into_owned(),
            "path" if !value.starts_with('/') => {
                return Err(wrong("path", &value, "begin it with /"));
            }
            "path" => query.path = value.into_owned(),
            "method" => {
                query.method = Method::from_bytes(value.as_bytes())
                    .map_err(|_| wrong("method", &value, "give a method such as GET"))?;
            }
            "scheme" if matches!(&*value, "http" | "https") => {
                query.scheme = Some(value.into_owned());
            }
            "scheme" => return Err(wrong("scheme", &value, "give http or https")),
            "listener" => query.listener = Some(value.into_owned()),
            "from" => query.from = Some(address()?),
            "visitor" => query.visitor = Some(address()?),
            _ => {
                let known = "explain takes host, path, method, scheme, listener, from and visitor";
                return Err(unknown(&name, known));
            }
        }
    }
    if query.host.is_empty() {
        return Err(Mistake::Parameter("host is missing: give the host of a URL".to_owned()));
    }
    if query.visitor.is_some() && query.from.is_none() {
        let text = "visitor needs from: only a trusted source names a visitor";
        return Err(Mistake::Parameter(text.to_owned()));
    }
    Ok(query)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &str, query: &str) -> String {
        Question::parse(path, query).expect_err("a mistake").text()
    }

    #[test]
    fn lists_are_bounded_and_searched_in_lower_case() {
        let search = |after, limit, text: &str| {
            let text = text.to_owned();
            Ok(Question::Routes(Search { bounds: Bounds { after, limit }, text }))
        };
        for (query, expected) in [
            ("", search(0, LIMIT, "")),
            ("after=7&limit=500&q=Shop.Example", search(7, 500, "shop.example")),
            ("q=a%2Fb", search(0, LIMIT, "a/b")),
        ] {
            assert_eq!(Question::parse("/api/v1/routes", query), expected, "{query}");
        }
    }

    #[test]
    fn a_mistake_names_the_parameter_and_the_fix() {
        let long = format!("q={}", "a".repeat(MOST_SEARCHED + 1));
        for (path, query, expected) in [
            ("/api/v1/routes", "limit=0", "limit is \"0\": give a number from 1 to 500"),
            ("/api/v1/routes", "limit=501", "limit is \"501\": give a number from 1 to 500"),
            ("/api/v1/pods", "after=-1", "after is \"-1\": give the number in next"),
            ("/api/v1/pods", "x=1", "unknown parameter \"x\": a list takes after, limit and q"),
            ("/api/v1/gate", "x=1", "unknown parameter \"x\": this answer takes none"),
            ("/api/v1/failures", "ray=", "ray is \"\": give one Ray ID"),
            ("/api/v1/failures", "ray=a&ray=b", "ray is \"a\": give one Ray ID"),
            (
                "/api/v1/failures",
                "x=1",
                "unknown parameter \"x\": a list takes after, limit, q and ray",
            ),
            ("/api/v1/explain", "", "host is missing: give the host of a URL"),
            ("/api/v1/explain", "host=a&from=b", "from is \"b\": give an IP address"),
            ("/api/v1/explain", "host=a&path=b", "path is \"b\": begin it with /"),
            ("/api/v1/explain", "host=a&method=%20", "method is \" \": give a method such as GET"),
            ("/api/v1/explain", "host=a&scheme=ftp", "scheme is \"ftp\": give http or https"),
        ] {
            assert_eq!(refused(path, query), expected, "{path}?{query}");
        }
        assert!(refused("/api/v1/routes", &long).ends_with("give at most 253 bytes"));
        for path in ["/api", "/api/v2/routes", "/api/v1/", "/api/v1/route"] {
            assert!(is_api(path));
            assert!(refused(path, "").starts_with("not found; /api/v1/ has status"), "{path}");
        }
        assert!(!is_api("/apis"));
    }
}
