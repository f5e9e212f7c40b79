//! Sets of endpoints, their state and the choice among them, by a clock of the test's.

use super::*;
use crate::net::addr::EndpointAddr;
use EndpointState::{NotReady, Ready, Terminating};
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) fn spec(last: u8, state: EndpointState) -> EndpointSpec {
    let addr = EndpointAddr::new([10, 0, 0, last].into(), 80);
    EndpointSpec { addr, state, node: None, zone: None, near: false }
}

/// This many ready endpoints.
pub(super) fn ready(count: u8) -> EndpointSet {
    EndpointSet::new(&(1..=count).map(|last| spec(last, Ready)).collect(), None)
}

/// A fixed sequence that visits the whole range.
pub(super) fn numbers() -> impl Iterator<Item = u64> {
    (0..4000u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

pub(super) fn at(millis: u64) -> Moment {
    Moment::default().after(Duration::from_millis(millis))
}

/// How often each endpoint is picked, by position.
fn picked(set: &EndpointSet, now: Moment) -> BTreeMap<usize, usize> {
    let mut counts = BTreeMap::new();
    for random in numbers() {
        let endpoint = set.pick(Strategy::LeastLoad, random, now, &[]).expect("not empty");
        let position = set.usable().iter().position(|other| Arc::ptr_eq(other, endpoint));
        *counts.entry(position.expect("of this set")).or_default() += 1;
    }
    counts
}

pub(super) fn eject(set: &EndpointSet, positions: &[usize], now: Moment) {
    for &position in positions {
        assert!(set.usable()[position].failed(now, 1, 0));
    }
}

#[test]
fn ready_endpoints_hide_terminating_ones_and_not_ready_ones_are_never_used() {
    let set = |states: &[EndpointState]| {
        let specs: Vec<_> = (1..).zip(states).map(|(last, &state)| spec(last, state)).collect();
        let set = EndpointSet::new(&specs.into(), None);
        set.usable().iter().map(|endpoint| endpoint.addr.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(set(&[Terminating, Ready, NotReady]), ["10.0.0.2:80"]);
    assert_eq!(set(&[Terminating, NotReady, NotReady]), ["10.0.0.1:80"]);
    assert!(set(&[NotReady]).is_empty());
    assert!(
        EndpointSet::new(&Arc::default(), None).pick(Strategy::LeastLoad, 1, at(0), &[]).is_none()
    );
}

#[test]
fn load_is_spread_evenly_and_follows_requests_in_flight() {
    let set = ready(4);
    let counts = picked(&set, at(0));
    assert_eq!(counts.len(), 4);
    assert!(counts.values().all(|&count| (800..1200).contains(&count)), "{counts:?}");

    let busy: Vec<_> = (0..9).map(|_| InFlight::begin(&set.usable()[0])).collect();
    assert!(!picked(&set, at(0)).contains_key(&0), "the busiest never wins a choice of two");
    drop(busy);
    assert_eq!(set.usable()[0].in_flight(), 0);
}

#[test]
fn slow_endpoints_get_less_until_the_others_have_as_much_to_do() {
    let set = ready(2);
    set.usable()[0].took(Duration::from_millis(8), at(1));
    assert_eq!(picked(&set, at(1)).get(&0), None);
    // Seven requests of a millisecond, and the next, take as long as one of eight.
    let busy: Vec<_> = (0..7).map(|_| InFlight::begin(&set.usable()[1])).collect();
    let counts = picked(&set, at(1));
    assert!(counts.values().all(|&count| (1600..2400).contains(&count)), "{counts:?}");
    drop(busy);
    // What was slow is asked again, though nobody has asked meanwhile.
    assert_eq!(picked(&set, at(60_000)).len(), 2);
}

#[test]
fn tried_endpoints_are_not_picked_again() {
    let set = ready(3);
    let mut tried = Vec::new();
    for random in numbers().take(3) {
        tried.push(Arc::clone(
            set.pick(Strategy::LeastLoad, random, at(0), &tried).expect("one is left"),
        ));
    }
    assert!(set.pick(Strategy::LeastLoad, 7, at(0), &tried).is_none());
}

#[test]
fn requests_in_flight_and_begun_are_counted_in_one_word() {
    let set = ready(1);
    let endpoint = &set.usable()[0];
    let counts = || (endpoint.in_flight(), endpoint.begun());
    let first = InFlight::begin(endpoint);
    let second = InFlight::begin(endpoint);
    assert_eq!(counts(), (2, 2));
    drop(first);
    assert_eq!(counts(), (1, 2));
    let queue = Arc::default();
    assert!(InFlight::begin_below(endpoint, 1, &queue).is_none());
    assert_eq!(counts(), (1, 2));
    let third = InFlight::begin_below(endpoint, 2, &queue).expect("there is room");
    assert_eq!(counts(), (2, 3));
    drop([second, third]);
    assert_eq!(counts(), (0, 3));
}

#[test]
fn an_address_that_stays_keeps_its_state() {
    let both = [spec(1, Ready), spec(2, Ready)];
    let old = EndpointSet::new(&both.clone().into(), None);
    let request = InFlight::begin(&old.usable()[1]);
    let new = EndpointSet::new(&both[1..].into(), Some(&old));
    assert_eq!(new.usable()[0].in_flight(), 1);
    drop(request);
    assert_eq!(new.usable()[0].in_flight(), 0);
}

#[test]
fn an_address_keeps_its_state_while_it_takes_no_requests() {
    let old = ready(2);
    let endpoint = Arc::clone(&old.usable()[1]);
    eject(&old, &[1], at(1));
    let mut set = old;
    for state in [NotReady, Terminating, NotReady] {
        set = EndpointSet::new(&[spec(1, Ready), spec(2, state)].into(), Some(&set));
        assert_eq!((set.usable().len(), set.ejected()), (1, 0));
    }
    set = EndpointSet::new(&[spec(1, Ready), spec(2, Ready)].into(), Some(&set));
    assert!(Arc::ptr_eq(&set.usable()[1], &endpoint));
    assert_eq!(set.ejected(), 1);
}

#[test]
fn ejected_endpoints_get_nothing_but_their_probes_and_everything_once_they_answer() {
    let set = ready(6);
    eject(&set, &[0, 4], at(1));
    assert_eq!(set.ejected(), 2);
    let counts = picked(&set, at(1_000));
    assert!(!counts.contains_key(&0) && !counts.contains_key(&4), "{counts:?}");
    assert!(counts.values().all(|&count| (800..1200).contains(&count)), "{counts:?}");

    let counts = picked(&set, at(3_000));
    assert_eq!((counts[&0], counts[&4]), (1, 1), "one probe each: {counts:?}");
    assert!(set.usable()[0].answered());
    assert_eq!(set.ejected(), 1);
    let counts = picked(&set, at(3_000));
    assert!(counts[&0] > 600 && !counts.contains_key(&4), "{counts:?}");
}

#[test]
fn half_of_a_set_at_most_is_left_out_however_many_are_ejected() {
    for (count, most) in [(1u8, 0u32), (2, 1), (3, 1), (4, 2), (5, 2), (200, 100)] {
        let set = ready(count);
        for position in 0..usize::from(count) {
            eject(&set, &[position], at(1));
            let now = u32::try_from(position).expect("small") + 1;
            assert_eq!(set.ejected(), now.min(most), "{now} of {count}");
        }
        let used = picked(&set, at(2)).len();
        assert_eq!(used, usize::from(count) - most as usize, "{count}");
    }
}

#[test]
fn half_of_a_set_at_most_is_left_out_while_workers_eject_and_heal_at_once() {
    let set = ready(4);
    std::thread::scope(|scope| {
        for worker in 0..2 {
            let set = &set;
            scope.spawn(move || {
                for random in numbers().take(2_000) {
                    let position = (scale(random, 4) as usize + worker) % 4;
                    set.usable()[position].failed(at(1), 1, random);
                    assert!(set.ejected() <= 2);
                    assert!(set.pick(Strategy::LeastLoad, random, at(1), &[]).is_some());
                    set.usable()[(position + 1) % 4].answered();
                }
            });
        }
    });
}

#[test]
fn what_was_tried_is_followed_by_what_is_not_left_out_and_that_by_the_rest() {
    let set = ready(4);
    eject(&set, &[1, 2], at(1));
    for random in numbers().take(200) {
        let mut tried = vec![Arc::clone(&set.usable()[0])];
        let next = set.pick(Strategy::LeastLoad, random, at(1), &tried).expect("three are left");
        assert!(Arc::ptr_eq(next, &set.usable()[3]));
        tried.push(Arc::clone(next));
        let next = set.pick(Strategy::LeastLoad, random, at(1), &tried).expect("two are left");
        assert!(next.is_ejected());
    }
}
