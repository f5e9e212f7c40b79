//! The matchers of Traefik 3 (`pkg/muxer/http/matcher.go`).

use super::RuleError;
use crate::control::suggest::nearest;
use crate::model::middleware::Pattern;
use crate::model::{CanonicalPath, Condition, HostPattern};
use http::{HeaderName, HeaderValue, Method};
use ipnet::IpNet;
use std::net::IpAddr;

/// The names, for messages.
const NAMES: [&str; 11] = [
    "ClientIP",
    "Method",
    "Host",
    "HostRegexp",
    "Path",
    "PathPrefix",
    "PathRegexp",
    "Header",
    "HeaderRegexp",
    "Query",
    "QueryRegexp",
];

/// Names of Traefik 2 alone, and what stands for them now.
const OLD: [(&str, &str); 2] = [("headers", "Header"), ("headersregexp", "HeaderRegexp")];

/// Reads a matcher with its arguments.
pub(super) fn read(name: &str, arguments: &[String]) -> Result<Condition, RuleError> {
    let texts: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let lower = name.to_ascii_lowercase();
    match (&*lower, &*texts) {
        ("host", [host]) => read_host(host),
        ("hostregexp", [text]) => pattern(name, text).map(Condition::HostRegexp),
        ("path", [path]) => read_path(name, path).map(Condition::Path),
        ("pathprefix", [path]) => read_path(name, path).map(Condition::PathPrefix),
        ("pathregexp", [text]) => pattern(name, text).map(Condition::PathRegexp),
        ("header", [field, value]) => {
            let bad = |_| invalid(name, value, "is not the value of a field");
            Ok(Condition::Header(
                field_name(name, field)?,
                HeaderValue::from_str(value).map_err(bad)?,
            ))
        }
        ("headerregexp", [field, text]) => {
            Ok(Condition::HeaderRegexp(field_name(name, field)?, pattern(name, text)?))
        }
        ("query", [key]) => Ok(Condition::Query((*key).into(), "".into())),
        ("query", [key, value]) => Ok(Condition::Query((*key).into(), (*value).into())),
        ("queryregexp", [key, text]) => {
            Ok(Condition::QueryRegexp((*key).into(), pattern(name, text)?))
        }
        ("method", [method]) => {
            let bad = |_| invalid(name, method, "is not a method");
            let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).map_err(bad)?;
            Ok(Condition::Method(method))
        }
        ("clientip", [network]) => read_network(name, network),
        _ => Err(unknown(name, &lower, texts.len())),
    }
}

fn unknown(name: &str, lower: &str, arguments: usize) -> RuleError {
    if NAMES.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        let reason = format!("has {name} with {arguments} arguments");
        let fix =
            "Traefik 3 takes one value in each matcher; join several by `||`, or set syntax: v2";
        return RuleError::new(reason, fix);
    }
    let reason = format!("has {name}, which is no matcher of Traefik 3");
    let old = OLD.iter().find(|(old, _)| *old == lower);
    let fix = match (old, nearest(name, NAMES)) {
        (Some((_, new)), _) => format!("write {new}, or set syntax: v2"),
        (None, Some(near)) => format!("did you mean {near}?"),
        (None, None) => format!("matchers are {}", NAMES.join(", ")),
    };
    RuleError::new(reason, fix)
}

pub(super) fn read_host(host: &str) -> Result<Condition, RuleError> {
    if host == "*" {
        return Ok(Condition::Host(HostPattern::Any));
    }
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let read = HostPattern::parse(Some(&host)).ok().filter(|_| !host.is_empty());
    read.map(Condition::Host)
        .ok_or_else(|| invalid("Host", &host, "is not a DNS name, or one behind `*.`"))
}

pub(super) fn read_path(name: &str, path: &str) -> Result<Box<str>, RuleError> {
    if !path.starts_with('/') {
        return Err(invalid(name, path, "does not begin with a slash"));
    }
    // Requests are compared in their canonical spelling. Resolving dots would make the path another one.
    let is_plain = !path.contains("/.") && !path.contains("//");
    let canonical = CanonicalPath::parse(path).ok().filter(|_| is_plain);
    Ok(canonical.map_or_else(|| path.into(), |path| path.as_str().into()))
}

pub(super) fn pattern(name: &str, text: &str) -> Result<Pattern, RuleError> {
    let bad = |error| invalid(name, text, &format!("is not a regular expression: {error}"));
    Pattern::new(text).map_err(bad)
}

pub(super) fn field_name(name: &str, field: &str) -> Result<HeaderName, RuleError> {
    HeaderName::from_bytes(field.as_bytes())
        .map_err(|_| invalid(name, field, "is not a field name"))
}

pub(super) fn read_network(name: &str, text: &str) -> Result<Condition, RuleError> {
    let network = text.parse::<IpNet>().ok();
    let network = network.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    network
        .map(Condition::ClientIp)
        .ok_or_else(|| invalid(name, text, "is not an address or a network"))
}

fn invalid(name: &str, value: &str, problem: &str) -> RuleError {
    RuleError::new(format!("has {name} with {value:?}, which {problem}"), "correct it")
}
