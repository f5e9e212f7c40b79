//! How many requests may be sent again: a share of all, so that retries do not multiply the load on
//! pods that are failing under it.

use std::cell::Cell;

/// Seconds that are counted together.
const WINDOW: usize = 10;

/// Retries for each second of the window that need no share, so that where there is little traffic
/// single failures are always made good.
const FLOOR: u64 = 3;

/// The counts of one second.
#[derive(Clone, Copy, Debug, Default)]
struct Second {
    requests: u64,
    retries: u64,
}

/// The budget of one worker.
#[derive(Debug)]
pub(super) struct Budget {
    /// Retries for each hundred requests.
    percent: u64,
    /// The second now.
    second: Cell<u64>,
    now: Cell<Second>,
    /// By second, modulo the window. That of now is written when it is over.
    past: [Cell<Second>; WINDOW],
    /// The sums of those, without that of now.
    sum: Cell<Second>,
}

impl Budget {
    /// A budget of so many retries for each hundred requests.
    pub(super) fn new(percent: u32) -> Self {
        Self {
            percent: u64::from(percent),
            second: Cell::new(0),
            now: Cell::default(),
            past: Default::default(),
            sum: Cell::default(),
        }
    }

    /// Moves on. `now_ms` is the worker's clock.
    pub(super) fn tick(&self, now_ms: u64) {
        let second = now_ms / 1_000;
        // After a pause of the whole window nothing is left of it.
        let from = self.second.get().max(second.saturating_sub(WINDOW as u64));
        for passed in from..second {
            let slot = |second: u64| &self.past[usize::try_from(second).unwrap_or(0) % WINDOW];
            slot(passed).set(self.now.take());
            // The second that leaves the window makes room for the next.
            slot(passed + 1).take();
        }
        if second > self.second.get() {
            self.second.set(second);
            let mut sum = Second::default();
            for past in self.past.iter().map(Cell::get) {
                sum.requests += past.requests;
                sum.retries += past.retries;
            }
            self.sum.set(sum);
        }
    }

    /// Counts a request.
    pub(super) fn request(&self) {
        let now = self.now.get();
        self.now.set(Second { requests: now.requests + 1, ..now });
    }

    /// Takes a retry, if one is left.
    pub(super) fn take(&self) -> bool {
        let (now, sum) = (self.now.get(), self.sum.get());
        let share = (now.requests + sum.requests) * self.percent / 100;
        let left = now.retries + sum.retries < share + FLOOR * WINDOW as u64;
        if left {
            self.now.set(Second { retries: now.retries + 1, ..now });
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(budget: &Budget) -> usize {
        (0..10_000).take_while(|_| budget.take()).count()
    }

    #[test]
    fn few_retries_are_there_without_any_share() {
        let budget = Budget::new(0);
        (0..1_000).for_each(|_| budget.request());
        assert_eq!(taken(&budget), 30);
        budget.tick(9_999);
        assert_eq!(taken(&budget), 0, "within the window");
        budget.tick(10_000);
        assert_eq!(taken(&budget), 30);
    }

    #[test]
    fn a_share_of_the_requests_of_the_window_may_be_sent_again() {
        let budget = Budget::new(20);
        for second in 0..30 {
            budget.tick(second * 1_000);
            (0..100).for_each(|_| budget.request());
        }
        // Ten seconds of a hundred requests.
        assert_eq!(taken(&budget), 200 + 30);
        budget.tick(35_000);
        (0..100).for_each(|_| budget.request());
        assert_eq!(taken(&budget), 0, "they count for as long as their requests do");
    }

    #[test]
    fn a_worker_that_was_away_for_long_begins_afresh() {
        let budget = Budget::new(20);
        (0..1_000).for_each(|_| budget.request());
        assert_eq!(taken(&budget), 230);
        budget.tick(3_600_000);
        assert_eq!(taken(&budget), 30);
    }
}
