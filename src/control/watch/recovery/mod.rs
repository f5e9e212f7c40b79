//! The return of an API server that was away, noticed by one for all.
//!
//! Each kind backs off by itself, up to half a minute. While the API server is away, one of those who
//! wait asks for a single object now and then; the first good answer to anybody wakes the rest.
//! A thousand nodes that lost one server cost it a refused connection a second each, and their lists
//! are spread when it is back.

use super::failure::Failure;
use super::retry_backoff::RetryBackoff;
use super::scope::Scope;
use crate::control::jitter;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// Between two questions to an API server that cannot be reached: a refused connection, which costs
/// it nothing. What is served is to be current within 2 s of its return.
const UNREACHED: Duration = Duration::from_secs(1);

/// Between two questions to one that is there and has no good answer. From a thousand nodes that is
/// 200 reads of one object a second.
const UNWELL: Duration = Duration::from_secs(5);

/// How far the lists of one node are spread when the server is back.
pub(super) const SPREAD: Duration = Duration::from_millis(300);

/// Between two returns that are told, after the first. It doubles up to [`MOST_SPACING`] while the
/// server comes and goes: an overloaded server is not asked for all lists repeatedly.
const SPACING: Duration = Duration::from_secs(1);
const MOST_SPACING: Duration = Duration::from_secs(30);

/// After so long without a return the next one is the first again.
const CALM: Duration = Duration::from_secs(45);

/// State that the followers of one API server share.
#[derive(Debug)]
pub(super) struct Recovery {
    state: Mutex<State>,
    /// How often it has come back.
    returns: watch::Sender<u64>,
    away: watch::Sender<bool>,
    /// Held by the follower that probes whether the server is back.
    asking: tokio::sync::Mutex<Asking>,
}

#[derive(Debug, Default)]
struct State {
    /// Followers that failed because of the server since its last good response.
    failed: BTreeSet<Scope>,
    /// When it was last told that it is back, and how long it is before that is told again.
    told: Option<(Instant, Duration)>,
}

/// The failures of those who asked, since it was last back.
#[derive(Debug, Default)]
pub(super) struct Asking {
    returns: u64,
    unreached: bool,
    pace: RetryBackoff,
}

impl Default for Recovery {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            returns: watch::Sender::new(0),
            away: watch::Sender::new(false),
            asking: tokio::sync::Mutex::default(),
        }
    }
}

impl Recovery {
    /// Notes that a follower has failed. The server is away if it cannot be reached, or if it has no
    /// good answer for two of them: one kind alone may be broken for reasons of its own.
    pub(super) fn failed(&self, scope: &Scope, failure: &Failure) {
        if !failure.is_of_server() {
            return;
        }
        let mut state = self.lock();
        state.failed.insert(scope.clone());
        if failure.unreached || state.failed.len() > 1 {
            self.away.send_replace(true);
        }
    }

    /// Notes a good answer.
    pub(super) fn answered(&self, now: Instant) {
        let mut state = self.lock();
        state.failed.clear();
        if !self.is_away() {
            return;
        }
        let spacing = match state.told {
            Some((before, spacing)) if now < before + spacing => return,
            Some((before, spacing)) if now < before + CALM => (spacing * 2).min(MOST_SPACING),
            _ => SPACING,
        };
        state.told = Some((now, spacing));
        self.away.send_replace(false);
        self.returns.send_modify(|times| *times += 1);
    }

    /// Resolves when the server comes back; what was before this call is marked as seen.
    pub(super) fn returns(&self) -> watch::Receiver<u64> {
        self.returns.subscribe()
    }

    /// Waits until the server is away and no other follower probes it.
    pub(super) async fn turn(&self) -> tokio::sync::MutexGuard<'_, Asking> {
        loop {
            // Its sender is here.
            let _ = self.away.subscribe().wait_for(|away| *away).await;
            let mut asking = self.asking.lock().await;
            let returns = *self.returns.borrow();
            if asking.returns != returns {
                *asking = Asking { returns, ..Asking::default() };
            }
            if self.is_away() {
                return asking;
            }
        }
    }

    /// Whether it is known to be away.
    pub(super) fn is_away(&self) -> bool {
        *self.away.borrow()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asking {
    /// Waits for a little, and longer with each failure.
    pub(super) async fn pause(&mut self, last: &Failure) {
        if self.unreached != last.unreached {
            self.pace = RetryBackoff::default();
            self.unreached = last.unreached;
        }
        let most = if last.unreached { UNREACHED } else { UNWELL };
        let asked = last.retry_after;
        sleep(self.pace.next_within(most, asked)).await;
    }
}

/// Waits for this node's turn, after the return of a server that all nodes have missed.
pub(super) async fn spread() {
    sleep(SPREAD.mul_f64(jitter::fraction())).await;
}

#[cfg(test)]
mod tests;
