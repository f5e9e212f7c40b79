//! The place of a listening socket among those that share its address and port.
//!
//! The kernel keeps a group of them in an array and tells nobody the order. It follows from what can be
//! seen: the socket that listens last has the last place, and when one closes, the last one takes over its place
//! (net/core/sock_reuseport.c). So a socket knows its place when it begins to listen, and keeps it as
//! long as it is not the last one while another one closes. If it is, and two or more are left, its
//! place is not known any more, and nothing is guessed.

use super::listing::Listing;
use std::collections::BTreeSet;

/// A listening socket's view of its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupIndex {
    own: u64,
    /// Sockets that listened before it.
    older: BTreeSet<u64>,
    /// All of now.
    members: BTreeSet<u64>,
    index: Option<usize>,
}

impl GroupIndex {
    /// The place of a socket that has begun to listen between two listings. `None` if it is not in the
    /// second one.
    pub fn of(own: u64, before: &Listing, after: &Listing) -> Option<Self> {
        let older = before.group(after.key(own));
        let members = after.beside(own);
        if members.is_empty() {
            return None;
        }
        let mut joined = older.clone();
        joined.insert(own);
        // Else others came or went meanwhile, and whether before or after it cannot be seen.
        let known = joined == members || members.len() == 1;
        let index = known.then_some(members.len() - 1);
        Some(Self { own, older, members, index })
    }

    /// That of a socket which another process has opened, as it knows its place. All others in the group now count as
    /// older.
    pub fn adopted(own: u64, index: Option<usize>, now: &Listing) -> Option<Self> {
        let members = now.beside(own);
        if members.is_empty() {
            return None;
        }
        let older = members.iter().copied().filter(|&member| member != own).collect();
        let index = index.filter(|&index| index < members.len());
        Some(Self { own, older, members, index })
    }

    /// Knows that this one was opened for the sake of the own one, and is no newer process's.
    pub fn accompany(&mut self, inode: Option<u64>) {
        self.older.extend(inode);
    }

    /// Follows the group. Returns whether it has changed.
    pub fn follow(&mut self, now: &Listing) -> bool {
        let members = now.beside(self.own);
        if members.is_empty() || members == self.members {
            return false;
        }
        let gone = self.members.difference(&members).count();
        let before = self.members.len();
        // With a lower index it was the last one at none of these closings, in whichever order, and
        // sockets that were opened and closed in between.
        let kept = self.index.filter(|index| index + gone < before);
        self.index = if members.len() == 1 { Some(0) } else { kept };
        self.members = members;
        true
    }

    /// Its place, if it is known.
    pub fn index(&self) -> Option<usize> {
        self.index
    }

    /// How many share the address, itself included.
    pub fn sockets(&self) -> usize {
        self.members.len()
    }

    /// Whether no other socket started to listen later.
    pub fn is_newest(&self) -> bool {
        self.members.iter().all(|member| *member == self.own || self.older.contains(member))
    }

    /// The place of another one: the last, because it is the newest unless it has moved. `None` if it
    /// is alone, or does not know which place is its own.
    pub fn another(&self) -> Option<usize> {
        let last = self.members.len() - 1;
        match self.index? {
            own if own == last => last.checked_sub(1),
            _ => Some(last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::listing::{Key, Row};
    use super::*;

    /// Sockets at one address, by their inodes.
    fn at_one_address(inodes: &[u64]) -> Listing {
        let key = Key { address: ([10, 0, 0, 1], 80).into(), user: 1_000 };
        Listing::of(inodes.iter().map(|&inode| Row { key, inode }))
    }

    fn joined(older: &[u64], own: u64) -> GroupIndex {
        let all: Vec<_> = older.iter().copied().chain([own]).collect();
        GroupIndex::of(own, &at_one_address(older), &at_one_address(&all)).expect("it listens")
    }

    fn follow(place: &mut GroupIndex, now: &[u64]) -> Option<usize> {
        place.follow(&at_one_address(now));
        place.index()
    }

    #[test]
    fn whoever_listens_last_has_the_last_place() {
        assert_eq!(joined(&[], 1).index(), Some(0));
        assert_eq!(joined(&[1], 2).index(), Some(1));
        assert_eq!(joined(&[1, 2], 3).index(), Some(2));
        assert!(GroupIndex::of(3, &Listing::default(), &at_one_address(&[1])).is_none());
    }

    #[test]
    fn a_place_is_not_guessed_where_others_came_or_went_meanwhile() {
        let place = |before: &[u64], after: &[u64]| {
            let place = GroupIndex::of(9, &at_one_address(before), &at_one_address(after));
            place.expect("it listens").index()
        };
        assert_eq!(place(&[1], &[1, 2, 9]), None);
        assert_eq!(place(&[1, 2], &[2, 9]), None);
        assert_eq!(place(&[1], &[9]), Some(0), "it is alone, whatever happened");
    }

    #[test]
    fn the_last_one_moves_and_all_others_stay() {
        let mut old = joined(&[], 1);
        assert_eq!(follow(&mut old, &[1, 2]), Some(0));
        assert_eq!(follow(&mut old, &[1, 2, 3]), Some(0));
        assert_eq!(follow(&mut old, &[1, 3]), Some(0));
        let mut new = joined(&[1], 2);
        assert_eq!(follow(&mut new, &[2]), Some(0), "the last one takes over the place");
        let mut middle = joined(&[1], 2);
        assert_eq!(follow(&mut middle, &[1, 2, 3]), Some(1));
        assert_eq!(follow(&mut middle, &[2, 3]), Some(1), "3 has moved");
        assert_eq!(follow(&mut middle, &[2]), Some(0));
    }

    #[test]
    fn a_place_that_is_not_known_any_more_is_known_again_when_nobody_else_is_left() {
        let mut newest = joined(&[1, 2], 3);
        assert_eq!(follow(&mut newest, &[2, 3]), None, "it has moved to 0 or 1");
        assert_eq!(newest.another(), None);
        assert_eq!(follow(&mut newest, &[3]), Some(0));
        let mut twice = joined(&[1, 2, 3], 4);
        assert_eq!(follow(&mut twice, &[3, 4]), None);
    }

    /// What the kernel does to the array.
    fn close(array: &mut Vec<u64>, at: usize) {
        array.swap_remove(at);
    }

    #[test]
    fn a_known_place_is_right_in_every_short_history() {
        // Every step opens a socket or closes one of four; who looks, looks after each or after two.
        for history in 0..5usize.pow(6) {
            for looks in [1, 2] {
                let mut array = vec![1, 2, 3];
                let mut place = joined(&[1, 2], 3);
                let mut rest = history;
                for step in 0..6 {
                    match rest % 5 {
                        4 => array.push(10 + step),
                        at if at < array.len() && array[at] != 3 => close(&mut array, at),
                        _ => {}
                    }
                    rest /= 5;
                    if step % looks == 0 {
                        place.follow(&at_one_address(&array));
                        let truth = array.iter().position(|&inode| inode == 3);
                        assert!(place.index().is_none() || place.index() == truth, "{array:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_newest_one_is_whoever_came_last_and_is_still_there() {
        let mut place = joined(&[1], 2);
        assert!(place.is_newest());
        assert!(place.follow(&at_one_address(&[1, 2, 3])));
        assert!(!place.is_newest());
        assert_eq!((place.another(), place.sockets()), (Some(2), 3));
        assert!(place.follow(&at_one_address(&[1, 2])));
        assert!(place.is_newest());
        assert_eq!(place.another(), Some(0));
        assert!(!place.follow(&at_one_address(&[2, 1])));
    }

    #[test]
    fn the_kernel_lists_our_own_sockets() {
        let before = Listing::read().expect("/proc is mounted");
        let bound = super::super::bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        let address = bound.local_addr().expect("bound");
        let first = bound.hold().inode().expect("open");
        let _first = bound.listen().expect("bound");
        let between = Listing::read().expect("/proc is mounted");
        assert_eq!(GroupIndex::of(first, &before, &between).expect("listed").index(), Some(0));
        let bound = super::super::bind(address).expect("shared");
        let second = bound.hold().inode().expect("open");
        let _second = bound.listen().expect("bound");
        let after = Listing::read().expect("/proc is mounted");
        assert_eq!(GroupIndex::of(second, &between, &after).expect("listed").index(), Some(1));
    }
}
