//! Request body bytes that an HTTP/2 connection has received and that were not read yet.
//!
//! The windows of HTTP/2 are wide, so that an upload over a long distance is as fast as with HTTP/1.1.
//! Bytes that a pod does not take wait inside h2, which does not report how many they are. They are counted
//! here from both ends: DATA frames as they arrive, and pieces as they are read from the bodies.
//! Bytes that h2 drops with a stream that we have reset are recognised by the reset. Whatever escapes all
//! that, such as padding and streams that both sides reset at once, is corrected by h2's own WINDOW_UPDATE
//! frames: each one for the connection announces all bytes that h2 has given back since the last (RFC 9113
//! section 6.9). The count is never too low.
//!
//! A connection that holds its share of memory is not read any further: TCP then slows its client down.

use super::{Account, HolderKind};
use futures_util::task::AtomicWaker;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Bytes that each connection may hold, however little memory is free: the windows of two uploads in the
/// specification's own size.
const LEAST: i64 = 128 * 1024;

/// Streams that are remembered: those that send, and those that we have reset, to which a client goes on
/// sending for a round trip. It may have 200 open at a time.
const REMEMBERED: usize = 256;

/// The window that each connection begins with (RFC 9113 section 6.9.2).
const FIRST_WINDOW: u32 = 65_535;

/// Unread request body bytes of one connection.
#[derive(Debug)]
pub struct Inflow {
    account: Arc<Account>,
    /// An upper bound of what h2 holds, in bytes: charged to the account.
    held: Cell<i64>,
    /// All bytes of DATA frames since the beginning.
    received: Cell<i64>,
    /// All bytes that h2 has announced as free again. Negative until it has widened the first window.
    released: Cell<i64>,
    streams: RefCell<Streams>,
    /// Requests with a body, as their heads came.
    announced: Cell<u64>,
    /// Bodies that there have been, and that there are.
    opened: Cell<u64>,
    alive: Cell<u64>,
    reader: AtomicWaker,
}

#[derive(Debug, Default)]
struct Streams {
    /// The bytes that each stream has sent so far.
    sending: HashMap<u32, i64, foldhash::fast::RandomState>,
    /// Bytes read of dropped bodies whose streams are still to be reset. They do not
    /// matter which is which: once all are reset, the sum is right.
    dropped: Vec<i64>,
    reset: VecDeque<u32>,
}

impl Streams {
    /// Ignores what still arrives for a stream.
    fn forget(&mut self, stream: u32) {
        if self.reset.len() == REMEMBERED {
            self.reset.pop_front();
        }
        self.reset.push_back(stream);
    }
}

impl Inflow {
    /// For a connection whose window h2 will widen to `window` bytes first.
    pub fn new(account: Arc<Account>, window: u32) -> Rc<Self> {
        let widened = i64::from(window.saturating_sub(FIRST_WINDOW));
        Rc::new(Self {
            account,
            held: Cell::new(0),
            received: Cell::new(0),
            released: Cell::new(-widened),
            streams: RefCell::default(),
            announced: Cell::new(0),
            opened: Cell::new(0),
            alive: Cell::new(0),
            reader: AtomicWaker::new(),
        })
    }

    /// Counts the head of a request whose body is to follow.
    pub fn announced(&self) {
        self.announced.set(self.announced.get() + 1);
    }

    /// Counts a body that is going to be read.
    pub fn opened(&self) {
        self.opened.set(self.opened.get() + 1);
        self.alive.set(self.alive.get() + 1);
    }

    /// Counts a DATA frame with a payload of `bytes`, including padding.
    pub fn received(&self, stream: u32, bytes: u32) {
        let bytes = i64::from(bytes);
        self.received.set(self.received.get() + bytes);
        let mut streams = self.streams.borrow_mut();
        if streams.reset.contains(&stream) {
            return;
        }
        if streams.sending.len() < REMEMBERED || streams.sending.contains_key(&stream) {
            *streams.sending.entry(stream).or_default() += bytes;
        }
        drop(streams);
        self.hold(self.held.get() + bytes);
    }

    /// Records that the client ended a stream, or its request.
    pub fn ended(&self, stream: u32) {
        let mut streams = self.streams.borrow_mut();
        streams.sending.remove(&stream);
        // Nothing follows that would have to be ignored.
        streams.reset.retain(|reset| *reset != stream);
    }

    /// Whether the client may still be sending a body: it has not ended one that it began, though we may
    /// have reset its stream.
    pub fn is_sending(&self) -> bool {
        let streams = self.streams.borrow();
        !streams.sending.is_empty() || !streams.reset.is_empty()
    }

    /// Records that we reset a stream: h2 dropped its buffered data, and drops what still arrives.
    pub fn reset(&self, stream: u32) {
        let mut streams = self.streams.borrow_mut();
        streams.forget(stream);
        let Some(sent) = streams.sending.remove(&stream) else { return };
        let unread = sent - streams.dropped.pop().unwrap_or(0);
        drop(streams);
        self.hold(self.held.get() - unread);
    }

    /// Notes that a body of which `taken` bytes were read, and of which nothing is left here, was dropped.
    /// `is_open`: its client had not ended it, so its stream is going to be reset.
    pub fn dropped(&self, taken: i64, is_open: bool) {
        self.alive.set(self.alive.get() - 1);
        if is_open && taken > 0 {
            self.streams.borrow_mut().dropped.push(taken);
        }
        if self.alive.get() == 0 && self.opened.get() == self.announced.get() {
            self.clear();
        }
    }

    /// Records a WINDOW_UPDATE that we sent for the connection.
    pub fn released(&self, bytes: u32) {
        self.released.set(self.released.get() + i64::from(bytes));
        self.hold(self.held.get().min(self.received.get() - self.released.get()));
    }

    /// Records that no body is left that anything will be read of, so nothing is held. h2 drops whatever still
    /// arrives: also what a client sends, and ends, before our reset reaches it.
    pub fn clear(&self) {
        let mut streams = self.streams.borrow_mut();
        streams.dropped.clear();
        for (stream, _) in std::mem::take(&mut streams.sending) {
            streams.forget(stream);
        }
        drop(streams);
        self.hold(0);
    }

    /// The connection's account.
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Bytes held.
    pub fn held(&self) -> i64 {
        self.held.get()
    }

    /// Counts bytes that were read.
    pub fn taken(&self, bytes: i64) {
        self.hold(self.held.get() - bytes);
    }

    fn hold(&self, bytes: i64) {
        let bytes = bytes.max(0);
        let before = self.held.replace(bytes);
        let change = usize::try_from(bytes.abs_diff(before)).unwrap_or(usize::MAX);
        if bytes > before {
            self.account.charge(HolderKind::Bodies, change);
        } else if bytes < before {
            self.account.release(HolderKind::Bodies, change);
            self.reader.wake();
        }
    }

    /// Ready when more may be read from the connection.
    pub fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        if self.held.get() < LEAST || self.account.has_room(0) {
            return Poll::Ready(());
        }
        self.reader.register(cx.waker());
        Poll::Pending
    }
}

impl Drop for Inflow {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::memory::{Budget, Ledger};

    const WINDOW: u32 = 8 << 20;

    fn mk_account(limit: usize) -> Arc<Account> {
        Account::open(&Ledger::new(Budget::new(limit), Arc::default()))
    }

    /// As h2 begins: by widening the window of the connection.
    fn mk_inflow(account: &Arc<Account>) -> Rc<Inflow> {
        let inflow = Inflow::new(Arc::clone(account), WINDOW);
        inflow.released(WINDOW - FIRST_WINDOW);
        assert_eq!(inflow.held(), 0);
        inflow
    }

    #[test]
    fn a_connection_is_read_until_it_has_its_share_and_again_once_something_is_taken() {
        let account = mk_account(8 << 20);
        let inflow = mk_inflow(&account);
        let is_ready =
            || inflow.poll_room(&Context::from_waker(std::task::Waker::noop())).is_ready();
        let mut received = 0;
        while is_ready() {
            inflow.received(1, 16 * 1024);
            received += 16 * 1024;
        }
        // An eighth of what is then free for more than a little.
        assert!((650_000..750_000).contains(&received), "{received} bytes");
        inflow.taken(100_000);
        assert!(is_ready());
        inflow.clear();
        assert_eq!(account.held(), 0);
    }

    #[test]
    fn a_client_is_sending_until_it_has_ended_what_it_began_also_after_a_reset_of_ours() {
        let inflow = mk_inflow(&mk_account(1 << 30));
        assert!(!inflow.is_sending());
        inflow.received(1, 10);
        inflow.received(3, 10);
        assert!(inflow.is_sending());
        inflow.ended(3);
        inflow.reset(1);
        assert!(inflow.is_sending(), "its data may be on the way");
        inflow.ended(1);
        assert!(!inflow.is_sending());
    }

    #[test]
    fn what_h2_announces_as_free_is_not_held() {
        let account = mk_account(1 << 30);
        let inflow = mk_inflow(&account);
        // 200 bytes of it are padding.
        inflow.received(1, 1000);
        inflow.taken(800);
        assert_eq!(inflow.held(), 200);
        inflow.released(1000);
        assert_eq!(inflow.held(), 0);
        inflow.received(1, 100);
        inflow.taken(100);
        // Announced only now: not subtracted twice.
        inflow.received(1, 7);
        inflow.released(100);
        assert_eq!((inflow.held(), account.held()), (7, 7));
    }
}
