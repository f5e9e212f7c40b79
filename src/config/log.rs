//! `[log]`: what is written, and where.

use crate::error::labels;
use std::path::PathBuf;

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The access log's sink. Default: standard output.
    pub access: AccessLogConfig,
    /// The least severe event that is written. Default: `info`.
    pub level: LogLevel,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { access: AccessLogConfig::Stdout, level: LogLevel::Info }
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
