//! Programs against the sets they were made from, on a classic BPF machine of our own.

mod interpreter;

use super::*;
use crate::config::CLOUDFLARE;
use interpreter::{Run, longest_path, packet_from, run, verify};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::prelude::*;
use std::net::IpAddr;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("literal")
}

fn set(nets: &[&str]) -> AddrRanges {
    let nets: Vec<IpNet> = nets.iter().map(|net| net.parse().expect("literal")).collect();
    AddrRanges::new(&nets)
}

fn program(allowed: &AddrRanges) -> Program {
    let program = compile(allowed).expect("it fits");
    verify(&program);
    program
}

fn is_mapped(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some())
}

/// Asks the program about an address, and compares with the set.
fn ask(program: &Program, allowed: &AddrRanges, source: IpAddr) -> Run {
    let run = run(program, &packet_from(source));
    assert!([0, u32::MAX].contains(&run.answer), "a packet is kept whole or not at all");
    assert_eq!(run.kept, !is_mapped(source) && allowed.contains(source), "{source}");
    run
}

/// The first and last address of every range, and their neighbours.
fn boundaries(allowed: &AddrRanges) -> Vec<IpAddr> {
    let v4 = allowed.v4().iter().flat_map(|&(first, last)| {
        [first.saturating_sub(1), first, last, last.saturating_add(1)]
            .map(|bits| IpAddr::V4(bits.into()))
    });
    let v6 = allowed.v6().iter().flat_map(|&(first, last)| {
        [first.saturating_sub(1), first, last, last.saturating_add(1)]
            .map(|bits| IpAddr::V6(bits.into()))
    });
    v4.chain(v6).collect()
}

fn ask_boundaries(allowed: &AddrRanges) {
    let program = program(allowed);
    for source in boundaries(allowed) {
        ask(&program, allowed, source);
    }
}

#[test]
fn cloudflare_is_told_apart_within_ten_instructions() {
    let allowed = AddrRanges::new(&CLOUDFLARE);
    let program = program(&allowed);
    assert_eq!(program.instructions().len(), 46);
    assert_eq!(longest_path(&program), 10);
    let executed = |is_v4: bool| {
        let sources = boundaries(&allowed).into_iter().filter(|source| source.is_ipv4() == is_v4);
        let executed: Vec<usize> =
            sources.map(|source| ask(&program, &allowed, source).executed).collect();
        (executed.iter().min().copied(), executed.iter().max().copied())
    };
    // The module's head says so.
    assert_eq!(executed(true), (Some(9), Some(10)));
    assert_eq!(executed(false), (Some(8), Some(10)));
}

#[test]
fn who_steers_names_a_place_for_every_source_in_as_many_instructions() {
    let allowed = AddrRanges::new(&CLOUDFLARE);
    let filter = program(&allowed);
    let steering = compile_steering(&allowed, 3, 2).expect("it fits");
    verify(&steering);
    assert_eq!(steering.instructions().len(), filter.instructions().len());
    let mapped = ip("::ffff:104.16.0.1");
    for source in boundaries(&allowed).into_iter().chain([mapped]) {
        let packet = packet_from(source);
        let place = if run(&filter, &packet).kept { 3 } else { 2 };
        assert_eq!(run(&steering, &packet).answer, place, "{source}");
    }
    let nobody = compile_steering(&AddrRanges::default(), 3, 2).expect("it fits");
    assert_eq!(run(&nobody, &packet_from(ip("104.16.0.1"))).answer, 2);
}

#[test]
fn nobody_is_one_instruction() {
    let nobody = program(&AddrRanges::default());
    assert_eq!(nobody.instructions().len(), 1);
    for source in ["0.0.0.0", "127.0.0.1", "255.255.255.255", "::", "::1"] {
        assert!(!run(&nobody, &packet_from(ip(source))).kept);
    }
}

#[test]
fn everybody_is_every_address_of_both_families() {
    let everybody = AddrRanges::everybody();
    let program = program(&everybody);
    assert!(program.instructions().len() <= 13, "{program:?}");
    for source in ["0.0.0.0", "255.255.255.255", "::", "::1", "2001:db8::1", "ffff::"] {
        assert!(ask(&program, &everybody, ip(source)).kept);
    }
}

#[test]
fn mapped_addresses_on_the_wire_are_dropped_whatever_the_set_says() {
    for nets in [&["::ffff:192.0.2.0/120", "::/0"][..], &["::/0"], &["0.0.0.0/0"], &["::/80"]] {
        let allowed = set(nets);
        let program = program(&allowed);
        for source in ["::ffff:0.0.0.0", "::ffff:192.0.2.1", "::ffff:255.255.255.255"] {
            assert!(!ask(&program, &allowed, ip(source)).kept, "{nets:?} {source}");
        }
        for source in ["::fffe:ffff:ffff", "::1:0:0:0", "192.0.2.1"] {
            ask(&program, &allowed, ip(source));
        }
    }
    let mapped = set(&["::ffff:192.0.2.0/120"]);
    assert!(ask(&program(&mapped), &mapped, ip("192.0.2.9")).kept, "the IPv4 packet is meant");
}

#[test]
fn what_is_neither_ipv4_nor_ipv6_is_dropped() {
    let program = program(&AddrRanges::everybody());
    for version in (0..=15u8).filter(|version| ![4, 6].contains(version)) {
        let mut packet = packet_from(ip("192.0.2.1"));
        packet[0] = version << 4 | 5;
        assert!(!run(&program, &packet).kept, "version {version}");
    }
}

#[test]
fn a_family_without_ranges_is_dropped() {
    for (nets, kept, dropped) in [
        (&["192.0.2.0/24"][..], "192.0.2.1", "2001:db8::1"),
        (&["2001:db8::/32"], "2001:db8::1", "192.0.2.1"),
        (&["0.0.0.0/0"], "192.0.2.1", "::"),
        (&["::/0"], "::", "0.0.0.0"),
    ] {
        let allowed = set(nets);
        let program = program(&allowed);
        assert!(ask(&program, &allowed, ip(kept)).kept, "{nets:?}");
        assert!(!ask(&program, &allowed, ip(dropped)).kept, "{nets:?}");
    }
}

#[test]
fn networks_of_every_shape_end_where_they_say() {
    for nets in [
        &["0.0.0.0/32", "255.255.255.255/32", "::/128", "ffff:ffff::/32"][..],
        &["192.0.2.0/25", "192.0.2.128/25", "192.0.2.7/32", "192.0.3.0/24"],
        &["10.0.0.1/32", "10.0.0.3/32", "10.0.0.5/32", "10.0.0.7/32", "10.0.0.9/32"],
        &["2001:db8::1/128", "2001:db8::3/128", "2001:db8:0:1::1/128", "2001:db9::1/128"],
        &["2001:db8::/33", "2001:db8:8000::/64", "2001:db8:8000:1::/65", "2001:db8::/127"],
        &["2001:db8::/30", "2001:dbc::/48", "2001:dbc:1::/49", "2001:dbc:1:8000::/128"],
        &["0.0.0.0/1", "::/1", "8000::/128"],
    ] {
        ask_boundaries(&set(nets));
    }
}

#[test]
fn what_several_words_lead_to_is_written_once() {
    let prefixes = (0..40u128).map(|number| number << 97 | 7 << 64);
    let nets: Vec<IpNet> =
        prefixes.map(|bits| Ipv6Net::new_assert(bits.into(), 64).into()).collect();
    let allowed = AddrRanges::new(&nets);
    ask_boundaries(&allowed);
    let length = program(&allowed).instructions().len();
    assert!(length < 80, "{length} instructions for 40 networks with the same second word");
}

#[test]
fn the_depth_grows_with_the_logarithm_of_the_set() {
    for (count, bound) in [(10, 10), (100, 14), (1000, 19), (1900, 20)] {
        let nets: Vec<IpNet> = (0..count)
            .map(|number: u32| Ipv4Net::new_assert((number << 9).into(), 24).into())
            .collect();
        let depth = longest_path(&program(&AddrRanges::new(&nets)));
        assert!(depth <= bound, "{count} networks: {depth} instructions deep");
    }
}

#[test]
fn single_addresses_take_less_than_one_and_a_half_instructions_each() {
    let nets: Vec<IpNet> =
        (0..2400u32).map(|number| Ipv4Net::new_assert((number * 3).into(), 32).into()).collect();
    let allowed = AddrRanges::new(&nets);
    assert_eq!(allowed.v4().len(), 2400);
    ask_boundaries(&allowed);
    let length = program(&allowed).instructions().len();
    assert!(length < 2400 * 3 / 2, "{length} instructions");
}

#[test]
fn a_set_that_does_not_fit_says_how_much_of_it_does() {
    let nets: Vec<IpNet> = (0..3000u32)
        .map(|number| Ipv4Net::new_assert((number << 9).into(), 24).into())
        .chain((0..7u128).map(|number| Ipv6Net::new_assert((number << 98).into(), 32).into()))
        .collect();
    let too_large = compile(&AddrRanges::new(&nets)).expect_err("too large");
    let TooLarge { ranges, instructions, limit, fits } = too_large;
    assert_eq!((ranges, limit), (3007, 4096));
    assert!(instructions > 6000 && (1900..2048).contains(&fits), "{too_large:?}");
    program(&AddrRanges::new(&nets[..fits]));
    let one_more = compile(&AddrRanges::new(&nets[..=fits])).expect_err("one too many");
    assert_eq!((one_more.ranges, one_more.fits), (fits + 1, fits));
    assert_eq!(
        too_large.to_string(),
        format!(
            "3007 address ranges do not fit into the kernel filter ({instructions} instructions of \
             4096; the first {fits} would fit), so connections are checked in user space"
        )
    );
}

/// Networks near each other, so that they meet, share words and fill neighbouring ones.
fn clustered() -> impl Strategy<Value = IpNet> {
    let v4 = (0u32..1 << 14, 20u8..=32)
        .prop_map(|(bits, length)| IpNet::V4(Ipv4Net::new_assert(bits.into(), length)));
    let v6 = (prop::array::uniform4(0u32..6), 24u8..=128).prop_map(|(words, length)| {
        let bits = words.iter().fold(0u128, |bits, &word| bits << 32 | u128::from(word));
        IpNet::V6(Ipv6Net::new_assert(bits.into(), length))
    });
    prop_oneof![v4, v6]
}

/// Networks anywhere, none so large that it leaves nothing else to tell apart.
fn wide() -> impl Strategy<Value = IpNet> {
    let v4 = (any::<u32>(), 7u8..=32)
        .prop_map(|(bits, length)| IpNet::V4(Ipv4Net::new_assert(bits.into(), length)));
    let v6 = (any::<u128>(), 7u8..=128)
        .prop_map(|(bits, length)| IpNet::V6(Ipv6Net::new_assert(bits.into(), length)));
    prop_oneof![v4, v6]
}

fn sets() -> impl Strategy<Value = Vec<IpNet>> {
    let few = |nets: BoxedStrategy<IpNet>| prop::collection::vec(nets, 0..12);
    let many = |nets: BoxedStrategy<IpNet>| prop::collection::vec(nets, 0..600);
    prop_oneof![
        few(clustered().boxed()),
        few(wide().boxed()),
        many(clustered().boxed()),
        many(wide().boxed()),
        many(prop_oneof![clustered(), wide()].boxed()),
    ]
}

fn sources() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::V4(bits.into())),
        any::<u128>().prop_map(|bits| IpAddr::V6(bits.into())),
        any::<u32>().prop_map(|bits| IpAddr::V6((0xffff << 32 | u128::from(bits)).into())),
        clustered().prop_map(|net| net.addr()),
    ]
}

proptest! {
    #[test]
    fn a_program_keeps_what_its_set_contains(
        nets in sets(),
        sources in prop::collection::vec(sources(), 64),
    ) {
        let allowed = AddrRanges::new(&nets);
        match compile(&allowed) {
            Ok(program) => {
                verify(&program);
                for source in sources.into_iter().chain(boundaries(&allowed)) {
                    ask(&program, &allowed, source);
                }
            }
            Err(TooLarge { fits, .. }) => prop_assert!(fits > 300, "only {} fit", fits),
        }
    }
}
