//! The matchers of Traefik 2, for routes with `syntax: v2`: several values, and templates of paths and hosts with
//! `{name:expression}` (`pkg/muxer/http/matcher_v2.go`, of gorilla/mux).

use super::RuleError;
use super::matcher::{field_name, pattern, read_host, read_network, read_path};
use crate::model::Condition;

/// Reads a matcher with its arguments, as the rule of version 3 that means the same.
pub(super) fn read(name: &str, arguments: &[String]) -> Result<Condition, RuleError> {
    let lower = name.to_ascii_lowercase();
    let each = |of: &dyn Fn(&str) -> Result<Condition, RuleError>| -> Result<Condition, RuleError> {
        let all = arguments.iter().map(|text| of(text)).collect::<Result<Vec<_>, _>>()?;
        match all.len() {
            0 => Err(RuleError::new(format!("has {name} without a value"), "write one")),
            1 => Ok(all.into_iter().next().unwrap_or(Condition::Any(Vec::new()))),
            _ => Ok(Condition::Any(all)),
        }
    };
    match (&*lower, arguments) {
        ("host", _) => each(&read_host),
        ("hostregexp", _) => {
            each(&|text| Ok(Condition::HostRegexp(template(name, text, "[^.]+", true)?)))
        }
        ("path", _) => each(&|text| path(name, text, true)),
        ("pathprefix", _) => each(&|text| path(name, text, false)),
        ("method", _) => each(&|text| super::matcher::read("Method", &[text.to_owned()])),
        ("clientip", _) => each(&|text| read_network(name, text)),
        ("headers", [field, value]) => {
            super::matcher::read("Header", &[field.clone(), value.clone()])
        }
        ("headersregexp", [field, text]) => {
            Ok(Condition::HeaderRegexp(field_name(name, field)?, pattern(name, text)?))
        }
        ("query", _) => each(&|text| {
            let (key, value) = text.split_once('=').unwrap_or((text, ""));
            Ok(Condition::Query(key.into(), value.into()))
        }),
        _ => {
            let reason = format!("has {name}, which is no matcher of Traefik 2 with these values");
            Err(RuleError::new(reason, "correct it, or remove syntax: v2"))
        }
    }
}

fn path(name: &str, text: &str, whole: bool) -> Result<Condition, RuleError> {
    let plain = read_path(name, text)?;
    if !text.contains('{') {
        return Ok(if whole { Condition::Path(plain) } else { Condition::PathPrefix(plain) });
    }
    template(name, text, "[^/]+", whole).map(Condition::PathRegexp)
}

/// A template as an expression: `{name}` is a part, `{name:expression}` what the expression matches.
fn template(
    name: &str,
    text: &str,
    part: &str,
    whole: bool,
) -> Result<crate::model::middleware::Pattern, RuleError> {
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
    pattern(name, &expression)
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
