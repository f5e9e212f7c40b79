//! The memory budget of connections and requests: counted, and bounded for the process.
//!
//! It counts memory that is held, not bytes that were received: a piece of 16 bytes keeps its whole read
//! buffer, and a header that HPACK sends in one byte is stored in full. The charges are estimates on the
//! safe side; `pressure` measures what they miss.
//!
//! There is one limit, for the process. A connection may hold an eighth of the free budget: as it
//! shrinks, the largest holders are refused first, and a single request of an honest client passes until
//! the end. A quarter is reserved for connections with one request only. Before anything is refused,
//! workers end stalled requests ([`Budget::shortage`]).

mod cells;
mod head_charge;
mod inflow;
mod pressure;
mod shortage;

pub use cells::MemoryCells;
pub use head_charge::HeadCharge;
pub use inflow::Inflow;
pub use pressure::Pressure;
pub use shortage::{Shortage, Stalled};

use crate::error::labels;
use crate::net::counters::LocalGauge;
use shortage::Alarm;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use tokio::sync::Notify;

/// A connection may hold the free memory divided by this.
const SHARE: i64 = 8;

/// The part of the limit that is kept for connections which hold little: this, divided by it.
const RESERVE: i64 = 4;

/// The most that a small connection holds, in bytes: one usual request, also over HTTP/2.
const LITTLE: i64 = 96 * 1024;

/// A worker tells the others once it holds so many bytes more or less than they know.
const DRIFT: i64 = 64 * 1024;

labels! { fn label;
    /// The purpose of held memory: label `kind`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum HolderKind {
        /// Connections of clients, whatever they do.
        Connections = "connections",
        /// Requests in flight, with their heads.
        Requests = "requests",
        /// Pieces of bodies that the other side has not taken.
        Bodies = "bodies",
        /// Bodies kept for sending a request again.
        Replays = "replays",
        /// Compressors of responses.
        Compressors = "compressors",
        /// Copies of requests on their way to mirrors.
        Mirrors = "mirrors",
    }
}

/// The bound of the process, and what is held of it.
#[derive(Debug)]
pub struct Budget {
    limit: i64,
    held: AtomicI64,
    pressed: AtomicBool,
    alarm: Alarm,
    /// Workers with something to do, and who is told of the first of them.
    busy: AtomicUsize,
    stirred: Notify,
}

impl Budget {
    /// A bound in bytes, of which nothing is held.
    pub fn new(limit: usize) -> Arc<Self> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let (held, pressed) = (AtomicI64::new(0), AtomicBool::new(false));
        let (busy, stirred) = (AtomicUsize::new(0), Notify::new());
        Arc::new(Self { limit, held, pressed, alarm: Alarm::default(), busy, stirred })
    }

    /// The bound, in bytes.
    pub fn limit(&self) -> i64 {
        self.limit
    }

    /// Notes that a worker begins to have something to do, or has nothing to do any more.
    pub fn work(&self, begins: bool) {
        if begins {
            self.busy.fetch_add(1, Ordering::Relaxed);
            self.stirred.notify_one();
        } else {
            self.busy.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Whether no worker has anything to do, so that nothing grows.
    pub fn is_at_rest(&self) -> bool {
        self.busy.load(Ordering::Relaxed) == 0
    }

    /// Waits until a worker begins to have something to do. For one who waits.
    pub async fn stirred(&self) {
        self.stirred.notified().await;
    }

    /// Whether the memory of the cgroup is nearly used up.
    pub fn is_pressed(&self) -> bool {
        self.pressed.load(Ordering::Relaxed)
    }

    /// Sets whether the memory of the cgroup is nearly used up.
    pub fn press(&self, pressed: bool) {
        self.pressed.store(pressed, Ordering::Relaxed);
    }
}

/// A worker's share of a budget. Only the worker's thread may change it; hyper wants it to be `Sync`.
#[derive(Debug)]
pub struct Ledger {
    budget: Arc<Budget>,
    cells: Arc<MemoryCells>,
    /// Bytes that are not in the shared sum yet.
    drift: LocalGauge,
    /// Milliseconds of the worker's clock.
    now: AtomicU64,
}

impl Ledger {
    /// A worker's, which holds nothing.
    pub fn new(budget: Arc<Budget>, cells: Arc<MemoryCells>) -> Arc<Self> {
        Arc::new(Self { budget, cells, drift: LocalGauge::default(), now: AtomicU64::new(0) })
    }

    /// The budget.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Whether a new connection may begin.
    ///
    /// # Errors
    /// The shortage; it has been counted.
    pub fn may_begin(&self, bytes: usize) -> Result<(), Shortage> {
        self.check(0, bytes).inspect_err(|shortage| self.count(*shortage))
    }

    /// Sets the current time, as of the last tick.
    pub fn set_now(&self, now: u64) {
        self.now.store(now, Ordering::Relaxed);
    }

    fn count(&self, shortage: Shortage) {
        self.memory().refused[shortage as usize].add(1);
        if shortage != Shortage::Connection {
            self.budget.raise_alarm();
        }
    }

    fn check(&self, held: i64, bytes: usize) -> Result<(), Shortage> {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let is_little = held.saturating_add(bytes) <= LITTLE;
        self.check_beside(if is_little { 0 } else { self.budget.limit / RESERVE }, held, bytes)
    }

    /// The same, with so much of the limit kept for others.
    fn check_beside(&self, reserve: i64, held: i64, bytes: i64) -> Result<(), Shortage> {
        let wanted = held.saturating_add(bytes);
        let used = self.budget.held.load(Ordering::Relaxed) + self.drift.now();
        let share = (self.budget.limit - used - reserve) / SHARE;
        if self.budget.is_pressed() {
            Err(Shortage::Cgroup)
        } else if wanted <= share {
            Ok(())
        } else if bytes > share {
            Err(Shortage::Process)
        } else {
            Err(Shortage::Connection)
        }
    }

    fn shift(&self, kind: HolderKind, bytes: i64) {
        self.memory().held[kind as usize].shift(bytes);
        self.drift.shift(bytes);
        let drift = self.drift.now();
        if drift.abs() >= DRIFT {
            self.drift.shift(-drift);
            let before = self.budget.held.fetch_add(drift, Ordering::Relaxed);
            if self.budget.is_high(before + drift) {
                self.budget.raise_alarm();
            }
        }
    }

    fn memory(&self) -> &MemoryCells {
        &self.cells
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.budget.held.fetch_add(self.drift.now(), Ordering::Relaxed);
    }
}

/// The memory account of one connection and its requests.
#[derive(Debug)]
pub struct Account {
    ledger: Arc<Ledger>,
    held: LocalGauge,
    /// When bytes have left for the last time.
    moved: Moved,
    /// Whether the kernel takes nothing more for the client.
    blocked: AtomicBool,
    /// When the client was last seen to acknowledge something of what the kernel has.
    drained: Moved,
}

/// When something of a connection, or of one of its streams, has moved for the last time.
#[derive(Debug, Default)]
pub struct Moved(AtomicU64);

impl Moved {
    /// Notes that it moves now.
    pub fn note(&self, account: &Account) {
        self.0.store(account.ledger.now.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// When that was, in milliseconds of the worker's clock.
    pub fn at(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Account {
    /// The account of a new connection.
    pub fn open(ledger: &Arc<Ledger>) -> Arc<Self> {
        let (ledger, held, moved) = (Arc::clone(ledger), LocalGauge::default(), Moved::default());
        let (blocked, drained) = (AtomicBool::new(false), Moved::default());
        let account = Self { ledger, held, moved, blocked, drained };
        account.move_on();
        Arc::new(account)
    }

    /// Whether so many bytes more are within the connection's share.
    ///
    /// # Errors
    /// The shortage; it has been counted.
    pub fn may_hold(&self, bytes: usize) -> Result<(), Shortage> {
        let checked = self.ledger.check(self.held.now(), bytes);
        checked.inspect_err(|shortage| self.ledger.count(*shortage))
    }

    /// The same for a part of an unfinished request head: that is no request yet, for
    /// which the reserve is.
    ///
    /// # Errors
    /// The shortage; it has been counted.
    pub fn may_hold_part(&self, bytes: usize) -> Result<(), Shortage> {
        let (reserve, bytes) = (self.ledger.budget.limit / RESERVE, i64::try_from(bytes));
        let bytes = bytes.unwrap_or(i64::MAX);
        let checked = self.ledger.check_beside(reserve, self.held.now(), bytes);
        checked.inspect_err(|shortage| self.ledger.count(*shortage))
    }

    /// The same, for what is done without where there is no room.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.ledger.check(self.held.now(), bytes).is_ok()
    }

    /// Charges more bytes, even if there is no room.
    pub fn charge(&self, kind: HolderKind, bytes: usize) {
        self.shift(kind, i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Releases charged bytes.
    pub fn release(&self, kind: HolderKind, bytes: usize) {
        self.shift(kind, -i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Bytes that it holds.
    pub fn held(&self) -> i64 {
        self.held.now()
    }

    /// Records progress: bytes were sent or received.
    pub fn move_on(&self) {
        self.moved.note(self);
    }

    /// When that was for the last time, in milliseconds of the worker's clock.
    pub fn moved(&self) -> u64 {
        self.moved.at()
    }

    /// Records whether the kernel takes nothing more for the client.
    pub fn set_blocked(&self, blocked: bool) {
        self.blocked.store(blocked, Ordering::Relaxed);
    }

    /// Notes that the client has acknowledged something of what the kernel has.
    pub fn drain(&self) {
        self.drained.note(self);
    }

    /// Since when the client has not, if the kernel takes nothing more for it.
    pub fn blocked(&self) -> Option<u64> {
        self.blocked.load(Ordering::Relaxed).then(|| self.drained.at())
    }

    /// Counts an exchange on it that was ended early.
    pub fn count_ended(&self, what: Stalled, why: Shortage) {
        self.ledger.memory().ended[what as usize][why as usize].add(1);
    }

    fn shift(&self, kind: HolderKind, bytes: i64) {
        self.held.shift(bytes);
        self.ledger.shift(kind, bytes);
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        // Exchanges on it have released their own.
        self.release(HolderKind::Connections, usize::try_from(self.held.now()).unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    fn mk_ledger(limit: usize) -> Arc<Ledger> {
        Ledger::new(Budget::new(limit), Arc::default())
    }

    #[test]
    fn whoever_holds_much_is_refused_while_others_still_pass() {
        let ledger = mk_ledger(64 * MIB);
        let (greedy, honest) = (Account::open(&ledger), Account::open(&ledger));
        let mut taken = 0;
        while greedy.may_hold(MIB).is_ok() {
            greedy.charge(HolderKind::Requests, MIB);
            taken += 1;
        }
        assert_eq!(taken, 5, "an eighth of what is then free for more than a little");
        assert_eq!(greedy.may_hold(MIB), Err(Shortage::Connection));
        assert_eq!(honest.may_hold(MIB), Ok(()));
        // However many of them there are, something is left for one small request.
        let crowd: Vec<_> = (0..1000).map(|_| Account::open(&ledger)).collect();
        for one in &crowd {
            while one.may_hold(MIB / 8).is_ok() {
                one.charge(HolderKind::Bodies, MIB / 8);
            }
            if one.may_hold(MIB / 32).is_ok() {
                one.charge(HolderKind::Bodies, MIB / 32);
            }
        }
        assert_eq!(honest.may_hold(16 * 1024), Ok(()));
        assert_eq!(honest.may_hold(MIB), Err(Shortage::Process));
        assert_eq!(honest.may_hold_part(16 * 1024), Err(Shortage::Process));
        let refused = &ledger.cells.refused;
        assert!(refused[Shortage::Connection as usize].total() > 0);
        assert!(refused[Shortage::Process as usize].total() > 0);
    }

    #[test]
    fn what_is_released_is_free_again_for_every_worker() {
        let budget = Budget::new(16 * MIB);
        let worker = || Ledger::new(Arc::clone(&budget), Arc::default());
        let (first, second) = (worker(), worker());
        let held = Account::open(&first);
        held.charge(HolderKind::Requests, 14 * MIB);
        let other = Account::open(&second);
        assert_eq!(other.may_hold(MIB), Err(Shortage::Process));
        held.release(HolderKind::Requests, 14 * MIB);
        assert_eq!(other.may_hold(MIB), Ok(()));
        assert_eq!(first.cells.held[HolderKind::Requests as usize].now(), 0);
        drop((held, other, first, second));
        assert_eq!(budget.held.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn nothing_new_begins_while_the_cgroup_is_nearly_full() {
        let ledger = mk_ledger(64 * MIB);
        ledger.budget().press(true);
        assert_eq!(ledger.may_begin(1), Err(Shortage::Cgroup));
        ledger.budget().press(false);
        assert_eq!(ledger.may_begin(1), Ok(()));
    }
}
