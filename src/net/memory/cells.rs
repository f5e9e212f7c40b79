//! Numbers of what is held, and of what was refused for it.

use super::{HolderKind, Shortage, Stalled};
use crate::net::counters::{LocalCounter, LocalGauge};

/// Memory that one worker holds.
#[derive(Debug, Default)]
pub struct MemoryCells {
    /// Bytes held, by [`HolderKind`].
    pub held: [LocalGauge; HolderKind::ALL.len()],
    /// Connections and requests refused, by [`Shortage`].
    pub refused: [LocalCounter; Shortage::ALL.len()],
    /// Exchanges ended early, by [`Stalled`] and [`Shortage`].
    pub ended: [[LocalCounter; Shortage::ALL.len()]; Stalled::ALL.len()],
}
