//! A piece of a body on its way to the other side, which counts until the socket has taken it.
//!
//! hyper buffers what it is given, up to bounds that also bound heads, and counts the bytes. A [`Flow`]
//! counts the memory: a short piece keeps the whole buffer that it was read into. The producer of pieces asks
//! [`Flow::poll_room`] first, so that a side that takes nothing costs one buffer.

use crate::net::memory::{Account, HolderKind, Moved};
use crate::telemetry::LocalGauge;
use bytes::{Buf, Bytes};
use futures_util::task::AtomicWaker;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The least memory that a piece keeps: the smallest buffer that hyper and h2 read into.
const LEAST: usize = 8 * 1024;

/// How much may wait for the socket before the next piece is requested: two short pieces, or one maximal
/// read.
pub const ROOM: usize = 2 * LEAST;

/// The pieces of one direction that the other side has not taken. Single-threaded; hyper's client requires
/// `Send`.
#[derive(Debug)]
pub struct Flow {
    account: Arc<Account>,
    room: i64,
    waiting: LocalGauge,
    giver: AtomicWaker,
}

impl Flow {
    /// Starts empty; accepts more while less than `room` bytes wait.
    pub fn new(account: Arc<Account>, room: usize) -> Arc<Self> {
        let room = i64::try_from(room).unwrap_or(i64::MAX);
        Arc::new(Self { account, room, waiting: LocalGauge::default(), giver: AtomicWaker::new() })
    }

    /// The connection's account.
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Ready when the next piece is accepted.
    pub fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        if self.waiting.now() < self.room {
            return Poll::Ready(());
        }
        self.giver.register(cx.waker());
        Poll::Pending
    }

    /// Takes a piece of an exchange on its way.
    pub fn send(self: &Arc<Self>, bytes: Bytes, exchange: &Arc<Moved>) -> Piece {
        let held = bytes.len().max(LEAST);
        self.waiting.shift(i64::try_from(held).unwrap_or(i64::MAX));
        self.account.charge(HolderKind::Bodies, held);
        let (flow, moved) = (Arc::clone(self), Arc::clone(exchange));
        Piece { bytes, sending: Some(Sending { flow, moved, held }) }
    }

    fn taken(&self, held: usize) {
        self.account.release(HolderKind::Bodies, held);
        let before = self.waiting.now();
        self.waiting.shift(-i64::try_from(held).unwrap_or(i64::MAX));
        // No reader waits where there was room.
        if before >= self.room && self.waiting.now() < self.room {
            self.giver.wake();
        }
    }
}

/// Bytes that are about to be sent.
#[derive(Debug)]
pub struct Piece {
    bytes: Bytes,
    sending: Option<Sending>,
}

/// The charge of a piece.
#[derive(Debug)]
struct Sending {
    flow: Arc<Flow>,
    /// When its exchange has moved.
    moved: Arc<Moved>,
    /// Bytes charged for it.
    held: usize,
}

impl Piece {
    /// Bytes that are not counted.
    pub fn of_ours(bytes: Bytes) -> Self {
        Self { bytes, sending: None }
    }

    /// How many are left, in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Splits off the first `count` bytes. They are not counted: the rest, which is sent after them, counts
    /// for the buffer of both.
    pub fn split_to(&mut self, count: usize) -> Self {
        Self::of_ours(self.bytes.split_to(count))
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        if let Some(Sending { flow, moved, .. }) = &self.sending {
            flow.account.move_on();
            moved.note(&flow.account);
        }
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if let Some(Sending { flow, held, .. }) = self.sending.take() {
            flow.taken(held);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::memory::{Budget, Ledger};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_piece_counts_as_the_buffer_that_it_keeps_until_it_is_sent() {
        let ledger = Ledger::new(Budget::new(1 << 30), Arc::default());
        let account = Account::open(&ledger);
        let flow = Flow::new(Arc::clone(&account), ROOM);
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let cx = Context::from_waker(&waker);

        let mut first = flow.send(Bytes::from_static(b"x"), &Arc::default());
        assert!(flow.poll_room(&cx).is_ready());
        let second = flow.send(Bytes::from_static(b"y"), &Arc::default());
        assert_eq!(account.held(), 2 * LEAST as i64);
        assert!(flow.poll_room(&cx).is_pending());
        first.advance(1);
        assert_eq!(woken.0.load(Ordering::Relaxed), 0, "it is still there");
        drop(first);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert!(flow.poll_room(&cx).is_ready());
        let large = flow.send(Bytes::from(vec![0; 3 * LEAST]), &Arc::default());
        assert_eq!(account.held(), 4 * LEAST as i64);
        drop((second, large));
        assert_eq!(account.held(), 0);
    }
}
