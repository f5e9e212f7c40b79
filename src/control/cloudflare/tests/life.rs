//! What becomes of the list in time.

use super::{BEGIN, DELAY, HOUR, embedded_with, embedded_without, net, nets, published, spec};
use crate::config::{CLOUDFLARE, ListOrigin, NEVER_CLOUDFLARE};
use crate::control::cloudflare::Failure;
use crate::control::cloudflare::answer::List;
use crate::control::cloudflare::check::Rules;
use crate::control::cloudflare::life::{ClockTimes, ListDiff, ListState};
use crate::control::cloudflare::store::{LeavingNetwork, StoredList};
use crate::control::utc::Utc;
use crate::net::addr::AddrRanges;
use crate::telemetry::{ListFailure, ListSource};
use ipnet::IpNet;
use std::sync::LazyLock;
use std::time::Duration;
use tokio::time::Instant;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

fn at(hours: u64) -> ClockTimes {
    ClockTimes { monotonic: *START + Duration::from_secs(hours * HOUR), unix: BEGIN + hours * HOUR }
}

fn ranges(nets: &[IpNet]) -> AddrRanges {
    AddrRanges::new(nets)
}

fn embedded() -> ListState {
    ListState::new(&published(false), ListSource::Embedded, ranges(&CLOUDFLARE), Some(0))
}

fn answer(list: &mut ListState, now: ClockTimes, networks: &[IpNet]) -> Result<ListDiff, Failure> {
    list.take(now, Some(List { networks: networks.to_vec(), ..List::default() }))
}

const GONE: &str = "131.0.72.0/22";
const NEW: &str = "20.1.0.0/16";

/// The embedded list, which an hour after the start has one network less and another one more.
fn changed() -> ListState {
    let mut list = embedded();
    let outcome = answer(&mut list, at(1), &now_listed()).expect("good");
    let (added, gone) = (ranges(&[net(NEW)]), ranges(&[net(GONE)]));
    assert_eq!(outcome, ListDiff { added, gone: gone.clone(), ..ListDiff::default() });
    assert_eq!((list.source, list.confirmed), (ListSource::Api, Some(at(1).unix)));
    assert_eq!((list.leaving(), list.due()), (gone, Some(at(25).monotonic)));
    assert_eq!(list.in_force(), ranges(&embedded_with(&[NEW])));
    list
}

fn now_listed() -> Vec<IpNet> {
    [embedded_without(&[GONE]), vec![net(NEW)]].concat()
}

#[test]
fn additions_count_at_once_and_what_is_no_longer_listed_leaves_after_the_delay() {
    let mut list = changed();
    // Said once; later answers do not put it off.
    let outcome = answer(&mut list, at(13), &now_listed()).expect("good");
    assert!(!outcome.changed());
    // Nor does a jump of the system's clock bring it on, or put it off.
    for early in [at(24), ClockTimes { unix: u64::MAX, ..at(2) }] {
        assert!(list.expire(early).is_empty());
        assert_eq!(list.in_force(), ranges(&embedded_with(&[NEW])));
    }
    assert_eq!(list.expire(ClockTimes { unix: 0, ..at(25) }), ranges(&[net(GONE)]));
    assert_eq!((list.in_force(), list.due()), (ranges(&now_listed()), None));
}

#[test]
fn what_is_listed_again_in_time_stays() {
    let mut list = changed();
    let half = "131.0.72.0/23";
    let back = [now_listed(), vec![net(half)]].concat();
    let outcome = answer(&mut list, at(2), &back).expect("good");
    assert_eq!(outcome, ListDiff { back: ranges(&[net(half)]), ..ListDiff::default() });
    assert_eq!(list.expire(at(25)), ranges(&[net("131.0.74.0/23")]));
    assert_eq!(list.in_force(), ranges(&back));
}

#[test]
fn several_small_steps_within_the_delay_count_as_one() {
    let mut list = embedded();
    let second = ["103.21.244.0/22", "103.22.200.0/22", "131.0.72.0/22", "103.31.4.0/22"];
    let first = &second[..3];
    answer(&mut list, at(0), &embedded_without(first)).expect("three of fourteen");
    let refused = answer(&mut list, at(12), &embedded_without(&second)).expect_err("the fourth");
    assert_eq!(refused.why, ListFailure::Shrunk, "{refused}");
    list.expire(at(24));
    answer(&mut list, at(24), &embedded_without(&second)).expect("a step of its own");
}

#[test]
fn an_answer_with_the_digest_of_the_last_one_changes_nothing() {
    let mut list = embedded();
    let answer = |networks: Vec<IpNet>, digest: &str| {
        Some(List { networks, digest: Some(digest.to_owned()), etag: None })
    };
    list.take(at(1), answer(CLOUDFLARE.to_vec(), "a")).expect("good");
    let outcome = list.take(at(2), answer(vec![net("20.1.0.0/16")], "a"));
    assert_eq!(outcome, Ok(ListDiff::default()));
    assert_eq!(list.confirmed, Some(at(2).unix));
    // A list that was refused does not leave its digest behind.
    for hours in [3, 4] {
        list.take(at(hours), answer(vec![net("20.1.0.0/16")], "b")).expect_err("short");
    }
    assert_eq!((list.in_force(), list.confirmed), (ranges(&CLOUDFLARE), Some(at(2).unix)));
}

#[test]
fn a_refused_list_leaves_everything_as_it_was() {
    let mut list = changed();
    let before = list.keep(at(2));
    for bad in [vec![net("0.0.0.0/0")], vec![], CLOUDFLARE[..4].to_vec()] {
        answer(&mut list, at(2), &bad).expect_err("bad");
    }
    assert_eq!(list.keep(at(2)), before);
}

#[test]
fn the_operators_removals_count_at_once() {
    let spec = spec(Rules::Override, ListOrigin::File("list".into()));
    let mut list = ListState::new(&spec, ListSource::Nothing, AddrRanges::default(), None);
    let two = nets(&["198.41.128.7/32", "198.41.129.9/32"]);
    answer(&mut list, at(1), &two).expect("an own list may be small");
    let outcome = answer(&mut list, at(2), &two[..1]).expect("one less");
    assert_eq!(outcome, ListDiff { gone: ranges(&two[1..]), ..ListDiff::default() });
    assert_eq!((list.in_force(), list.due()), (ranges(&two[..1]), None));
}

#[test]
fn what_was_about_to_leave_leaves_at_its_time_in_the_next_process() {
    let kept = changed().keep(at(11));
    assert_eq!(kept.leaving, [LeavingNetwork { network: net(GONE), until: Utc(at(25).unix) }]);
    let process = |hours: u64| {
        let now = ClockTimes { unix: at(hours).unix, ..at(0) };
        ListState::restore(now, &kept, &published(false)).expect("what was kept")
    };
    let restored = process(15);
    assert_eq!(restored.in_force(), ranges(&embedded_with(&[NEW])));
    assert_eq!((restored.source, restored.confirmed), (ListSource::Disk, Some(at(1).unix)));
    assert_eq!(process(30).in_force(), ranges(&now_listed()));
    // A clock that went back cannot put it off beyond what was left.
    for (hours, left) in [(15, Some(10)), (25, None), (0, Some(14))] {
        assert_eq!(process(hours).due(), left.map(|left| at(left).monotonic), "{hours}");
    }
}

#[test]
fn a_kept_list_is_checked_like_any_other() {
    let good = embedded().keep(at(1));
    let restore = |kept: &StoredList| ListState::restore(at(0), kept, &published(false));
    let listed = |networks: Vec<IpNet>| restore(&StoredList { networks, ..good.clone() });
    listed(embedded_with(&["0.0.0.0/0"])).expect_err("everybody");
    listed(CLOUDFLARE[..5].to_vec()).expect_err("short");
    let leaving = |texts: &[&str]| {
        let leave = |network| LeavingNetwork { network, until: Utc(u64::MAX) };
        let leaving = nets(texts).into_iter().map(leave).collect();
        restore(&StoredList { leaving, ..good.clone() })
    };
    leaving(&["10.1.0.0/16"]).expect_err("private");
    leaving(&["20.0.0.0/10", "21.0.0.0/10"]).expect_err("too much");
    // Listed and leaving is listed; never admitted is never admitted; forever is a delay.
    let list = leaving(&[GONE, "20.1.0.0/16", "104.28.0.0/15"]).expect("plausible");
    assert_eq!(list.leaving(), ranges(&[net("20.1.0.0/16")]));
    assert_eq!(list.due(), Some(at(0).monotonic + DELAY));
    assert_eq!(list.in_force().minus(&ranges(&NEVER_CLOUDFLARE)), list.in_force());
}
