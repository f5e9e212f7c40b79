//! Who reads the file at start, and keeps it while the process runs.

use super::file::{self, FILE, LastGood};
use super::format::{StateFileError, StateFileHeader};
use crate::config;
use crate::control::utc::{now, when};
use crate::control::watch::Cluster;
use crate::net::shutdown::{ShutdownSignal, Stage};
use crate::telemetry::{LastGoodMetrics, WatchMetrics, age};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

/// How often the file is written.
#[derive(Clone, Copy, Debug)]
pub struct WriteIntervals {
    /// From one write to the next, at least.
    pub every: Duration,
    /// Maximum time between two writes, so that the age at a restore is about right.
    pub refresh: Duration,
}

impl Default for WriteIntervals {
    /// 10 s: a roll-out is some seconds of events, and a file of 20 MB each 10 s is what a disk
    /// bears forever. 1 h.
    fn default() -> Self {
        Self { every: Duration::from_secs(10), refresh: Duration::from_secs(3600) }
    }
}

/// Stores the last-good state of a cluster.
#[derive(Debug)]
pub struct StateKeeper {
    settings: config::LastGoodConfig,
    cluster: Arc<Cluster>,
    metrics: Arc<LastGoodMetrics>,
    watch: Arc<WatchMetrics>,
    pace: WriteIntervals,
    /// Whether what is on disk is what was known when it was last looked at.
    saved: bool,
    last: Option<Instant>,
}

impl StateKeeper {
    /// Touches no file yet. Where the state is noted: `metrics`; where the proofs of its age are:
    /// `watch`.
    pub fn new(
        settings: config::LastGoodConfig,
        cluster: Arc<Cluster>,
        metrics: Arc<LastGoodMetrics>,
        watch: Arc<WatchMetrics>,
        pace: WriteIntervals,
    ) -> Self {
        metrics.update(|cells| cells.kept = true);
        Self { settings, cluster, metrics, watch, pace, saved: false, last: None }
    }

    /// How long the API server is waited for.
    pub fn restore_after(&self) -> Duration {
        self.settings.restore_after
    }

    /// Uses the stored state for everything that has not been listed. Returns whether there is anything to
    /// serve now; logs what was done, or why not.
    pub fn restore(&self) -> bool {
        let path = self.settings.directory.join(FILE);
        match self.try_restore() {
            Ok(true) => true,
            Ok(false) => {
                tracing::info!(file = ?path, "there is no last-good state: still waiting for the API server");
                false
            }
            Err(refusal) => {
                tracing::warn!(
                    file = ?path,
                    reason = %refusal,
                    fix = fix(&refusal),
                    "the last-good state is not usable: still waiting for the API server"
                );
                false
            }
        }
    }

    fn try_restore(&self) -> Result<bool, StateFileError> {
        let Some(kept) = file::load(&self.settings.directory)? else { return Ok(false) };
        let LastGood { header, objects, exposed } = kept;
        if exposed {
            tracing::warn!(
                directory = ?self.settings.directory,
                certificates = header.certificates,
                "other users could read the last-good state; its mode is corrected"
            );
        }
        let restored = self.cluster.restore(&header.scopes, objects);
        let restored = restored.map_err(|scope| StateFileError::Scope(scope.words()))?;
        if restored > 0 {
            self.metrics.update(|cells| cells.restored = Some(header.confirmed));
            tracing::warn!(
                confirmed = when(header.confirmed),
                age = age(header.confirmed, now()),
                objects = restored,
                missing = self.watch.missing().trim_end(),
                "the API server could not be listed: serving the last-good state"
            );
        }
        Ok(true)
    }

    /// Stores the state until shutdown, and once more then. Needs a runtime with time, on a thread of its
    /// own, because writing takes as long as the disk does.
    pub async fn run(mut self, mut shutdown: ShutdownSignal) {
        let mut changes = self.cluster.changes();
        loop {
            tokio::select! {
                biased;
                () = shutdown.reached(Stage::Draining) => break,
                () = self.due(&mut changes) => {}
            }
            changes.borrow_and_update();
            self.save();
        }
        self.save();
    }

    /// Resolves when it is time to write.
    async fn due(&self, changes: &mut watch::Receiver<u64>) {
        self.cluster.wait_listed().await;
        self.metrics.update(|cells| {
            if cells.restored.take().is_some() {
                tracing::info!(
                    "the cluster has been listed: the last-good state is no longer served"
                );
            }
        });
        let Some(last) = self.last else { return };
        sleep_until(last + self.pace.every).await;
        if self.saved {
            let _ = timeout_at(last + self.pace.refresh, changes.changed()).await;
        }
    }

    fn save(&mut self) {
        // A restored state is on disk already, and younger than we could tell.
        let Some(objects) = self.cluster.snapshot() else { return };
        let written = now();
        let header = StateFileHeader {
            written,
            confirmed: self.watch.proven().map_or(written, |proven| proven.min(written)),
            certificates: self.settings.certificates,
            scopes: self.cluster.scopes().to_vec(),
        };
        let saved = file::save(&self.settings.directory, &header, &objects);
        self.saved = saved.is_ok();
        self.last = Some(Instant::now());
        let failed = saved.err().map(|error| error.to_string());
        let before = self.metrics.read().failing;
        self.metrics.update(|cells| match &failed {
            None => cells.succeed(written),
            Some(error) => cells.fail(error),
        });
        match failed {
            Some(error) if before.as_ref() != Some(&error) => tracing::warn!(
                error,
                directory = ?self.settings.directory,
                "the last-good state cannot be stored: make state.directory a writable directory \
                    with enough space"
            ),
            None if before.is_some() => tracing::info!("the last-good state can be stored again"),
            _ => {}
        }
    }
}

fn fix(refusal: &StateFileError) -> &'static str {
    match refusal {
        StateFileError::Unreadable(_) => "make it readable for this process, or remove it",
        StateFileError::Owner { .. } | StateFileError::Writable(_) => {
            "find out who wrote it, and remove it: it is rewritten when the API server is back"
        }
        StateFileError::Scope(_) => "none needed: it is rewritten when the API server is back",
        StateFileError::NotAFile
        | StateFileError::TooLarge
        | StateFileError::Foreign
        | StateFileError::Format(_)
        | StateFileError::Checksum
        | StateFileError::Line(_) => "remove it: it is rewritten when the API server is back",
    }
}
