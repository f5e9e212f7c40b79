//! The streams of an HTTP/2 connection, each with a deadline of its own.
//!
//! A [`Stream`] ends what is past its time from outside, since an answer whose client has closed its window waits
//! within h2 and asks nobody.

use crate::net::deadline::{Deadlines, Phase, Watch};
use crate::net::memory::Inflow;
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

/// Watches kept for the next streams of a connection: more than Cloudflare has open on one at a time
/// as a rule.
const SPARE: usize = 32;

/// Streams ended for their memory from which on their client may be told to go: one page that hangs is
/// no hoard.
const HOARD: u64 = 16;

/// The streams of one connection.
#[derive(Debug)]
pub struct Streams {
    deadlines: Rc<Deadlines>,
    /// The connection's own deadline, which counts while it has no stream.
    connection: Rc<Watch>,
    idle: Duration,
    open: Cell<u64>,
    begun: Cell<u64>,
    given_up: Cell<u64>,
    /// Streams that were ended for their memory.
    ended: Cell<u64>,
    /// How many streams are looked at before the connection is judged.
    resets: u64,
    spare: RefCell<Vec<Rc<Watch>>>,
    /// Streams that end if the client acknowledges nothing.
    asked: RefCell<Vec<Rc<Watch>>>,
    inflow: Rc<Inflow>,
    /// No frame is read or written any more: the connection's deadline is somebody else's.
    closed: Cell<bool>,
    /// The client was not read for a while, as its connection has its share of memory.
    overdrawn: Cell<bool>,
}

impl Streams {
    /// None yet. `idle` is how long the connection may be without one; after `resets` streams it is
    /// judged by how many of them were given up.
    pub fn new(
        deadlines: &Rc<Deadlines>,
        connection: &Rc<Watch>,
        idle: Duration,
        resets: u64,
        inflow: Rc<Inflow>,
    ) -> Rc<Self> {
        Rc::new(Self {
            deadlines: Rc::clone(deadlines),
            connection: Rc::clone(connection),
            idle,
            open: Cell::new(0),
            begun: Cell::new(0),
            given_up: Cell::new(0),
            ended: Cell::new(0),
            resets,
            spare: RefCell::default(),
            asked: RefCell::default(),
            inflow,
            closed: Cell::new(false),
            overdrawn: Cell::new(false),
        })
    }

    /// A new stream, with its deadline.
    pub fn begin(self: &Rc<Self>) -> Stream {
        let spare = self.spare.borrow_mut().pop();
        let watch = spare.unwrap_or_else(|| {
            let watch = self.deadlines.watch(self.idle);
            watch.set_account(self.inflow.account());
            watch
        });
        self.open.set(self.open.get() + 1);
        self.begun.set(self.begun.get() + 1);
        self.connection.pause();
        Stream { streams: Rc::clone(self), watch }
    }

    /// Records that the client cancelled a stream before its response was complete.
    pub fn give_up(&self) {
        self.given_up.set(self.given_up.get() + 1);
    }

    /// Whether the client opens streams to hold memory: several were ended for that, and an eighth of all.
    pub fn is_hoard(&self) -> bool {
        self.ended.get() >= HOARD && self.ended.get() >= self.begun.get() / 8
    }

    /// Request body bytes that were received and not read.
    pub fn inflow(&self) -> &Rc<Inflow> {
        &self.inflow
    }

    /// Whether the connection has reached its share of memory: its client should use another one for its
    /// next requests.
    pub fn is_overdrawn(&self) -> bool {
        self.overdrawn.get()
    }

    /// Notes that nothing is read from the client for lack of memory.
    pub(super) fn overdraw(&self) {
        self.overdrawn.set(true);
    }

    /// Streams that end if the client acknowledges nothing of what the kernel has for it.
    pub(super) fn asked(&self) -> Vec<Rc<Watch>> {
        self.asked.take()
    }

    /// Whether a stream, which is to end, has to wait until the connection has asked the kernel.
    fn asks_kernel(&self, watch: &Rc<Watch>) -> bool {
        let asks = watch.asks_kernel();
        if asks {
            self.asked.borrow_mut().push(Rc::clone(watch));
            self.connection.wake();
        }
        asks
    }

    /// Notes that no frame is read or written any more. Returns whether its client may still be sending.
    pub fn close(&self) -> bool {
        self.closed.set(true);
        self.inflow.is_sending()
    }

    /// Whether there has been any.
    pub fn has_begun(&self) -> bool {
        self.begun.get() > 0
    }

    /// Whether the client opens streams to reset them (CVE-2023-44487): half of so many that it is
    /// no accident.
    pub fn is_flood(&self) -> bool {
        self.begun.get() >= self.resets && self.given_up.get() >= self.begun.get() / 2
    }

    /// Whether no stream is open.
    pub fn is_empty(&self) -> bool {
        self.open.get() == 0
    }
}

/// Whether h2 has closed a connection for a flood before its streams could be counted here: resets of
/// streams that it has not handed over yet, or frames that carry nothing.
pub fn is_flood(error: &h2::Error) -> bool {
    error.is_library() && error.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM)
}

/// A stream, from its request to the end of its answer.
#[derive(Debug)]
pub struct Stream {
    streams: Rc<Streams>,
    watch: Rc<Watch>,
}

impl Stream {
    /// Its deadline.
    pub fn watch(&self) -> &Rc<Watch> {
        &self.watch
    }

    /// Runs what answers it, unless its client takes no more for too long.
    pub async fn run(self, future: impl Future<Output = ()>) {
        let mut future = pin!(future);
        poll_fn(|cx| {
            self.watch.register(cx);
            match self.watch.expired() {
                // Dropping it resets the stream.
                Some(Phase::Response) => Poll::Ready(()),
                _ if self.watch.ends_early() && !self.streams.asks_kernel(&self.watch) => {
                    self.watch.count_ended_early();
                    self.streams.ended.set(self.streams.ended.get() + 1);
                    Poll::Ready(())
                }
                _ => future.as_mut().poll(cx),
            }
        })
        .await;
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let Streams { open, connection, idle, spare, closed, .. } = &*self.streams;
        open.set(open.get() - 1);
        if open.get() == 0 {
            self.streams.inflow.clear();
            if !closed.get() {
                connection.enter(Phase::Idle, *idle);
            }
        }
        let mut spare = spare.borrow_mut();
        // A body that the upstream still holds must not meet another request's deadline.
        if Rc::strong_count(&self.watch) == 1 && spare.len() < SPARE {
            self.watch.pause();
            spare.push(Rc::clone(&self.watch));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::memory::{Account, Budget, Ledger};
    use std::sync::Arc;

    fn mk_inflow() -> Rc<Inflow> {
        let ledger = Ledger::new(Budget::new(1 << 30), Arc::default());
        Inflow::new(Account::open(&ledger), 1 << 20)
    }

    #[test]
    fn a_connection_without_streams_is_idle_and_one_with_half_of_many_given_up_is_a_flood() {
        let deadlines = Deadlines::new();
        let connection = deadlines.watch(Duration::ZERO);
        let streams = Streams::new(&deadlines, &connection, Duration::from_secs(1), 4, mk_inflow());
        for given_up in [false, true, false, true] {
            assert!(!streams.is_flood());
            let stream = streams.begin();
            assert!(!streams.is_empty());
            if given_up {
                streams.give_up();
            }
            drop(stream);
            assert!(streams.is_empty());
        }
        assert!(streams.is_flood() && !streams.is_hoard());
        assert_eq!(streams.spare.borrow().len(), 1, "one watch served all");
        assert_eq!(connection.phase(), Phase::Idle);
    }
}
