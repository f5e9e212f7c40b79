//! The table at a start, in the log: once for a process, by a thread that nothing waits for.

use super::{PreflightLine, PreflightOutcome, others, ports};
use crate::app::{App, privilege};
use std::sync::Arc;
use std::thread;

const THREAD: &str = "preflight";

impl App {
    /// Logs a line for each thing that a start needs, and how many are not as they should be. Returns at once: the
    /// API server is asked by a thread, which serves nobody and ends. For the start of a process; a reload keeps
    /// most of it, and says what it changes.
    pub fn log_preflight(&self) {
        let config = Arc::clone(&self.config);
        // Here, as the thread has no right to filter.
        let gates = ports::gates(&config);
        let look = move || {
            let mut lines = ports::bound_lines(&config);
            lines.extend(gates);
            lines.extend(others(&config));
            lines.iter().for_each(log);
            let count = |outcome| lines.iter().filter(|line| line.outcome == outcome).count();
            let [pass, warn, fail] = PreflightOutcome::ALL.map(count);
            tracing::info!(pass, warn, fail, "start-up checks are done");
        };
        let run = || privilege::run_without(THREAD, privilege::give_up(), look);
        if let Err(error) = thread::Builder::new().name(THREAD.to_owned()).spawn(run) {
            tracing::warn!(%error, "no thread for the start-up checks");
        }
    }
}

fn log(line: &PreflightLine) {
    let PreflightLine { outcome, what, text, fix } = line;
    match outcome {
        PreflightOutcome::Pass => tracing::info!(what, found = text, "start-up check: pass"),
        PreflightOutcome::Warn => {
            tracing::warn!(what, found = text, fix, "start-up check: warn");
        }
        PreflightOutcome::Fail => {
            tracing::error!(what, found = text, fix, "start-up check: fail");
        }
    }
}
