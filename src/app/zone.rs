//! `[[zone]]`: the steps that its tables ask for, and the files of secrets, which are followed.

use super::thread::Thread;
use super::{Parts, on_runtime};
use crate::config::{Config, FileIdentity, Followed, WorkerZones, ZoneTable};
use crate::model::NamedStep;
use crate::model::middleware::{
    ClientCertificateFields, PassRule, SecretRule, SecretSource, Step, WorkerRule,
};
use crate::net::shutdown::{ShutdownSignal, Stage};
use crate::pki::certificate::{LoadError, read_bounded};
use crate::pki::zone_secret::{SecretCell, SecretStore, SecretValues, SecretValuesError};
use crate::proxy::middleware::StateRegistry;
use crate::telemetry::StepCells;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How often the files are looked at, as those of certificates are.
const LOOK: Duration = Duration::from_secs(2);

/// Why a file has no secrets to compare with.
#[derive(Debug, thiserror::Error)]
pub enum ZoneSecretError {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] LoadError),
    /// What is in it is no good. Never a part of it.
    #[error("{path:?} {error}")]
    Content {
        /// As configured.
        path: PathBuf,
        /// What is wrong.
        error: SecretValuesError,
    },
}

fn load(path: &Path) -> Result<SecretValues, ZoneSecretError> {
    let text = read_bounded(path)?;
    SecretValues::parse([&text[..]])
        .map_err(|error| ZoneSecretError::Content { path: path.to_owned(), error })
}

/// What tables `[[zone]]` ask of requests, and tell pods: steps of all routes, each for its hosts.
pub(super) fn steps(config: &Config) -> Vec<Arc<NamedStep>> {
    let steps = config.zones.iter().enumerate().flat_map(|(number, table)| {
        let named = move |(key, step): (&str, Step)| {
            Arc::new(NamedStep {
                name: format!("configuration: zone[{number}].{key}").into(),
                step,
            })
        };
        of_table(table).into_iter().map(named)
    });
    steps.collect()
}

fn of_table(table: &ZoneTable) -> Vec<(&'static str, Step)> {
    let ZoneTable { hosts, secret, workers, passes, headers } = table.clone();
    let mut steps = Vec::new();
    if let Some(secret) = secret {
        let (name, source) = (secret.name, SecretSource::File(secret.file));
        let rule = SecretRule { name, source, hosts: hosts.clone() };
        steps.push(("secret_header", Step::SecretHeader(Box::new(rule))));
    }
    if let WorkerZones::Only(zones) = workers {
        let zones = zones.into_iter().map(Into::into).collect();
        let rule = WorkerRule { zones, hosts: hosts.clone() };
        steps.push(("worker_zones", Step::WorkerZones(Box::new(rule))));
    }
    if let Some(most) = passes {
        let rule = PassRule { most, hosts: hosts.clone() };
        steps.push(("max_cdn_passes", Step::CdnPasses(Box::new(rule))));
    }
    if headers.is_some() {
        let fields = ClientCertificateFields { standard: headers, hosts, ..Default::default() };
        steps.push(("client_certificate_headers", Step::ClientCertificate(Box::new(fields))));
    }
    steps
}

/// The files that the tables name, each once.
fn files(config: &Config) -> BTreeSet<&Path> {
    config.zones.iter().filter_map(|table| Some(&*table.secret.as_ref()?.file)).collect()
}

/// Reads the files, and puts their values in force.
///
/// # Errors
/// The first file that cannot be used: a process that starts is better not started with it. None of them is in force
/// then, so that a reload that fails changes nothing.
pub(super) fn read_secrets(config: &Config, secrets: &SecretStore) -> Result<(), ZoneSecretError> {
    let read = files(config).into_iter().map(|path| Ok((path, load(path)?)));
    for (path, values) in read.collect::<Result<Vec<_>, ZoneSecretError>>()? {
        secrets.file(path).put(values);
    }
    Ok(())
}

/// What steps keep, with the values of the files in force.
///
/// # Errors
/// As [`read_secrets`].
pub(super) fn with_secrets(
    steps: &Arc<StateRegistry>,
    config: &Config,
) -> Result<Arc<StateRegistry>, ZoneSecretError> {
    read_secrets(config, steps.secrets())?;
    Ok(Arc::clone(steps))
}

/// Follows the files on a thread of its own, if there are any.
pub(super) fn keep_secrets(parts: &Parts) -> io::Result<Option<Thread>> {
    let files = files(&parts.config).into_iter().map(|path| SecretFile {
        path: path.to_owned(),
        values: parts.steps.secrets().file(path),
        // The first look reads it again: it may have changed since it was read.
        followed: Followed::new(None),
    });
    let files: Vec<SecretFile> = files.collect();
    if files.is_empty() {
        return Ok(None);
    }
    let keeper = SecretKeeper { files, cells: Arc::clone(parts.steps.cells()) };
    let signal = parts.signal.clone();
    let keep = move || on_runtime("secrets", keeper.run(signal));
    Thread::spawn(&parts.wakeup, "secrets", keep).map(Some)
}

struct SecretFile {
    path: PathBuf,
    values: Arc<SecretCell>,
    followed: Followed<FileIdentity>,
}

impl SecretFile {
    /// Checks the file. What is in force stays there until something else is good.
    fn look(&mut self) {
        if !self.followed.is_due(FileIdentity::of(&self.path)) {
            return;
        }
        let path = &self.path;
        match load(path) {
            Ok(values) => {
                if self.followed.succeed() {
                    tracing::info!(?path, "the file of secrets can be used again");
                }
                if self.values.put(values) {
                    tracing::info!(?path, "the secrets of requests have changed");
                }
            }
            Err(error) => {
                let error = error.to_string();
                if self.followed.fail(&error) {
                    tracing::error!(error, "the last good secrets stay in force");
                }
            }
        }
    }
}

struct SecretKeeper {
    files: Vec<SecretFile>,
    cells: Arc<StepCells>,
}

impl SecretKeeper {
    async fn run(mut self, mut shutdown: ShutdownSignal) {
        let mut told = 0;
        let look = || {
            self.files.iter_mut().for_each(SecretFile::look);
            let failing = self.files.iter().filter(|file| file.followed.is_failing()).count();
            let failing = i64::try_from(failing).unwrap_or(i64::MAX);
            // A process that reloads has two keepers for a while.
            self.cells.secret_files_failing.add(failing - told);
            told = failing;
            LOOK
        };
        shutdown.look_until(Stage::Draining, look).await;
        self.cells.secret_files_failing.add(-told);
    }
}
