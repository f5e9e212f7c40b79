//! `ravelin run --check`: whether the process could start here, a line for each thing that it needs.

use super::{Failure, say};
use crate::app::preflight::{PreflightLine, PreflightOutcome, preflight};
use crate::config::{Config, SourceKind};
use std::path::Path;

/// Prints the table. 0: all pass, 1: there are warnings, 2: there are failures.
pub(super) fn check(path: &Path) -> Result<u8, Failure> {
    let what = "configuration";
    let lines = match Config::load(path) {
        // Each has its fix in its text.
        Err(errors) => {
            errors.iter().map(|error| PreflightLine::fail(what, error.to_string(), "")).collect()
        }
        Ok(config) => {
            let source = match config.source.kind {
                SourceKind::Directory { .. } => "a directory",
                SourceKind::Kubernetes(_) => "a cluster",
            };
            let listeners = match config.listeners.len() {
                1 => "1 listener".to_owned(),
                count => format!("{count} listeners"),
            };
            let text = format!("{}: {listeners}, manifests of {source}", path.display());
            let mut lines = vec![PreflightLine::pass(what, text)];
            lines.extend(preflight(&config));
            lines
        }
    };
    say(&table(&lines))?;
    let worst = lines.iter().map(|line| line.outcome).max();
    Ok(match worst.unwrap_or(PreflightOutcome::Pass) {
        PreflightOutcome::Pass => 0,
        PreflightOutcome::Warn => 1,
        PreflightOutcome::Fail => 2,
    })
}

fn table(lines: &[PreflightLine]) -> String {
    let width = lines.iter().map(|line| line.what.chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    for PreflightLine { outcome, what, text: found, fix } in lines {
        let fix = if fix.is_empty() { String::new() } else { format!(" (fix: {fix})") };
        text.push_str(&format!("{}  {what:width$}  {found}{fix}\n", outcome.as_str()));
    }
    let count = |outcome| lines.iter().filter(|line| line.outcome == outcome).count();
    let [pass, warn, fail] = PreflightOutcome::ALL.map(count);
    text.push_str(&format!("{pass} pass, {warn} warn, {fail} fail\n"));
    text
}
