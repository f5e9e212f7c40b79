//! What becomes of the list in time.

use super::{embedded_with, embedded_without, net};
use crate::config::{CLOUDFLARE, NEVER_CLOUDFLARE};
use crate::control::cloudflare::answer::List;
use crate::control::cloudflare::check::{Refused, Rules};
use crate::control::cloudflare::life::{Answer, ClockTimes, ListDiff, ListState, StoredList};
use crate::net::addr::AddrRanges;
use crate::telemetry::ListSource;
use ipnet::IpNet;
use std::time::Duration;

const HOUR: u64 = 3600;
const DELAY: Duration = Duration::from_secs(24 * HOUR);
const BEGIN: u64 = 1_790_000_000;

fn at(hours: u64) -> ClockTimes {
    ClockTimes { monotonic: Duration::from_secs(hours * HOUR), unix: BEGIN + hours * HOUR }
}

fn ranges(nets: &[IpNet]) -> AddrRanges {
    AddrRanges::new(nets)
}

fn published() -> ListState {
    ListState::new(Rules::Published, DELAY, ListSource::Embedded, ranges(&CLOUDFLARE), Some(0))
}

fn answer(life: &mut ListState, now: ClockTimes, networks: &[IpNet]) -> Result<ListDiff, Refused> {
    let list = List { networks: networks.to_vec(), digest: None };
    life.on_answer(now, ListSource::Api, Answer::List(list))
}

const GONE: &str = "131.0.72.0/22";

#[test]
fn additions_count_at_once() {
    let mut life = published();
    let outcome = answer(&mut life, at(1), &embedded_with(&["20.1.0.0/16"])).expect("good");
    let added = ranges(&[net("20.1.0.0/16")]);
    assert_eq!(outcome, ListDiff { added, ..ListDiff::default() });
    assert_eq!(life.in_force(), ranges(&embedded_with(&["20.1.0.0/16"])));
    assert_eq!((life.source(), life.confirmed()), (ListSource::Api, Some(at(1).unix)));
}

#[test]
fn what_is_no_longer_listed_leaves_after_the_delay() {
    let mut life = published();
    let outcome = answer(&mut life, at(1), &embedded_without(&[GONE])).expect("good");
    let leaving = ranges(&[net(GONE)]);
    assert_eq!(outcome, ListDiff { leaving: leaving.clone(), ..ListDiff::default() });
    assert_eq!((life.leaving(), life.due()), (leaving.clone(), Some(at(25).monotonic)));
    // Said once; later answers do not put it off.
    let outcome = answer(&mut life, at(13), &embedded_without(&[GONE])).expect("good");
    assert!(!outcome.changed());
    assert!(life.expire(at(24)).is_empty());
    assert_eq!(life.in_force(), ranges(&CLOUDFLARE));
    assert_eq!(life.expire(at(25)), leaving);
    assert_eq!(life.in_force(), ranges(&embedded_without(&[GONE])));
    assert_eq!(life.due(), None);
}

#[test]
fn what_is_listed_again_in_time_stays() {
    let mut life = published();
    answer(&mut life, at(1), &embedded_without(&[GONE])).expect("good");
    let half = "131.0.72.0/23";
    let back = [embedded_without(&[GONE]), vec![net(half)]].concat();
    let outcome = answer(&mut life, at(2), &back).expect("good");
    assert_eq!(outcome, ListDiff { back: ranges(&[net(half)]), ..ListDiff::default() });
    assert_eq!(life.expire(at(25)), ranges(&[net("131.0.74.0/23")]));
    assert_eq!(life.in_force(), ranges(&back));
}

#[test]
fn a_jump_of_the_systems_clock_removes_nothing() {
    let mut life = published();
    answer(&mut life, at(1), &embedded_without(&[GONE])).expect("good");
    let ahead = ClockTimes { unix: u64::MAX, ..at(2) };
    assert!(life.expire(ahead).is_empty());
    let behind = ClockTimes { unix: 0, ..at(25) };
    assert_eq!(life.expire(behind), ranges(&[net(GONE)]));
}

#[test]
fn several_small_steps_within_the_delay_count_as_one() {
    let mut life = published();
    let first = ["103.21.244.0/22", "103.22.200.0/22", "131.0.72.0/22"];
    let second = [&first[..], &["103.31.4.0/22"]].concat();
    answer(&mut life, at(0), &embedded_without(&first)).expect("three of fourteen");
    let refused = answer(&mut life, at(12), &embedded_without(&second)).expect_err("the fourth");
    assert!(matches!(refused, Refused::Shrunk { .. }), "{refused}");
    life.expire(at(24));
    answer(&mut life, at(24), &embedded_without(&second)).expect("a step of its own");
}

#[test]
fn an_answer_with_the_digest_of_the_last_one_changes_nothing() {
    let mut life = published();
    let list = |networks: Vec<IpNet>, digest: &str| {
        Answer::List(List { networks, digest: Some(digest.to_owned()) })
    };
    life.on_answer(at(1), ListSource::Api, list(CLOUDFLARE.to_vec(), "a")).expect("good");
    let outcome = life.on_answer(at(2), ListSource::Api, list(vec![net("20.1.0.0/16")], "a"));
    assert_eq!(outcome, Ok(ListDiff::default()));
    assert_eq!(life.confirmed(), Some(at(2).unix));
    // A list that was refused does not leave its digest behind.
    let refused = list(vec![net("20.1.0.0/16")], "b");
    assert!(life.on_answer(at(3), ListSource::Api, refused.clone()).is_err());
    assert!(life.on_answer(at(4), ListSource::Api, refused).is_err());
    assert_eq!((life.in_force(), life.confirmed()), (ranges(&CLOUDFLARE), Some(at(2).unix)));
}

#[test]
fn a_refused_list_leaves_everything_as_it_was() {
    let mut life = published();
    answer(&mut life, at(1), &embedded_without(&[GONE])).expect("good");
    let before = life.keep(at(2));
    for bad in [vec![net("0.0.0.0/0")], vec![], CLOUDFLARE[..4].to_vec()] {
        answer(&mut life, at(2), &bad).expect_err("bad");
    }
    assert_eq!(life.keep(at(2)), before);
}

#[test]
fn the_operators_removals_count_at_once() {
    let nobody = AddrRanges::default();
    let mut life = ListState::new(Rules::Override, DELAY, ListSource::Nothing, nobody, None);
    let two = [net("198.41.128.7/32"), net("198.41.129.9/32")];
    answer(&mut life, at(1), &two).expect("an own list may be small");
    let outcome = answer(&mut life, at(2), &two[..1]).expect("one less");
    assert_eq!(outcome, ListDiff { removed: ranges(&two[1..]), ..ListDiff::default() });
    assert_eq!((life.in_force(), life.due()), (ranges(&two[..1]), None));
}

#[test]
fn what_was_about_to_leave_leaves_at_its_time_in_the_next_process() {
    let mut life = published();
    answer(&mut life, at(1), &embedded_without(&[GONE])).expect("good");
    let kept = life.keep(at(11));
    assert_eq!(kept.leaving, [(net(GONE), at(25).unix)]);
    let process = |hours: u64| {
        let now = ClockTimes { monotonic: Duration::ZERO, unix: BEGIN + hours * HOUR };
        ListState::restore(now, &kept, Rules::Published, DELAY).expect("what was kept")
    };
    let due = |hours| process(hours).due();
    assert_eq!(due(15), Some(Duration::from_secs(10 * HOUR)));
    assert_eq!(process(15).in_force(), ranges(&CLOUDFLARE));
    assert_eq!(
        (process(15).source(), process(15).confirmed()),
        (ListSource::Disk, Some(at(1).unix))
    );
    assert_eq!(due(25), None);
    assert_eq!(process(30).in_force(), ranges(&embedded_without(&[GONE])));
    // A clock that went back cannot put it off beyond what was left.
    assert_eq!(due(0), Some(Duration::from_secs(14 * HOUR)));
}

#[test]
fn a_kept_list_is_checked_like_any_other() {
    let good = published().keep(at(1));
    let restore = |kept: &StoredList| ListState::restore(at(0), kept, Rules::Published, DELAY);
    let listed = |listed: Vec<IpNet>| restore(&StoredList { listed, ..good.clone() });
    listed(embedded_with(&["0.0.0.0/0"])).expect_err("everybody");
    listed(CLOUDFLARE[..5].to_vec()).expect_err("short");
    let leaving = |nets: &[&str], until: u64| {
        let leaving = nets.iter().map(|text| (net(text), until)).collect();
        restore(&StoredList { leaving, ..good.clone() })
    };
    leaving(&["10.1.0.0/16"], u64::MAX).expect_err("private");
    leaving(&["20.0.0.0/10", "21.0.0.0/10"], u64::MAX).expect_err("too much");
    // Listed and leaving is listed; never admitted is never admitted; forever is a delay.
    let life = leaving(&[GONE, "20.1.0.0/16", "104.28.0.0/15"], u64::MAX).expect("plausible");
    assert_eq!(life.leaving(), ranges(&[net("20.1.0.0/16")]));
    assert_eq!(life.due(), Some(DELAY));
    let never = ranges(&NEVER_CLOUDFLARE);
    assert_eq!(life.in_force().minus(&never), life.in_force());
}
