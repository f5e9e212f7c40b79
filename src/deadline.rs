//! Deadlines without a timer per request.
//!
//! Every client connection has one [`Watch`], and with HTTP/2 every stream: the phase it is in and the
//! moment at which that phase is over. Moving on to the next phase stores two numbers; a tick of the worker looks at all
//! watches and wakes the tasks of those that are past their time. A deadline is kept to within one
//! [`TICK`], which is fine for limits of seconds, and costs a request nothing.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// How often a worker looks at its deadlines: the most that one can be late.
pub const TICK: Duration = Duration::from_millis(250);

/// How long a connection is idle before it is [`Watch::is_resting`]: visitors who read a page ask again
/// sooner, or not for long.
const REST: u64 = 2_000;

/// What a client connection, or a stream of it, is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// For the end of the TLS handshake.
    Handshake,
    /// For the first byte of a request.
    Idle,
    /// For the rest of a request head.
    Head,
    /// For the upstream: connection, request body on its way, response head.
    Exchange,
    /// For the response body to pass, in whichever direction it is stuck.
    Response,
    /// For either side of a tunnel to say something.
    Tunnel,
}

/// The deadlines of one worker, and its coarse clock.
#[derive(Debug)]
pub struct Deadlines {
    origin: Instant,
    /// Milliseconds since `origin`, as of the last tick.
    now: Cell<u64>,
    watches: RefCell<Vec<Weak<Watch>>>,
}

impl Deadlines {
    /// Starts a clock.
    pub fn new() -> Rc<Self> {
        Rc::new(Self { origin: Instant::now(), now: Cell::new(0), watches: RefCell::default() })
    }

    /// Milliseconds since the start of the worker, at most one [`TICK`] behind.
    pub fn now_ms(&self) -> u64 {
        self.now.get()
    }

    /// A watch for a new connection, in [`Phase::Idle`].
    pub fn watch(self: &Rc<Self>, idle: Duration) -> Rc<Watch> {
        let watch = Rc::new(Watch {
            clock: Rc::clone(self),
            phase: Cell::new(Phase::Idle),
            due: Cell::new(0),
            end: Cell::new(u64::MAX),
            expired: Cell::new(false),
            rest: Cell::new(u64::MAX),
            resting: Cell::new(false),
            waker: RefCell::new(None),
        });
        watch.enter(Phase::Idle, idle);
        self.watches.borrow_mut().push(Rc::downgrade(&watch));
        watch
    }

    /// Advances the clock and wakes what is past its time.
    pub fn tick(&self) {
        let elapsed = self.origin.elapsed().as_millis();
        self.now.set(u64::try_from(elapsed).unwrap_or(u64::MAX));
        self.watches.borrow_mut().retain(|watch| {
            let watch = watch.upgrade();
            if let Some(watch) = &watch {
                watch.check();
            }
            watch.is_some()
        });
    }

    /// Wakes every connection, so that each looks at what has changed around it.
    pub fn wake_all(&self) {
        for watch in self.watches.borrow().iter().filter_map(Weak::upgrade) {
            watch.wake();
        }
    }
}

/// Phase and deadline of one client connection.
#[derive(Debug)]
pub struct Watch {
    clock: Rc<Deadlines>,
    phase: Cell<Phase>,
    due: Cell<u64>,
    /// When the whole exchange has to be over, whatever its phase.
    end: Cell<u64>,
    expired: Cell<bool>,
    /// When it will have been idle for a while.
    rest: Cell<u64>,
    resting: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Watch {
    /// Moves to a phase that may last `limit`, or gives the same phase that long from now.
    pub fn enter(&self, phase: Phase, limit: Duration) {
        self.phase.set(phase);
        self.expired.set(false);
        let now = self.clock.now_ms();
        if phase == Phase::Idle {
            self.end.set(u64::MAX);
        }
        self.due.set(self.after(limit).min(self.end.get()));
        self.resting.set(false);
        self.rest.set(if phase == Phase::Idle { now + REST } else { u64::MAX });
    }

    /// Ends all phases of an exchange `limit` from now, from the next one entered on. `None` takes that
    /// back.
    pub fn end_after(&self, limit: Option<Duration>) {
        self.end.set(limit.map_or(u64::MAX, |limit| self.after(limit)));
    }

    /// The moment at which a limit that begins now is over.
    fn after(&self, limit: Duration) -> u64 {
        // One tick more: the clock may be that far behind, and a deadline must not be early.
        let limit = u64::try_from((limit + TICK).as_millis()).unwrap_or(u64::MAX);
        self.clock.now_ms().saturating_add(limit)
    }

    /// Whether the whole exchange has taken longer than it may.
    pub fn is_overdue(&self) -> bool {
        self.end.get() <= self.clock.now_ms()
    }

    /// Stays in its phase for as long as need be: others have deadlines now.
    pub fn pause(&self) {
        self.expired.set(false);
        self.due.set(u64::MAX);
        self.rest.set(u64::MAX);
    }

    /// Whether it has been idle for a while: then what it does not need may be given back. Its task is
    /// woken once when that comes true.
    pub fn is_resting(&self) -> bool {
        self.resting.get()
    }

    /// The phase in which the connection is.
    pub fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// The phase that has lasted too long, if one has.
    pub fn expired(&self) -> Option<Phase> {
        self.expired.get().then(|| self.phase.get())
    }

    /// Has the task of `cx` woken when the deadline passes.
    pub fn register(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }

    /// Runs `future` to its end, or gives up with `None` when the current deadline has passed. The
    /// task must have been registered.
    ///
    /// Takes the future where it is: moving a large one costs time.
    pub fn guard<F: Future>(
        &self,
        mut future: Pin<&mut F>,
    ) -> impl Future<Output = Option<F::Output>> {
        std::future::poll_fn(move |cx| {
            if self.expired.get() {
                return Poll::Ready(None);
            }
            future.as_mut().poll(cx).map(Some)
        })
    }

    fn check(&self) {
        if self.rest.get() <= self.clock.now_ms() {
            self.rest.set(u64::MAX);
            self.resting.set(true);
            self.wake();
        }
        if self.due.get() <= self.clock.now_ms() && !self.expired.replace(true) {
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
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
}
