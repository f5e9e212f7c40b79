//! Turns of clients that send bodies over HTTP/1.1.
//!
//! What has come is served in the order in which the kernel tells of it. Thousands of uploads that get a few bytes at a
//! time are a queue of 20 ms, in which everybody else's requests would stand as well. So a worker reads a few pieces of
//! bodies, then whatever else is ready has its turn, and the uploads go on behind it in their own order.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use tokio::task::{spawn_local, yield_now};

/// Pieces of bodies that a worker reads in one turn: to pass one on takes some 20 us if it is small.
const PIECES: usize = 16;

/// The turns of one worker.
#[derive(Clone, Debug, Default)]
pub struct BodyTurns(Rc<State>);

#[derive(Debug, Default)]
struct State {
    /// Pieces read, or promised to those who wait, in this turn.
    pieces: Cell<usize>,
    /// Who waits, the first first: one entry for each connection, unless it has ended.
    waiting: RefCell<VecDeque<Waker>>,
    /// How many have stopped waiting since the start: the number of the first that waits.
    served: Cell<u64>,
    /// Whether a task ends the turn.
    is_running: Cell<bool>,
}

/// The place of one connection among those that wait, if it does.
#[derive(Debug, Default)]
pub struct BodyTurn(Option<u64>);

impl BodyTurns {
    /// Ready when a piece of a body may be read.
    pub fn poll(&self, turn: &mut BodyTurn, cx: &Context<'_>) -> Poll<()> {
        let state = &*self.0;
        match turn.0 {
            Some(number) if number < state.served.get() => {
                turn.0 = None;
                Poll::Ready(())
            }
            Some(number) => {
                // The body may have gone from one task to another meanwhile.
                let place = usize::try_from(number - state.served.get()).unwrap_or(usize::MAX);
                if let Some(waker) = state.waiting.borrow_mut().get_mut(place) {
                    waker.clone_from(cx.waker());
                }
                Poll::Pending
            }
            None if state.pieces.get() < PIECES => Poll::Ready(()),
            None => {
                let mut waiting = state.waiting.borrow_mut();
                turn.0 = Some(state.served.get() + waiting.len() as u64);
                waiting.push_back(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Counts a piece that was read. Within a worker's runtime.
    pub fn count(&self) {
        let state = &self.0;
        state.pieces.set(state.pieces.get() + 1);
        if !state.is_running.replace(true) {
            spawn_local(end_turns(Rc::clone(state)));
        }
    }
}

/// Ends a turn behind all that is ready, until nobody waits.
async fn end_turns(state: Rc<State>) {
    loop {
        yield_now().await;
        let mut waiting = state.waiting.borrow_mut();
        let next = waiting.len().min(PIECES);
        waiting.drain(..next).for_each(Waker::wake);
        state.served.set(state.served.get() + next as u64);
        // New ones go behind those who wait.
        state.pieces.set(if waiting.is_empty() { 0 } else { PIECES });
        if next == 0 {
            state.is_running.set(false);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[test]
    fn few_pieces_are_read_between_two_looks_and_each_connection_gets_its_own() {
        const CONNECTIONS: usize = 100;
        const READS: usize = 50;
        let builder = &mut tokio::runtime::Builder::new_current_thread();
        let options = tokio::runtime::LocalOptions::default();
        builder.build_local(options).expect("a runtime").block_on(async {
            let (turns, read) = (BodyTurns::default(), Rc::new(RefCell::new([0; CONNECTIONS])));
            // One that ends while it waits blocks no other.
            let mut gone = BodyTurn::default();
            (0..PIECES).for_each(|_| turns.count());
            assert!(poll_fn(|cx| Poll::Ready(turns.poll(&mut gone, cx).is_pending())).await);
            for connection in 0..CONNECTIONS {
                let (turns, read) = (turns.clone(), Rc::clone(&read));
                spawn_local(async move {
                    let mut turn = BodyTurn::default();
                    for _ in 0..READS {
                        poll_fn(|cx| turns.poll(&mut turn, cx)).await;
                        turns.count();
                        read.borrow_mut()[connection] += 1;
                    }
                });
            }
            let sum = || read.borrow().iter().sum::<usize>();
            let (mut before, mut most) = (0, 0);
            while before < CONNECTIONS * READS {
                yield_now().await;
                most = most.max(sum() - before);
                before = sum();
                let counts = *read.borrow();
                let (least, greatest) = (counts.iter().min(), counts.iter().max());
                let apart = greatest.zip(least).map(|(greatest, least)| greatest - least);
                assert!(apart <= Some(2 * PIECES), "{counts:?}");
            }
            assert!(most <= 2 * PIECES, "{most} pieces between two looks");
        });
    }
}
