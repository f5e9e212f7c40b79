//! What an Ingress asks of visitors who come without TLS, and tells those who come with it.

use crate::error::advice;
use std::fmt;
use std::sync::Arc;

/// The path of ACME's HTTP-01 challenges (RFC 8555 section 8.3). A rule for a path below it answers without
/// TLS, whatever the policy.
pub const ACME_CHALLENGES: &str = "/.well-known/acme-challenge";

/// Redirects to TLS, and HSTS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Https {
    /// Whether a visitor without TLS is sent to the same address with it.
    pub redirect: bool,
    /// The HSTS header for clients with TLS.
    pub hsts: Option<Hsts>,
}

/// A value of `Strict-Transport-Security` (RFC 6797 section 6.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Hsts(Arc<str>);

impl Hsts {
    /// Reads a value: `max-age` in seconds, and if so wished `includeSubDomains` and `preload`,
    /// separated by `;`.
    ///
    /// # Errors
    /// The problem, and what to write instead.
    pub fn parse(text: &str) -> Result<Self, HstsError> {
        let (mut max_age, mut subdomains, mut preload) = (None, false, false);
        for directive in text.split(';').map(str::trim).filter(|directive| !directive.is_empty()) {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            match (name.trim().to_ascii_lowercase().as_str(), value.trim().trim_matches('"')) {
                ("max-age", seconds) => {
                    let seconds = seconds.parse::<u32>().map_err(|_| HstsError::MaxAge)?;
                    if max_age.replace(seconds).is_some() {
                        return Err(HstsError::Unknown);
                    }
                }
                ("includesubdomains", "") => subdomains = true,
                ("preload", "") => preload = true,
                // A number of seconds alone is what is written most easily instead.
                (name, _) if name.starts_with(|first: char| first.is_ascii_digit()) => {
                    return Err(HstsError::MaxAge);
                }
                _ => return Err(HstsError::Unknown),
            }
        }
        let mut value = format!("max-age={}", max_age.ok_or(HstsError::MaxAge)?);
        for (_, directive) in [(subdomains, "includeSubDomains"), (preload, "preload")]
            .iter()
            .filter(|(wished, _)| *wished)
        {
            value.push_str("; ");
            value.push_str(directive);
        }
        Ok(Self(value.into()))
    }

    /// A value that was not read.
    #[cfg(test)]
    pub(crate) fn unread(text: &str) -> Self {
        Self(text.into())
    }

    /// The value of the field.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Hsts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no value of `Strict-Transport-Security`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HstsError {
    /// No `max-age`, or none in whole seconds.
    MaxAge,
    /// Something else, or something twice.
    Unknown,
}

advice! { HstsError:
    HstsError::MaxAge =>
        "has no max-age in whole seconds",
        "write \"max-age=31536000\" for a year";
    HstsError::Unknown =>
        "may only have max-age, includeSubDomains and preload, each once",
        "write \"max-age=31536000; includeSubDomains\"";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_written_as_browsers_read_it_and_nothing_else_is_taken() {
        for (text, expected) in [
            ("max-age=60", Ok("max-age=60")),
            (
                " Max-Age = \"60\" ;; PRELOAD; includesubdomains",
                Ok("max-age=60; includeSubDomains; preload"),
            ),
            ("max-age=0", Ok("max-age=0")),
            ("", Err(HstsError::MaxAge)),
            ("preload", Err(HstsError::MaxAge)),
            ("max-age=1y", Err(HstsError::MaxAge)),
            ("max-age=-1", Err(HstsError::MaxAge)),
            ("max-age=1; max-age=2", Err(HstsError::Unknown)),
            ("max-age=1; report-uri", Err(HstsError::Unknown)),
            ("max-age=1\r\nx: y", Err(HstsError::MaxAge)),
        ] {
            let parsed = Hsts::parse(text);
            assert_eq!(
                parsed.as_ref().map(Hsts::as_str).map_err(|error| *error),
                expected,
                "{text}"
            );
        }
    }
}
