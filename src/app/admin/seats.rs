//! The connections to the admin port or its socket: how many there may be, how long each may take for
//! what it does, and which one ends when there are too many.
//!
//! New connections are always served, so that held connections cannot lock out a probe or scraper:
//! the first to go has asked nothing yet, then who waits between two requests, then who reads its
//! answer, and of each the one whose state has lasted longest.

use crate::telemetry::{AdminCells, AdminDoor};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::{Instant, sleep_until};

/// For the first request: scrapers and probes connect when they ask.
const FIRST_REQUEST: Duration = Duration::from_secs(5);

/// For the next request: scrapers come every minute at the latest.
const NEXT_REQUEST: Duration = Duration::from_secs(75);

/// For an answer of which the peer takes nothing more. A scraper gives up after 10 s by default.
const STALLED_ANSWER: Duration = Duration::from_secs(10);

/// The activity of a connection, in the order in which connections end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// It has asked nothing yet.
    Silent,
    /// It waits between two requests.
    Idle,
    /// It reads its answer.
    Reading,
}

/// A bounded number of connections.
#[derive(Debug)]
pub(super) struct Seats {
    most: usize,
    door: AdminDoor,
    cells: Arc<AdminCells>,
    /// The number of the next change of state.
    next: Cell<u64>,
    /// Those taken, in the order of their arrival: by the number of the change.
    taken: RefCell<BTreeMap<u64, Rc<State>>>,
}

#[derive(Debug)]
struct State {
    standing: Cell<Standing>,
    /// The number of its last change of state.
    since: Cell<u64>,
    /// When it last got on.
    moved: Cell<Instant>,
    /// An answer is still being made.
    reading: Cell<bool>,
    /// The right to have a page on its way, until it is read.
    page: RefCell<Option<OwnedSemaphorePermit>>,
    end: Notify,
}

/// The place of one connection; given up when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Rc<Seats>,
    number: u64,
    state: Rc<State>,
}

impl Seats {
    pub(super) fn new(most: usize, door: AdminDoor, cells: &Arc<AdminCells>) -> Rc<Self> {
        let (next, taken, cells) = (Cell::new(0), RefCell::default(), Arc::clone(cells));
        Rc::new(Self { most, door, cells, next, taken })
    }

    /// A seat for a new connection. If all are taken, another one ends.
    pub(super) fn take(self: &Rc<Self>) -> Seat {
        let mut taken = self.taken.borrow_mut();
        if taken.len() >= self.most {
            let key = |state: &State| (state.standing.get(), state.since.get());
            let first = taken.iter().min_by_key(|(_, state)| key(state)).map(|(number, _)| *number);
            if let Some(state) = first.and_then(|number| taken.remove(&number)) {
                state.end.notify_one();
                self.cells.evicted(self.door);
            }
        }
        self.cells.opened(self.door);
        let number = self.count();
        let state = Rc::new(State {
            standing: Cell::new(Standing::Silent),
            since: Cell::new(number),
            moved: Cell::new(Instant::now()),
            reading: Cell::new(false),
            page: RefCell::default(),
            end: Notify::new(),
        });
        taken.insert(number, Rc::clone(&state));
        Seat { seats: Rc::clone(self), number, state }
    }

    fn count(&self) -> u64 {
        let number = self.next.get();
        self.next.set(number + 1);
        number
    }
}

impl Seat {
    /// Notes a request, whose answer follows at once.
    pub(super) fn asked(&self, page: Option<OwnedSemaphorePermit>) {
        self.state.page.replace(page);
        self.change(Standing::Reading);
    }

    /// Whether it is one of the socket, which processes of its user and root alone can open.
    pub(super) fn is_local(&self) -> bool {
        matches!(self.seats.door, AdminDoor::Socket)
    }

    /// Whether there has been a request.
    pub(super) fn has_asked(&self) -> bool {
        self.state.standing.get() != Standing::Silent
    }

    /// Waits until the connection has to end, for another one or for being slow.
    pub(super) async fn ended(&self) {
        let overdue = async {
            while let now = Instant::now()
                && now < self.due()
            {
                // A change in between is seen after the shortest of the limits at the latest.
                sleep_until(self.due().min(now + FIRST_REQUEST)).await;
            }
        };
        tokio::select! {
            () = overdue => self.seats.cells.overdue(self.seats.door),
            () = self.state.end.notified() => {}
        }
    }

    /// When its state has lasted too long.
    fn due(&self) -> Instant {
        let limit = match self.state.standing.get() {
            Standing::Silent => FIRST_REQUEST,
            Standing::Idle => NEXT_REQUEST,
            Standing::Reading => STALLED_ANSWER,
        };
        self.state.moved.get() + limit
    }

    fn change(&self, standing: Standing) {
        self.state.standing.set(standing);
        self.state.since.set(self.seats.count());
        self.state.moved.set(Instant::now());
    }

    /// Notes an answer that comes in pieces. What has been written is all of it when the guard is gone.
    pub(super) fn reads(&self) -> Reading {
        self.state.reading.set(true);
        Reading(Rc::clone(&self.state))
    }

    /// Notes that everything written so far has left.
    fn flushed(&self) {
        if !self.state.reading.get() && self.state.standing.get() == Standing::Reading {
            self.state.page.take();
            self.change(Standing::Idle);
        }
    }
}

/// An answer that comes in pieces.
#[derive(Debug)]
pub(super) struct Reading(Rc<State>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.reading.set(false);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.taken.borrow_mut().remove(&self.number);
        self.seats.cells.closed(self.seats.door);
    }
}

/// The bytes of a connection, whose seat sees what becomes of them.
#[derive(Debug)]
pub(super) struct Seated<S> {
    pub(super) stream: S,
    pub(super) seat: Rc<Seat>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Seated<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Seated<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buf));
        self.seat.state.moved.set(Instant::now());
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, bufs));
        self.seat.state.moved.set(Instant::now());
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper flushes the socket when its own buffer is empty.
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.seat.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use tokio::runtime::Builder;
    use tokio::sync::Semaphore;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(future)
    }

    fn three() -> Rc<Seats> {
        Seats::new(3, AdminDoor::Port, &Arc::default())
    }

    fn has_ended(seat: &Seat) -> bool {
        seat.ended().now_or_never().is_some()
    }

    #[test]
    fn the_first_to_go_has_asked_nothing_then_who_waits_then_who_reads() {
        block_on(async {
            let seats = three();
            let [reading, idle, silent] = [(); 3].map(|()| seats.take());
            reading.asked(None);
            idle.asked(None);
            idle.flushed();
            let mut later = Vec::new();
            for first in [&silent, &idle, &reading] {
                assert!(!has_ended(first));
                later.push(seats.take());
                assert!(has_ended(first));
                later.last().expect("taken").asked(None);
            }
            assert!(later.iter().all(|seat| !has_ended(seat)));
            assert_eq!(seats.taken.borrow().len(), 3);
        });
    }

    #[test]
    fn each_state_has_its_time_from_when_it_last_got_on() {
        block_on(async {
            let seat = three().take();
            let moved = || seat.state.moved.get();
            assert_eq!(seat.due(), moved() + FIRST_REQUEST);
            seat.asked(None);
            assert_eq!(seat.due(), moved() + STALLED_ANSWER);
            let long_ago = Instant::now() - STALLED_ANSWER;
            seat.state.moved.set(long_ago);
            assert!(has_ended(&seat));
            seat.state.moved.set(long_ago + FIRST_REQUEST);
            assert!(!has_ended(&seat));
            seat.flushed();
            assert_eq!(seat.due(), moved() + NEXT_REQUEST);
        });
    }

    #[test]
    fn a_page_counts_until_it_is_read_or_its_reader_is_gone() {
        block_on(async {
            let pages = Arc::new(Semaphore::new(2));
            let seats = three();
            let (read, gone) = (seats.take(), seats.take());
            for seat in [&read, &gone] {
                seat.asked(Arc::clone(&pages).try_acquire_owned().ok());
            }
            assert_eq!(pages.available_permits(), 0);
            // Between two pieces its reader waits for us.
            let pieces = read.reads();
            read.flushed();
            assert_eq!(pages.available_permits(), 0);
            drop(pieces);
            read.flushed();
            drop(gone);
            assert_eq!(pages.available_permits(), 2);
        });
    }
}
