//! Which lists are put in force.

use super::{embedded_with, embedded_without, net};
use crate::config::{CLOUDFLARE, NEVER_CLOUDFLARE};
use crate::control::cloudflare::check::{
    Checked, Family, MOST_NETWORKS, Measure, Refused, Rules, check, networks,
};
use crate::net::addr::AddrRanges;
use crate::telemetry::ListFailure;
use ipnet::IpNet;

fn published(candidate: &[IpNet]) -> Result<Checked, Refused> {
    check(candidate, Some(&AddrRanges::new(&CLOUDFLARE)), Rules::Published)
}

#[test]
fn what_is_compiled_in_passes_its_own_checks() {
    let checked = published(&CLOUDFLARE).expect("the list itself");
    assert_eq!(checked.ranges, AddrRanges::new(&CLOUDFLARE));
    assert_eq!(checked.never, []);
    assert_eq!(AddrRanges::new(&networks(&checked.ranges)), checked.ranges);
}

#[test]
fn a_list_with_one_hostile_network_is_refused_whoever_wrote_it() {
    for (extra, why) in [
        ("0.0.0.0/0", ListFailure::Broad),
        ("::/0", ListFailure::Broad),
        ("0.0.0.0/1", ListFailure::Broad),
        ("8.0.0.0/9", ListFailure::Broad),
        ("2a00::/16", ListFailure::Broad),
        ("10.0.0.0/10", ListFailure::Reserved),
        ("192.168.1.0/24", ListFailure::Reserved),
        ("127.0.0.1/32", ListFailure::Reserved),
        ("::ffff:8.8.8.0/120", ListFailure::Reserved),
        ("fe80::/64", ListFailure::Reserved),
    ] {
        for rules in [Rules::Published, Rules::Override] {
            let found = check(&embedded_with(&[extra]), None, rules).expect_err(extra);
            assert_eq!(found.why(), why, "{extra}: {found}");
            assert!(found.to_string().contains(extra), "{found}");
        }
    }
}

#[test]
fn many_networks_that_cover_much_together_are_refused() {
    let tenths: Vec<IpNet> = (0..8).map(|n| net(&format!("{}.0.0.0/10", 20 + n))).collect();
    let all = [CLOUDFLARE.as_slice(), &tenths].concat();
    assert_eq!(published(&all), Err(Refused::Grown(Family::V4)));
    assert_eq!(check(&tenths, None, Rules::Override), Err(Refused::Grown(Family::V4)));
    let sixes = [net("2a00:1000::/24")];
    assert_eq!(check(&sixes, None, Rules::Override), Err(Refused::Grown(Family::V6)));
    let small: Vec<IpNet> =
        (0..=MOST_NETWORKS).map(|n| net(&format!("20.{}.{}.0/24", n / 256, n % 256))).collect();
    assert_eq!(published(&small), Err(Refused::TooMany(MOST_NETWORKS + 1)));
}

#[test]
fn an_old_list_loses_what_was_given_to_warp_users_and_is_taken_otherwise() {
    let stale = embedded_with(&["104.16.0.0/12", "104.29.0.0/16"]);
    let checked = published(&stale).expect("plausible");
    assert_eq!(checked.never, NEVER_CLOUDFLARE);
    assert_eq!(checked.ranges, AddrRanges::new(&CLOUDFLARE));
    assert_eq!(check(&NEVER_CLOUDFLARE, None, Rules::Override), Err(Refused::Empty));
}

#[test]
fn a_published_list_may_lose_a_quarter_at_once_and_no_more() {
    let lost = |gone: &[&str]| published(&embedded_without(gone)).map(drop);
    assert_eq!(lost(&["103.21.244.0/22", "103.22.200.0/22", "131.0.72.0/22"]), Ok(()));
    assert_eq!(lost(&["2405:8100::/32"]), Ok(()));
    let refused = lost(&["104.16.0.0/13"]).expect_err("a third of the addresses");
    assert_eq!(
        refused.to_string(),
        "35 % of the IPv4 addresses in force are missing, such as 104.16.0.0/13: more than a \
         quarter at once"
    );
    let four = ["103.21.244.0/22", "103.22.200.0/22", "131.0.72.0/22", "103.31.4.0/22"];
    let refused = lost(&four).expect_err("more than a quarter of the ranges");
    assert!(matches!(refused, Refused::Shrunk { measure: Measure::Ranges, percent: 29, .. }));
    let refused = lost(&["2405:8100::/32", "2405:b500::/32"]).expect_err("two of seven");
    assert!(matches!(refused, Refused::Shrunk { family: Family::V6, .. }), "{refused}");
}

#[test]
fn a_published_list_never_has_less_than_half_of_what_is_compiled_in() {
    let v4: Vec<IpNet> = CLOUDFLARE.into_iter().filter(|net| matches!(net, IpNet::V4(_))).collect();
    assert_eq!(published(&v4).map_err(|refused| refused.why()), Err(ListFailure::Short));
    assert_eq!(
        published(&CLOUDFLARE[..5]).map_err(|refused| refused.why()),
        Err(ListFailure::Short)
    );
    // However little is in force.
    let few = embedded_without(&["104.16.0.0/13", "172.64.0.0/13"]);
    let in_force = AddrRanges::new(&few);
    let refused = check(&few, Some(&in_force), Rules::Published).expect_err("short");
    assert!(matches!(refused, Refused::Short { family: Family::V4, percent: 69, .. }), "{refused}");
    assert_eq!(published(&[]), Err(Refused::Empty));
}

#[test]
fn an_override_may_be_small_and_change_by_one_range_or_a_quarter() {
    let own = |nets: &[&str]| nets.iter().map(|text| net(text)).collect::<Vec<_>>();
    let change = |before: &[&str], after: &[&str]| {
        let before = AddrRanges::new(&own(before));
        check(&own(after), Some(&before), Rules::Override).map(drop)
    };
    let two = ["198.41.128.7/32", "198.41.129.9/32"];
    assert_eq!(check(&own(&two), None, Rules::Override).map(drop), Ok(()));
    assert_eq!(change(&two, &two[..1]), Ok(()));
    assert_eq!(change(&two, &["20.1.1.1/32", "20.1.1.9/32"]), Ok(()));
    let all: Vec<String> = CLOUDFLARE.iter().map(IpNet::to_string).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    assert_eq!(change(&all, &all[..17]), Ok(()));
    assert_eq!(change(&all, &all[..15]), Err(Refused::Cut { now: 14, before: 21 }));
    assert_eq!(change(&two, &[]), Err(Refused::Empty));
}

#[test]
fn further_ranges_may_be_private_and_come_and_go_as_they_like() {
    let take = |text: &[&str], before: Option<&AddrRanges>| {
        let nets: Vec<IpNet> = text.iter().map(|text| net(text)).collect();
        check(&nets, before, Rules::Extra)
    };
    let own = ["100.64.0.0/12", "2606:4700:cf1:5000::/64", "10.8.0.0/24", "192.0.2.1/32"];
    let checked = take(&own, None).expect("what an operator may have");
    assert!(checked.ranges.contains("100.64.1.1".parse().expect("literal")));
    assert_eq!(take(&own[3..], Some(&checked.ranges)).map(drop), Ok(()), "fewer at once");
    for (text, why) in [
        ("0.0.0.0/0", ListFailure::Broad),
        ("::/0", ListFailure::Broad),
        ("10.0.0.0/8", ListFailure::Broad),
        ("127.0.0.1/32", ListFailure::Reserved),
        ("169.254.169.254/32", ListFailure::Reserved),
        ("ff02::/64", ListFailure::Reserved),
    ] {
        assert_eq!(take(&[own[0], text], None).expect_err(text).why(), why, "{text}");
    }
    assert_eq!(take(&[], None), Err(Refused::Empty));
}
