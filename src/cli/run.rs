//! `ravelin run`: serves with a configuration file, and reloads it on SIGHUP.

use super::Failure;
use crate::app::{App, Signals, StartError};
use crate::config::{Config, ConfigError, LogLevel};
use crate::telemetry::log;
use std::path::Path;
use tracing_subscriber::filter::LevelFilter;

/// Serves until a signal.
pub(super) fn run(config: &Path) -> Result<u8, Failure> {
    // Before anything else, so that none of them ends the process on the spot.
    let signals = Signals::with_reload()?;
    let path = config;
    let config = Config::load(path).map_err(|errors| config_failure(&errors))?;
    let log = log::init(level(config.log.level))?;
    let failed = |error: StartError| Failure { code: 1, text: error.to_string() };
    let prepared = App::prepare(config).map_err(failed)?;
    signals.wake(prepared.wakeup());
    let Some(app) = prepared.start(|| signals.again()).map_err(failed)? else {
        return Ok(0);
    };
    announce(&app);
    app.log_preflight();
    let load = || Config::load(path).map_err(|errors| lines(&errors));
    app.run(&signals, load, |app| {
        log.set(level(app.config().log.level));
        announce(app);
    });
    Ok(0)
}

fn announce(app: &App) {
    for address in app.listeners() {
        tracing::info!(%address, "listening");
    }
    tracing::info!(address = %app.admin(), "admin port");
}

fn lines(errors: &[ConfigError]) -> Vec<String> {
    errors.iter().map(ConfigError::to_string).collect()
}

/// Every mistake of a configuration, a line each.
pub(super) fn config_failure(errors: &[ConfigError]) -> Failure {
    Failure::usage(lines(errors).join("\n"))
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
