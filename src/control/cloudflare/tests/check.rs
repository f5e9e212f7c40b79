//! Which lists are put in force.

use super::{embedded_with, embedded_without, net, nets};
use crate::config::{CLOUDFLARE, NEVER_CLOUDFLARE};
use crate::control::cloudflare::Failure;
use crate::control::cloudflare::check::{Checked, MOST_NETWORKS, Rules, check, networks};
use crate::net::addr::AddrRanges;
use crate::telemetry::ListFailure::{self, Broad, Empty, Grown, Reserved, Short, Shrunk, TooMany};
use ipnet::IpNet;

const EMPTY: &str = "it has no network that could be admitted";

fn published(candidate: &[IpNet]) -> Result<Checked, Failure> {
    check(candidate, Some(&AddrRanges::new(&CLOUDFLARE)), Rules::Published)
}

/// Checks that the list is refused for this reason, in these words.
fn refused(found: Result<Checked, Failure>, why: ListFailure, words: &str) {
    let refused = found.expect_err(words);
    assert_eq!(refused.why, why, "{refused}");
    assert!(refused.to_string().contains(words), "{refused}");
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
    let lists = &[Rules::Published, Rules::Override][..];
    let every = &[Rules::Published, Rules::Override, Rules::Extra][..];
    for (extra, why, whose) in [
        ("0.0.0.0/0", Broad, every),
        ("::/0", Broad, every),
        ("0.0.0.0/1", Broad, every),
        ("8.0.0.0/9", Broad, every),
        ("10.0.0.0/8", Broad, every),
        ("2a00::/16", Broad, every),
        ("10.0.0.0/10", Reserved, lists),
        ("192.168.1.0/24", Reserved, lists),
        ("127.0.0.1/32", Reserved, every),
        ("169.254.169.254/32", Reserved, every),
        ("::ffff:8.8.8.0/120", Reserved, lists),
        ("fe80::/64", Reserved, every),
        ("ff02::/64", Reserved, every),
    ] {
        for &rules in whose {
            refused(check(&embedded_with(&[extra]), None, rules), why, extra);
        }
    }
}

#[test]
fn many_networks_that_cover_much_together_are_refused() {
    let tenths: Vec<IpNet> = (0..8).map(|n| net(&format!("{}.0.0.0/10", 20 + n))).collect();
    let all = [CLOUDFLARE.as_slice(), &tenths].concat();
    let sixes = [net("2a00:1000::/24")];
    refused(published(&all), Grown, "4 times the IPv4 addresses");
    refused(check(&tenths, None, Rules::Override), Grown, "4 times the IPv4 addresses");
    refused(check(&sixes, None, Rules::Override), Grown, "4 times the IPv6 addresses");
    let small: Vec<IpNet> =
        (0..=MOST_NETWORKS).map(|n| net(&format!("20.{}.{}.0/24", n / 256, n % 256))).collect();
    refused(published(&small), TooMany, "it has 1025 networks; at most 1024 are");
}

#[test]
fn an_old_list_loses_what_was_given_to_warp_users_and_is_taken_otherwise() {
    let stale = embedded_with(&["104.16.0.0/12", "104.29.0.0/16"]);
    let checked = published(&stale).expect("plausible");
    assert_eq!(checked.never, NEVER_CLOUDFLARE);
    assert_eq!(checked.ranges, AddrRanges::new(&CLOUDFLARE));
    refused(check(&NEVER_CLOUDFLARE, None, Rules::Override), Empty, EMPTY);
}

#[test]
fn a_published_list_may_lose_a_quarter_at_once_and_no_more() {
    let four = ["103.21.244.0/22", "103.22.200.0/22", "131.0.72.0/22", "103.31.4.0/22"];
    for good in [&four[..3], &["2405:8100::/32"]] {
        assert_eq!(published(&embedded_without(good)).map(drop), Ok(()));
    }
    for (gone, words) in [
        (
            &["104.16.0.0/13"][..],
            "35 % of the IPv4 addresses in force are missing, such as 104.16.0.0/13: more than a \
             quarter at once",
        ),
        (&four, "29 % of the IPv4 ranges in force are missing"),
        (&["2405:8100::/32", "2405:b500::/32"], "of the IPv6 ranges in force are missing"),
    ] {
        refused(published(&embedded_without(gone)), Shrunk, words);
    }
}

#[test]
fn a_published_list_never_has_less_than_half_of_what_is_compiled_in() {
    let v4: Vec<IpNet> = CLOUDFLARE.into_iter().filter(|net| matches!(net, IpNet::V4(_))).collect();
    for short in [&v4[..], &CLOUDFLARE[..5]] {
        refused(published(short), Short, "of the embedded list are missing");
    }
    // However little is in force.
    let few = embedded_without(&["104.16.0.0/13", "172.64.0.0/13"]);
    let in_force = AddrRanges::new(&few);
    let found = check(&few, Some(&in_force), Rules::Published);
    refused(found, Short, "69 % of the IPv4 addresses of the embedded list are missing");
    refused(published(&[]), Empty, EMPTY);
}

#[test]
fn an_override_may_be_small_and_change_by_one_range_or_a_quarter() {
    let change = |before: &[IpNet], after: &[IpNet]| {
        check(after, Some(&AddrRanges::new(before)), Rules::Override)
    };
    let two = nets(&["198.41.128.7/32", "198.41.129.9/32"]);
    assert_eq!(check(&two, None, Rules::Override).map(drop), Ok(()));
    let others = nets(&["20.1.1.1/32", "20.1.1.9/32"]);
    for (before, after) in
        [(&two[..], &two[..1]), (&two, &others), (&CLOUDFLARE, &CLOUDFLARE[..17])]
    {
        assert_eq!(change(before, after).map(drop), Ok(()));
    }
    let cut = change(&CLOUDFLARE, &CLOUDFLARE[..15]);
    refused(cut, Shrunk, "it has 14 ranges and had 21: more than a quarter");
    refused(change(&two, &[]), Empty, EMPTY);
}

#[test]
fn further_ranges_may_be_private_and_come_and_go_as_they_like() {
    let own = ["100.64.0.0/12", "2606:4700:cf1:5000::/64", "10.8.0.0/24", "192.0.2.1/32"];
    let checked = check(&nets(&own), None, Rules::Extra).expect("what an operator may have");
    assert!(checked.ranges.contains("100.64.1.1".parse().expect("literal")));
    let fewer = check(&nets(&own[3..]), Some(&checked.ranges), Rules::Extra);
    assert_eq!(fewer.map(drop), Ok(()), "fewer at once");
    refused(check(&[], None, Rules::Extra), Empty, EMPTY);
}
