//! Which rights are missing, in the log, while the cluster is waited for: one block, again only when it changes.

use crate::control::watch::{MissingGrant, grants};
use crate::telemetry::WatchMetrics;
use std::time::Duration;

/// How often it is looked. The first look comes when each kind has been asked for once.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// What was told.
#[derive(Debug, Default)]
pub(super) struct MissingRights {
    told: Vec<String>,
}

impl MissingRights {
    /// Logs what the API server refuses, if it is other than at the last time.
    pub(super) fn tell(&mut self, watch: &WatchMetrics) {
        let refused = watch.refusals();
        if refused == self.told {
            return;
        }
        let missing = grants(&refused);
        if !missing.is_empty() {
            let steps = missing.len();
            tracing::error!(steps, "rights are missing; no route is served until they are granted");
        }
        for (at, MissingGrant { missing, fix }) in missing.into_iter().enumerate() {
            tracing::error!(step = at + 1, missing, fix, "no route is served: right missing");
        }
        self.told = refused;
    }
}
