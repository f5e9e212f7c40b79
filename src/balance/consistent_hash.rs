//! Multi-probe consistent hashing (Appleton and O'Reilly, "Multi-probe consistent hashing", 2015).
//!
//! Every endpoint has [`POINTS`] points on a ring of 64-bit numbers, and a key is hashed [`PROBES`]
//! times: the endpoint with a point next behind one of them, at the least distance, has the key. The
//! keys of an endpoint that goes are spread over all others, and no other key moves. It takes some 150
//! bytes an endpoint, where rings with as even a load have hundreds of points for each.

use super::Endpoint;
use super::strategy::{AffinityToken, Key};
use crate::net::random;
use std::sync::Arc;

/// Hashes of a key: with 21 the endpoint with the most keys has a tenth more than the average (table 1
/// of the paper), however many endpoints there are.
const PROBES: u64 = 21;

/// Points of an endpoint. With one, as in the paper, an endpoint whose neighbour on the ring is close has
/// few keys: of three pods one in fifteen gets less than half of its share. With several that evens out.
const POINTS: u64 = 8;

/// The points of endpoints.
#[derive(Debug)]
pub(super) struct Points {
    /// On the ring, sorted.
    ring: Box<[(u64, u32)]>,
    /// The endpoints by what cookies say of them, sorted.
    tokens: Box<[(AffinityToken, u32)]>,
}

impl Points {
    /// Those of the endpoints at these positions.
    pub(super) fn of(endpoints: &[Arc<Endpoint>], positions: impl Iterator<Item = u32>) -> Self {
        let token = |at: u32| Some((AffinityToken::of(endpoints.get(at as usize)?.addr), at));
        let mut tokens: Vec<_> = positions.filter_map(token).collect();
        tokens.sort_unstable();
        let points = |&(token, at): &(AffinityToken, u32)| {
            (1..=POINTS).map(move |n| (random::nth(token.0, n), at))
        };
        let mut ring: Vec<_> = tokens.iter().flat_map(points).collect();
        ring.sort_unstable();
        Self { ring: ring.into(), tokens: tokens.into() }
    }

    /// The position of the endpoint with this token.
    pub(super) fn find(&self, token: AffinityToken) -> Option<usize> {
        let found = self.tokens.binary_search_by_key(&token, |(token, _)| *token);
        found.ok().map(|place| self.tokens[place].1 as usize)
    }

    /// The position of the endpoint that has the key, of those that `fits` says yes to; none if there
    /// is none. It is the one that would have it if the others were not there at all.
    pub(super) fn nearest(&self, key: Key, fits: impl Fn(usize) -> bool) -> Option<usize> {
        let probes = (1..=PROBES).map(|n| {
            let probe = random::nth(key.0, n);
            let next = self.ring.partition_point(|(point, _)| *point < probe);
            // Behind the last point comes the first.
            let (before, behind) = self.ring.split_at(next);
            let around = behind.iter().chain(before).find(|(_, at)| fits(*at as usize));
            around.map(|(point, at)| (point.wrapping_sub(probe), *at))
        });
        // The first `None` says that nothing fits: there is no need to ask for the other probes.
        let mut nearest = None;
        for found in probes {
            let (distance, at) = found?;
            if nearest.is_none_or(|(least, _)| distance < least) {
                nearest = Some((distance, at as usize));
            }
        }
        nearest.map(|(_, at)| at)
    }
}

/// All points of a set.
#[derive(Debug)]
pub(super) struct Ring {
    /// Of those that may be picked.
    pub(super) all: Points,
    /// Of those among them that come first, where not all do.
    pub(super) near: Points,
    /// Of those that end, for their cookies.
    pub(super) ending: Points,
}

impl Ring {
    /// Those of a set.
    pub(super) fn of(usable: &[Arc<Endpoint>], near: &[u32], ending: &[Arc<Endpoint>]) -> Self {
        let whole = |endpoints: &[_]| 0..u32::try_from(endpoints.len()).unwrap_or(u32::MAX);
        Self {
            all: Points::of(usable, whole(usable)),
            near: Points::of(usable, near.iter().copied()),
            ending: Points::of(ending, whole(ending)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::tests::{at, eject, numbers, ready, spec};
    use crate::balance::{EndpointSet, Strategy};
    use crate::model::{EndpointSpec, EndpointState};
    use std::collections::BTreeMap;
    use std::net::{IpAddr, Ipv4Addr};

    /// Keys of so many clients, and where they go: the last octet of the endpoint.
    fn owners(set: &EndpointSet, keys: u32) -> Vec<u8> {
        let owner = |number: u32| {
            let client = Ipv4Addr::from_bits(0xcb00_0000 + number * 7);
            let choice = Strategy::Key(Key::of_client(client.into()));
            let endpoint = set.pick(choice, u64::from(number), at(0), &[]).expect("not empty");
            let IpAddr::V4(ip) = endpoint.addr.ip() else { panic!("IPv4 it is") };
            ip.octets()[3]
        };
        (0..keys).map(owner).collect()
    }

    fn counts(owners: &[u8]) -> BTreeMap<u8, usize> {
        let mut counts = BTreeMap::new();
        for owner in owners {
            *counts.entry(*owner).or_default() += 1;
        }
        counts
    }

    fn of(numbers: impl Iterator<Item = u8>) -> EndpointSet {
        let ready = numbers.map(|last| spec(last, EndpointState::Ready));
        EndpointSet::new(&ready.collect(), None)
    }

    #[test]
    fn no_endpoint_has_many_more_keys_than_its_share() {
        let counts = counts(&owners(&ready(10), 40_000));
        assert_eq!(counts.len(), 10);
        assert!(counts.values().all(|count| (3_300..4_700).contains(count)), "{counts:?}");
    }

    #[test]
    fn of_three_endpoints_each_has_about_a_third_whatever_their_addresses_are() {
        for first in (1..240).step_by(3) {
            let counts = counts(&owners(&of(first..first + 3), 1_500));
            assert!(counts.values().all(|count| (300..750).contains(count)), "{first} {counts:?}");
        }
    }

    #[test]
    fn only_the_keys_of_an_endpoint_that_goes_move_and_they_go_to_all_others() {
        let (all, fewer) = (of(1..=10), of((1..=10).filter(|last| *last != 4)));
        let (before, after) = (owners(&all, 20_000), owners(&fewer, 20_000));
        let moved: Vec<(u8, u8)> =
            before.into_iter().zip(after).filter(|(before, after)| before != after).collect();
        assert!(moved.iter().all(|(before, _)| *before == 4), "others have moved");
        let heirs = counts(&moved.iter().map(|(_, after)| *after).collect::<Vec<_>>());
        assert_eq!(heirs.len(), 9, "{heirs:?}");
    }

    #[test]
    fn an_endpoint_that_comes_takes_its_share_and_no_other_key_moves() {
        let (before, after) = (owners(&of(1..=9), 20_000), owners(&of(1..=10), 20_000));
        let moved: Vec<u8> =
            before.into_iter().zip(after).filter(|(b, a)| b != a).map(|(_, a)| a).collect();
        assert!(moved.iter().all(|owner| *owner == 10), "others have moved");
        assert!((1_600..2_400).contains(&moved.len()), "{}", moved.len());
    }

    #[test]
    fn what_is_left_out_is_gone_around_as_if_it_were_not_there() {
        let (all, fewer) = (of(1..=10), of((1..=10).filter(|last| *last != 4)));
        eject(&all, &[3], at(1));
        assert_eq!(owners(&all, 4_000), owners(&fewer, 4_000));
    }

    #[test]
    fn one_that_is_left_out_is_probed_by_a_request_with_its_key() {
        let set = ready(10);
        eject(&set, &[3], at(1));
        let probes = numbers().filter(|random| {
            let choice = Strategy::Key(Key(*random));
            let picked = set.pick(choice, *random, at(5_000), &[]).expect("not empty");
            picked.is_ejected()
        });
        assert_eq!(probes.count(), 1);
    }

    #[test]
    fn a_key_whose_endpoints_were_tried_goes_on_until_all_were() {
        let set = ready(4);
        let mut tried = Vec::new();
        for _ in 0..4 {
            let next = set.pick(Strategy::Key(Key(7)), 1, at(0), &tried).expect("one is left");
            tried.push(Arc::clone(next));
        }
        assert!(set.pick(Strategy::Key(Key(7)), 1, at(0), &tried).is_none());
        assert!(EndpointSet::default().pick(Strategy::Key(Key(7)), 1, at(0), &[]).is_none());
    }

    #[test]
    fn the_next_set_makes_its_points_at_once_if_the_last_one_had_them() {
        let set = ready(4);
        let specs: Arc<[EndpointSpec]> = [spec(9, EndpointState::Ready)].into();
        assert!(EndpointSet::new(&specs, Some(&set)).ring.get().is_none());
        owners(&set, 1);
        let next = EndpointSet::new(&specs, Some(&set));
        assert!(next.ring.get().is_some());
        assert_eq!(owners(&next, 1), [9]);
    }
}
