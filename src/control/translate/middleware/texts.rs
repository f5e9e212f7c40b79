//! Texts of Middlewares and annotations to what they stand for: names and values of fields, networks, expressions.
//! A mistake is told in words that follow the text.

use super::Fields;
use crate::model::middleware::{FieldChange, Pattern, Replacement, StatusRange};
use http::{HeaderName, HeaderValue, StatusCode};
use ipnet::IpNet;
use std::net::IpAddr;

/// Fields that belong to one connection and its messages (RFC 9110 section 7.6.1): we write them ourselves.
const OF_CONNECTIONS: [&str; 9] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
];

/// The name of a field.
pub(super) fn field_name(text: &str) -> Result<HeaderName, String> {
    HeaderName::from_bytes(text.as_bytes()).map_err(|_| "is not the name of a field".to_owned())
}

/// Whether a field is for us to write.
pub(super) fn is_of_connection(name: &HeaderName) -> bool {
    OF_CONNECTIONS.contains(&name.as_str())
}

/// The value of a field.
pub(super) fn field_value(text: &str) -> Result<HeaderValue, String> {
    // Blanks around it are not part of it (RFC 9110 section 5.5).
    HeaderValue::from_str(text.trim())
        .or_else(|_| HeaderValue::from_bytes(text.trim().as_bytes()))
        .map_err(|_| "has characters that no field may have".to_owned())
}

/// What becomes of a field: an empty value removes it.
pub(super) fn change(name: HeaderName, value: &str) -> Result<FieldChange, String> {
    let value = if value.is_empty() { None } else { Some(field_value(value)?) };
    Ok(FieldChange { name, value })
}

/// A network, or one address.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let address = text.parse::<IpAddr>().map(IpNet::from);
    let network = address.or_else(|_| text.parse::<IpNet>()).map(|network| network.trunc());
    network.map_err(|_| "is not an address or a network such as 192.0.2.0/24".to_owned())
}

/// A regular expression.
pub(super) fn pattern(text: &str) -> Result<Pattern, String> {
    Pattern::new(text).map_err(|error| format!("is not a regular expression that is used: {error}"))
}

/// The same, anchored at the beginning.
pub(super) fn anchored(text: &str) -> Result<Pattern, String> {
    pattern(text.trim())?;
    pattern(&format!("^(?:{})", text.trim()))
}

/// A replacement, and the first name in it that is no group of the expression: nothing stands in its place.
///
/// Names end where they do in Go. What Go takes for no name at all stays as it is written (`Regexp.Expand`).
pub(super) fn replacement(text: &str, pattern: &Pattern) -> (Replacement, Option<String>) {
    let (mut read, mut rest, mut unknown) = (String::new(), text, None);
    while let Some(at) = rest.find('$') {
        read.push_str(&rest[..at]);
        let behind = &rest[at + 1..];
        if let Some(other) = behind.strip_prefix('$') {
            read.push_str("$$");
            rest = other;
            continue;
        }
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (name, after) = match behind.strip_prefix('{') {
            Some(braced) => match braced.split_once('}') {
                Some((name, after)) if name.chars().all(is_word) => (name, after),
                _ => ("", behind),
            },
            None => behind.split_at(behind.find(|c| !is_word(c)).unwrap_or(behind.len())),
        };
        if name.is_empty() {
            read.push_str("$$");
            rest = behind;
            continue;
        }
        if !pattern.has_group(name) && unknown.is_none() {
            unknown = Some(name.to_owned());
        }
        read.push_str(&format!("${{{name}}}"));
        rest = after;
    }
    read.push_str(rest);
    (Replacement::new(&read), unknown)
}

/// The status of a final response.
pub(super) fn status(number: i64) -> Result<StatusCode, String> {
    let status = u16::try_from(number).ok().filter(|code| (200..=599).contains(code));
    let status = status.and_then(|code| StatusCode::from_u16(code).ok());
    status.ok_or_else(|| "is not the status of a response".to_owned())
}

/// The ranges of a field `status`; those that are none are told.
pub(in crate::control::translate) fn status_ranges(
    fields: &mut Fields<'_, '_, '_>,
) -> Vec<StatusRange> {
    let fix = "write statuses such as \"404\" and ranges such as \"500-599\"";
    let texts = fields.texts("status").into_iter();
    texts.filter_map(|text| fields.parse("status", text, status_range(text), fix)).collect()
}

/// A status, or two with a hyphen between them.
pub(super) fn status_range(text: &str) -> Result<StatusRange, String> {
    let wrong = || "is not a status or a range of them".to_owned();
    let code =
        |text: &str| text.trim().parse::<u16>().ok().filter(|code| (100..=599).contains(code));
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = code(first).zip(code(last)).ok_or_else(wrong)?;
    if first > last { Err(wrong()) } else { Ok(StatusRange { first, last }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replacement_is_read_as_go_reads_it() {
        let pattern = pattern("^/(a)(?P<rest>.*)$").expect("valid");
        let replaced = |text| {
            let (replacement, unknown) = replacement(text, &pattern);
            (pattern.replace_all("/axy", &replacement).into_owned(), unknown)
        };
        assert_eq!(replaced("/$1/${rest}"), ("/a/xy".to_owned(), None));
        assert_eq!(replaced("/$1b"), ("/".to_owned(), Some("1b".to_owned())));
        assert_eq!(replaced("/${1}b$$"), ("/ab$".to_owned(), None));
        assert_eq!(replaced("$"), ("$".to_owned(), None));
        assert_eq!(replaced("${a-b}x"), ("${a-b}x".to_owned(), None));
        assert_eq!(replaced("$9"), (String::new(), Some("9".to_owned())));
    }

    #[test]
    fn networks_may_be_addresses_and_have_bits_of_hosts() {
        let text = |text| network(text).map(|network| network.to_string());
        assert_eq!(text(" 192.0.2.1 "), Ok("192.0.2.1/32".to_owned()));
        assert_eq!(text("192.0.2.7/24"), Ok("192.0.2.0/24".to_owned()));
        assert_eq!(text("2001:db8::1"), Ok("2001:db8::1/128".to_owned()));
        assert!(text("192.0.2.0/33").is_err() && text("lan").is_err() && text("").is_err());
    }
}
