//! Which exchanges end when memory is short: those that move nothing, of the connections that hold most.
//!
//! Nothing is sorted while there is enough. In a shortage a worker looks at some of its watches at a time,
//! and ends a few of those that have not moved for a while; it looks again until there is room. So what a
//! look costs is bounded, and no more is ended than is needed.

use super::{Deadlines, Phase, Watch};
use crate::net::memory::{Account, Moved, Shortage, Stalled};
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;

/// Milliseconds without any movement after which an exchange may end for others, one tick included by
/// which its last movement may be dated back. A client that is there acknowledges within some 300 ms.
const STILL: u64 = 1_250;

/// The same limit while hardly any memory is left.
const STILL_IF_SCARCE: u64 = 500;

/// How many times as long a pod may take: it is not its client's fault, ordinary requests take seconds, and a
/// pod that reads slowly opens its window in large steps.
const POD_FACTOR: u64 = 4;

/// Watches that are looked at in one go: some 100 µs.
const WINDOW: usize = 4_096;

/// Exchanges that end in one go, at most: about half a millisecond.
const MOST: usize = 16;

/// What the end of a stream gives back at least, in bytes; that of another exchange gives back all that its
/// connection holds.
const STREAM: i64 = 24 * 1024;

/// Where the next look begins, and a place to sort in.
#[derive(Debug, Default)]
pub(super) struct Looks {
    next: Cell<usize>,
    found: RefCell<Vec<(Rank, Rc<Watch>)>>,
}

/// Who goes first: the least. That of a connection which moves goes last; of the others that of the one
/// which holds most, to a power of two; of equal ones the one that has stalled longest.
type Rank = (bool, u32, u64);

impl Deadlines {
    /// Tells some exchanges that stall to end, as `why` is short, until `missing` bytes are about to
    /// be free. Returns how many.
    pub fn end_stalled(&self, why: Shortage, is_scarce: bool, mut missing: i64) -> usize {
        let watches = self.watches.borrow();
        let found = &mut *self.looks.found.borrow_mut();
        let begin = if self.looks.next.get() < watches.len() { self.looks.next.get() } else { 0 };
        let window = watches.iter().skip(begin).take(WINDOW);
        let still = if is_scarce { STILL_IF_SCARCE } else { STILL };
        let now = self.now_exactly();
        found.extend(window.filter_map(Weak::upgrade).filter_map(|watch| {
            let rank = watch.rank(now, still)?;
            Some((rank, watch))
        }));
        self.looks.next.set(begin + WINDOW);
        if found.len() > MOST {
            found.select_nth_unstable_by_key(MOST, |(rank, _)| *rank);
        }
        found.truncate(MOST);
        found.sort_unstable_by_key(|(rank, _)| *rank);
        let mut ended = 0;
        for (_, watch) in found.drain(..) {
            if missing > 0 {
                missing -= watch.gives_back();
                watch.end_early(why);
                ended += 1;
            }
        }
        ended
    }
}

impl Watch {
    /// Sets the account that its memory is charged to. Without one it never ends early.
    pub fn set_account(&self, account: &Arc<Account>) {
        // The first one stays: a watch is of one connection.
        let _ = self.account.set(Arc::clone(account));
    }

    /// Whether its exchange has to end, because memory is short and it does not move.
    pub fn ends_early(&self) -> bool {
        self.ends_early.get().is_some()
    }

    /// Cancels that: it makes progress after all.
    pub fn spare(&self) {
        self.ends_early.set(None);
        self.judged.set(false);
    }

    /// Where the parts of its pieces that leave are noted.
    pub fn moved(&self) -> &Arc<Moved> {
        &self.moved
    }

    /// Whether its exchange may end only if its client acknowledges nothing: the kernel has bytes for it.
    pub fn asks_kernel(&self) -> bool {
        let is_blocked = self.account.get().is_some_and(|account| account.blocked().is_some());
        self.phase() == Phase::Response && is_blocked && !self.judged.get()
    }

    /// Records that its client acknowledges nothing.
    pub fn judge(&self) {
        self.judged.set(true);
        self.wake();
    }

    /// Counts the early end.
    pub fn count_ended_early(&self) {
        if let (Some(account), Some(what), Some(why)) =
            (self.account.get(), self.stalled(), self.ends_early.get())
        {
            account.count_ended(what, why);
        }
    }

    /// The kind of what has stalled, if it holds memory of its own. An idle connection makes room in
    /// another way, and a tunnel may be silent.
    fn stalled(&self) -> Option<Stalled> {
        match self.phase() {
            Phase::Head => Some(Stalled::Head),
            Phase::Exchange => Some(Stalled::Exchange),
            Phase::Response => Some(Stalled::Answer),
            Phase::Handshake | Phase::Idle | Phase::Tunnel => None,
        }
    }

    /// Its place, if nothing of it has moved for `still` milliseconds before `now`, or for longer where it
    /// waits for a pod.
    fn rank(&self, now: u64, still: u64) -> Option<Rank> {
        let account = self.account.get()?;
        let what = self.stalled()?;
        let still = if what == Stalled::Exchange { POD_FACTOR * still } else { still };
        let is_still = |since: u64| since <= now.saturating_sub(still);
        // A piece may leave in several steps.
        let since = self.since.get().max(self.moved.at());
        if self.ends_early() || !is_still(since) {
            return None;
        }
        let moves = !is_still(account.moved());
        // The awaited bytes of a stream may be in the kernel's buffer, behind others.
        let drains = || account.blocked().is_some_and(|since| !is_still(since));
        if !self.is_whole() && what == Stalled::Answer && drains() {
            return None;
        }
        if moves && self.is_whole() {
            return None;
        }
        let held = u64::try_from(account.held()).unwrap_or(0);
        Some((moves, held.leading_zeros(), since))
    }

    /// Bytes that its end frees, approximately.
    fn gives_back(&self) -> i64 {
        let held = self.account.get().map_or(0, |account| account.held());
        if self.is_whole() { held } else { held.min(STREAM) }
    }

    fn end_early(&self, why: Shortage) {
        self.ends_early.set(Some(why));
        self.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::memory::MemoryCells;
    use crate::net::memory::{Budget, HolderKind, Ledger};
    use std::time::Duration;

    /// The clock begins at 0, which is before any time that is looked for.
    const START: u64 = 10_000;

    const LIMIT: Duration = Duration::from_secs(60);

    struct Worker {
        clock: Rc<Deadlines>,
        ledger: Arc<Ledger>,
        cells: Arc<MemoryCells>,
    }

    impl Worker {
        fn new() -> Self {
            let cells = Arc::new(MemoryCells::default());
            let ledger = Ledger::new(Budget::new(1 << 30), Arc::clone(&cells));
            let worker = Self { clock: Deadlines::new(), ledger, cells };
            worker.at(0);
            worker
        }

        /// An account that holds so many KiB.
        fn account(&self, kib: usize) -> Arc<Account> {
            let account = Account::open(&self.ledger);
            account.charge(HolderKind::Connections, kib * 1024);
            account
        }

        fn stream(&self, account: &Arc<Account>, phase: Phase) -> Rc<Watch> {
            let watch = self.clock.watch(LIMIT);
            watch.set_account(account);
            watch.enter(phase, LIMIT);
            watch
        }

        fn at(&self, now: u64) {
            self.clock.set_now(now + START);
            self.ledger.set_now(now + START);
        }

        fn look(&self) -> usize {
            self.clock.end_stalled(Shortage::Process, false, i64::MAX)
        }
    }

    #[test]
    fn what_moves_or_holds_nothing_of_its_own_stays() {
        let worker = Worker::new();
        let account = worker.account(64);
        let connection = worker.clock.connection(LIMIT);
        connection.set_account(&account);
        connection.enter(Phase::Response, LIMIT);
        let unknown = worker.clock.watch(LIMIT);
        unknown.enter(Phase::Exchange, LIMIT);
        let others = [Phase::Idle, Phase::Handshake, Phase::Tunnel];
        let others = others.map(|phase| worker.stream(&account, phase));
        worker.at(STILL - 1);
        assert_eq!(worker.look(), 0);
        // A part of a piece has left.
        account.move_on();
        worker.at(2 * STILL - 2);
        assert_eq!(worker.look(), 0);
        worker.at(2 * STILL);
        assert_eq!(worker.look(), 1);
        assert!(connection.ends_early() && !unknown.ends_early());
        assert!(others.iter().all(|watch| !watch.ends_early()));
        assert_eq!(worker.look(), 0, "once");
        connection.enter(Phase::Response, LIMIT);
        assert!(!connection.ends_early(), "it has moved before it was told");
        worker.at(4 * STILL);
        assert_eq!(worker.look(), 1);
        connection.count_ended_early();
        let ended = &worker.cells.ended[Stalled::Answer as usize];
        assert_eq!(ended[Shortage::Process as usize].total(), 1);
    }

    #[test]
    fn whoever_holds_most_goes_first_then_the_longest_still_and_last_who_moves_elsewhere() {
        let worker = Worker::new();
        let (large, small) = (worker.account(4096), worker.account(64));
        let (moving, old) = (worker.account(65536), worker.account(64));
        let of_old = worker.stream(&old, Phase::Response);
        worker.at(1);
        let crowd: Vec<_> = (0..MOST).map(|_| worker.stream(&large, Phase::Response)).collect();
        let rest: Vec<_> = (1..MOST).map(|_| worker.stream(&small, Phase::Response)).collect();
        let last = worker.stream(&moving, Phase::Response);
        worker.at(1 + STILL);
        moving.move_on();
        let all = |watches: &[Rc<Watch>]| watches.iter().all(|watch| watch.ends_early());
        assert_eq!(worker.look(), MOST);
        assert!(all(&crowd) && !of_old.ends_early());
        assert_eq!(worker.look(), MOST);
        assert!(all(&rest) && of_old.ends_early() && !last.ends_early());
        assert_eq!((worker.look(), worker.look()), (1, 0));
        assert!(last.ends_early());
    }

    #[test]
    fn no_more_ends_than_is_missing() {
        let worker = Worker::new();
        let (large, small) = (worker.account(1024), worker.account(64));
        let _old = worker.stream(&small, Phase::Response);
        worker.at(1);
        let begun: Vec<_> = (0..2)
            .map(|_| {
                let watch = worker.clock.connection(LIMIT);
                watch.set_account(&large);
                watch.enter(Phase::Response, LIMIT);
                watch
            })
            .collect();
        worker.at(1 + STILL);
        let look = |kib: i64| worker.clock.end_stalled(Shortage::Process, false, kib * 1024);
        assert_eq!(look(0), 0);
        assert_eq!(look(1000), 1);
        assert_eq!(begun.iter().filter(|watch| watch.ends_early()).count(), 1);
        assert_eq!(look(1025), 2);
    }

    #[test]
    fn what_waits_behind_the_kernel_stays_while_its_client_acknowledges() {
        let worker = Worker::new();
        let account = worker.account(64);
        let stream = worker.stream(&account, Phase::Response);
        account.set_blocked(true);
        worker.at(STILL);
        account.drain();
        worker.at(2 * STILL - 1);
        assert_eq!(worker.look(), 0, "something was acknowledged");
        worker.at(2 * STILL);
        assert_eq!(worker.look(), 1);
        assert!(stream.ends_early() && stream.asks_kernel());
        stream.judge();
        assert!(stream.ends_early() && !stream.asks_kernel());
        // The next time the kernel is asked again.
        stream.spare();
        assert!(!stream.ends_early() && stream.asks_kernel());
        account.set_blocked(false);
        assert!(!stream.asks_kernel());
        stream.moved().note(&account);
        worker.at(3 * STILL - 1);
        assert_eq!(worker.look(), 0, "a part of a piece has left");
    }

    #[test]
    fn a_look_goes_on_where_the_last_one_ended_and_comes_round() {
        let worker = Worker::new();
        let account = worker.account(64);
        let idle: Vec<_> = (0..WINDOW).map(|_| worker.stream(&account, Phase::Idle)).collect();
        let behind = worker.stream(&account, Phase::Response);
        worker.at(STILL);
        assert_eq!((worker.look(), worker.look()), (0, 1));
        assert!(behind.ends_early());
        idle[0].enter(Phase::Response, LIMIT);
        worker.at(2 * STILL);
        assert_eq!(worker.look(), 1);
    }

    #[test]
    fn a_pod_may_take_longer_than_a_client() {
        let worker = Worker::new();
        let account = worker.account(64);
        let waits = worker.stream(&account, Phase::Exchange);
        worker.at(POD_FACTOR * STILL - 1);
        assert_eq!(worker.look(), 0);
        worker.at(POD_FACTOR * STILL);
        assert_eq!(worker.look(), 1);
        assert!(waits.ends_early());
    }
}
