//! Which policy a host has, and for whom.

use crate::model::HostPattern;
use crate::pki::client_certificate::{Authority, BreakGlassAccess, Demand, Mode, Subjects};
use crate::tls::{HostDemand, Policies, TlsPeer};
use std::sync::Arc;

fn demand(mode: Mode) -> Demand {
    Demand { mode, authority: Some(Arc::new(Authority::cloudflare())), ..Demand::off() }
}

fn at(pattern: &str, mode: Mode) -> HostDemand {
    let host = HostPattern::parse(Some(pattern).filter(|text| *text != "*")).expect("a host");
    let demand = if mode == Mode::Off { Demand::off() } else { demand(mode) };
    HostDemand { host, demand, break_glass: BreakGlassAccess::Unsaid }
}

/// The same with a certificate required, and what becomes of the host in break-glass.
fn in_break_glass(pattern: &str, break_glass: BreakGlassAccess) -> HostDemand {
    HostDemand { break_glass, ..at(pattern, Mode::Require) }
}

#[test]
fn break_glass_opens_a_host_for_strangers_alone_and_only_where_all_who_require_say_so() {
    use BreakGlassAccess::{Closed, Open, Unsaid};
    let none = Policies::new().expect("random numbers");
    for (operator, ingress, expected) in [
        (Some(Open), None, Open),
        (None, Some(Open), Open),
        (None, Some(Unsaid), Unsaid),
        (None, Some(Closed), Closed),
        (Some(Open), Some(Open), Open),
        (Some(Unsaid), Some(Open), Unsaid),
        (Some(Open), Some(Unsaid), Unsaid),
        (Some(Open), Some(Closed), Closed),
    ] {
        for pattern in ["a.example", "*.example", "*"] {
            let [operator, ingress] = [operator, ingress].map(|said| {
                said.map(|said| in_break_glass(pattern, said)).into_iter().collect::<Vec<_>>()
            });
            let policies = none.with(&operator, &ingress).expect("random numbers");
            let mode = |peer| policies.for_peer(Some("a.example"), peer).mode();
            assert_eq!(policies.break_glass(Some("a.example")), Some(expected));
            assert_eq!([mode(TlsPeer::Cloudflare), mode(TlsPeer::Other)], [Mode::Require; 2]);
            let of_stranger = if expected == Open { Mode::Off } else { Mode::Require };
            assert_eq!(mode(TlsPeer::Stranger), of_stranger, "{operator:?} {ingress:?}");
        }
    }
    // What an Ingress requires beyond the operator is its own to open, and the way out of the operator stays one.
    for (operator, expected) in [(Mode::Request, Some(Open)), (Mode::Off, None)] {
        let policies = none.with(&[at("*", operator)], &[in_break_glass("a.example", Open)]);
        let policies = policies.expect("random numbers");
        assert_eq!(policies.break_glass(Some("a.example")), expected, "{operator:?}");
        assert_eq!(policies.for_peer(Some("a.example"), TlsPeer::Stranger).mode(), Mode::Off);
    }
}

#[test]
fn a_host_that_opens_shares_the_policies_of_others_and_keeps_its_versions() {
    let none = Policies::new().expect("random numbers");
    let mut strict = in_break_glass("c.example", BreakGlassAccess::Open);
    strict.demand.tls13_only = true;
    let all = [
        in_break_glass("a.example", BreakGlassAccess::Open),
        at("b.example", Mode::Require),
        strict,
    ];
    let policies = none.with(&[], &all).expect("random numbers");
    let of = |host| policies.of(Some(host));
    assert!(Arc::ptr_eq(of("a.example"), of("b.example")), "Cloudflare shares connections");
    let stranger = |host| policies.for_peer(Some(host), TlsPeer::Stranger);
    assert!(Arc::ptr_eq(stranger("a.example"), none.of(None)));
    let demand = stranger("c.example").demand();
    assert_eq!((demand.mode, demand.tls13_only), (Mode::Off, true));
    let again = policies.with(&[], &all).expect("random numbers");
    let after = again.for_peer(Some("c.example"), TlsPeer::Stranger);
    assert!(Arc::ptr_eq(after, stranger("c.example")), "it keeps its tickets");
}

#[test]
fn an_ingress_may_ask_for_more_than_the_operator_and_never_for_less() {
    let none = Policies::new().expect("random numbers");
    assert!(!none.is_asking());
    use Mode::{Off, Request, Require};
    for (operator, ingress, expected) in [
        (None, None, Off),
        (None, Some(Require), Require),
        (Some(Request), None, Request),
        (Some(Request), Some(Require), Require),
        (Some(Require), Some(Request), Require),
        (Some(Require), Some(Off), Require),
        (Some(Request), Some(Off), Request),
        // The operator's way out.
        (Some(Off), Some(Require), Off),
    ] {
        for pattern in ["a.example", "*.example", "*"] {
            let [operator, ingress] = [operator, ingress]
                .map(|mode| mode.map(|mode| at(pattern, mode)).into_iter().collect::<Vec<_>>());
            let policies = none.with(&operator, &ingress).expect("random numbers");
            let found = policies.of(Some("A.Example.")).mode();
            assert_eq!(found, expected, "{operator:?} {ingress:?}");
        }
    }
}

#[test]
fn the_name_comes_before_its_wildcard_and_that_before_all() {
    let none = Policies::new().expect("random numbers");
    let all = [
        at("*", Mode::Request),
        at("*.example", Mode::Require),
        at("a.example", Mode::Off),
        at("a.example", Mode::Require),
    ];
    let policies = none.with(&all, &[]).expect("random numbers");
    assert!(policies.is_asking());
    for (host, expected) in [
        (Some("a.example"), Mode::Off),
        (Some("b.example"), Mode::Require),
        (Some("x.b.example"), Mode::Request),
        (Some("example"), Mode::Request),
        (Some("a b"), Mode::Request),
        (None, Mode::Request),
    ] {
        assert_eq!(policies.of(host).mode(), expected, "{host:?}");
    }
}

#[test]
fn equal_demands_are_one_policy_which_keeps_its_tickets_and_others_are_not() {
    let none = Policies::new().expect("random numbers");
    let first = none
        .with(&[at("a.example", Mode::Require)], &[at("b.example", Mode::Require)])
        .expect("random numbers");
    assert!(Arc::ptr_eq(first.of(Some("a.example")), first.of(Some("b.example"))));
    assert!(Arc::ptr_eq(first.of(Some("c.example")), none.of(None)));
    let second = first
        .with(&[at("a.example", Mode::Request)], &[at("b.example", Mode::Require)])
        .expect("random numbers");
    assert!(Arc::ptr_eq(second.of(Some("b.example")), first.of(Some("b.example"))));
    assert!(!Arc::ptr_eq(second.of(Some("a.example")), first.of(Some("a.example"))));
    let pinned =
        Demand { subjects: Subjects::parse("x").expect("a name"), ..demand(Mode::Require) };
    let pinned = HostDemand { demand: pinned, ..at("*", Mode::Require) };
    let third = second.with(&[pinned], &[]).expect("random numbers");
    assert!(!Arc::ptr_eq(third.of(Some("b.example")), second.of(Some("b.example"))));
}
