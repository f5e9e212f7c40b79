//! `[log_filter]`: which requests the access log has.

use super::raw::{self, Table};
use super::units::Fault;
use super::values::{count, duration};
use std::ops::RangeInclusive;
use std::time::Duration;

/// The most entries of a list. Paths are compared one after another.
const MOST: usize = 64;

/// One request of so many.
const SAMPLE: RangeInclusive<usize> = 1..=1_000_000;

/// Statuses that a response can have.
const STATUSES: RangeInclusive<u16> = 100..=599;

/// What is logged: errors in any case (unless `keep_errors` is off); of the rest what `statuses`,
/// `min_duration` or `retry_attempts` ask for, if one of them is set; without what is skipped; and of that
/// one in `sample`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLogFilter {
    /// Ranges of statuses. Default: none.
    pub statuses: Vec<RangeInclusive<u16>>,
    /// Requests that take at least so long. Default: none.
    pub min_duration: Option<Duration>,
    /// Requests that were sent again. Default: no.
    pub retry_attempts: bool,
    /// Hosts that are left out, in lower case; `*.` in front stands for one label.
    pub skip_hosts: Vec<String>,
    /// Beginnings of paths that are left out, element by element.
    pub skip_paths: Vec<String>,
    /// Ingresses and other objects with routes that are left out: `namespace/name`.
    pub skip_routes: Vec<String>,
    /// One in so many is logged. Default: 1.
    pub sample: u32,
    /// Whether errors are logged whatever the other keys say. Default: yes.
    pub keep_errors: bool,
}

impl Default for AccessLogFilter {
    fn default() -> Self {
        Self {
            statuses: Vec::new(),
            min_duration: None,
            retry_attempts: false,
            skip_hosts: Vec::new(),
            skip_paths: Vec::new(),
            skip_routes: Vec::new(),
            sample: 1,
            keep_errors: true,
        }
    }
}

pub(super) fn section(table: &Table<'_>) -> AccessLogFilter {
    let sample = table.read("sample", |value| count(value, &SAMPLE));
    AccessLogFilter {
        statuses: list(table, "statuses", statuses),
        min_duration: duration(table, "min_duration"),
        retry_attempts: table.read("retry_attempts", raw::boolean).unwrap_or(false),
        skip_hosts: list(table, "skip_hosts", host),
        skip_paths: list(table, "skip_paths", path),
        skip_routes: list(table, "skip_routes", route),
        sample: sample.and_then(|sample| u32::try_from(sample).ok()).unwrap_or(1),
        keep_errors: table.read("keep_errors", raw::boolean).unwrap_or(true),
    }
}

fn list<T>(table: &Table<'_>, key: &str, parse: fn(&str) -> Result<T, Fault>) -> Vec<T> {
    let Some(list) = table.list(key) else { return Vec::new() };
    let mut all = list.strings(&table.path(key), parse);
    if all.len() > MOST {
        let problem = format!("{} entries are too many", all.len());
        table.complain(key, Fault::new(problem, format!("list at most {MOST}")));
        all.truncate(MOST);
    }
    all
}

fn statuses(text: &str) -> Result<RangeInclusive<u16>, Fault> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let status = |text: &str| {
        let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|status| digits && STATUSES.contains(status))
    };
    match (status(first), status(last)) {
        (Some(first), Some(last)) if first <= last => Ok(first..=last),
        _ => Err(Fault::new(
            format!("\"{text}\" is neither a status nor a range of statuses"),
            "write \"404\" or \"500-599\", within 100 to 599",
        )),
    }
}

fn host(text: &str) -> Result<String, Fault> {
    let name = text.strip_prefix("*.").unwrap_or(text);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:[]".contains(&byte);
    if name.is_empty() || !name.bytes().all(allowed) || text.len() > 253 {
        let fix = "write a name without scheme and path, such as \"a.example\" or \"*.example\"";
        return Err(Fault::new(format!("\"{text}\" is not a host"), fix));
    }
    Ok(text.to_ascii_lowercase())
}

fn path(text: &str) -> Result<String, Fault> {
    if text.starts_with('/') && text.len() <= 1024 && !text.contains(['?', '#']) {
        return Ok(text.to_owned());
    }
    let fix = "begin with a slash, such as \"/healthz\", and leave the query out";
    Err(Fault::new(format!("\"{text}\" is not the beginning of a path"), fix))
}

fn route(text: &str) -> Result<String, Fault> {
    match text.split_once('/') {
        Some((namespace, name))
            if !namespace.is_empty() && !name.is_empty() && !name.contains('/') =>
        {
            Ok(text.to_owned())
        }
        _ => Err(Fault::new(
            format!("\"{text}\" is not the name of an object with routes"),
            "write namespace/name, as `route` in the access log",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_single_ones_or_ranges() {
        assert_eq!(statuses("404").ok(), Some(404..=404));
        assert_eq!(statuses("500-599").ok(), Some(500..=599));
        for wrong in ["", "5xx", "099", "600", "599-500", "500-", "+40", "500-599-1", " 404"] {
            assert!(statuses(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn hosts_paths_and_routes_are_what_lines_have() {
        assert_eq!(host("*.Example.COM").ok().as_deref(), Some("*.example.com"));
        for wrong in ["", "*.", "https://a.example", "a.example/x"] {
            assert!(host(wrong).is_err(), "{wrong}");
        }
        assert!(path("/healthz").is_ok() && path("healthz").is_err() && path("/a?b").is_err());
        assert!(route("a/b").is_ok());
        for wrong in ["a", "/b", "a/", "a/b/c"] {
            assert!(route(wrong).is_err(), "{wrong}");
        }
    }
}
