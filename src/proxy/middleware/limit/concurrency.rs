//! `inFlightReq`: how many requests of one client may be on their way at once.

use super::super::client::is_visitor_in;
use super::super::passage::StepNote;
use super::super::state::State;
use super::super::{RequestView, StepAnswer, Stop};
use super::key::Key;
use crate::error::Reason;
use crate::model::middleware::{InFlightLimit, NamedStep};
use std::collections::HashMap;
use std::hash::RandomState;
use std::sync::{Arc, Mutex, PoisonError};

/// Parts with a lock each, so that workers hardly meet.
const SHARDS: usize = 16;

type Counts = HashMap<u64, u32, foldhash::fast::RandomState>;

/// The requests on their way of each client that has some: no more entries than requests.
#[derive(Debug, Default)]
pub struct Concurrency {
    shards: [Mutex<Counts>; SHARDS],
    hashes: RandomState,
}

impl Concurrency {
    /// A turn for one more request of a client, if it has fewer than `most`.
    pub(in super::super) fn begin(
        self: &Arc<Self>,
        key: Key<'_>,
        most: u32,
    ) -> Option<InFlightTurn> {
        let key = key.number(&self.hashes);
        let mut counts = self.shard(key);
        let count = counts.entry(key).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(InFlightTurn { of: Arc::clone(self), key })
    }

    fn shard(&self, key: u64) -> std::sync::MutexGuard<'_, Counts> {
        let shard = &self.shards[(key >> 60) as usize % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The turn of one request, until it is dropped.
#[derive(Debug)]
pub struct InFlightTurn {
    of: Arc<Concurrency>,
    key: u64,
}

impl Drop for InFlightTurn {
    fn drop(&mut self) {
        let mut counts = self.of.shard(self.key);
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

/// Lets a request pass if its client has few enough on their way. It counts until its answer is through; a
/// WebSocket until it is closed.
pub(in super::super) fn on_request(
    limit: &InFlightLimit,
    middleware: &Arc<NamedStep>,
    request: &mut RequestView<'_>,
) -> Result<(), Stop> {
    if is_visitor_in(&limit.except, request) {
        return Ok(());
    }
    let key = Key::of(&limit.key, request);
    let turn = request.states.with(middleware, |state| match &**state {
        State::InFlight(state) => Some(state.begin(key, limit.amount.get())),
        _ => None,
    });
    let turn = turn.ok_or_else(|| StepAnswer::of(Reason::Internal))?;
    let refused = || StepAnswer::of(Reason::InFlightLimited).with_status(limit.status);
    request.note(StepNote::InFlight(turn.ok_or_else(refused)?));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_counts_until_it_is_dropped_and_for_its_client_alone() {
        let all = Arc::<Concurrency>::default();
        let begin = |name: &'static str| all.begin(Key::Host(name.as_bytes()), 2);
        let turns = [begin("a"), begin("a")];
        assert!(turns.iter().all(Option::is_some));
        assert!(begin("a").is_none() && begin("A").is_none());
        assert!(begin("b").is_some());
        drop(turns);
        assert!(begin("a").is_some());
        let entries = all.shards.iter().map(|shard| shard.lock().expect("unpoisoned").len());
        assert_eq!(entries.sum::<usize>(), 0, "nothing is kept of those who ask no more");
    }
}
