//! When a worker does what is due whether there are requests or not.

use crate::net::deadline::TICK;
use crate::net::memory::Budget;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Between two beats of a worker that has nothing to do: it only has to let go of old tables.
const SLOW: Duration = Duration::from_secs(5);

/// The beat of one worker: [`TICK`] while it has connections, and slow while it has none, so that an idle process
/// costs nothing.
#[derive(Debug)]
pub(super) struct Beat {
    interval: Interval,
    is_slow: bool,
    /// Where it is told whether there is anything to do.
    memory: Arc<Budget>,
}

impl Beat {
    /// Begins to beat fast.
    pub(super) fn begin(memory: Arc<Budget>) -> Self {
        memory.work(true);
        Self { interval: every(TICK), is_slow: false, memory }
    }

    /// Waits for the next beat.
    pub(super) async fn next(&mut self) {
        self.interval.tick().await;
    }

    /// Beats slowly from now on.
    pub(super) fn slow(&mut self) {
        if !std::mem::replace(&mut self.is_slow, true) {
            self.interval = every(SLOW);
            // The first one is now.
            self.interval.reset();
            self.memory.work(false);
        }
    }

    /// Beats fast from now on. Returns whether it has not until now.
    pub(super) fn quicken(&mut self) -> bool {
        let was_slow = std::mem::take(&mut self.is_slow);
        if was_slow {
            self.interval = every(TICK);
            self.interval.reset();
            self.memory.work(true);
        }
        was_slow
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        if !self.is_slow {
            self.memory.work(false);
        }
    }
}

fn every(period: Duration) -> Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_with_nothing_to_do_beats_slowly_until_it_has() {
        let builder = &mut tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let memory = Budget::new(1 << 20);
            let mut beat = Beat::begin(Arc::clone(&memory));
            // As an interval does, it begins at once.
            beat.next().await;
            assert_eq!((beat.interval.period(), memory.is_at_rest()), (TICK, false));
            beat.slow();
            beat.slow();
            assert_eq!((beat.interval.period(), memory.is_at_rest()), (SLOW, true));
            assert!(beat.quicken() && !beat.quicken());
            assert_eq!((beat.interval.period(), memory.is_at_rest()), (TICK, false));
            // Who waits is told.
            memory.stirred().await;
            drop(beat);
            assert!(memory.is_at_rest());
        });
    }
}
