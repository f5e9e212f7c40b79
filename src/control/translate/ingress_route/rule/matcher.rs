//! The matchers of Traefik 3 (`pkg/muxer/http/matcher.go`).

use super::{RuleError, known};
use crate::control::suggest::nearest;
use crate::model::middleware::Pattern;
use crate::model::{CanonicalPath, Condition, Host, HostPattern};
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
const OLD: [(&str, &str); 3] =
    [("Headers", "Header"), ("HeadersRegexp", "HeaderRegexp"), ("HostHeader", "Host")];

/// Reads a matcher with its arguments.
pub(super) fn read(name: &str, arguments: &[String]) -> Result<Condition, RuleError> {
    let texts: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match (known(name, &NAMES).unwrap_or_default(), &*texts) {
        ("Host", [host]) => read_host(host),
        ("HostRegexp", [text]) => pattern(name, text).map(Condition::HostRegexp),
        ("Path", [path]) => read_path(name, path).map(Condition::Path),
        ("PathPrefix", [path]) => read_path(name, path).map(Condition::PathPrefix),
        ("PathRegexp", [text]) => pattern(name, text).map(Condition::PathRegexp),
        ("Header", [field, value]) => read_header(name, field, value),
        ("HeaderRegexp", [field, text]) => {
            Ok(Condition::HeaderRegexp(field_name(name, field)?, pattern(name, text)?))
        }
        ("Query" | "QueryRegexp", [key]) => Ok(Condition::Query((*key).into(), "".into())),
        ("Query", [key, value]) => Ok(Condition::Query((*key).into(), (*value).into())),
        ("QueryRegexp", [key, text]) => {
            Ok(Condition::QueryRegexp((*key).into(), pattern(name, text)?))
        }
        ("Method", [method]) => read_method(name, method),
        ("ClientIP", [network]) => read_network(name, network),
        _ => Err(unknown(name, texts.len())),
    }
}

fn unknown(name: &str, arguments: usize) -> RuleError {
    if known(name, &NAMES).is_some() {
        let reason = format!("has {name} with {arguments} arguments");
        let fix =
            "Traefik 3 takes one value in each matcher; join several by `||`, or set syntax: v2";
        return RuleError::new(reason, fix);
    }
    let reason = format!("has {name}, which is no matcher of Traefik 3");
    let old = OLD.iter().find(|(old, _)| old.eq_ignore_ascii_case(name));
    let near = NAMES.iter().find(|known| known.eq_ignore_ascii_case(name)).copied();
    let fix = match (old, near.or_else(|| nearest(name, NAMES))) {
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
    read_name("Host", host)
}

/// A host that is not all of them, in a matcher of this name.
pub(super) fn read_name(name: &str, host: &str) -> Result<Condition, RuleError> {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let read = HostPattern::parse(Some(&host)).ok().filter(|_| !host.is_empty());
    read.or_else(|| no_name(&host))
        .map(Condition::Host)
        .ok_or_else(|| invalid(name, &host, "is not a DNS name, or one behind `*.`"))
}

/// What requests may have for a host though it is no DNS name: an address, and names with underscores.
fn no_name(host: &str) -> Option<HostPattern> {
    let written = match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        _ => host.to_owned(),
    };
    let is_whole = Host::parse(&written).is_ok_and(|host| host.as_str() == written);
    is_whole.then(|| HostPattern::Exact(written.into()))
}

/// A path, as it is in the canonical spelling of requests. Resolving dots would make it another one; it then matches
/// nothing, as in Traefik.
pub(super) fn read_path(name: &str, path: &str) -> Result<Box<str>, RuleError> {
    if !path.starts_with('/') {
        return Err(invalid(name, path, "does not begin with a slash"));
    }
    let mut written = String::with_capacity(path.len());
    for character in path.chars() {
        match character {
            '\\' | ' ' | '\x01'..='\x1f' | '\x7f' => {
                written.push_str(&format!("%{:02X}", u32::from(character)));
            }
            other => written.push(other),
        }
    }
    let is_plain = !path.contains("//") && !path.split('/').any(|part| [".", ".."].contains(&part));
    let canonical = CanonicalPath::parse(&written).ok().filter(|_| is_plain);
    Ok(canonical.map_or_else(|| path.into(), |path| path.as_str().into()))
}

fn read_header(name: &str, field: &str, value: &str) -> Result<Condition, RuleError> {
    let bad = |_| invalid(name, value, "is not the value of a field");
    let value = HeaderValue::from_bytes(value.as_bytes()).map_err(bad)?;
    Ok(Condition::Header(field_name(name, field)?, value))
}

pub(super) fn read_method(name: &str, method: &str) -> Result<Condition, RuleError> {
    let bad = |_| invalid(name, method, "is not a method");
    Method::from_bytes(method.to_ascii_uppercase().as_bytes()).map(Condition::Method).map_err(bad)
}

pub(super) fn pattern(name: &str, text: &str) -> Result<Pattern, RuleError> {
    let bad = |error| invalid(name, text, &format!("is not a regular expression: {error}"));
    Pattern::new(text).map_err(bad)
}

pub(super) fn field_name(name: &str, field: &str) -> Result<HeaderName, RuleError> {
    if field.eq_ignore_ascii_case("host") {
        let reason = format!("has {name} with Host, which Traefik does not find");
        return Err(RuleError::new(reason, "write Host or HostRegexp"));
    }
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
