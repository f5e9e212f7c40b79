//! The state of memory shortage, which tells workers to end stalled requests before others are refused.

use super::Budget;
use crate::error::labels;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

labels! { fn label;
    /// Why something new is refused: label `cause`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Shortage {
        /// The connection holds its share.
        Connection = "connection",
        /// Too little is free for any request.
        Process = "process",
        /// The memory of the cgroup is nearly used up.
        Cgroup = "cgroup",
    }
}

labels! { fn label;
    /// Exchanges that a shortage ends, by their state: label `state`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Stalled {
        /// A part of a request head.
        Head = "head",
        /// A request, with or without the rest of its body, and no answer.
        Exchange = "exchange",
        /// A part of an answer.
        Answer = "answer",
    }
}

/// Parts of the limit, in percent: from the first on it is short, and no more below the second. Half of it
/// is more than usual traffic holds; the rest has to last for as long as new clients may stall.
const HIGH: i64 = 60;
const LOW: i64 = 45;

/// Parts of it from which on stalled requests have less time, and from which on idle connections make
/// room as well.
const SCARCE: i64 = 70;
const LAST: i64 = 90;

/// Whether memory is short, for all workers.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    raised: AtomicBool,
    told: Notify,
}

impl Budget {
    /// Tells all workers that memory is short.
    pub(super) fn raise_alarm(&self) {
        let raised = &self.alarm.raised;
        if !raised.load(Ordering::Relaxed) && !raised.swap(true, Ordering::Relaxed) {
            self.alarm.told.notify_waiters();
        }
    }

    pub(super) fn is_high(&self, held: i64) -> bool {
        held > self.limit / 100 * HIGH
    }

    /// Whether most of it is held.
    pub fn is_scarce(&self) -> bool {
        self.is_pressed() || self.holds_more_than(SCARCE)
    }

    /// Whether nearly all of it is.
    pub fn is_nearly_full(&self) -> bool {
        self.holds_more_than(LAST)
    }

    fn holds_more_than(&self, percent: i64) -> bool {
        self.held.load(Ordering::Relaxed) > self.limit / 100 * percent
    }

    /// Bytes that have to be freed.
    pub fn missing(&self) -> i64 {
        let held = self.held.load(Ordering::Relaxed);
        if self.is_pressed() { i64::MAX } else { held - self.limit / 100 * LOW }
    }

    /// The shortage, unless enough is free again: then the alarm is over.
    pub fn short(&self) -> Option<Shortage> {
        if self.is_pressed() {
            return Some(Shortage::Cgroup);
        }
        let raised = self.alarm.raised.load(Ordering::Relaxed);
        if raised && !self.holds_more_than(LOW) {
            self.alarm.raised.store(false, Ordering::Relaxed);
            return None;
        }
        raised.then_some(Shortage::Process)
    }

    /// Waits until memory is short.
    pub async fn shortage(&self) -> Shortage {
        loop {
            let told = self.alarm.told.notified();
            if let Some(shortage) = self.short() {
                return shortage;
            }
            told.await;
        }
    }
}
