//! Hosts by name, in two cache lines: written once, then only read.
//!
//! A record is a name and what it leads to, and all records stand in one block; a hash table knows
//! where. The name stands in the record because it has to be compared anyway: with the names
//! elsewhere, a lookup in a table of 100 000 hosts waits for memory twice more.

use super::index;
use hashbrown::HashTable;
use std::hash::BuildHasher;

/// The hash of a host's name, which also says in which part of the table it is.
pub(super) fn hash(name: &str) -> u64 {
    foldhash::fast::FixedState::default().hash_one(name.as_bytes())
}

/// Hosts of one sort, each with a number.
#[derive(Default)]
pub(super) struct HostMap {
    /// Where the record of a host begins.
    positions: HashTable<u32>,
    /// Length of the name (RFC 1035: at most 253), name, value in little-endian order; then the
    /// next one.
    records: Box<[u8]>,
}

impl HostMap {
    /// Builds the map. Returns with it the position of each record, for [`HostMap::name`].
    ///
    /// Each name is there once. Bound: 4 GiB of records; a host past it is not found.
    pub(super) fn new(hosts: &[(&str, u32)]) -> (Self, Vec<u32>) {
        let mut table = HashTable::with_capacity(hosts.len());
        let mut records = Vec::with_capacity(hosts.iter().map(|(name, _)| name.len() + 5).sum());
        let mut positions = Vec::with_capacity(hosts.len());
        for (name, value) in hosts {
            let position = index(records.len());
            positions.push(position);
            let len = u8::try_from(name.len()).unwrap_or(u8::MAX);
            records.push(len);
            records.extend_from_slice(&name.as_bytes()[..usize::from(len)]);
            records.extend_from_slice(&value.to_le_bytes());
            let rehash = |&other: &u32| hash(name_in(&records, other));
            table.insert_unique(hash(name), position, rehash);
        }
        (Self { positions: table, records: records.into() }, positions)
    }

    pub(super) fn len(&self) -> usize {
        self.positions.len()
    }

    /// The value of a name with this [`hash`].
    pub(super) fn get(&self, hash: u64, name: &str) -> Option<u32> {
        let is_it = |&position: &u32| {
            record(&self.records, position).is_some_and(|(found, _)| found == name.as_bytes())
        };
        let position = self.positions.find(hash, is_it)?;
        let (_, rest) = record(&self.records, *position)?;
        rest.first_chunk().map(|value| u32::from_le_bytes(*value))
    }

    /// The name in a record, empty if there is none.
    pub(super) fn name(&self, position: u32) -> &str {
        name_in(&self.records, position)
    }

    /// Every name.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.positions.iter().map(|position| self.name(*position))
    }
}

fn name_in(records: &[u8], position: u32) -> &str {
    let record = record(records, position);
    record.and_then(|(name, _)| std::str::from_utf8(name).ok()).unwrap_or_default()
}

/// The name of a record, and what stands behind it.
fn record(records: &[u8], position: u32) -> Option<(&[u8], &[u8])> {
    let (&len, rest) = records.get(position as usize..)?.split_first()?;
    rest.split_at_checked(usize::from(len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::NONE;

    #[test]
    fn every_name_is_found_and_no_other() {
        for count in [0, 1, 2, 3, 1000] {
            let names: Vec<String> =
                (0..count).map(|number| format!("h{number}.example")).collect();
            let hosts: Vec<(&str, u32)> = names.iter().map(String::as_str).zip(7..).collect();
            let (map, positions) = HostMap::new(&hosts);
            assert_eq!((map.len(), positions.len()), (hosts.len(), hosts.len()));
            for ((name, value), position) in hosts.iter().zip(positions) {
                assert_eq!(map.get(hash(name), name), Some(*value), "{name} of {count}");
                assert_eq!(map.name(position), *name);
                assert_eq!(map.get(hash(&name[1..]), &name[1..]), None);
            }
            let get = |name| map.get(hash(name), name);
            assert_eq!((get(""), get("h.example"), map.name(NONE)), (None, None, ""));
            assert_eq!(map.names().count(), hosts.len());
        }
        let longest = "a".repeat(253);
        assert_eq!(HostMap::new(&[(&longest, 3)]).0.get(hash(&longest), &longest), Some(3));
    }
}
