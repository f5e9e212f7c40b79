//! The keys of all teams, from the thread that fetches them to the workers.
//!
//! A worker that meets a key which it does not know asks for the keys again, at most once in [`EARLIEST_AGAIN`] for
//! each team, and may wait for the result.

use super::keys::KeySet;
use super::team::Team;
use arc_swap::{ArcSwapOption, Guard};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// Shortest time between two attempts for one team that requests cause: tokens with made-up key names must not become
/// requests to Cloudflare.
pub const EARLIEST_AGAIN: Duration = Duration::from_secs(10);

/// Most teams whose keys are kept. An account has one team.
pub const MOST_TEAMS: usize = 64;

/// The keys of one team.
#[derive(Debug)]
pub struct TeamKeys {
    team: Team,
    keys: ArcSwapOption<KeySet>,
    /// When they were last fetched, in seconds since the Unix epoch; 0 before the first.
    fetched: AtomicU64,
    asked: Mutex<Asked>,
    wake: Notify,
    /// Attempts that have ended.
    attempts: watch::Sender<u64>,
}

/// What requests have asked for.
#[derive(Debug)]
struct Asked {
    /// Whether an attempt is on its way that requests wait for.
    is_due: bool,
    /// When a request last asked for one.
    last: Option<Instant>,
}

impl TeamKeys {
    /// `is_due`: the first attempt is on its way, and requests wait for that.
    fn new(team: Team, is_due: bool) -> Self {
        Self {
            team,
            keys: ArcSwapOption::empty(),
            fetched: AtomicU64::new(0),
            asked: Mutex::new(Asked { is_due, last: None }),
            wake: Notify::new(),
            attempts: watch::Sender::new(0),
        }
    }

    /// The team.
    pub fn team(&self) -> &Team {
        &self.team
    }

    /// The last good keys; `None` before the first.
    pub fn load(&self) -> Guard<Option<Arc<KeySet>>> {
        self.keys.load()
    }

    /// When they were last fetched, in seconds since the Unix epoch.
    pub fn fetched(&self) -> Option<u64> {
        Some(self.fetched.load(Ordering::Relaxed)).filter(|at| *at > 0)
    }

    /// Puts keys in force that were fetched at `unix`. Those that are the same stay, so that verdicts which were made with them do. Returns
    /// whether they are others.
    pub fn put(&self, keys: KeySet, unix: u64) -> bool {
        self.fetched.store(unix, Ordering::Relaxed);
        if self.keys.load().as_deref() == Some(&keys) {
            return false;
        }
        self.keys.store(Some(Arc::new(keys)));
        true
    }

    /// Asks for the keys again. Returns what changes when the attempt has ended; `None` if one was made for a request
    /// too short a time ago.
    pub fn ask(&self, now: Instant) -> Option<watch::Receiver<u64>> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if !asked.is_due {
            let is_early = |last: Instant| now.saturating_duration_since(last) < EARLIEST_AGAIN;
            if asked.last.is_some_and(is_early) {
                return None;
            }
            *asked = Asked { is_due: true, last: Some(now) };
            self.wake.notify_one();
        }
        Some(self.attempts.subscribe())
    }

    /// Notes the end of an attempt, and wakes those who wait for it.
    pub fn attempted(&self) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.is_due = false;
        self.attempts.send_modify(|count| *count += 1);
    }

    /// Waits until a request has asked.
    pub async fn asked(&self) {
        self.wake.notified().await;
    }
}

/// The keys of all teams of the process. They outlive tables and reloads of the configuration.
#[derive(Debug, Default)]
pub struct KeyStore {
    teams: Mutex<BTreeMap<Team, Arc<TeamKeys>>>,
}

impl KeyStore {
    /// The keys of a team, which are fetched from now on if there is room for them.
    pub fn team(&self, team: &Team) -> Arc<TeamKeys> {
        let mut teams = self.teams.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = teams.get(team) {
            return Arc::clone(known);
        }
        if teams.len() >= MOST_TEAMS {
            teams.retain(|_, keys| Arc::strong_count(keys) > 1);
        }
        let has_room = teams.len() < MOST_TEAMS;
        let keys = Arc::new(TeamKeys::new(team.clone(), has_room));
        if has_room {
            teams.insert(team.clone(), Arc::clone(&keys));
        }
        keys
    }
}
