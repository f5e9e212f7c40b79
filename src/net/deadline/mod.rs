//! Deadlines without a timer per request.
//!
//! Every client connection, and every HTTP/2 stream, has one [`Watch`]: its current phase and the
//! deadline of that phase. Entering the next phase stores two numbers. A periodic tick of the worker
//! checks all watches and wakes the tasks whose deadline has passed. A deadline is accurate to one
//! [`TICK`], which is enough for limits of seconds, and costs a request nothing.

mod room;
mod stalled;
#[cfg(test)]
mod tests;

pub use room::{Candidate, Room, Starving};

use crate::net::memory::{Account, Moved, Shortage};
use room::{List, NO_SEAT, Seats};
use stalled::Looks;
use std::cell::{Cell, OnceCell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// How often a worker checks its deadlines: the most that one can be late.
pub const TICK: Duration = Duration::from_millis(250);

/// How long a connection is idle before it is [`Watch::is_resting`]: visitors who read a page ask again
/// sooner, or not for long.
const REST: u64 = 2_000;

/// The phase of a client connection or a stream: what is waited for.
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
    /// Milliseconds of the clock of all workers, as of the last tick.
    now: Cell<u64>,
    watches: RefCell<Vec<Weak<Watch>>>,
    seats: Seats,
    looks: Looks,
}

impl Deadlines {
    /// Creates the clock of a worker that closes connections as `room` requests.
    pub fn with_room(room: Room) -> Rc<Self> {
        let (now, watches, looks) = (Cell::new(0), RefCell::default(), Looks::default());
        Rc::new(Self { now, watches, seats: Seats::new(room), looks })
    }

    /// Milliseconds since the start of the workers, at most one [`TICK`] behind.
    pub fn now_ms(&self) -> u64 {
        self.now.get()
    }

    /// The same, not behind.
    fn now_exactly(&self) -> u64 {
        #[cfg(test)]
        let ticks = self.now.get();
        #[cfg(not(test))]
        let ticks = self.seats.now();
        ticks
    }

    /// A watch, in [`Phase::Idle`].
    pub fn watch(self: &Rc<Self>, idle: Duration) -> Rc<Watch> {
        self.watch_at(NO_SEAT, idle)
    }

    /// The watch of a new client connection, in [`Phase::Idle`]: it may be closed to make room until its
    /// first request arrives and whenever it is idle later.
    pub fn connection(self: &Rc<Self>, limit: Duration) -> Rc<Watch> {
        let seat = self.seats.add();
        let watch = self.watch_at(seat, limit);
        self.seats.take(seat, &watch);
        self.seats.join(List::Silent, seat, self.now_ms());
        watch
    }

    fn watch_at(self: &Rc<Self>, seat: u32, limit: Duration) -> Rc<Watch> {
        let watch = Rc::new(Watch {
            clock: Rc::clone(self),
            phase: Cell::new(Phase::Idle),
            since: Cell::new(0),
            due: Cell::new(0),
            end: Cell::new(u64::MAX),
            expired: Cell::new(false),
            rest: Cell::new(u64::MAX),
            resting: Cell::new(false),
            waker: RefCell::new(None),
            seat,
            listed: Cell::new(seat != NO_SEAT),
            served: Cell::new(false),
            evicted: Cell::new(false),
            account: OnceCell::new(),
            moved: Arc::default(),
            ends_early: Cell::new(None),
            judged: Cell::new(false),
        });
        watch.enter(Phase::Idle, limit);
        self.watches.borrow_mut().push(Rc::downgrade(&watch));
        watch
    }

    /// Closes the longest idle connection, after a [`Room::ask`]. Returns whether there is one.
    pub fn make_room(&self) -> bool {
        self.seats.answered();
        self.evict_idlest()
    }

    /// The same, without a request.
    pub fn evict_idlest(&self) -> bool {
        let first = self.seats.first(self.now_ms());
        if let Some(watch) = &first {
            watch.evict();
        }
        first.is_some()
    }

    /// Whether new connections wait while all others are in use: then answers are the last ones of
    /// theirs.
    pub fn is_starving(&self) -> bool {
        self.seats.is_starving()
    }

    /// Advances the clock and wakes what is past its time.
    pub fn tick(&self) {
        self.now.set(self.seats.now());
        self.watches.borrow_mut().retain(|watch| {
            let watch = watch.upgrade();
            if let Some(watch) = &watch {
                watch.check();
            }
            watch.is_some()
        });
    }

    /// Wakes every connection, so that each checks for changes of shared state.
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
    /// When something has moved for the last time.
    since: Cell<u64>,
    due: Cell<u64>,
    /// When the whole exchange has to be over, whatever its phase.
    end: Cell<u64>,
    expired: Cell<bool>,
    /// When it will have been idle for a while.
    rest: Cell<u64>,
    resting: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    /// Where a connection is among those that may be closed to make room.
    seat: u32,
    /// Whether it is among them now.
    listed: Cell<bool>,
    /// Whether a request has been read.
    served: Cell<bool>,
    evicted: Cell<bool>,
    /// The account of what it watches.
    account: OnceCell<Arc<Account>>,
    /// When a part of a piece has left for the last time.
    moved: Arc<Moved>,
    /// Whether its exchange has to end because memory is short.
    ends_early: Cell<Option<Shortage>>,
    /// Whether its client's kernel has been asked about that.
    judged: Cell<bool>,
}

impl Watch {
    /// Enters a phase with the limit `limit`, or restarts the limit of the same phase.
    pub fn enter(&self, phase: Phase, limit: Duration) {
        self.phase.set(phase);
        self.expired.set(false);
        self.spare();
        let now = self.clock.now_ms();
        self.since.set(now);
        if phase == Phase::Idle {
            self.end.set(u64::MAX);
        }
        self.due.set(self.after(limit).min(self.end.get()));
        self.resting.set(false);
        self.rest.set(if phase == Phase::Idle { now + REST } else { u64::MAX });
        if self.is_whole() {
            self.follow(phase);
        }
    }

    /// Joins or leaves those that may be closed to make room.
    fn follow(&self, phase: Phase) {
        match phase {
            Phase::Idle if self.served.get() && !self.evicted.get() => {
                // It may have been idle already.
                self.leave();
                if self.clock.is_starving() {
                    return self.evict();
                }
                self.listed.set(true);
                self.clock.seats.join(List::Idle, self.seat, self.clock.now_ms());
            }
            Phase::Exchange => self.used(),
            Phase::Head if self.served.get() => self.used(),
            Phase::Idle | Phase::Handshake | Phase::Head | Phase::Response | Phase::Tunnel => {}
        }
    }

    /// Whether it is of a connection, and not of one of its streams.
    fn is_whole(&self) -> bool {
        self.seat != NO_SEAT
    }

    /// A connection in use is closed for nobody.
    fn used(&self) {
        self.served.set(true);
        self.evicted.set(false);
        self.leave();
    }

    fn leave(&self) {
        if self.listed.replace(false) {
            self.clock.seats.leave(self.seat);
        }
    }

    /// Lets it stay after all: a request is here.
    pub fn stay(&self) {
        self.evicted.set(false);
        if self.phase() == Phase::Idle {
            self.listed.set(true);
            let list = if self.served.get() { List::Idle } else { List::Silent };
            self.clock.seats.join(list, self.seat, self.clock.now_ms());
        }
    }

    fn evict(&self) {
        self.listed.set(false);
        self.evicted.set(true);
        self.wake();
    }

    /// Whether it has to close, to make room for another connection.
    pub fn is_evicted(&self) -> bool {
        self.evicted.get()
    }

    /// Whether a request has been read from it.
    pub fn is_served(&self) -> bool {
        self.served.get()
    }

    /// Extends the deadline of its phase only.
    pub fn extend(&self, limit: Duration) {
        self.expired.set(false);
        self.due.set(self.after(limit));
    }

    /// Gives its phase `limit` from now, if it has less. The end of the exchange stays.
    pub fn prolong(&self, limit: Duration) {
        self.due.set(self.after(limit).min(self.end.get()).max(self.due.get()));
    }

    /// Ends all phases of an exchange `limit` from now, from the next one entered on. `None` takes that
    /// back.
    pub fn end_after(&self, limit: Option<Duration>) {
        self.end.set(limit.map_or(u64::MAX, |limit| self.after(limit)));
    }

    /// The moment at which a limit that begins now is over.
    fn after(&self, limit: Duration) -> u64 {
        // One tick more: the clock may be that far behind, and a deadline must not be early. Not by way of
        // `as_millis`, which counts in 128 bits, as this is done several times for each request.
        let millis = |time: Duration| {
            time.as_secs().saturating_mul(1_000).saturating_add(u64::from(time.subsec_millis()))
        };
        self.clock.now_ms().saturating_add(millis(limit)).saturating_add(millis(TICK))
    }

    /// Whether the whole exchange has exceeded its limit.
    pub fn is_overdue(&self) -> bool {
        self.end.get() <= self.clock.now_ms()
    }

    /// Ends the phase now, as if its deadline had passed.
    pub fn expire(&self) {
        self.expired.set(true);
        self.wake();
    }

    /// Stays in its phase for as long as need be: others have deadlines now.
    pub fn pause(&self) {
        self.expired.set(false);
        self.due.set(u64::MAX);
        self.rest.set(u64::MAX);
        if self.is_whole() {
            self.used();
        }
    }

    /// Whether it has been idle for a while, so that unneeded buffers can be freed. Its task is woken once
    /// when that becomes true.
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

    /// Wakes the task of `cx` when the deadline passes.
    pub fn register(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }

    /// Runs `future` to its end, or returns `None` when the current deadline passes. The task must have
    /// been registered.
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

    /// Wakes its task.
    pub fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.is_whole() {
            self.clock.seats.remove(self.seat);
        }
    }
}

#[cfg(test)]
impl Deadlines {
    /// A clock of its own.
    pub(crate) fn new() -> Rc<Self> {
        Self::with_room(Room::for_workers(1).remove(0))
    }

    fn set_now(&self, now: u64) {
        self.now.set(now);
    }
}
