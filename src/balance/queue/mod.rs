//! The queue of requests for a Service port whose endpoints have all reached their limit.
//!
//! Each Service port with a limit has one queue, shared by all workers. It is first in, first out: only
//! the request at the front may take an endpoint, and new requests join at the back. When a request
//! leaves the queue, when one ends, or when endpoints or limits change, the front is woken. [`Limits`]
//! bounds the length of the queue and the waiting time.

#[cfg(test)]
mod tests;

use super::{Endpoint, EndpointSet, InFlight, Moment, Strategy};
use crate::error::Reason;
use crate::model::Limits;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;

/// Draws before all endpoints are looked at. With nine tenths of them full, two in three picks need
/// no more.
const DRAWS: u32 = 10;

/// The queue of one Service port.
#[derive(Debug)]
pub struct Queue {
    /// Requests that one endpoint takes; `u32::MAX` without a limit.
    most: AtomicU32,
    /// How many wait, for those who do not want to lock.
    waiting: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    limits: Option<Limits>,
    /// The number of the next place.
    next: u64,
    /// Those who wait, in their order. A tree, so that one who leaves costs no look at the others.
    places: BTreeMap<u64, Arc<Notify>>,
}

impl Default for Queue {
    /// Without limits.
    fn default() -> Self {
        let state = Mutex::default();
        Self { most: AtomicU32::new(u32::MAX), waiting: AtomicUsize::new(0), state }
    }
}

impl Queue {
    /// Puts limits in force, also for requests that already wait; `None` removes them.
    pub fn set(&self, limits: Option<Limits>) {
        let mut state = self.state();
        state.limits = limits;
        let most = limits.map_or(u32::MAX, |limits| limits.max_connections);
        self.most.store(most, Ordering::Relaxed);
        drop(state);
        self.wake();
    }

    /// Whether there are limits in force. Asked for every request: locks nothing.
    pub fn is_limited(&self) -> bool {
        self.most.load(Ordering::Relaxed) != u32::MAX
    }

    /// The limits in force. Only for a request that waits: locks the queue.
    pub fn limits(&self) -> Option<Limits> {
        self.state().limits
    }

    /// How many requests wait.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Starts a request at once, unless others wait or every endpoint has reached its limit.
    pub fn begin_now(
        self: &Arc<Self>,
        set: &EndpointSet,
        choice: Strategy,
        random: u64,
    ) -> Option<InFlight> {
        (self.waiting() == 0).then(|| self.begin(set, choice, random, Moment::now(), &[])).flatten()
    }

    /// Starts a request at an endpoint below its limit that is not among `tried`. For a request that has
    /// had its turn.
    pub fn begin(
        self: &Arc<Self>,
        set: &EndpointSet,
        choice: Strategy,
        random: u64,
        now: Moment,
        tried: &[Arc<Endpoint>],
    ) -> Option<InFlight> {
        let most = self.most.load(Ordering::Relaxed);
        let begin = |endpoint| InFlight::begin_below(endpoint, most, self);
        let draws =
            (0..DRAWS).map(|n| random.wrapping_mul(2 * u64::from(n) + 1).rotate_left(7 * n));
        for random in draws {
            if let Some(sent) = begin(set.pick(choice, random, now, tried)?) {
                return Some(sent);
            }
        }
        set.candidates(tried).find_map(begin)
    }

    /// Waits for its turn and an endpoint. `endpoints` are those of the moment.
    ///
    /// # Errors
    /// [`Reason::QueueFull`], [`Reason::QueueTimeout`], or [`Reason::NoEndpoint`] if the last endpoint
    /// goes meanwhile.
    pub async fn wait(
        self: &Arc<Self>,
        endpoints: impl Fn() -> Arc<EndpointSet>,
        choice: Strategy,
        random: impl Fn() -> u64,
    ) -> Result<InFlight, Reason> {
        let (place, limit) = self.enter()?;
        let waiting = async {
            loop {
                if place.is_first() {
                    let set = endpoints();
                    if set.usable().is_empty() {
                        return Err(Reason::NoEndpoint);
                    }
                    if let Some(sent) = self.begin(&set, choice, random(), Moment::now(), &[]) {
                        return Ok(sent);
                    }
                }
                place.turn.notified().await;
            }
        };
        timeout(limit, waiting).await.unwrap_or(Err(Reason::QueueTimeout))
    }

    /// Wakes the first request in the queue.
    pub fn wake(&self) {
        if let Some(first) = self.state().places.values().next() {
            first.notify_one();
        }
    }

    /// Notes that a request has ended.
    pub(in crate::balance) fn freed(&self) {
        // With the fence in `enter`: of one who enters and one who ends, at least one sees the other.
        fence(Ordering::SeqCst);
        if self.waiting() > 0 {
            self.wake();
        }
    }

    fn enter(self: &Arc<Self>) -> Result<(QueuePosition, Duration), Reason> {
        let mut state = self.state();
        // Requests that waited for a limit that is gone by now find an endpoint at once.
        let (most, limit) = match state.limits {
            Some(limits) => (limits.queue as usize, limits.queue_timeout),
            None => (Limits::QUEUE as usize, Limits::QUEUE_TIMEOUT),
        };
        if state.places.len() >= most {
            return Err(Reason::QueueFull);
        }
        let (number, turn) = (state.next, Arc::new(Notify::new()));
        state.next += 1;
        state.places.insert(number, Arc::clone(&turn));
        self.waiting.store(state.places.len(), Ordering::Relaxed);
        drop(state);
        fence(Ordering::SeqCst);
        Ok((QueuePosition { queue: Arc::clone(self), number, turn }, limit))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the queue, given up by being dropped.
struct QueuePosition {
    queue: Arc<Queue>,
    number: u64,
    turn: Arc<Notify>,
}

impl QueuePosition {
    fn is_first(&self) -> bool {
        let state = self.queue.state();
        state.places.first_key_value().is_some_and(|(first, _)| *first == self.number)
    }
}

impl Drop for QueuePosition {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        state.places.remove(&self.number);
        self.queue.waiting.store(state.places.len(), Ordering::Relaxed);
        // It may have been told of an endpoint that it did not take, or left others behind.
        if let Some((first, turn)) = state.places.first_key_value()
            && *first > self.number
        {
            turn.notify_one();
        }
    }
}
