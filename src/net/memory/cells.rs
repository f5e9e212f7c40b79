//! Numbers of what is held, and of what was refused for it.

use super::{Kind, Shortage, Stalled};
use crate::net::counters::{LocalCounter, LocalGauge};

/// What one worker holds.
#[derive(Debug, Default)]
pub struct MemoryCells {
    /// Bytes held, by [`Kind`].
    pub held: [LocalGauge; Kind::ALL.len()],
    /// Connections and requests refused, by [`Shortage`].
    pub refused: [LocalCounter; Shortage::ALL.len()],
    /// What was ended before its time, by [`Stalled`] and [`Shortage`].
    pub ended: [[LocalCounter; Shortage::ALL.len()]; Stalled::ALL.len()],
}
