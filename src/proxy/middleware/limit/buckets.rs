//! The buckets of the clients of one limit: 16 bytes each, and no more than a bound.
//!
//! A bucket is in one of eight places by its client's number, so that finding it, and finding which gives way,
//! takes the same time whatever there is. A full bucket is as good as none and gives way first; where all eight
//! are in use the table doubles; at its bound the one that is full soonest gives way, and is counted.

use crate::proxy::gcra::Rate;
use crate::telemetry::StepCells;
use std::mem::{size_of, size_of_val};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The most clients of one limit, as in Traefik: 1 MiB.
pub(super) const MOST_KEYS: usize = 65_536;

/// Parts with a lock each, held for some tens of nanoseconds, so that workers hardly meet.
const SHARDS: usize = 16;

/// Places of one set: a line of the cache.
const WAYS: usize = 4;

const MOST_SLOTS: usize = MOST_KEYS / SHARDS;

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    key: u64,
    /// When the bucket is full again; 0 if it never was in use.
    full: u64,
}

/// The buckets of one limit.
#[derive(Debug)]
pub(super) struct Buckets {
    shards: [Mutex<Vec<Slot>>; SHARDS],
    cells: Arc<StepCells>,
}

impl Buckets {
    /// Without any.
    pub(super) fn new(cells: Arc<StepCells>) -> Self {
        Self { shards: Default::default(), cells }
    }

    /// Takes a token from a client's bucket.
    ///
    /// # Errors
    /// If there is none: how long it is until there is one.
    pub(super) fn take(&self, key: u64, now: u64, rate: Rate) -> Result<(), Duration> {
        self.change(key, now, |full| rate.take(full, now))
    }

    /// Takes a token from a client's bucket whether there is one or not.
    pub(super) fn charge(&self, key: u64, now: u64, rate: Rate) {
        let _ = self.change(key, now, |full| Ok::<_, ()>(rate.charge(full, now)));
    }

    fn change<E>(
        &self,
        key: u64,
        now: u64,
        change: impl FnOnce(u64) -> Result<u64, E>,
    ) -> Result<(), E> {
        // Other bits than those that choose the places in it.
        let shard = &self.shards[(key >> 60) as usize % SHARDS];
        let mut slots = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = self.place(&mut slots, key, now);
        let full = if slot.key == key { slot.full } else { 0 };
        let next = change(full)?;
        if slot.full == 0 {
            self.cells.rate_keys.add(1);
        } else if slot.key != key && slot.full > now {
            self.cells.rate_evicted.add(1);
        }
        *slot = Slot { key, full: next };
        Ok(())
    }

    /// Where a client's bucket is, or is to be.
    fn place<'s>(&self, slots: &'s mut Vec<Slot>, key: u64, now: u64) -> &'s mut Slot {
        if slots.is_empty() {
            *slots = vec![Slot::default(); WAYS];
            self.cells.rate_bytes.add(bytes(WAYS));
        }
        let mut found = find(slots, key, now);
        while slots[found].key != key && slots[found].full > now && slots.len() < MOST_SLOTS {
            self.cells.rate_bytes.add(bytes(slots.len()));
            double(slots);
            found = find(slots, key, now);
        }
        &mut slots[found]
    }

    fn count(&self, value: impl Fn(&[Slot]) -> usize) -> i64 {
        let shards = self.shards.iter();
        let counts =
            shards.map(|shard| value(&shard.lock().unwrap_or_else(PoisonError::into_inner)));
        i64::try_from(counts.sum::<usize>()).unwrap_or(i64::MAX)
    }
}

impl Drop for Buckets {
    fn drop(&mut self) {
        let keys = self.count(|slots| slots.iter().filter(|slot| slot.full != 0).count());
        self.cells.rate_keys.add(-keys);
        self.cells.rate_bytes.add(-self.count(size_of_val));
    }
}

/// The place of this client, or else, in the emptier of its two sets, that of the bucket that is full soonest.
fn find(slots: &[Slot], key: u64, now: u64) -> usize {
    let mut best = (usize::MAX, u64::MAX, 0);
    for first in sets(slots.len(), key) {
        let (mut used, mut soonest) = (0, (u64::MAX, first));
        for (place, slot) in slots.iter().enumerate().skip(first).take(WAYS) {
            if slot.key == key {
                return place;
            }
            used += usize::from(slot.full > now);
            soonest = soonest.min((slot.full, place));
        }
        best = best.min((used, soonest.0, soonest.1));
    }
    best.2
}

/// Where the two sets of a client's places begin, of so many slots, which are a power of two. Two, because the
/// emptier of them takes it: then nearly all slots are used before one set is too full.
fn sets(slots: usize, key: u64) -> [usize; 2] {
    #[expect(clippy::cast_possible_truncation, reason = "the low bits are what is wanted")]
    let choices = [key as usize, (key >> 32) as usize];
    choices.map(|choice| choice.wrapping_mul(WAYS) & (slots - 1))
}

/// Twice as many slots. The bucket of a set goes into one of the two sets that come of it, where no other set's
/// do, so that all of them have room.
fn double(slots: &mut Vec<Slot>) {
    let half = slots.len();
    let mut doubled = vec![Slot::default(); half * 2];
    for (place, old) in slots.iter().enumerate().filter(|(_, old)| old.full != 0) {
        let from = place - place % WAYS;
        let into = sets(half * 2, old.key).into_iter().find(|set| set % half == from);
        let Some(into) = into else { continue };
        if let Some(free) = doubled[into..into + WAYS].iter_mut().find(|slot| slot.full == 0) {
            *free = *old;
        }
    }
    *slots = doubled;
}

fn bytes(slots: usize) -> i64 {
    i64::try_from(slots * size_of::<Slot>()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::gcra::tests::mk_limit;
    use std::collections::HashMap;
    use std::hash::{BuildHasher, RandomState};

    fn mk_buckets() -> (Buckets, Arc<StepCells>) {
        let cells = Arc::<StepCells>::default();
        (Buckets::new(Arc::clone(&cells)), cells)
    }

    fn mk_rate(average: u32, burst: u32) -> Rate {
        Rate::of(&mk_limit(average, Duration::from_secs(60), burst))
    }

    #[test]
    fn each_client_has_its_own_bucket_as_long_as_there_is_room() {
        let (buckets, cells) = mk_buckets();
        let (rate, hashes) = (mk_rate(60, 2), RandomState::new());
        let mut passed: HashMap<u32, u32> = HashMap::new();
        for _ in 0..3 {
            for client in 0..10_000_u32 {
                let passes = buckets.take(hashes.hash_one(client), 1, rate).is_ok();
                *passed.entry(client).or_default() += u32::from(passes);
            }
        }
        assert!(passed.values().all(|passed| *passed == 2));
        assert_eq!(cells.rate_keys.now(), 10_000);
        assert_eq!(cells.rate_evicted.total(), 0);
        assert!(cells.rate_bytes.now() <= 10_000 * 64, "{} bytes", cells.rate_bytes.now());
        drop(buckets);
        assert_eq!((cells.rate_keys.now(), cells.rate_bytes.now()), (0, 0));
    }

    #[test]
    fn a_hundred_thousand_clients_hold_one_mebibyte() {
        let (buckets, cells) = mk_buckets();
        let (rate, hashes) = (mk_rate(1, 1), RandomState::new());
        for client in 0..100_000_u32 {
            assert!(buckets.take(hashes.hash_one(client), 1, rate).is_ok());
        }
        assert_eq!(cells.rate_bytes.now(), (MOST_KEYS * 16) as i64);
        assert!(cells.rate_keys.now() <= MOST_KEYS as i64);
        assert!(cells.rate_keys.now() > MOST_KEYS as i64 * 9 / 10, "{}", cells.rate_keys.now());
        let evicted = cells.rate_evicted.total();
        assert!(evicted as i64 + cells.rate_keys.now() == 100_000, "{evicted}");
    }

    #[test]
    fn a_full_bucket_gives_way_before_one_that_is_in_use() {
        let (buckets, cells) = mk_buckets();
        let rate = mk_rate(1, 1);
        let hashes = RandomState::new();
        let watched = hashes.hash_one("watched");
        let hour = 3_600_000_000_000;
        // By then the buckets of all of these are full.
        for client in 0..200_000_u32 {
            assert!(buckets.take(hashes.hash_one(client), 1, rate).is_ok());
        }
        let evicted = cells.rate_evicted.total();
        assert!(buckets.take(watched, hour, rate).is_ok());
        for client in 0..20_000_u32 {
            assert!(buckets.take(hashes.hash_one(("later", client)), hour, rate).is_ok());
        }
        assert_eq!(cells.rate_evicted.total(), evicted);
        assert!(buckets.take(watched, hour, rate).is_err());
    }
}
