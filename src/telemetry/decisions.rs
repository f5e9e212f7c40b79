//! What is known of CrowdSec's decisions. Written by the thread that fetches them, read by the scrape.

use super::list::ListCells;
use super::locked::Locked;

/// The state of the decisions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecisionCells {
    /// Addresses and networks that are banned.
    pub networks: usize,
    /// Countries likewise.
    pub countries: usize,
    /// Decisions that are not obeyed: no bans, or of other scopes.
    pub ignored: usize,
    /// How attempts to fetch them went; the rest of it is unused.
    pub attempts: ListCells,
}

/// [`DecisionCells`], shared.
pub type DecisionMetrics = Locked<DecisionCells>;
