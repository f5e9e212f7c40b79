//! `ravelin.dev/error-pages`: the pages of a ConfigMap.
//!
//! Its keys are statuses (`404`) or classes of them (`5xx`), with a suffix that says the type or without. Bodies are not
//! copied: the ConfigMap is what is sent.

use super::Maker;
use crate::control::quote::quote;
use crate::model::middleware::{KeptPage, KeptPages, StatusRange, Step};
use bytes::Bytes;
use k8s_openapi::api::core::v1::ConfigMap;
use std::sync::Arc;

/// A ConfigMap with pages.
pub(super) const ERROR_PAGES: &str = "ravelin.dev/error-pages";

/// What is said of a mistake: nothing of it protects.
const WITHOUT: &str = "responses are sent without pages";

/// The most bytes of a ConfigMap, as the API server has it; a file could have more.
const MOST_BYTES: usize = 1024 * 1024;

/// Types by suffix.
const TYPES: [(&str, &str); 6] = [
    ("html", "text/html; charset=utf-8"),
    ("htm", "text/html; charset=utf-8"),
    ("json", "application/json"),
    ("xml", "application/xml"),
    ("svg", "image/svg+xml"),
    ("txt", "text/plain; charset=utf-8"),
];

/// Adds the step, before all others: answers of theirs have pages as well.
pub(super) fn read(maker: &mut Maker<'_, '_>) {
    let Some(config_map) = maker.config_map(ERROR_PAGES, WITHOUT) else { return };
    let mut pages = Vec::new();
    let mut left_out = Vec::new();
    let size: usize = contents(&config_map).map(|(_, content)| content.len()).sum();
    if size > MOST_BYTES {
        let reason = format!("names a ConfigMap of {size} bytes, which is too large: {WITHOUT}");
        return maker.warn(ERROR_PAGES, reason, "keep it within 1 MiB");
    }
    for (key, content) in contents(&config_map) {
        match statuses(key).zip(content_type(key, content)) {
            Some((statuses, content_type)) => {
                let owner = Content { config_map: Arc::clone(&config_map), key: key.to_owned() };
                let body = Bytes::from_owner(owner);
                pages.push(KeptPage { statuses, content_type, body });
            }
            None => left_out.push(quote(key)),
        }
    }
    let fix = "name the keys by statuses and classes: 404, 503.html, 4xx.html, 5xx.json";
    if pages.is_empty() {
        let reason = format!("names a ConfigMap without pages: {WITHOUT}");
        return maker.warn(ERROR_PAGES, reason, fix);
    }
    if !left_out.is_empty() {
        let reason =
            format!("names a ConfigMap with keys that are no pages: {}", left_out.join(", "));
        maker.warn(ERROR_PAGES, reason, fix);
    }
    maker.push_first(ERROR_PAGES, Step::ErrorPages(KeptPages::new(pages)));
}

/// The content of one key. It is there as long as the ConfigMap is.
struct Content {
    config_map: Arc<ConfigMap>,
    key: String,
}

impl AsRef<[u8]> for Content {
    fn as_ref(&self) -> &[u8] {
        let found = contents(&self.config_map).find(|(key, _)| *key == self.key);
        found.map_or(&[], |(_, content)| content)
    }
}

/// Keys and contents, `data` first.
fn contents(config_map: &ConfigMap) -> impl Iterator<Item = (&str, &[u8])> {
    let text = config_map.data.iter().flatten().map(|(key, text)| (key.as_str(), text.as_bytes()));
    let binary = config_map.binary_data.iter().flatten();
    text.chain(binary.map(|(key, bytes)| (key.as_str(), bytes.0.as_slice())))
}

/// The statuses that a key is for.
fn statuses(key: &str) -> Option<StatusRange> {
    let name = key.split_once('.').map_or(key, |(name, _)| name);
    let first = match name {
        "4xx" => 400,
        "5xx" => 500,
        _ => {
            let code = name.parse::<u16>().ok().filter(|code| (400..=599).contains(code))?;
            return (name.len() == 3).then_some(StatusRange { first: code, last: code });
        }
    };
    Some(StatusRange { first, last: first + 99 })
}

/// The type of a page: by the suffix of its key, or else by its first character.
fn content_type(key: &str, content: &[u8]) -> Option<&'static str> {
    let of = |suffix: &str| TYPES.iter().find(|(known, _)| *known == suffix).map(|(_, kind)| *kind);
    match key.split_once('.') {
        Some((_, suffix)) => of(suffix),
        None if content.trim_ascii_start().starts_with(b"<") => of("html"),
        None => of("txt"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_statuses_and_classes_with_a_type() {
        const HTML: &str = "text/html; charset=utf-8";
        const TEXT: &str = "text/plain; charset=utf-8";
        for (key, content, expected) in [
            ("404", "gone", Some((404, 404, TEXT))),
            ("404", " \n<html>", Some((404, 404, HTML))),
            ("404.html", "gone", Some((404, 404, HTML))),
            ("5xx.json", "{}", Some((500, 599, "application/json"))),
            ("4xx", "<p>", Some((400, 499, HTML))),
            ("503.txt", "<p>", Some((503, 503, TEXT))),
            ("0404", "x", None),
            ("200", "x", None),
            ("600", "x", None),
            ("3xx", "x", None),
            ("50x.html", "x", None),
            ("404.exe", "x", None),
            ("404.tar.gz", "x", None),
            ("index.html", "x", None),
            ("", "x", None),
        ] {
            let read = statuses(key).zip(content_type(key, content.as_bytes()));
            let read = read.map(|(range, kind)| (range.first, range.last, kind));
            assert_eq!(read, expected, "{key} {content:?}");
        }
    }
}
