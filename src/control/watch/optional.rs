//! Kinds that an API server need not know: those of a CustomResourceDefinition.
//!
//! Without the definition there are no objects, and nothing is pending. Without the right to read them there are
//! none for us either: what names one of them answers 503, and the log says which right is missing. Both are asked
//! for again, so that a definition that is installed later is found.

use super::failure::Failure;
use super::follow::Follower;
use crate::telemetry::WatchFailure;
use std::time::Duration;
use tokio::time::sleep;

/// How often it is asked again: a request of a few hundred bytes.
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// So often in a row the kind has to be missing before known objects of it are given up: an API server that
/// starts does not know the kinds of its definitions at once, and with each of them deleted we would have been told.
const MOST_DOUBTS: u32 = 3;

/// Between two such doubts.
const DOUBT: Duration = Duration::from_secs(2);

impl Follower {
    /// Whether what failed only says that there are no objects of the kind for us.
    pub(super) fn is_without(&self, failure: &Failure) -> bool {
        let is_none = matches!(failure.why, WatchFailure::Absent | WatchFailure::Forbidden);
        self.scope.is_optional() && is_none
    }

    /// The same as a list of none, for a reader that asks once.
    pub(super) async fn list_if_any(&self) -> Result<(), Failure> {
        match self.list().await {
            Err(failure) if self.is_without(&failure) => {
                self.cluster.swap(&self.scope, Vec::new());
                Ok(())
            }
            listed => listed.map(drop),
        }
    }

    /// Goes on without the kind, and waits until it is asked for again. `times`: how often in a row it was missing
    /// before.
    pub(super) async fn go_without(&self, failure: &Failure, times: u32) {
        let Failure { why, words, .. } = failure;
        let keeps = self.cluster.count(&self.scope) > 0
            && (*why == WatchFailure::Forbidden || times < MOST_DOUBTS);
        if !keeps {
            self.cluster.swap(&self.scope, Vec::new());
        }
        self.note(|cells| {
            cells.prove();
            if *why == WatchFailure::Forbidden {
                cells.fail(*why, words);
            }
        });
        let of = self.scope.words();
        match (*why, times) {
            (WatchFailure::Forbidden, 0) => tracing::warn!(
                of,
                words,
                "no right to read them: routes that name one answer 503; grant list and watch, as deploy/base does"
            ),
            (_, 0) => tracing::info!(of, "the API server does not know the kind; asking again"),
            _ => {}
        }
        let mut returns = self.api.recovery().returns();
        let wait = if keeps { DOUBT } else { ASK_AGAIN };
        tokio::select! {
            () = sleep(wait) => {}
            // Its sender is in the API server, which we hold.
            _ = returns.changed() => {}
        }
    }
}
