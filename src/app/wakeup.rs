//! What wakes the threads that wait for the process itself: one channel, told of signals, of threads
//! that end, of ports that close, and of a cluster that has been listed.
//!
//! Any number of threads wait, each for its own condition, and look at it after every event: there
//! are few, and none while the process just serves.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The channel. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Wakeup(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// How many events there were.
    events: Mutex<u64>,
    changed: Condvar,
}

impl Wakeup {
    /// Wakes every waiting thread. Call it after a change of what they wait for.
    pub fn notify(&self) {
        *self.events() += 1;
        self.0.changed.notify_all();
    }

    /// Waits until `look` finds something.
    pub(super) fn wait<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        loop {
            if let Some(found) = self.wait_until(None, &mut look) {
                return found;
            }
        }
    }

    /// Waits until `look` finds something, or nothing at `end`: it looks at least once, and once more
    /// at `end`.
    pub(super) fn wait_until<T>(
        &self,
        end: Option<Instant>,
        mut look: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        loop {
            // Before the look, so that no event between the two is missed.
            let seen = *self.events();
            let is_over = end.is_some_and(|end| Instant::now() >= end);
            let found = look();
            if found.is_some() || is_over {
                return found;
            }
            self.sleep(seen, end);
        }
    }

    /// Sleeps until there are other events than `seen`, or until `end`.
    fn sleep(&self, seen: u64, end: Option<Instant>) {
        let (events, changed) = (self.events(), &self.0.changed);
        let is_seen = |events: &mut u64| *events == seen;
        match end {
            None => drop(changed.wait_while(events, is_seen)),
            Some(end) => {
                let left = end.saturating_duration_since(Instant::now());
                drop(changed.wait_timeout_while(events, left, is_seen));
            }
        }
    }

    fn events(&self) -> MutexGuard<'_, u64> {
        self.0.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    use std::thread;
    use std::time::Duration;

    #[test]
    fn who_waits_looks_after_every_event_and_never_between() {
        let (wakeup, is_so) = (Wakeup::default(), Arc::<AtomicBool>::default());
        let looks = AtomicU32::new(0);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                wakeup.wait(|| {
                    looks.fetch_add(1, Ordering::SeqCst);
                    is_so.load(Ordering::SeqCst).then_some(7)
                })
            });
            is_so.store(true, Ordering::SeqCst);
            wakeup.notify();
            assert_eq!(waiting.join().expect("no panic"), 7);
        });
        assert!(looks.into_inner() <= 2);
    }

    #[test]
    fn an_end_is_kept_and_looked_at() {
        let (wakeup, begun) = (Wakeup::default(), Instant::now());
        let end = begun + Duration::from_millis(20);
        let mut looks = 0;
        let found = wakeup.wait_until(Some(end), || {
            looks += 1;
            (Instant::now() >= end).then_some(())
        });
        assert_eq!(found, Some(()));
        assert!(looks <= 2, "{looks}");
        assert_eq!(wakeup.wait_until(Some(begun), || None::<()>), None);
    }
}
