//! What is known of break-glass: whether it is on, and what the visitors do whom nothing else admits.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};

/// The state of break-glass, written by workers and by the thread that follows the switch.
#[derive(Debug, Default)]
pub struct BreakGlassCells {
    /// Whether it is on.
    pub on: AtomicBool,
    /// Whether the switch could not be read last, so that it counts as off.
    pub unreadable: AtomicBool,
    /// How often it was switched on in this process.
    pub switched_on: AtomicU64,
    /// Open connections of visitors whom no admission set has.
    pub open: AtomicI64,
    /// Such connections in all.
    pub connections: AtomicU64,
    /// Such connections that were still open at the end of `break_glass.drain` and were cut.
    pub cut: AtomicU64,
}
