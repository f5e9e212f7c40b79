//! Which rights are missing, in the log, while the cluster is waited for: one block, again only when it changes.

use crate::control::watch::grant;
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
        if !refused.is_empty() {
            let steps = refused.len();
            tracing::error!(steps, "rights are missing; no route is served until they are granted");
        }
        for (at, words) in refused.iter().enumerate() {
            let (step, fix) = (at + 1, grant(words));
            tracing::error!(step, missing = words, fix, "no route is served: right missing");
        }
        self.told = refused;
    }
}
