//! `[state]`: what has to outlive the process, and how much of the cluster is among it.
//!
//! A key that has no effect is refused: an operator who writes `certificates = true` expects them to be
//! kept.

use std::path::PathBuf;
use std::time::Duration;

use super::defaults;
use super::raw::{self, Table};
use super::source::{SourceConfig, SourceKind};
use super::units::Fault;
use super::values::{duration, path};

/// `[state] cluster = true`: the state of the cluster is stored for the next process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastGoodConfig {
    /// `[state] directory`. As written: relative to the working directory.
    pub directory: PathBuf,
    /// Whether the content of Secrets is stored as well.
    pub certificates: bool,
    /// How long a start waits for the API server before it serves from the last-good state. More than zero,
    /// at most [`super::MAX_DURATION`].
    pub restore_after: Duration,
}

/// The keys that say something of `cluster`.
const OF_CLUSTER: [&str; 2] = ["certificates", "restore_after"];

/// Reads `[state]`: the directory, and what of the cluster is kept in it.
pub(super) fn section(
    table: &Table<'_>,
    source: Option<&SourceConfig>,
) -> (Option<PathBuf>, Option<LastGoodConfig>) {
    let directory = table.read("directory", path);
    let cluster = table.read("cluster", raw::boolean);
    let certificates = table.read("certificates", raw::boolean);
    let restore_after = duration(table, "restore_after");
    if cluster != Some(true) {
        // A faulty `cluster` was reported, and may have been meant as true.
        if cluster.is_some() || !table.has("cluster") {
            refuse(table, certificates);
        }
        return (directory, None);
    }
    if !table.has("directory") {
        let fix = "set state.directory to a persistent directory";
        table.complain("cluster", Fault::new("state.directory is not set", fix));
    }
    if source.is_some_and(|source| matches!(source.kind, SourceKind::Directory { .. })) {
        let problem = "it has no effect with kind = \"directory\"";
        let fix = "remove it, or change source.kind to \"kubernetes\"";
        table.complain("cluster", Fault::new(problem, fix));
    }
    let last_good = directory.clone().map(|directory| LastGoodConfig {
        directory,
        certificates: certificates.unwrap_or(false),
        restore_after: restore_after.unwrap_or(defaults::RESTORE_AFTER),
    });
    (directory, last_good)
}

fn refuse(table: &Table<'_>, certificates: Option<bool>) {
    for key in OF_CLUSTER.into_iter().filter(|key| table.has(key)) {
        // A limit that is off by default may be written as off.
        if key == "certificates" && certificates != Some(true) {
            continue;
        }
        let fix = "write cluster = true, or remove the key";
        table.complain(key, Fault::new("the key is only for cluster = true", fix));
    }
}
