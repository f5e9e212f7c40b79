//! Which client connections may be closed to make room for a new one, the longest idle first.
//!
//! A worker keeps two lists: connections that have not had a request yet, and those that are between
//! two requests. Both are in the order in which connections came into them, so that to join, to leave
//! and to find the longest idle one take a few steps each. A connection in use is in neither. The
//! accepting thread sees of each worker since when the first of each list is in it, without a lock.

use super::Watch;
use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

/// The published value of an empty list.
const NOBODY: u64 = u64::MAX;

/// Milliseconds that a new connection has for its first request before it closes for another one: two or
/// three ways around the Earth, for a handshake and a request. Were it less, connections that come
/// fast would close each other before any is served.
const GRACE: u64 = 1_000;

/// No connection's seat: the watch is not of a connection, but of one of its streams.
pub(super) const NO_SEAT: u32 = u32::MAX;

/// The lists, in the order in which connections are closed. The numbers are those of their first nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum List {
    /// Without a request so far.
    Silent = 0,
    /// Between two requests.
    Idle = 1,
}

/// Shared state of the accepting thread and one worker about room for connections.
#[derive(Clone, Debug)]
pub struct Room {
    /// When the clocks of all workers began.
    origin: Instant,
    /// Since when the first of each list is in it, in milliseconds of the clock.
    shown: Arc<[AtomicU64; 2]>,
    /// Connections that the worker was told to close and has not looked for yet.
    asked: Arc<AtomicUsize>,
    /// How many connections wait while no worker has a candidate; all workers have the same one.
    starving: Arc<AtomicUsize>,
}

/// The connection that a worker would close first. The smallest one is the first of all workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    list: List,
    since: u64,
}

impl Candidate {
    /// Out of those that are the first of their lists, or [`NOBODY`].
    fn of([silent, idle]: [u64; 2], now: u64) -> Option<Self> {
        let may_close = |candidate: &Self| match candidate.list {
            List::Silent => now.saturating_sub(candidate.since) >= GRACE,
            List::Idle => true,
        };
        let first = |list, since| (since != NOBODY).then_some(Self { list, since });
        first(List::Silent, silent).filter(may_close).or_else(|| first(List::Idle, idle))
    }
}

impl Room {
    /// Rooms for so many workers.
    pub fn for_workers(workers: usize) -> Vec<Self> {
        let starving = Arc::new(AtomicUsize::new(0));
        let origin = Instant::now();
        let room = || Self {
            origin,
            shown: Arc::new([NOBODY; 2].map(AtomicU64::new)),
            asked: Arc::default(),
            starving: Arc::clone(&starving),
        };
        (0..workers).map(|_| room()).collect()
    }

    /// The worker's first candidate, as of a moment ago.
    pub fn candidate(&self) -> Option<Candidate> {
        let shown = [List::Silent, List::Idle]
            .map(|list| self.shown[list as usize].load(Ordering::Relaxed));
        Candidate::of(shown, self.now())
    }

    /// Milliseconds of the clock of all workers.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Requests the worker to close one connection, unless `most` requests are pending: a slow worker would
    /// otherwise close all of them for one that waits.
    pub fn ask(&self, most: usize) -> bool {
        let asks = self.asked.load(Ordering::Relaxed) < most;
        if asks {
            self.asked.fetch_add(1, Ordering::Relaxed);
        }
        asks
    }

    fn answered(&self) {
        self.asked.fetch_sub(1, Ordering::Relaxed);
    }

    /// Makes every connection that ends a request close, while the returned value lives.
    pub fn starve(&self) -> Starving {
        self.starving.fetch_add(1, Ordering::Relaxed);
        Starving(Arc::clone(&self.starving))
    }

    fn is_starving(&self) -> bool {
        self.starving.load(Ordering::Relaxed) > 0
    }
}

/// A connection waits, and no connection can be closed for it.
#[derive(Debug)]
pub struct Starving(Arc<AtomicUsize>);

impl Drop for Starving {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The lists of one worker.
#[derive(Debug)]
pub(super) struct Seats {
    room: Room,
    nodes: RefCell<Nodes>,
}

#[derive(Debug)]
struct Nodes {
    /// The heads of the two lists, then one node a connection. Nodes refer to each other by position.
    all: Vec<Node>,
    /// Positions of nodes without a connection.
    free: Vec<u32>,
}

/// In a list, between its neighbours; outside of one, beside itself.
#[derive(Debug)]
struct Node {
    before: u32,
    behind: u32,
    /// Milliseconds of the worker's clock.
    since: u64,
    watch: Weak<Watch>,
}

impl Node {
    fn alone(position: u32) -> Self {
        Self { before: position, behind: position, since: 0, watch: Weak::new() }
    }
}

impl Seats {
    pub(super) fn new(room: Room) -> Self {
        let heads = [List::Silent, List::Idle].map(|list| Node::alone(list as u32));
        Self { room, nodes: RefCell::new(Nodes { all: heads.into(), free: Vec::new() }) }
    }

    pub(super) fn is_starving(&self) -> bool {
        self.room.is_starving()
    }

    pub(super) fn now(&self) -> u64 {
        self.room.now()
    }

    /// Notes that the worker has done what it was told.
    pub(super) fn answered(&self) {
        self.room.answered();
    }

    /// A seat for a new connection, in no list.
    pub(super) fn add(&self) -> u32 {
        let nodes = &mut *self.nodes.borrow_mut();
        nodes.free.pop().unwrap_or_else(|| {
            let position = u32::try_from(nodes.all.len()).unwrap_or(NO_SEAT);
            nodes.all.push(Node::alone(position));
            position
        })
    }

    /// Records the owner of the seat.
    pub(super) fn take(&self, seat: u32, watch: &Rc<Watch>) {
        self.nodes.borrow_mut().all[seat as usize].watch = Rc::downgrade(watch);
    }

    /// Gives a seat up.
    pub(super) fn remove(&self, seat: u32) {
        self.leave(seat);
        let nodes = &mut *self.nodes.borrow_mut();
        nodes.all[seat as usize].watch = Weak::new();
        nodes.free.push(seat);
    }

    /// Puts a connection, which is in no list, behind all others of one.
    pub(super) fn join(&self, list: List, seat: u32, now: u64) {
        let nodes = &mut *self.nodes.borrow_mut();
        let head = list as u32;
        let last = std::mem::replace(&mut nodes.all[head as usize].before, seat);
        nodes.all[last as usize].behind = seat;
        let node = &mut nodes.all[seat as usize];
        (node.before, node.behind, node.since) = (last, head, now);
        if last == head {
            self.room.shown[head as usize].store(now, Ordering::Relaxed);
        }
    }

    /// Takes a connection out of the list in which it is, if it is in one.
    pub(super) fn leave(&self, seat: u32) {
        let nodes = &mut *self.nodes.borrow_mut();
        let node = &mut nodes.all[seat as usize];
        let (before, behind) = (node.before, node.behind);
        (node.before, node.behind) = (seat, seat);
        nodes.all[before as usize].behind = behind;
        nodes.all[behind as usize].before = before;
        if before <= List::Idle as u32 {
            let first = nodes.first(before).map_or(NOBODY, |(since, _)| since);
            self.room.shown[before as usize].store(first, Ordering::Relaxed);
        }
    }

    /// Takes the first candidate out of its list.
    pub(super) fn first(&self, now: u64) -> Option<Rc<Watch>> {
        let seat = {
            let nodes = self.nodes.borrow();
            let since = |list| nodes.first(list as u32).map_or(NOBODY, |(since, _)| since);
            let candidate = Candidate::of([List::Silent, List::Idle].map(since), now)?;
            nodes.first(candidate.list as u32)?.1
        };
        self.leave(seat);
        let watch = self.nodes.borrow().all[seat as usize].watch.clone();
        watch.upgrade()
    }
}

impl Nodes {
    /// The first of a list, and since when it is.
    fn first(&self, head: u32) -> Option<(u64, u32)> {
        let first = self.all[head as usize].behind;
        (first != head).then(|| (self.all[first as usize].since, first))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Deadlines, Phase};
    use super::*;
    use std::time::Duration;

    const LIMIT: Duration = Duration::from_secs(60);

    /// Workers whose clocks have been going for a minute.
    fn mk_workers<const N: usize>() -> [(Room, Rc<Deadlines>); N] {
        let minute_ago = Instant::now().checked_sub(LIMIT).expect("the machine is up for longer");
        let mut rooms = Room::for_workers(N).into_iter();
        std::array::from_fn(|_| {
            let room = Room { origin: minute_ago, ..rooms.next().expect("one for each") };
            (room.clone(), Deadlines::with_room(room))
        })
    }

    fn mk_worker() -> (Room, Rc<Deadlines>) {
        let [worker] = mk_workers();
        worker
    }

    fn served(watch: &Watch) {
        watch.enter(Phase::Head, LIMIT);
        watch.enter(Phase::Exchange, LIMIT);
        watch.enter(Phase::Response, LIMIT);
        watch.enter(Phase::Idle, LIMIT);
    }

    #[test]
    fn who_has_not_asked_goes_before_who_is_idle_and_each_in_the_order_of_their_silence() {
        let (room, clock) = mk_worker();
        assert_eq!(room.candidate(), None);
        let all: Vec<_> = (0..5).map(|_| clock.connection(LIMIT)).collect();
        served(&all[3]);
        served(&all[0]);
        // Begins a request, and is in use.
        served(&all[2]);
        all[2].enter(Phase::Head, LIMIT);
        clock.set_now(GRACE);
        for (expected, left) in [(1, 3), (4, 2), (3, 1), (0, 0)] {
            assert!(room.candidate().is_some());
            assert!(room.ask(1) && !room.ask(1) && clock.make_room());
            let evicted: Vec<_> = all.iter().map(|watch| watch.is_evicted()).collect();
            assert!(evicted[expected], "{expected}: {evicted:?}");
            assert_eq!(evicted.iter().filter(|evicted| !**evicted).count(), left + 1);
        }
        assert_eq!(room.candidate(), None);
        assert!(room.ask(1) && !clock.make_room());
    }

    #[test]
    fn a_first_request_that_does_not_arrive_is_silence_and_one_that_does_is_use() {
        let (room, clock) = mk_worker();
        let watch = clock.connection(LIMIT);
        clock.set_now(GRACE);
        watch.enter(Phase::Handshake, LIMIT);
        watch.enter(Phase::Idle, LIMIT);
        watch.enter(Phase::Head, LIMIT);
        assert!(room.candidate().is_some());
        watch.enter(Phase::Exchange, LIMIT);
        assert_eq!(room.candidate(), None);
        watch.enter(Phase::Idle, LIMIT);
        assert!(room.ask(1) && clock.make_room() && watch.is_evicted());
        // It has begun another one before it was told.
        watch.enter(Phase::Head, LIMIT);
        assert!(!watch.is_evicted());
    }

    #[test]
    fn who_ends_a_request_while_others_starve_makes_room_and_so_does_who_is_gone() {
        let (room, clock) = mk_worker();
        let watch = clock.connection(LIMIT);
        watch.enter(Phase::Exchange, LIMIT);
        let starving = room.starve();
        assert!(clock.is_starving());
        watch.enter(Phase::Idle, LIMIT);
        assert!(watch.is_evicted());
        drop(starving);
        assert!(!clock.is_starving());
        let (first, second) = (clock.connection(LIMIT), clock.connection(LIMIT));
        drop(first);
        clock.set_now(GRACE);
        assert!(room.ask(1) && clock.make_room() && second.is_evicted());
        assert_eq!(room.candidate(), None);
        let again = clock.connection(LIMIT);
        clock.set_now(2 * GRACE);
        assert!(
            room.ask(1) && clock.make_room() && again.is_evicted(),
            "the seat of the first one"
        );
    }

    #[test]
    fn a_new_connection_has_time_for_its_request_and_who_is_idle_goes_meanwhile() {
        let [(room, clock), (other, _)] = mk_workers();
        let (new, idle) = (clock.connection(LIMIT), clock.connection(LIMIT));
        clock.set_now(GRACE - 1);
        assert!(room.ask(1) && !clock.make_room());
        served(&idle);
        assert!(room.ask(1) && clock.make_room());
        assert!(idle.is_evicted() && !new.is_evicted());
        clock.set_now(GRACE);
        assert!(room.ask(1) && clock.make_room() && new.is_evicted());
        // The same for the accepting thread, which sees the moments alone.
        let now = 10 * GRACE;
        let candidate = |silent, idle| Candidate::of([silent, idle], now).map(|first| first.list);
        assert_eq!(candidate(now - GRACE + 1, 5), Some(List::Idle));
        assert_eq!(candidate(now - GRACE + 1, NOBODY), None);
        assert_eq!(candidate(now - GRACE, 5), Some(List::Silent));
        assert_eq!(other.candidate(), None);
    }

    #[test]
    fn among_workers_the_longest_idle_connection_is_told_apart() {
        let [(left, left_clock), (right, right_clock)] = mk_workers();
        left_clock.set_now(5_000);
        let late = left_clock.connection(LIMIT);
        let early = right_clock.connection(LIMIT);
        assert!(right.candidate() < left.candidate());
        served(&early);
        assert!(left.candidate() < right.candidate(), "it has not asked");
        drop((late, early));
    }
}
