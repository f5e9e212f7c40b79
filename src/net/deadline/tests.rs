use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_phase_that_is_over_wakes_its_task_once_and_the_next_phase_starts_afresh() {
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let cx = Context::from_waker(&waker);
    let clock = Deadlines::new();
    let watch = clock.watch(Duration::ZERO);
    watch.register(&cx);
    clock.now.set(1_000);
    watch.check();
    watch.check();
    assert_eq!(watch.expired(), Some(Phase::Idle));
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1);

    watch.enter(Phase::Head, Duration::from_secs(1));
    clock.now.set(1_999);
    watch.check();
    assert_eq!(watch.expired(), None);
    clock.now.set(2_250);
    watch.check();
    assert_eq!(watch.expired(), Some(Phase::Head));
}

#[test]
fn a_connection_that_is_idle_for_a_while_is_told_once_and_any_other_phase_is_no_rest() {
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let cx = Context::from_waker(&waker);
    let clock = Deadlines::new();
    let watch = clock.watch(Duration::from_secs(60));
    watch.register(&cx);
    let rests_at = |now| {
        clock.now.set(now);
        watch.check();
        watch.is_resting()
    };
    assert_eq!([REST - 1, REST, REST + 1].map(rests_at), [false, true, true]);
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
    watch.enter(Phase::Exchange, Duration::from_secs(60));
    assert!(!rests_at(3 * REST));
    watch.enter(Phase::Idle, Duration::from_secs(60));
    assert_eq!([4 * REST - 1, 4 * REST].map(rests_at), [false, true]);
}

#[test]
fn an_exchange_ends_in_time_whatever_moves_and_the_next_one_has_its_own() {
    let clock = Deadlines::new();
    let watch = clock.watch(Duration::from_secs(60));
    let passes = |now| {
        clock.now.set(now);
        watch.check();
        (watch.expired(), watch.is_overdue())
    };
    watch.end_after(Some(Duration::from_secs(2)));
    for now in [0, 1_000, 2_000] {
        assert_eq!(passes(now), (None, false), "{now}");
        watch.enter(Phase::Response, Duration::from_secs(60));
    }
    assert_eq!(passes(2_250), (Some(Phase::Response), true));
    watch.enter(Phase::Idle, Duration::from_secs(60));
    assert_eq!(passes(10_000), (None, false));
    watch.end_after(Some(Duration::from_secs(2)));
    watch.end_after(None);
    watch.enter(Phase::Tunnel, Duration::from_secs(60));
    assert_eq!(passes(60_000), (None, false));
}

#[test]
fn a_closed_connection_leaves_nothing_behind() {
    let clock = Deadlines::new();
    let watch = clock.watch(Duration::from_secs(1));
    clock.tick();
    assert_eq!(clock.watches.borrow().len(), 1);
    drop(watch);
    clock.tick();
    assert_eq!(clock.watches.borrow().len(), 0);
}
