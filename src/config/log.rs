//! `[log]`: what is written, and where.

use super::keys;
use super::log_filter::{self, AccessLogFilter};
use super::log_headers::{self, LoggedHeaders};
use super::raw::{self, Table};
use super::units::Fault;
use super::values::{one_of, unknown_word};
use crate::error::labels;
use http::HeaderName;
use std::path::PathBuf;

/// `[log]`, and `[log_filter]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The access log's sink. Default: standard output.
    pub access: AccessLogConfig,
    /// How a line is written. Default: ravelin's JSON.
    pub format: AccessLogFormat,
    /// Whether the query is logged, which often has credentials. Default: no.
    pub query: bool,
    /// Header fields that are logged. Default: none but those that a format has in any case.
    pub headers: LoggedHeaders,
    /// Which requests are logged. Default: all.
    pub filter: AccessLogFilter,
    /// The least severe event that is written. Default: `info`.
    pub level: LogLevel,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            access: AccessLogConfig::Stdout,
            format: AccessLogFormat::Ravelin,
            query: false,
            headers: LoggedHeaders::default(),
            filter: AccessLogFilter::default(),
            level: LogLevel::Info,
        }
    }
}

/// How a line of the access log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLogFormat {
    /// JSON with the fields of config/README.md.
    Ravelin,
    /// JSON as a log record of OpenTelemetry, its attributes by the semantic conventions.
    Otel,
    /// Traefik's JSON.
    Traefik,
    /// Traefik's text: the Common Log Format and more.
    TraefikClf,
}

impl AccessLogFormat {
    /// The words for them.
    pub(super) const WORDS: [(&str, Self); 4] = [
        ("ravelin", Self::Ravelin),
        ("otel", Self::Otel),
        ("traefik", Self::Traefik),
        ("traefik-clf", Self::TraefikClf),
    ];
}

/// Reads `[log]` and `[log_filter]`. `secrets` are not logged.
pub(super) fn section(root: &Table<'_>, secrets: &[&HeaderName]) -> LogConfig {
    let table = &root.table(&keys::LOG);
    let default = LogConfig::default();
    let access = table.read("access", |value| match raw::string(value)? {
        "stdout" => Ok(AccessLogConfig::Stdout),
        "off" => Ok(AccessLogConfig::Off),
        // "none" or "stderr" would otherwise quietly become a file of that name.
        path if path.contains('/') => Ok(AccessLogConfig::File(PathBuf::from(path))),
        other => Err(Fault::new(
            format!("\"{other}\" is not \"stdout\", \"off\" or a path"),
            format!("a path contains a slash: \"./{other}\""),
        )),
    });
    let level = table.read("level", |value| {
        let word = raw::string(value)?;
        let level = LogLevel::ALL.into_iter().find(|level| level.as_str() == word);
        level.ok_or_else(|| unknown_word(word, &LogLevel::ALL.map(LogLevel::as_str)))
    });
    let format = table.read("format", |value| one_of(value, &AccessLogFormat::WORDS));
    LogConfig {
        access: access.unwrap_or(default.access),
        format: format.unwrap_or(default.format),
        query: table.read("query", raw::boolean).unwrap_or(default.query),
        headers: log_headers::read(table, secrets),
        filter: log_filter::section(&root.table(&keys::LOG_FILTER)),
        level: level.unwrap_or(default.level),
    }
}

/// The access log's sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessLogConfig {
    /// Standard output, where the collectors of a cluster read.
    Stdout,
    /// Nowhere.
    Off,
    /// A file, as written: relative to the working directory.
    File(PathBuf),
}

labels! { fn as_str;
    /// Severity of events, the most severe first.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub enum LogLevel {
        /// ravelin cannot do what it was told.
        Error = "error",
        /// Something will have to be looked at.
        Warn = "warn",
        /// What an operator wants to see of an ordinary day.
        Info = "info",
        /// Faults of peers too.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}
