//! Header fields by name that the access log has.
//!
//! What proves who somebody is never gets there: such fields can be listed as redacted alone.

use super::raw::Table;
use super::units::Fault;
use http::{HeaderName, header};

/// The most names of a list: each is looked up in every message, and each may be in every line.
const MOST: usize = 32;

/// The longest name. Those of the registry of IANA are below 50 bytes.
const MOST_NAME_BYTES: usize = 64;

/// Fields that are credentials. Those that the configuration names are so as well.
const CREDENTIALS: [HeaderName; 8] = [
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    header::COOKIE,
    header::SET_COOKIE,
    HeaderName::from_static("cf-access-jwt-assertion"),
    HeaderName::from_static("cf-access-client-secret"),
    HeaderName::from_static("cf-access-token"),
    HeaderName::from_static("x-api-key"),
];

/// Whether a field of this name is a credential, whose value the access log never has.
pub fn is_credential(name: &str) -> bool {
    CREDENTIALS.iter().any(|known| known.as_str().eq_ignore_ascii_case(name))
}

/// The names, each once, in lower case and sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoggedHeaders {
    /// Of requests, as the client sent them.
    pub request: Vec<HeaderName>,
    /// Of responses, as the client gets them.
    pub response: Vec<HeaderName>,
    /// Of both: that they were there, and never their value.
    pub redacted: Vec<HeaderName>,
}

/// Reads the three lists.
pub(super) fn read(table: &Table<'_>, secrets: &[&HeaderName]) -> LoggedHeaders {
    let headers = LoggedHeaders {
        request: names(table, "request_headers"),
        response: names(table, "response_headers"),
        redacted: names(table, "redacted_headers"),
    };
    for (key, kept) in
        [("request_headers", &headers.request), ("response_headers", &headers.response)]
    {
        let fix = "list it in redacted_headers alone, or nowhere";
        refuse_secrets(table, key, kept, secrets, fix);
        for name in kept.iter().filter(|name| headers.redacted.contains(name)) {
            let problem = format!("\"{name}\" is in redacted_headers as well");
            table.complain(key, Fault::new(problem, fix));
        }
    }
    headers
}

/// Reports names of fields whose values are secrets.
pub(super) fn refuse_secrets(
    table: &Table<'_>,
    key: &str,
    names: &[HeaderName],
    secrets: &[&HeaderName],
    fix: &str,
) {
    for name in names {
        let problem = if CREDENTIALS.contains(name) {
            format!("\"{name}\" is a credential, whose value is never logged")
        } else if secrets.contains(&name) {
            format!("\"{name}\" has the secret of this configuration, which is never logged")
        } else {
            continue;
        };
        table.complain(key, Fault::new(problem, fix));
    }
}

/// The names of a list, each once, in lower case and sorted.
pub(super) fn names(table: &Table<'_>, key: &str) -> Vec<HeaderName> {
    let Some(list) = table.list(key) else { return Vec::new() };
    let mut names = list.strings(&table.path(key), |text| {
        let name = HeaderName::from_bytes(text.as_bytes()).ok();
        name.filter(|_| text.len() <= MOST_NAME_BYTES).ok_or_else(|| {
            let fix = format!("write one of at most {MOST_NAME_BYTES} bytes, such as \"Referer\"");
            Fault::new(format!("\"{text}\" cannot be the name of a header field"), fix)
        })
    });
    names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    names.dedup();
    if names.len() > MOST {
        let problem = format!("{} names are too many", names.len());
        table.complain(key, Fault::new(problem, format!("list at most {MOST}")));
        names.truncate(MOST);
    }
    names
}
