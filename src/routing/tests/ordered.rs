//! Entry points, and rules with an order of their own.

use super::*;
use crate::model::middleware::Pattern;
use crate::model::{Condition, EntryPoints, Ordered, RequestFacts, Sender};
use crate::net::fields::FieldMap;
use crate::routing::Asked;
use http::Method;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

const WEB: u32 = 1;
const SECURE: u32 = 2;
const OTHER: u32 = 4;

fn mk_at(path: &str, ingress: usize, own: u32, also: u32) -> Rule {
    let mut rule = mk_rule("a.example", path, ingress, 0, 0);
    rule.matching.entry_points = EntryPoints { own, also };
    rule
}

fn mk_ordered(host: &str, ingress: usize, priority: i64, condition: Condition) -> Rule {
    let mut rule = mk_rule(host, "Prefix /", ingress, 0, 0);
    rule.matching.ordered = Some(Arc::new(Ordered { priority, condition }));
    rule
}

fn mk_compiled(rules: Vec<Rule>) -> Table {
    compile(&Model { rules: rules.into_iter().collect(), ..mk_model(9) }, None)
}

/// The Ingress that a request goes to.
fn taker(table: &Table, host: &str, path: &str, entry_points: u32) -> Option<String> {
    let headers = FieldMap::new();
    let peer = IpAddr::from(Ipv4Addr::LOCALHOST);
    let (method, sender) = (&Method::GET, Sender::default());
    let request = RequestFacts { host, path, query: None, method, headers: &headers, sender, peer };
    let asked = Asked { entry_points, request: Some(request) };
    table.find(host, path, &asked).map(|id| table.route(id).ingress.to_owned())
}

fn some(ingress: &str) -> Option<String> {
    Some(ingress.to_owned())
}

#[test]
fn two_rules_for_one_path_are_both_served_at_entry_points_of_their_own() {
    let table = mk_compiled(vec![
        mk_at("Prefix /", 0, WEB, SECURE),
        mk_at("Prefix /", 1, SECURE, WEB),
        mk_at("Prefix /internal", 2, OTHER, 0),
    ]);
    let taker = |path, at| taker(&table, "a.example", path, at);
    assert_eq!(taker("/", WEB), some("i0"));
    assert_eq!(taker("/", SECURE), some("i1"));
    assert_eq!(taker("/", OTHER), None);
    assert_eq!(taker("/internal", OTHER), some("i2"));
    // What is not served here hides nothing that is.
    assert_eq!(taker("/internal", WEB), some("i0"));
}

#[test]
fn a_rule_is_served_elsewhere_if_nobody_else_is_for_its_path_there() {
    let table =
        mk_compiled(vec![mk_at("Exact /x", 0, SECURE, WEB), mk_at("Exact /y", 1, SECURE, 0)]);
    assert_eq!(taker(&table, "a.example", "/x", WEB), some("i0"));
    assert_eq!(taker(&table, "a.example", "/y", WEB), None);
}

#[test]
fn of_rules_for_one_path_the_older_ingress_keeps_each_entry_point() {
    let table = mk_compiled(vec![
        mk_at("Prefix /", 0, SECURE, 0),
        mk_rule("a.example", "Prefix /", 1, 0, 0),
        mk_at("Prefix /", 2, WEB, 0),
    ]);
    assert_eq!(taker(&table, "a.example", "/", SECURE), some("i0"));
    assert_eq!(taker(&table, "a.example", "/", WEB), some("i1"));
}

#[test]
fn the_highest_priority_that_matches_has_the_request() {
    let pattern = |text| Condition::PathRegexp(Pattern::new(text).expect("valid"));
    let mut rules = vec![
        mk_rule("a.example", "Prefix /api", 0, 0, 0),
        mk_rule("a.example", "Prefix /api/deep/and/long", 1, 0, 0),
        // Longer than `Host("a.example") && PathPrefix("/api")`, shorter than the other.
        mk_ordered("a.example", 2, 45, pattern("^/api/")),
        mk_ordered("a.example", 3, -1, pattern("^/")),
        mk_ordered("a.example", 4, 1000, pattern("^/api/first$")),
        mk_ordered("*", 5, 2000, Condition::PathPrefix("/health".into())),
    ];
    rules.sort_by(crate::model::table_order);
    let table = mk_compiled(rules);
    let taker = |path| taker(&table, "a.example", path, u32::MAX);
    assert_eq!(taker("/api"), some("i0"));
    assert_eq!(taker("/api/x"), some("i2"));
    assert_eq!(taker("/api/deep/and/long"), some("i1"));
    assert_eq!(taker("/api/first"), some("i4"));
    assert_eq!(taker("/healthz"), some("i5"));
    assert_eq!(taker("/other"), some("i3"));
    assert_eq!(self::taker(&table, "b.example", "/x", u32::MAX), None);
}

#[test]
fn what_is_served_somewhere_as_well_comes_behind_what_is_served_there() {
    let route = Arc::new(Ingress { kind: Kind::IngressRoute, ..mk_ingress(0) });
    let narrow = Condition::PathPrefix("/a".into());
    let mut secure = mk_ordered("a.example", 0, 100, narrow);
    secure.matching.entry_points = EntryPoints { own: SECURE, also: WEB };
    let rules = vec![
        secure,
        mk_at("Exact /x", 0, SECURE, WEB),
        mk_at("Prefix /a", 1, WEB, 0),
        mk_at("Prefix /x", 1, WEB, 0),
    ];
    let rules = rules.into_iter().map(|rule| match rule.ingress.created {
        0 => Rule { ingress: Arc::clone(&route), ..rule },
        _ => rule,
    });
    let table = mk_compiled(rules.collect());
    let taker = |path, at| taker(&table, "a.example", path, at);
    for path in ["/a", "/x"] {
        assert_eq!((taker(path, WEB), taker(path, SECURE)), (some("i1"), some("i0")), "{path}");
    }
    assert_eq!(taker("/apiary", WEB), some("i0"));
}
