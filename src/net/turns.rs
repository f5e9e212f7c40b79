//! Turns: of many who are ready at once, a few go, and then whatever else is ready.
//!
//! What has come is served in the order in which the kernel tells of it. Thousands of uploads that get a few bytes at a
//! time are a queue of 20 ms, in which everybody else's requests would stand as well; so are thousands of new
//! connections. So a worker takes a few of these steps, then whatever else is ready has its turn, and those that are
//! left go on behind it in their own order.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use tokio::task::{spawn_local, yield_now};

/// The turns of one kind of step at one worker.
#[derive(Clone, Debug)]
pub struct Turns(Rc<State>);

#[derive(Debug)]
struct State {
    /// Steps in one turn.
    most: usize,
    /// Steps taken, or promised to those who wait, in this turn.
    taken: Cell<usize>,
    /// Who waits, the first first: one entry for each, unless it has ended.
    waiting: RefCell<VecDeque<Waker>>,
    /// How many have stopped waiting since the start: the number of the first that waits.
    served: Cell<u64>,
    /// Whether a task ends the turn.
    is_running: Cell<bool>,
}

/// The place of one connection among those that wait, if it does.
#[derive(Debug, Default)]
pub struct TurnPlace(Option<u64>);

impl Turns {
    /// So many steps are taken before whatever else is ready has its turn.
    pub fn new(most: usize) -> Self {
        Self(Rc::new(State {
            most,
            taken: Cell::default(),
            waiting: RefCell::default(),
            served: Cell::default(),
            is_running: Cell::default(),
        }))
    }

    /// Ready when a step may be taken.
    pub fn poll(&self, turn: &mut TurnPlace, cx: &Context<'_>) -> Poll<()> {
        let state = &*self.0;
        match turn.0 {
            Some(number) if number < state.served.get() => {
                turn.0 = None;
                Poll::Ready(())
            }
            Some(number) => {
                // What waits may have gone from one task to another meanwhile.
                let place = usize::try_from(number - state.served.get()).unwrap_or(usize::MAX);
                if let Some(waker) = state.waiting.borrow_mut().get_mut(place) {
                    waker.clone_from(cx.waker());
                }
                Poll::Pending
            }
            None if state.taken.get() < state.most => Poll::Ready(()),
            None => {
                let mut waiting = state.waiting.borrow_mut();
                turn.0 = Some(state.served.get() + waiting.len() as u64);
                waiting.push_back(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Counts a step that was taken. Within a worker's runtime.
    pub fn count(&self) {
        let state = &self.0;
        state.taken.set(state.taken.get() + 1);
        if !state.is_running.replace(true) {
            spawn_local(end_turns(Rc::clone(state)));
        }
    }
}

/// A future whose first polls are steps of a turn, each of them: the beginning of a connection, which costs ten times as
/// much as a request on an old one.
#[derive(Debug)]
pub struct Paced<F> {
    // On the heap anyway, as a task.
    future: Pin<Box<F>>,
    /// Polls that need a turn, from now on.
    left: u32,
    turn: TurnPlace,
    turns: Turns,
}

impl<F: Future> Paced<F> {
    /// Has the first `polls` of `future` be steps of `turns`.
    pub fn new(future: F, polls: u32, turns: Turns) -> Self {
        Self { future: Box::pin(future), left: polls, turn: TurnPlace::default(), turns }
    }
}

impl<F: Future> Future for Paced<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        if this.left > 0 {
            ready!(this.turns.poll(&mut this.turn, cx));
            this.turns.count();
            this.left -= 1;
        }
        this.future.as_mut().poll(cx)
    }
}

/// Ends a turn behind all that is ready, until nobody waits.
async fn end_turns(state: Rc<State>) {
    loop {
        yield_now().await;
        let mut waiting = state.waiting.borrow_mut();
        let next = waiting.len().min(state.most);
        waiting.drain(..next).for_each(Waker::wake);
        state.served.set(state.served.get() + next as u64);
        // New ones go behind those who wait.
        state.taken.set(if waiting.is_empty() { 0 } else { state.most });
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

    /// Steps of a turn.
    const PIECES: usize = 16;

    #[test]
    fn few_pieces_are_read_between_two_looks_and_each_connection_gets_its_own() {
        const CONNECTIONS: usize = 100;
        const READS: usize = 50;
        let builder = &mut tokio::runtime::Builder::new_current_thread();
        let options = tokio::runtime::LocalOptions::default();
        builder.build_local(options).expect("a runtime").block_on(async {
            let (turns, read) = (Turns::new(PIECES), Rc::new(RefCell::new([0; CONNECTIONS])));
            // One that ends while it waits blocks no other.
            let mut gone = TurnPlace::default();
            (0..PIECES).for_each(|_| turns.count());
            assert!(poll_fn(|cx| Poll::Ready(turns.poll(&mut gone, cx).is_pending())).await);
            for connection in 0..CONNECTIONS {
                let (turns, read) = (turns.clone(), Rc::clone(&read));
                spawn_local(async move {
                    let mut turn = TurnPlace::default();
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

    #[test]
    fn of_young_connections_a_few_polls_come_between_two_looks_and_old_ones_need_no_turn() {
        const POLLS: u32 = 20;
        const YOUNG: u32 = 10;
        let builder = &mut tokio::runtime::Builder::new_current_thread();
        let options = tokio::runtime::LocalOptions::default();
        builder.build_local(options).expect("a runtime").block_on(async {
            let (turns, polled) = (Turns::new(PIECES), Rc::new(Cell::new((0, 0))));
            let connections: Vec<_> = (0..100)
                .map(|_| {
                    let (polled, mut polls) = (Rc::clone(&polled), 0);
                    let connection = poll_fn(move |cx| {
                        polls += 1;
                        let (young, old) = polled.get();
                        let is_young = polls <= YOUNG;
                        polled.set((young + u32::from(is_young), old + u32::from(!is_young)));
                        cx.waker().wake_by_ref();
                        if polls == POLLS { Poll::Ready(()) } else { Poll::Pending }
                    });
                    spawn_local(Paced::new(connection, YOUNG, turns.clone()))
                })
                .collect();
            let (mut before, mut most, mut most_old) = ((0, 0), 0, 0);
            while before.0 + before.1 < 100 * POLLS {
                yield_now().await;
                let now = polled.get();
                most = most.max(now.0 - before.0);
                most_old = most_old.max(now.1 - before.1);
                before = now;
            }
            assert!(most as usize <= 2 * PIECES, "{most} polls between two looks");
            assert!(most_old as usize > PIECES, "{most_old} polls of old ones");
            for connection in connections {
                connection.await.expect("no panic");
            }
        });
    }
}
