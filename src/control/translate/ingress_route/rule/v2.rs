//! The matchers of Traefik 2, for routes with `syntax: v2`: several values, and templates of paths and hosts with
//! `{name:expression}` (`pkg/muxer/http/matcher_v2.go`, of gorilla/mux).

use super::matcher::{self, field_name, pattern, read_method, read_name, read_network, read_path};
use super::{RuleError, known, single};
use crate::model::Condition;
use crate::model::middleware::Pattern;

const NAMES: [&str; 10] = [
    "Host",
    "HostHeader",
    "HostRegexp",
    "ClientIP",
    "Path",
    "PathPrefix",
    "Method",
    "Headers",
    "HeadersRegexp",
    "Query",
];

/// Reads a matcher with its arguments, as the rule of version 3 that means the same.
pub(super) fn read(name: &str, arguments: &[String]) -> Result<Condition, RuleError> {
    type Read<'r> = &'r dyn Fn(&str) -> Result<Condition, RuleError>;
    let any = |read: Read<'_>| -> Result<Condition, RuleError> {
        let all = arguments.iter().map(|text| read(text)).collect::<Result<Vec<_>, _>>()?;
        Ok(single(all, Condition::Any))
    };
    match known(name, &NAMES).unwrap_or_default() {
        "Host" | "HostHeader" => any(&whole_host),
        "HostRegexp" => {
            any(&|text| Ok(Condition::HostRegexp(template(name, text, "[^.]+", true)?)))
        }
        "Path" => any(&|text| path(name, text, true)),
        "PathPrefix" => any(&|text| path(name, text, false)),
        "Method" => any(&|text| read_method(name, text)),
        "ClientIP" => any(&|text| read_network(name, text)),
        "Headers" => pairs(name, arguments, &|field, text| {
            matcher::read("Header", &[field.to_owned(), text.to_owned()])
        }),
        "HeadersRegexp" => pairs(name, arguments, &|field, text| {
            Ok(Condition::HeaderRegexp(field_name(name, field)?, pattern(name, text)?))
        }),
        // Each is a key with its value, or two of them are.
        "Query" => {
            let halves = arguments.iter().flat_map(|text| text.splitn(2, '='));
            let halves: Vec<String> = halves.map(str::to_owned).collect();
            pairs(name, &halves, &|key, text| query(name, key, text))
        }
        _ => {
            let reason = format!("has {name}, which is no matcher of Traefik 2");
            Err(RuleError::new(reason, "correct it, or remove syntax: v2"))
        }
    }
}

/// Version 2 compares hosts as they are written.
fn whole_host(host: &str) -> Result<Condition, RuleError> {
    if host.contains('*') {
        let reason = format!("has Host with {host:?}, and version 2 knows no wildcards");
        return Err(RuleError::new(
            reason,
            "write HostRegexp(`{sub:[^.]+}.…`), or remove syntax: v2",
        ));
    }
    read_name("Host", host)
}

/// What holds for all pairs of arguments.
fn pairs(
    name: &str,
    arguments: &[String],
    read: &dyn Fn(&str, &str) -> Result<Condition, RuleError>,
) -> Result<Condition, RuleError> {
    if !arguments.len().is_multiple_of(2) {
        let reason = format!("has {name} with a name that has no value");
        return Err(RuleError::new(reason, "write a value behind each name"));
    }
    let all = arguments.chunks_exact(2).map(|pair| read(&pair[0], &pair[1]));
    Ok(single(all.collect::<Result<Vec<_>, _>>()?, Condition::All))
}

/// A parameter whose first value is that of a template; an empty one is any.
fn query(name: &str, key: &str, text: &str) -> Result<Condition, RuleError> {
    let expression = match text {
        "" => pattern(name, "")?,
        text => template(name, text, ".*", true)?,
    };
    Ok(Condition::QueryFirst(key.into(), expression))
}

fn path(name: &str, text: &str, whole: bool) -> Result<Condition, RuleError> {
    let plain = read_path(name, text)?;
    if !text.contains('{') {
        return Ok(if whole { Condition::Path(plain) } else { Condition::PathPrefix(plain) });
    }
    template(name, text, "[^/]+", whole).map(Condition::PathRegexp)
}

/// A template as an expression: `{name}` is a part, `{name:expression}` what the expression matches.
fn template(name: &str, text: &str, part: &str, whole: bool) -> Result<Pattern, RuleError> {
    pattern(name, &expression(name, text, part, whole)?)
}

/// The text of the same.
pub(super) fn expression(
    name: &str,
    text: &str,
    part: &str,
    whole: bool,
) -> Result<String, RuleError> {
    let unclosed = || {
        RuleError::new(format!("has {name} with {text:?}, whose braces do not match"), "close them")
    };
    let mut expression = "^".to_owned();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        expression.push_str(&regex::escape(&rest[..open]));
        let inner = &rest[open + 1..];
        let close = matching(inner).ok_or_else(unclosed)?;
        let of_name = inner[..close].split_once(':').map_or(part, |(_, expression)| expression);
        expression.push_str(&format!("(?:{of_name})"));
        rest = &inner[close + 1..];
    }
    expression.push_str(&regex::escape(rest));
    if whole {
        expression.push('$');
    }
    Ok(expression)
}

/// Where the brace closes that was opened in front of a text.
fn matching(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    text.char_indices().find_map(|(at, character)| {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
        None
    })
}
