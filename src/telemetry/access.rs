//! What is known of the keys of Cloudflare Access. Written by the thread that fetches them, read by the scrape.

use super::list::{ListCells, ListFailure};
use super::locked::Locked;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The state of the keys of all teams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessCells {
    /// Each team that a route names.
    pub teams: BTreeMap<Arc<str>, TeamCells>,
    /// How attempts to fetch them went; the rest of it is unused.
    pub attempts: ListCells,
}

/// The state of the keys of one team.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TeamCells {
    /// How many are in force.
    pub keys: usize,
    /// When they were last fetched, in seconds since the Unix epoch.
    pub succeeded: Option<u64>,
    /// Why the last attempt failed, if it did.
    pub failing: Option<ListFailure>,
}

impl AccessCells {
    /// Counts an attempt that brought so many keys at `unix`.
    pub fn succeed(&mut self, team: &Arc<str>, keys: usize, is_other: bool, unix: u64) {
        self.attempts.succeed(is_other, unix);
        let cells = TeamCells { keys, succeeded: Some(unix), failing: None };
        self.teams.insert(Arc::clone(team), cells);
    }

    /// Counts an attempt that failed at `unix`, and left `cells` in force.
    pub fn fail(&mut self, team: &Arc<str>, cells: TeamCells, why: ListFailure, unix: u64) {
        self.attempts.fail(why, unix);
        self.teams.insert(Arc::clone(team), cells);
    }

    /// Removes a team that no route names any more.
    pub fn forget(&mut self, team: &str) {
        self.teams.remove(team);
    }
}

/// [`AccessCells`], shared.
pub type AccessMetrics = Locked<AccessCells>;
