//! Whether the pods of a Service give one path the same ETag.
//!
//! Cloudflare fetches parts of one object with several requests, which meet several pods, and visitors get short bodies if
//! the ETags of the parts differ (Cloudflare, "Origin Range Requests"). Nor can anything be revalidated at another pod.
//!
//! A fixed number of paths is watched, chosen by their hash; one that is asked for no more makes room for another. An ETag
//! that differs proves nothing by itself, as content changes: another pod has to have had the first one before and after.

use http::HeaderValue;
use std::cell::RefCell;
use std::hash::BuildHasher;

/// Paths that are watched at once by a worker, of 56 bytes each. Allocated with the first ETag of a Service of several
/// pods.
const SLOTS: u64 = 1024;

/// Requests for other paths of the same slot after which one that is not asked for makes room.
const CREDIT: u32 = 8;

/// What one pod has said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    /// Its number.
    endpoint: u64,
    /// The hash of its ETag.
    tag: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    path: u64,
    first: Seen,
    /// What another pod said since.
    other: Option<Seen>,
    credit: u32,
}

/// The ETags of the paths that a worker watches.
#[derive(Debug, Default)]
pub struct EtagTable {
    hasher: foldhash::fast::RandomState,
    slots: RefCell<Box<[Slot]>>,
}

impl EtagTable {
    /// The number of a path: of what one ETag is expected for, piece by piece.
    pub fn path(&self, pieces: &[&[u8]]) -> u64 {
        self.hasher.hash_one(pieces)
    }

    /// Notes the ETag that an endpoint has for a path. Returns whether endpoints differ at this moment.
    pub fn note(&self, path: u64, endpoint: u64, tag: &HeaderValue) -> bool {
        let seen = Seen { endpoint, tag: self.hasher.hash_one(tag.as_bytes()) };
        let mut slots = self.slots.borrow_mut();
        if slots.is_empty() {
            *slots = (0..SLOTS).map(|_| Slot::default()).collect();
        }
        let position = usize::try_from(path % SLOTS).unwrap_or_default();
        let Some(slot) = slots.get_mut(position) else { return false };
        if slot.path != path {
            slot.credit = slot.credit.saturating_sub(1);
            if slot.credit == 0 {
                *slot = Slot { path, first: seen, other: None, credit: CREDIT };
            }
            return false;
        }
        slot.credit = CREDIT;
        slot.note(seen)
    }
}

impl Slot {
    fn note(&mut self, seen: Seen) -> bool {
        if seen == self.first {
            // Before and after what the other one said.
            return self.other.take().is_some();
        }
        if seen.endpoint == self.first.endpoint || self.other == Some(seen) {
            // The content has changed; or the first one is asked no more.
            (self.first, self.other) = (seen, None);
        } else if seen.tag == self.first.tag {
            // What said another before has caught up.
            self.other = self.other.filter(|other| other.endpoint != seen.endpoint);
        } else {
            self.other = Some(seen);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(table: &EtagTable, path: u64, said: &[(u64, &'static str)]) -> Vec<bool> {
        let said = said.iter();
        said.map(|(endpoint, tag)| table.note(path, *endpoint, &HeaderValue::from_static(tag)))
            .collect()
    }

    #[test]
    fn pods_differ_when_one_has_the_same_before_and_after_another() {
        let table = EtagTable::default();
        let of = |path, said: &[(u64, &'static str)]| {
            noted(&table, path, said).into_iter().filter(|differ| *differ).count()
        };
        assert_eq!(of(1, &[(1, "a"), (2, "a"), (3, "a"), (1, "a")]), 0, "they agree");
        assert_eq!(of(2, &[(1, "a"), (2, "b"), (1, "a")]), 1);
        assert_eq!(of(2, &[(2, "b"), (1, "a")]), 1, "and again");
        assert_eq!(of(3, &[(1, "a"), (2, "b"), (1, "b"), (2, "b"), (1, "b")]), 0, "it changed");
        assert_eq!(of(4, &[(1, "a"), (2, "b"), (2, "b"), (1, "b"), (2, "b")]), 0, "it changed");
        assert_eq!(of(5, &[(1, "a"), (2, "b"), (2, "a"), (1, "a")]), 0, "it caught up");
        assert_eq!(of(6, &[(1, "a"), (2, "b"), (2, "b"), (3, "c"), (2, "b")]), 1, "without 1");
        assert_eq!(of(7, &[(1, "a"), (1, "b"), (1, "a"), (1, "b")]), 0, "one pod by itself");
    }

    #[test]
    fn memory_is_bounded_and_a_path_that_is_asked_for_keeps_its_place() {
        let table = EtagTable::default();
        assert!(table.slots.borrow().is_empty(), "nothing is held before it is needed");
        let slots = SLOTS;
        noted(&table, 5, &[(1, "a"), (2, "b")]);
        // All of one slot.
        for other in 1..u64::from(CREDIT) {
            assert_eq!(noted(&table, 5 + other * slots, &[(1, "x")]), [false]);
        }
        assert_eq!(noted(&table, 5, &[(1, "a")]), [true]);
        for other in 1..=u64::from(CREDIT) {
            noted(&table, 5 + other * slots, &[(1, "x")]);
        }
        assert_eq!(noted(&table, 5, &[(2, "b"), (1, "a")]), [false, false], "it made room");
        for path in 0..slots * 100 {
            noted(&table, path, &[(1, "a")]);
        }
        assert_eq!(table.slots.borrow().len() as u64, SLOTS);
    }

    #[test]
    fn paths_are_told_apart_piece_by_piece() {
        let table = EtagTable::default();
        assert_eq!(table.path(&[b"a", b"b"]), table.path(&[b"a", b"b"]));
        assert_ne!(table.path(&[b"a", b"b"]), table.path(&[b"ab", b""]));
    }
}
