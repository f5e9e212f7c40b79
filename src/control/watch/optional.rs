//! Kinds that an API server need not know: those of a CustomResourceDefinition.
//!
//! Without the definition there are no objects, and nothing is pending. Without the right to read them there are
//! none for us either: what names one of them answers 503, and the log says which right is missing. Both are asked
//! for again, so that a definition that is installed later is found.
//!
//! A definition that is deleted takes all objects of its kind with it: k3s deletes those of Traefik with the Helm
//! release `traefik-crd`, when Traefik is disabled. What is known is served on then, until the definition is back with
//! objects: Middlewares protect, and routes would be lost by accident. That a definition is not there at the start is
//! usual; where the last-good state has objects of its kind, it was deleted meanwhile.

use super::failure::Failure;
use super::follow::Follower;
use super::scope::Limit;
use crate::telemetry::WatchFailure;
use std::time::Duration;
use tokio::time::sleep;

/// How often it is asked again: a request of a few hundred bytes.
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// How often it is looked whether a definition that has vanished is back.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

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

    /// Looks, where an object was deleted, whether its kind is being deleted as a whole. An API server that does not
    /// let us look is taken to delete the object alone.
    ///
    /// # Errors
    /// The kind is being deleted.
    pub(super) async fn check_definition(&self) -> Result<(), Failure> {
        match self.scope.is_optional() && self.is_vanishing().await {
            false => Ok(()),
            true => {
                let words = "its CustomResourceDefinition is being deleted";
                Err(Failure::new(WatchFailure::Vanishing, words))
            }
        }
    }

    /// Whether the definition of the kind is being deleted, or is gone.
    async fn is_vanishing(&self) -> bool {
        match self.api.definition(&self.scope).await {
            Ok(is_being_deleted) => is_being_deleted,
            Err(failure) => failure.why == WatchFailure::Absent,
        }
    }

    /// Serves what is known of a kind whose definition vanishes, until that is there with an object.
    pub(super) async fn hold(&self, failure: &Failure) {
        let (of, objects) = (self.scope.words(), self.cluster.count(&self.scope));
        self.cluster.note_held(self.scope.kind, Some(objects));
        self.note(|cells| cells.fail(WatchFailure::Vanishing, &failure.words));
        tracing::error!(
            of,
            objects,
            "the CustomResourceDefinition is being deleted, with all objects: what is known is served on, as long as \
             this process runs; restore the definition and the objects, or remove the routes that name them"
        );
        loop {
            let mut returns = self.api.recovery().returns();
            tokio::select! {
                () = sleep(LOOK_AGAIN) => {}
                // Its sender is in the API server, which we hold.
                _ = returns.changed() => {}
            }
            if self.is_vanishing().await {
                continue;
            }
            let page = self.api.page(&self.scope, Limit::One, None).await;
            if page.is_ok_and(|page| !page.items.is_empty()) {
                self.cluster.note_held(self.scope.kind, None);
                return;
            }
        }
    }

    /// Goes on without the kind, and waits until it is asked for again. `times`: how often in a row it was missing
    /// before.
    pub(super) async fn go_without(&self, failure: &Failure, times: u32) {
        let Failure { why, words, .. } = failure;
        let is_known = self.cluster.count(&self.scope) > 0;
        if *why == WatchFailure::Absent && is_known && self.is_vanishing().await {
            return self.hold(failure).await;
        }
        if *why == WatchFailure::Absent && !is_known && times == 0 {
            let inherited = self.cluster.inherited(&self.scope);
            if !inherited.is_empty() && self.is_vanishing().await {
                self.cluster.swap(&self.scope, inherited);
                return self.hold(failure).await;
            }
        }
        let keeps = is_known && (*why == WatchFailure::Forbidden || times < MOST_DOUBTS);
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
