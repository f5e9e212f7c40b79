//! The choices that are not by load alone: in turn, by a key, by a cookie, near ones first.
//!
//! All of them go around endpoints that are left out or were tried, and give one whose ejection is over
//! its probe when it is met. What is near comes first while any of it is left.

use super::p2c::Among;
use super::{AffinityToken, Endpoint, EndpointSet, Key, Moment, Strategy};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The inputs of one pick.
#[derive(Clone, Copy)]
struct Pick<'p> {
    set: &'p EndpointSet,
    random: u64,
    now: Moment,
    tried: &'p [Arc<Endpoint>],
}

impl EndpointSet {
    /// Picks by another choice than load alone, or near ones first; if that leads nowhere, by load.
    pub(super) fn pick_otherwise(
        &self,
        choice: Strategy,
        random: u64,
        now: Moment,
        tried: &[Arc<Endpoint>],
    ) -> Option<&Arc<Endpoint>> {
        let pick = Pick { set: self, random, now, tried };
        let found = match choice {
            Strategy::LeastLoad => None,
            Strategy::RoundRobin => pick.in_turn().map(|at| &self.usable[at]),
            Strategy::Key(key) => pick.by_key(key).map(|at| &self.usable[at]),
            Strategy::AffinityToken(token) => self.by_token(token, pick),
        };
        found.or_else(|| match self.places.is_mixed() {
            true => self.pick_near(random, now, tried),
            false => self.pick_by_load(random, now, tried),
        })
    }

    /// The endpoint with the token, if it takes requests; also one that ends and still serves.
    fn by_token(&self, token: AffinityToken, pick: Pick<'_>) -> Option<&Arc<Endpoint>> {
        let ring = self.ring();
        if let Some(at) = ring.all.find(token) {
            return pick.takes(at).then(|| &self.usable[at]);
        }
        let ending = &self.ending[ring.ending.find(token)?];
        (ending.is_new_to(pick.tried) && !ending.is_ejected()).then_some(ending)
    }
}

impl Pick<'_> {
    /// Whether an endpoint takes this request, be it as the probe that it is due.
    fn takes(self, at: usize) -> bool {
        let endpoint = &self.set.usable[at];
        self.set.is_new(at, self.tried)
            && (!endpoint.is_ejected()
                || endpoint.health.probe(self.now, self.random)
                || !self.set.is_left_out(at))
    }

    /// Whether it takes this request, and is not to be probed.
    fn is_good(self, at: usize) -> bool {
        self.set.is_good(at, self.tried)
    }

    /// The next one that takes the request. Those left out use up their turns, so that their neighbours
    /// do not get them all; over one round that is a turn for each endpoint.
    fn in_turn(self) -> Option<usize> {
        let places = &self.set.places;
        match places.is_mixed() {
            true => self
                .in_turn_of(Among::These(places.near()))
                .or_else(|| self.in_turn_of(Among::These(places.far()))),
            false => self.in_turn_of(Among::All(self.set.usable.len())),
        }
    }

    fn in_turn_of(self, among: Among<'_>) -> Option<usize> {
        let count = among.count();
        let next = || {
            let turn = self.set.turn.fetch_add(1, Ordering::Relaxed) as usize;
            turn.checked_rem(count).map(|number| among.position(number))
        };
        let in_turn = (0..count).find_map(|_| next().filter(|&at| self.takes(at)));
        // Others may have taken turns meanwhile.
        in_turn.or_else(|| (0..count).map(|n| among.position(n)).find(|&at| self.is_good(at)))
    }

    /// The one that has the key, or would have it without those that do not take the request.
    fn by_key(self, key: Key) -> Option<usize> {
        let ring = self.set.ring();
        let mixed = self.set.places.is_mixed();
        let points = if mixed { &ring.near } else { &ring.all };
        let owner = points.nearest(key, |_| true).filter(|&at| self.takes(at));
        let is_good = |at| self.is_good(at);
        let heir = owner.or_else(|| points.nearest(key, is_good));
        heir.or_else(|| if mixed { ring.all.nearest(key, is_good) } else { None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::tests::{at, eject, numbers, ready, spec};
    use crate::model::EndpointSpec;
    use crate::model::EndpointState::{NotReady, Ready, Terminating};

    /// The next picks of a choice: positions.
    fn picks(set: &EndpointSet, choice: Strategy, now: Moment, count: usize) -> Vec<usize> {
        let position = |random| {
            let picked = set.pick(choice, random, now, &[]).expect("not empty");
            set.usable().iter().position(|other| Arc::ptr_eq(other, picked)).expect("of this set")
        };
        numbers().take(count).map(position).collect()
    }

    fn with_near(near: &[u8], count: u8) -> EndpointSet {
        let spec = |last| EndpointSpec { near: near.contains(&last), ..spec(last, Ready) };
        EndpointSet::new(&(1..=count).map(spec).collect(), None)
    }

    #[test]
    fn endpoints_take_turns_from_set_to_set() {
        let set = ready(3);
        assert_eq!(picks(&set, Strategy::RoundRobin, at(0), 5), [0, 1, 2, 0, 1]);
        let specs = [1, 2, 3].map(|last| spec(last, Ready)).into();
        let next = EndpointSet::new(&specs, Some(&set));
        assert_eq!(picks(&next, Strategy::RoundRobin, at(0), 2), [2, 0]);
    }

    #[test]
    fn turns_of_those_left_out_are_nobodys_and_they_are_probed_when_due() {
        let set = ready(4);
        eject(&set, &[1, 2], at(1));
        assert_eq!(picks(&set, Strategy::RoundRobin, at(2), 4), [0, 3, 0, 3]);
        assert_eq!(picks(&set, Strategy::RoundRobin, at(5_000), 6), [0, 1, 2, 3, 0, 3]);
        assert!(set.usable()[1].answered());
        assert_eq!(picks(&set, Strategy::RoundRobin, at(5_000), 3), [0, 1, 3]);
    }

    #[test]
    fn turns_go_around_what_was_tried_until_all_were() {
        let set = ready(3);
        let mut tried = Vec::new();
        for random in numbers().take(3) {
            let next = set.pick(Strategy::RoundRobin, random, at(0), &tried).expect("one is left");
            tried.push(Arc::clone(next));
        }
        assert!(set.pick(Strategy::RoundRobin, 1, at(0), &tried).is_none());
        assert!(EndpointSet::default().pick(Strategy::RoundRobin, 1, at(0), &[]).is_none());
    }

    #[test]
    fn near_ones_alone_take_turns_and_keys_while_any_is_left() {
        let set = with_near(&[2, 4], 5);
        assert_eq!(picks(&set, Strategy::RoundRobin, at(0), 4), [1, 3, 1, 3]);
        let of_keys = |now| {
            let all = numbers().map(|key| picks(&set, Strategy::Key(Key(key)), now, 1)[0]);
            all.collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(of_keys(at(0)), [1, 3].into());
        eject(&set, &[1], at(1));
        assert_eq!(of_keys(at(2)), [3].into());
        eject(&set, &[3], at(1));
        assert_eq!(of_keys(at(2)), [0, 2, 4].into());
        let turns = picks(&set, Strategy::RoundRobin, at(2), 6);
        assert!(!turns.contains(&1) && !turns.contains(&3), "{turns:?}");
    }

    #[test]
    fn a_token_leads_to_its_endpoint_while_that_takes_requests() {
        let set = ready(4);
        let token = Strategy::AffinityToken(set.usable()[2].token());
        assert_eq!(picks(&set, token, at(0), 20), [2; 20]);
        eject(&set, &[2], at(1));
        assert!(!picks(&set, token, at(2), 20).contains(&2));
        let unknown = picks(&set, Strategy::AffinityToken(AffinityToken(7)), at(2), 100);
        assert!([0, 1, 3].iter().all(|at| unknown.contains(at)), "by load: {unknown:?}");
        let tried = [Arc::clone(&set.usable()[0])];
        let token = Strategy::AffinityToken(set.usable()[0].token());
        let other = set.pick(token, 1, at(0), &tried).expect("three are left");
        assert!(!Arc::ptr_eq(other, &tried[0]));
    }

    #[test]
    fn a_token_comes_before_what_is_near() {
        let set = with_near(&[1], 3);
        let token = Strategy::AffinityToken(set.usable()[2].token());
        assert_eq!(picks(&set, token, at(0), 5), [2; 5]);
        assert_eq!(picks(&set, Strategy::AffinityToken(AffinityToken(7)), at(0), 5), [0; 5]);
    }

    #[test]
    fn an_endpoint_that_ends_serves_those_with_its_token_and_nobody_else() {
        let specs = [spec(1, Terminating), spec(2, Ready), spec(3, NotReady)];
        let set = EndpointSet::new(&specs.clone().into(), None);
        let of = |last| Strategy::AffinityToken(AffinityToken::of(spec(last, Ready).addr));
        let ending = set.pick(of(1), 1, at(0), &[]).expect("it serves");
        assert_eq!(ending.addr, spec(1, Ready).addr);
        assert_eq!(set.pick(of(3), 1, at(0), &[]).map(|other| other.addr), Some(specs[1].addr));
        assert_eq!(picks(&set, Strategy::LeastLoad, at(0), 20), [0; 20]);
        let tried = [Arc::clone(ending)];
        assert!(!set.all_tried(&tried), "the ready one is left");
        let next = set.pick(of(1), 1, at(0), &tried).expect("the ready one");
        assert!(set.all_tried(&[Arc::clone(next)]));
        // Back among the ready ones, it is the same with what is in flight there.
        let all = [1, 2].map(|last| spec(last, Ready)).into();
        assert!(Arc::ptr_eq(&EndpointSet::new(&all, Some(&set)).usable()[0], ending));
    }
}
