//! `ravelin run`.

use super::Failure;
use crate::app::{App, Signals, StartError};
use crate::config::{Config, ConfigError, LogLevel};
use crate::telemetry::log;
use std::path::Path;
use tracing_subscriber::filter::LevelFilter;

/// Serves until a signal.
pub(super) fn run(config: &Path) -> Result<u8, Failure> {
    let config = Config::load(config).map_err(|errors| config_failure(&errors))?;
    log::init(level(config.log.level));
    let signals = Signals::new()?;
    let failed = |error: StartError| Failure { code: 1, text: error.to_string() };
    let prepared = App::prepare(config).map_err(failed)?;
    let Some(app) = prepared.start(|| signals.again()).map_err(failed)? else {
        return Ok(0);
    };
    for address in app.listeners() {
        tracing::info!(%address, "listening");
    }
    tracing::info!(address = %app.admin(), "admin port");
    app.run_until_signal(&signals);
    Ok(0)
}

/// Every mistake of a configuration, a line each.
pub(super) fn config_failure(errors: &[ConfigError]) -> Failure {
    let lines: Vec<String> = errors.iter().map(ConfigError::to_string).collect();
    Failure::usage(lines.join("\n"))
}

fn level(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}
