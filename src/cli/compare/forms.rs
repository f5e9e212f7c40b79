//! How values of fields are compared that are never the same bytes: as `differences.toml` says.

use crate::cli::migrate::{Compared, Form};
use crate::control::translate::go_duration;

/// How far two times may be apart that are told in seconds.
const APART: f64 = 2.0;

/// The value of an item as it is compared; nothing if it is not.
pub(super) fn value(item: &str, values: &[&str], rules: &[Compared]) -> Option<String> {
    Some(match form(item, rules) {
        Some(Form::Ignored) => return None,
        Some(Form::List) => list(values),
        Some(Form::Challenge) => challenge(&values.join(" | ")),
        Some(Form::Seconds) => values.join(" | "),
        None if item == COOKIES => sorted(values),
        None => values.join(" | "),
    })
}

/// The item whose values are cookies.
pub(super) const COOKIES: &str = "answer.field.set-cookie";

/// Whether two values are the same.
pub(super) fn same(item: &str, one: &str, other: &str, rules: &[Compared]) -> bool {
    if one == other {
        return true;
    }
    match (form(item, rules), seconds(one), seconds(other)) {
        (Some(Form::Seconds), Some(one), Some(other)) => (one - other).abs() <= APART,
        _ => false,
    }
}

fn form(item: &str, rules: &[Compared]) -> Option<Form> {
    rules.iter().find(|rule| rule.covers(item)).map(|rule| rule.form)
}

/// Cookies without their values, which are other ones for each visitor.
pub(super) fn without_values(cookies: &str) -> String {
    let one = |cookie: &str| {
        let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        // When it ends is told as a date by some, and as a number of seconds by others.
        let lasting = attributes.split(';').map(str::trim).filter(|it| !it.is_empty());
        let lasting = lasting.filter(|it| !it.to_ascii_lowercase().starts_with("expires="));
        let mut all = vec![format!("{name}=...")];
        all.extend(lasting.map(str::to_owned));
        all.join("; ")
    };
    cookies.split(" | ").map(one).collect::<Vec<_>>().join(" | ")
}

/// Elements of a list, in lower case and in order (RFC 9110 section 5.6.1).
fn list(values: &[&str]) -> String {
    let elements = values.iter().flat_map(|value| value.split(','));
    let elements = elements.map(|element| element.trim().to_ascii_lowercase());
    let mut elements: Vec<String> = elements.filter(|element| !element.is_empty()).collect();
    elements.sort();
    elements.dedup();
    elements.join(", ")
}

fn sorted(values: &[&str]) -> String {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.join(" | ")
}

/// A challenge with its random parts left out (RFC 7616 section 3.3).
fn challenge(value: &str) -> String {
    let mut value = value.to_owned();
    for name in ["nonce", "opaque"] {
        let key = format!("{name}=\"");
        if let Some((before, rest)) = value.split_once(&key)
            && let Some((_, after)) = rest.split_once('"')
        {
            value = format!("{before}{name}=...{after}");
        }
    }
    value
}

/// `3600`, `987.6ms`, `59m59.97s`, as both proxies write times.
fn seconds(value: &str) -> Option<f64> {
    go_duration(value).map(|time| time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::migrate::compared;

    #[test]
    fn values_are_compared_as_the_file_of_differences_says() {
        let rules = compared();
        let value = |item: &str, values: &[&str]| value(item, values, &rules);
        assert_eq!(value("answer.field.date", &["x"]), None);
        assert_eq!(value("answer.field.vary", &["B, a", "b"]).as_deref(), Some("a, b"));
        assert_eq!(value("answer.field.x", &["2", "1"]).as_deref(), Some("2 | 1"));
        let digest = value("answer.field.www-authenticate", &["Digest nonce=\"7\", realm=\"r\""]);
        assert_eq!(digest.as_deref(), Some("Digest nonce=..., realm=\"r\""));
        assert_eq!(value(COOKIES, &["b=1", "a=2"]).as_deref(), Some("a=2 | b=1"));
        let same = |one: &str, other: &str| same("answer.field.retry-after", one, other, &rules);
        assert!(same("59m59s", "3600") && !same("10", "20") && !same("soon", "3600"));
    }

    #[test]
    fn cookies_of_two_visitors_have_the_same_names_and_attributes() {
        let one = without_values("id=7; Path=/; Expires=Mon, 1 Jan; HttpOnly | t=1");
        assert_eq!(one, "id=...; Path=/; HttpOnly | t=...");
        assert_eq!(one, without_values("id=8; Path=/; HttpOnly | t="));
    }
}
