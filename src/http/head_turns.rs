//! Turns of clients that send many requests at once over HTTP/2.
//!
//! h2 hands every request that it has read before it does anything else. A client that sends a
//! hundred at once would keep everybody else on its worker waiting for all of them, and a few such clients
//! for 50 ms and more. So a connection reads a few heads, and then others have their turn.

use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::Semaphore;
use tokio::task::{spawn_local, yield_now};
use tokio_util::sync::PollSemaphore;

/// Heads that a connection reads before others have their turn: beginning them takes some 0.3 ms.
const HEADS: u32 = 4;

/// What is read at once, in bytes, unless the frame that has begun is longer: some heads of Cloudflare, and
/// not a hundred of somebody else.
pub(super) const PIECE: usize = 1024;

/// The turns of one worker: of the connections with more than `HEADS`, only one continues at a time.
#[derive(Debug)]
pub struct HeadTurns(Arc<Semaphore>);

impl Default for HeadTurns {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl HeadTurns {
    /// The state of a connection that has read nothing.
    pub fn none(&self) -> Turn {
        Turn { heads: 0, turns: PollSemaphore::new(Arc::clone(&self.0)), has_turn: false }
    }
}

/// How much of its turn one connection has used.
#[derive(Debug)]
pub struct Turn {
    /// Heads read in this turn.
    heads: u32,
    turns: PollSemaphore,
    /// Whether it is its turn when it is asked again.
    has_turn: bool,
}

impl Turn {
    /// Ready when the connection may be read.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.heads < HEADS {
            return Poll::Ready(());
        }
        if std::mem::take(&mut self.has_turn) {
            self.heads = 0;
            return Poll::Ready(());
        }
        let permit = ready!(self.turns.poll_acquire(cx));
        // Both go behind all that is ready. The permit is not kept for longer: h2 reads nothing from a
        // client that does not take its answers.
        cx.waker().wake_by_ref();
        spawn_local(async move {
            yield_now().await;
            drop(permit);
        });
        self.has_turn = true;
        Poll::Pending
    }

    /// Notes heads that were read.
    pub(super) fn count(&mut self, heads: u32) {
        self.heads += heads;
    }

    /// Notes that there is nothing to read: the others go first in any case.
    pub(super) fn pass(&mut self) {
        self.heads = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::future::poll_fn;
    use std::rc::Rc;

    #[test]
    fn connections_with_many_heads_go_on_one_at_a_time_and_whatever_is_ready_in_between() {
        const READS: u32 = 50;
        let builder = &mut tokio::runtime::Builder::new_current_thread();
        let options = tokio::runtime::LocalOptions::default();
        builder.build_local(options).expect("a runtime").block_on(async {
            let (turns, read, left) =
                (HeadTurns::default(), Rc::new(Cell::new(0)), Rc::new(Cell::new(3)));
            // A connection that ends during its turn blocks no other.
            let mut gone = turns.none();
            gone.count(HEADS);
            assert!(poll_fn(|cx| Poll::Ready(gone.poll(cx).is_pending())).await);
            drop(gone);
            for _ in 0..left.get() {
                let mut turn = turns.none();
                let (read, left) = (Rc::clone(&read), Rc::clone(&left));
                spawn_local(async move {
                    for _ in 0..READS {
                        poll_fn(|cx| turn.poll(cx)).await;
                        turn.count(1);
                        read.set(read.get() + 1);
                    }
                    left.set(left.get() - 1);
                });
            }
            // Each begins with some.
            yield_now().await;
            let (mut before, mut most) = (read.get(), 0);
            while left.get() > 0 {
                yield_now().await;
                most = most.max(read.get() - before);
                before = read.get();
            }
            assert!(most <= 2 * HEADS, "{most} heads between two looks");
        });
    }
}
