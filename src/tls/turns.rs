//! The share of a worker's time that handshakes may take.
//!
//! A handshake computes in steps, and waits for its client's bytes between them. The signature of one
//! takes as long as some ten requests; thousands that are ready at once would keep every request of the
//! worker waiting. So a step takes a permit, lets what else is ready go first, and gives the permit back
//! when it has computed. A client that sends nothing holds none.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use tokio::sync::Semaphore;
use tokio::task::yield_now;

/// The permits of one worker.
#[derive(Debug)]
pub(super) struct Turns(Semaphore);

impl Turns {
    /// At most `most` steps before other ready tasks run.
    pub(super) fn new(most: usize) -> Self {
        Self(Semaphore::new(most.min(Semaphore::MAX_PERMITS)))
    }

    /// Runs `future` to its end, each poll of it as one step.
    pub(super) async fn run<F: Future>(&self, mut future: Pin<&mut F>) -> F::Output {
        loop {
            // The semaphore is never closed: an error would only mean a step without a permit.
            let permit = self.0.acquire().await.ok();
            yield_now().await;
            let step = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
            drop(permit);
            if let Poll::Ready(output) = step {
                return output;
            }
            woken().await;
        }
    }
}

/// Waits until the task is polled again, by whatever was registered in this poll.
async fn woken() {
    let mut waited = false;
    poll_fn(|_| if std::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending })
        .await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::pin::pin;
    use std::rc::Rc;
    use tokio::runtime::{Builder, LocalOptions};
    use tokio::sync::Notify;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let builder = &mut Builder::new_current_thread();
        builder.build_local(LocalOptions::default()).expect("a runtime").block_on(future)
    }

    #[test]
    fn who_waits_for_its_client_keeps_nobody_from_computing() {
        block_on(async {
            let turns = Rc::new(Turns::new(1));
            let (said, held) = (Rc::new(Notify::new()), Rc::clone(&turns));
            let told = Rc::clone(&said);
            let stalled = tokio::task::spawn_local(async move {
                held.run(pin!(async move {
                    told.notified().await;
                    1
                }))
                .await
            });
            yield_now().await;
            // The other one is under way by now, and holds nothing.
            assert_eq!(turns.run(pin!(async { 2 })).await, 2);
            said.notify_one();
            assert_eq!(stalled.await.expect("no panic"), 1);
        });
    }

    #[test]
    fn what_else_is_ready_goes_between_two_steps() {
        block_on(async {
            let (turns, steps) = (Rc::new(Turns::new(1)), Rc::new(Cell::new(0)));
            let handshakes: Vec<_> = (0..50)
                .map(|_| {
                    let (turns, steps) = (Rc::clone(&turns), Rc::clone(&steps));
                    tokio::task::spawn_local(async move {
                        turns.run(pin!(async { steps.set(steps.get() + 1) })).await;
                    })
                })
                .collect();
            // The share of a task that is ready all the time.
            let (mut before, mut most) = (0, 0);
            while steps.get() < 50 {
                yield_now().await;
                most = most.max(steps.get() - before);
                before = steps.get();
            }
            assert!(most <= 2, "{most} handshakes between two looks");
            for handshake in handshakes {
                handshake.await.expect("no panic");
            }
        });
    }
}
