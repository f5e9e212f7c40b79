//! What is left out of a bundle: values that are secret, or may be.

use crate::config::is_key;
use regex::Regex;
use std::sync::LazyLock;
use toml::{Table, Value};

/// What is written in the place of a value.
const LEFT_OUT: &str = "(left out)";

/// What the page of a bundle says of it.
pub(super) const PROMISE: &str = "Left out: contents of Secrets and of files that the configuration names (keys, tokens, \
    passwords), values of keys that ravelin does not know, credentials in URLs, comments, query strings, header values, \
    and addresses, users and user agents of visitors. Hosts, paths, names of Kubernetes objects and addresses of pods \
    and nodes are in it: read it before you pass it on.\n";

/// Shorter values are not searched for: they would be found in words.
const SHORTEST: usize = 4;

/// Words in the names of keys whose values may be a secret that somebody has written in the place of a path.
const TELLING: [&str; 7] = ["secret", "token", "key", "password", "passwd", "credential", "auth"];

/// The values that were left out.
#[derive(Debug, Default)]
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    fn add(&mut self, text: &str) {
        if text.len() >= SHORTEST {
            self.0.push(text.to_owned());
        }
    }

    /// A text without them, and without what looks like a credential.
    pub(super) fn without(&self, text: &str) -> String {
        let mut text = patterns(text);
        for secret in &self.0 {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), LEFT_OUT);
            }
        }
        text
    }
}

/// Private keys, tokens (JWT), users and passwords in URLs, and two header fields; and what is written instead.
static PATTERNS: LazyLock<[(Regex, &str); 4]> = LazyLock::new(|| {
    let pattern = |text| Regex::new(text).expect("a constant");
    [
        (
            pattern(
                r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\z)",
            ),
            LEFT_OUT,
        ),
        (pattern(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*)?"), LEFT_OUT),
        (pattern(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^/\s@\x22]+@"), "${scheme}"),
        (
            pattern(r"(?i)(?P<scheme>\b(authorization|cookie)\s*[:=]\s*)[^\r\n\x22]+"),
            "${scheme}(left out)",
        ),
    ]
});

fn patterns(text: &str) -> String {
    let replaced = |text: String, (pattern, replacement): &(Regex, &str)| {
        pattern.replace_all(&text, *replacement).into_owned()
    };
    PATTERNS.iter().fold(text.to_owned(), replaced)
}

/// The configuration without comments, and without values that may be secret. `None`: it is not TOML.
pub(super) fn configuration(text: &str, secrets: &mut Secrets) -> Option<String> {
    let mut table: Table = text.parse().ok()?;
    for (name, value) in &mut table {
        let free = name == "admit";
        judge(name, free, value, secrets);
    }
    toml::to_string_pretty(&table).ok()
}

/// Leaves out of a value what is not known to be harmless. `free`: the keys of its table are the user's own names.
fn judge(name: &str, free: bool, value: &mut Value, secrets: &mut Secrets) {
    match value {
        Value::Table(table) => {
            let known = free || is_key(name);
            for (key, inner) in table.iter_mut() {
                match known {
                    true => judge(key, free, inner, secrets),
                    false => leave_out(inner, secrets),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| judge(name, free, item, secrets)),
        Value::String(text) if is_harmless(name, free, text) => *text = without_query(text),
        Value::String(_) => leave_out(value, secrets),
        _ if free || is_key(name) => {}
        _ => leave_out(value, secrets),
    }
}

/// Whether a text is what the key asks for. What the user has named is a range of addresses.
fn is_harmless(name: &str, free: bool, text: &str) -> bool {
    if free {
        return text.parse::<ipnet::IpNet>().is_ok() || text.parse::<std::net::IpAddr>().is_ok();
    }
    let telling = TELLING.iter().any(|word| name.contains(word));
    let is_path = text.starts_with('/') || text.starts_with("./");
    is_key(name) && (!telling || is_path)
}

fn leave_out(value: &mut Value, secrets: &mut Secrets) {
    match value {
        Value::Table(table) => table.iter_mut().for_each(|(_, inner)| leave_out(inner, secrets)),
        Value::Array(items) => items.iter_mut().for_each(|inner| leave_out(inner, secrets)),
        other => {
            match &*other {
                Value::Integer(number) => secrets.add(&number.to_string()),
                Value::String(text) => secrets.add(text),
                // `true` is in too many texts.
                _ => {}
            }
            *other = Value::String(LEFT_OUT.to_owned());
        }
    }
}

/// A URL without its query, where tokens are. Its user goes with all others.
fn without_query(text: &str) -> String {
    match text.split_once('?') {
        Some((before, _)) if text.contains("://") => format!("{before}?{LEFT_OUT}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_keeps_what_it_is_about_and_loses_what_may_be_secret() {
        let text = "# password: SECRET-0\nworkers = 2\ntoken = \"SECRET-1\"\n\
            [crowdsec]\nurl = \"http://u:SECRET-2@lapi:8080/?k=SECRET-3\"\napi_key_file = \"SECRET-4\"\npin = 471100\n\
            [cloudflare]\nsecret_header = \"SECRET-5\"\nsecret_file = \"/etc/secret\"\n\
            [admit]\noffice = [\"192.0.2.0/24\", \"SECRET-6\"]\n[other]\nname = \"SECRET-7\"\n[[listener]]\nname = \"web\"\n";
        let mut secrets = Secrets::default();
        let kept = configuration(text, &mut secrets).expect("TOML");
        let kept = secrets.without(&kept);
        assert!(!kept.contains("SECRET") && !kept.contains("471100"), "{kept}");
        for expected in [
            "workers = 2",
            "http://lapi:8080/",
            "\"/etc/secret\"",
            "192.0.2.0/24",
            "name = \"web\"",
        ] {
            assert!(kept.contains(expected), "{expected}: {kept}");
        }
        assert_eq!(secrets.without("for SECRET-1 and 471100"), "for (left out) and (left out)");
        assert_eq!(configuration("a = ", &mut secrets), None);
    }

    #[test]
    fn what_looks_like_a_credential_is_left_out_of_any_text() {
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----";
        for (text, expected) in [
            (key, "(left out)"),
            ("-----BEGIN EC PRIVATE KEY-----\nAAAA", "(left out)"),
            ("a eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln b", "a (left out) b"),
            ("redis://:pass@valkey:6379/0", "redis://valkey:6379/0"),
            ("Authorization: Basic YTpi", "Authorization: (left out)"),
            ("\"path\":\"/a@b\"", "\"path\":\"/a@b\""),
        ] {
            assert_eq!(Secrets::default().without(text), expected);
        }
    }
}
