//! What a start would meet, found out before it: `ravelin run --check`.
//!
//! Looks and does not touch. A port is tried by a bind that shares nothing and does not listen; a filter, on a
//! socket of its own; the API server is asked for one object of each kind. A process that listens on the same
//! ports does not notice.

mod cluster;
mod holders;
mod ports;
mod start;

use super::zone::read_secrets;
use super::{OTHER_FILES, StartError, policy, privilege};
use crate::config::{Config, ListOrigin, SourceKind};
use crate::control::cloudflare::{Initial, ListSpec, initial};
use crate::pki::zone_secret::SecretStore;
use crate::telemetry::ListSource;
use crate::tls::store::{authorities, certificate, now, of_config, time};
use std::path::Path;

/// With fewer days left a certificate should have been renewed.
const SOON_DAYS: i64 = 14;
/// After so many days a list that is kept on disk has not been confirmed for long: the default is 12 hours.
const OLD_DAYS: u64 = 7;
const DAY: i64 = 24 * 60 * 60;

/// How a check went, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PreflightOutcome {
    /// As it should be.
    Pass,
    /// The process would start, and something is not as it should be.
    Warn,
    /// The process would not start, or would not serve.
    Fail,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreflightLine {
    /// How it went.
    pub outcome: PreflightOutcome,
    /// What was looked at.
    pub what: String,
    /// What was found.
    pub text: String,
    /// The fix; empty if there is nothing to do.
    pub fix: String,
}

impl PreflightOutcome {
    /// All of them, from good to bad.
    pub const ALL: [Self; 3] = [Self::Pass, Self::Warn, Self::Fail];

    /// As a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

impl PreflightLine {
    /// A check that went well.
    pub fn pass(what: impl Into<String>, text: impl Into<String>) -> Self {
        let (what, text) = (what.into(), text.into());
        Self { outcome: PreflightOutcome::Pass, what, text, fix: String::new() }
    }

    /// The process would start.
    pub fn warn(what: impl Into<String>, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { outcome: PreflightOutcome::Warn, fix: fix.into(), ..Self::pass(what, text) }
    }

    /// The process would not start, or would not serve. A text of an error that has its fix behind a
    /// semicolon needs none.
    pub fn fail(what: impl Into<String>, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { outcome: PreflightOutcome::Fail, fix: fix.into(), ..Self::pass(what, text) }
    }
}

/// Looks at all that a start with this configuration needs.
pub fn preflight(config: &Config) -> Vec<PreflightLine> {
    let mut lines = Vec::new();
    if let Err(error) = privilege::set_up() {
        let fix = "allow the system call capset, or run the process without capabilities";
        lines.push(PreflightLine::fail("privileges", error.to_string(), fix));
    }
    lines.extend(ports::lines(config));
    lines.extend(ports::gates(config));
    lines.extend(others(config));
    lines
}

/// What is the same before a start and after it.
fn others(config: &Config) -> Vec<PreflightLine> {
    let mut lines = vec![list(config)];
    lines.extend(extra_ranges(config));
    lines.extend(certificates(config));
    lines.extend(files(config));
    lines.push(file_limit(config));
    match &config.source.kind {
        SourceKind::Directory { path } => lines.push(directory(path)),
        SourceKind::Kubernetes(settings) => lines.extend(cluster::lines(config, settings)),
    }
    lines
}

fn directory(path: &Path) -> PreflightLine {
    let what = "source";
    match std::fs::read_dir(path) {
        Ok(_) => PreflightLine::pass(what, format!("directory {}", path.display())),
        Err(error) => PreflightLine::fail(
            what,
            format!("source.directory {path:?} cannot be read: {error}"),
            "name an existing directory",
        ),
    }
}

/// The list of Cloudflare's addresses that the process would begin with.
fn list(config: &Config) -> PreflightLine {
    let what = "Cloudflare's list";
    if matches!(config.cloudflare.origin, ListOrigin::ConfigMap { .. }) {
        return PreflightLine::pass(what, "read from a ConfigMap when the cluster has been listed");
    }
    let list = initial(&ListSpec::of(&config.cloudflare), config.state.as_deref(), None);
    let Initial { list, warnings, .. } = match list {
        Ok(list) => list,
        // Its text has the fix.
        Err(error) => return PreflightLine::fail(what, error.to_string(), ""),
    };
    if let Some(warning) = warnings.first() {
        return PreflightLine::warn(what, warning.clone(), "");
    }
    let confirmed = list.confirmed.and_then(|at| i64::try_from(at).ok());
    let days = confirmed.map_or(0, |at| (now() - at).max(0).unsigned_abs() / DAY.unsigned_abs());
    let refreshes =
        matches!(&config.cloudflare.origin, ListOrigin::Published { refresh: Some(_), .. });
    match list.source {
        ListSource::Embedded if refreshes => PreflightLine::pass(
            what,
            "the embedded one, until the first fetch within 30 s of the start",
        ),
        ListSource::Embedded => PreflightLine::warn(
            what,
            "the embedded one, which is never refreshed (cloudflare.refresh = \"off\")",
            "remove cloudflare.refresh, unless another process keeps the list",
        ),
        ListSource::Disk if days > OLD_DAYS => PreflightLine::warn(
            what,
            format!("the last good one on disk was confirmed {days} days ago"),
            "allow connections to api.cloudflare.com, port 443",
        ),
        source => PreflightLine::pass(what, format!("from {}, {days} days old", source.as_str())),
    }
}

/// The further ranges of Cloudflare that the process would begin with, if there are to be any.
fn extra_ranges(config: &Config) -> Option<PreflightLine> {
    let what = "further ranges";
    let spec = ListSpec::extra(&config.cloudflare)?;
    if matches!(spec.origin, ListOrigin::ConfigMap { .. }) {
        let text = "read from a ConfigMap when the cluster has been listed";
        return Some(PreflightLine::pass(what, text));
    }
    Some(match initial(&spec, config.state.as_deref(), None) {
        // Its text has the fix.
        Err(error) => PreflightLine::fail(what, error.to_string(), ""),
        Ok(list) => match list.warnings.first() {
            Some(warning) => PreflightLine::warn(what, warning.clone(), "write one network a line"),
            None => PreflightLine::pass(what, list.first_networks()),
        },
    })
}

fn certificates(config: &Config) -> Vec<PreflightLine> {
    let of_files = config.certificates.iter().map(|files| {
        let what = "certificate";
        let read = match certificate(files) {
            Ok(read) => read,
            // Its text has the file and the problem.
            Err(error) => {
                let fix = "write certificate and key in PEM to these files";
                return PreflightLine::fail(what, error.to_string(), fix);
            }
        };
        let names: Vec<String> = read.names().iter().map(ToString::to_string).collect();
        let days = (read.not_after() - now()).div_euclid(DAY);
        let until = time(read.not_after());
        let text = format!("{}, {days} days left (until {until})", names.join(" "));
        match days {
            ..0 => PreflightLine::warn(what, format!("{text}: it has expired"), "renew it"),
            0..SOON_DAYS => PreflightLine::warn(what, text, "renew it"),
            _ => PreflightLine::pass(what, text),
        }
    });
    let secrets = config.certificate_secrets.iter().map(|secret| {
        let text = format!(
            "Secret {}/{}: read when the cluster has been listed",
            secret.namespace, secret.name
        );
        PreflightLine::pass("certificate", text)
    });
    of_files.chain(secrets).collect()
}

/// Other files that a start reads: only those that cannot be used are told.
fn files(config: &Config) -> Vec<PreflightLine> {
    let fail = |what: &str, text: String| PreflightLine::fail(what, text, "");
    let mut lines = Vec::new();
    if let Err(error) = of_config(config) {
        lines.push(fail("client certificates", error.to_string()));
    }
    if let Err(error) = authorities(config) {
        lines.push(fail("trust store", error.to_string()));
    }
    if let Err(error) = policy(config) {
        lines.push(fail("secret header", error.to_string()));
    }
    if let Err(error) = read_secrets(config, &SecretStore::default()) {
        lines.push(fail("zone secrets", StartError::from(error).to_string()));
    }
    lines
}

/// The process raises the soft limit to the hard one.
fn file_limit(config: &Config) -> PreflightLine {
    let what = "open files";
    let connections = config.limits.connections.get() as u64;
    let wanted = 2 * connections + OTHER_FILES;
    match rlimit::Resource::NOFILE.get_hard() {
        Ok(hard) if hard >= wanted => PreflightLine::pass(
            what,
            format!("at most {hard}, for limits.connections = {connections}"),
        ),
        Ok(hard) => PreflightLine::warn(
            what,
            format!(
                "limits.connections = {connections} needs {wanted}, and the limit is {hard}: at most {} \
                 connections are accepted",
                (hard.saturating_sub(OTHER_FILES) / 2).max(1)
            ),
            "raise the limit (LimitNOFILE of the service, ulimit -Hn), or lower limits.connections",
        ),
        Err(error) => PreflightLine::warn(what, error.to_string(), ""),
    }
}
