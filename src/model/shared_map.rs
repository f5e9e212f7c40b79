//! An ordered map whose copies share what they have in common.
//!
//! Entries stand sorted, in chunks. A copy counts one reference for each chunk, and a change copies the one chunk that
//! it is about, if somebody else has it too. So neither grows with the map, but for that one reference: to share more
//! costs a tree, which is slower to look up.
//!
//! **Invariant**: no chunk is empty, or has more than [`MOST`] entries.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::sync::Arc;

/// The most entries of a chunk.
const MOST: usize = 64;

type Chunk<K, V> = Vec<(K, V)>;

/// The map.
#[derive(Clone, Debug)]
pub struct SharedMap<K, V> {
    chunks: Vec<Arc<Chunk<K, V>>>,
    len: usize,
}

impl<K, V> SharedMap<K, V> {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All of them, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let all = self.chunks.iter().flat_map(|chunk| chunk.iter());
        #[cfg(test)]
        let all = all.inspect(|_| crate::net::passes::count());
        all.map(|(key, value)| (key, value))
    }

    /// Their values, in the order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// The first entry that is not less than what is looked for, to which `order` compares keys.
    pub fn first_from(&self, order: impl Fn(&K) -> Ordering) -> Option<(&K, &V)> {
        let chunk = self.chunk_of(&order);
        let entries = self.chunks.get(chunk)?;
        let at = entries.partition_point(|(key, _)| order(key).is_lt());
        let next = || self.chunks.get(chunk + 1)?.first();
        let (key, value) = entries.get(at).or_else(next)?;
        Some((key, value))
    }

    /// The chunk that has what is looked for, or would have it.
    fn chunk_of(&self, order: impl Fn(&K) -> Ordering) -> usize {
        let starts_at = |chunk: &Arc<Chunk<K, V>>| chunk.first().map(|(key, _)| order(key));
        let behind = |chunk: &Arc<Chunk<K, V>>| starts_at(chunk).is_some_and(Ordering::is_le);
        self.chunks.partition_point(behind).saturating_sub(1)
    }

    /// The value under a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let order = |other: &K| other.borrow().cmp(key);
        let chunk = self.chunks.get(self.chunk_of(order))?;
        let at = chunk.binary_search_by(|(other, _)| order(other)).ok()?;
        chunk.get(at).map(|(_, value)| value)
    }

    /// How many chunks there are, and how many of them are those of another map as well.
    #[cfg(test)]
    pub(crate) fn sharing(&self, other: &Self) -> (usize, usize) {
        let theirs: std::collections::HashSet<_> = other.chunks.iter().map(Arc::as_ptr).collect();
        let shared = self.chunks.iter().filter(|chunk| theirs.contains(&Arc::as_ptr(chunk)));
        (self.chunks.len(), shared.count())
    }
}

impl<K: Ord + Clone, V: Clone> SharedMap<K, V> {
    /// Puts a value under a key. Returns the one before it.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let mut at_chunk = self.chunk_of(|other| other.cmp(&key));
        let Some(chunk) = self.chunks.get_mut(at_chunk) else {
            self.chunks.push(Arc::new(vec![(key, value)]));
            self.len += 1;
            return None;
        };
        let mut at = match chunk.binary_search_by(|(other, _)| other.cmp(&key)) {
            Ok(at) => {
                let before = std::mem::replace(&mut Arc::make_mut(chunk)[at], (key, value));
                return Some(before.1);
            }
            Err(at) => at,
        };
        if chunk.len() >= MOST {
            // What comes in order fills one chunk after the other.
            let middle = if at == chunk.len() { at } else { MOST / 2 };
            let tail = Arc::make_mut(chunk).split_off(middle);
            self.chunks.insert(at_chunk + 1, Arc::new(tail));
            if at >= middle {
                (at_chunk, at) = (at_chunk + 1, at - middle);
            }
        }
        Arc::make_mut(&mut self.chunks[at_chunk]).insert(at, (key, value));
        self.len += 1;
        None
    }

    /// Takes the value under a key out.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let order = |other: &K| other.borrow().cmp(key);
        let at_chunk = self.chunk_of(order);
        let chunk = self.chunks.get_mut(at_chunk)?;
        let at = chunk.binary_search_by(|(other, _)| order(other)).ok()?;
        self.len -= 1;
        if chunk.len() == 1 {
            let chunk = self.chunks.remove(at_chunk);
            return chunk.first().map(|(_, value)| value.clone());
        }
        let (_, value) = Arc::make_mut(chunk).remove(at);
        self.merge(at_chunk);
        Some(value)
    }

    /// Joins a chunk with the one behind it, or before it, if both have few.
    fn merge(&mut self, chunk: usize) {
        let is_small = |first: &usize| {
            let both = self.chunks.get(*first..first + 2);
            both.is_some_and(|both| both.iter().map(|chunk| chunk.len()).sum::<usize>() <= MOST / 2)
        };
        let first = [Some(chunk), chunk.checked_sub(1)].into_iter().flatten().find(is_small);
        if let Some(first) = first {
            let tail = self.chunks.remove(first + 1);
            Arc::make_mut(&mut self.chunks[first]).extend(tail.iter().cloned());
        }
    }
}

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for SharedMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<K: Eq, V: Eq> Eq for SharedMap<K, V> {}

/// Of several with one key the last one counts.
impl<K: Ord + Clone, V: Clone> FromIterator<(K, V)> for SharedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(all: I) -> Self {
        let mut map = Self::default();
        for (key, value) in all {
            map.insert(key, value);
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_is_a_map_and_a_copy_is_not_changed(
            steps in prop::collection::vec((0..600_u16, 0..5_u8), 0..1500),
        ) {
            let (mut map, mut model) = (SharedMap::default(), BTreeMap::new());
            let mut copy = (map.clone(), model.clone());
            for (number, (key, action)) in steps.into_iter().enumerate() {
                // Several in a row, so that chunks fill up and get empty.
                for key in key..key + 7 {
                    match action {
                        0..3 => prop_assert_eq!(map.insert(key, number), model.insert(key, number)),
                        _ => prop_assert_eq!(map.remove(&key), model.remove(&key)),
                    }
                }
                prop_assert_eq!(map.get(&key), model.get(&key));
                prop_assert_eq!(map.first_from(|own| own.cmp(&key)), model.range(key..).next());
                prop_assert!(map.chunks.iter().all(|chunk| (1..=MOST).contains(&chunk.len())));
                if number % 100 == 0 {
                    prop_assert!(copy.0.iter().eq(&copy.1));
                    copy = (map.clone(), model.clone());
                }
            }
            prop_assert_eq!(map.len(), model.len());
            prop_assert!(map.iter().eq(&model));
            prop_assert_eq!(&map, &model.into_iter().collect::<SharedMap<_, _>>());
        }
    }

    #[test]
    fn a_change_copies_one_chunk_and_chunks_are_not_left_with_few() {
        let full: SharedMap<usize, usize> = (0..10_000).map(|number| (number, number)).collect();
        assert_eq!(full.sharing(&full).0, 10_000_usize.div_ceil(MOST));
        let mut other = full.clone();
        other.insert(5_000, 0);
        other.remove(&9_000);
        let (all, shared) = other.sharing(&full);
        assert_eq!(shared, all - 2);
        for number in 0..9_900 {
            other.remove(&number);
        }
        assert!(other.sharing(&full).0 <= 4, "{} entries", other.len());
    }
}
