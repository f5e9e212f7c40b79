//! `[log]`: what is written, and where.

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

/// Severity of events, the most severe first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// ravelin cannot do what it was told.
    Error,
    /// Something will have to be looked at.
    Warn,
    /// What an operator wants to see of an ordinary day.
    Info,
    /// Faults of peers too.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// Every level, the most severe first.
    pub const ALL: [Self; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// The value in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}
