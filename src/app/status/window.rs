//! A bounded part of a long list.

use serde::Serialize;
use std::cmp::Ordering;
use std::ops::Range;

/// A part of a list, as JSON.
#[derive(Debug, Serialize)]
pub(super) struct Window<T> {
    /// Generation of the routing table that it was made with: parts of another one may overlap or leave gaps.
    pub(super) generation: u64,
    /// Entries of the whole list that match.
    pub(super) total: usize,
    pub(super) items: Vec<T>,
    /// The value of `after` for the next part, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<usize>,
}

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// How many entries come before it.
    pub(super) after: usize,
    /// The most that it has.
    pub(super) limit: usize,
}

impl Bounds {
    /// The positions of a list of `total` entries.
    pub(super) fn range(self, total: usize) -> Range<usize> {
        let start = self.after.min(total);
        start..start.saturating_add(self.limit).min(total)
    }

    /// The part itself.
    pub(super) fn window<T>(self, generation: u64, total: usize, items: Vec<T>) -> Window<T> {
        let end = self.after.min(total) + items.len();
        let next = (end < total && !items.is_empty()).then_some(end);
        Window { generation, total, items, next }
    }

    /// The entries of the part, in order. Costs one pass over the list and a sort of the part alone: to sort the
    /// routes of a large cluster for each part would be far more.
    pub(super) fn sorted<T>(
        self,
        items: &mut [T],
        compare: impl Fn(&T, &T) -> Ordering + Copy,
    ) -> &[T] {
        let Range { start, end } = self.range(items.len());
        if start == end {
            return &[];
        }
        if end < items.len() {
            items.select_nth_unstable_by(end, compare);
        }
        let items = &mut items[..end];
        if start > 0 {
            items.select_nth_unstable_by(start, compare);
        }
        items[start..].sort_unstable_by(compare);
        &items[start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_put_together_are_the_sorted_list_whatever_their_size() {
        let shuffled: Vec<u32> = (0..100).map(|n| n * 37 % 100).collect();
        for limit in [1, 3, 7, 50, 100, 1000] {
            let mut seen = Vec::new();
            let mut after = Some(0);
            while let Some(start) = after {
                let bounds = Bounds { after: start, limit };
                let mut items = shuffled.clone();
                let part = bounds.sorted(&mut items, u32::cmp).to_vec();
                let window = bounds.window(1, shuffled.len(), part);
                seen.extend(window.items);
                after = window.next;
            }
            assert_eq!(seen, (0..100).collect::<Vec<_>>(), "{limit}");
        }
    }

    #[test]
    fn a_start_past_the_end_is_an_empty_part_and_the_last() {
        let bounds = Bounds { after: usize::MAX, limit: usize::MAX };
        assert_eq!(bounds.range(5), 5..5);
        let window = bounds.window::<u8>(1, 5, Vec::new());
        assert_eq!((window.items.len(), window.next), (0, None));
    }
}
