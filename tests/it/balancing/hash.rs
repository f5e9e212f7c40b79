//! By a key.

use super::{ask, balance, pods, web};
use crate::support::Edge;
use serde_json::json;

/// Who answers each of some visitors.
fn owners(edge: &Edge) -> Vec<String> {
    let mut client = edge.connect();
    let visitors = (0..60).map(|number| format!("203.0.113.{number}"));
    visitors.map(|visitor| ask(&mut client, &visitor, "").text().to_owned()).collect()
}

#[test]
fn a_visitor_meets_the_same_pod_on_every_node() {
    let pods = pods();
    let start = || web(&balance("hash-client"), &[&pods[0], &pods[1], &pods[2]]).start();
    let (one, other) = (start(), start());
    let owned = owners(&one);
    assert_eq!(owned, owners(&one));
    assert_eq!(owned, owners(&other));
    for pod in ["a", "b", "c"] {
        assert!(owned.iter().filter(|owner| *owner == pod).count() > 5, "{owned:?}");
    }
}

#[test]
fn of_an_ipv6_visitor_the_first_64_bits_count() {
    let pods = pods();
    let edge = web(&balance("hash-client"), &[&pods[0], &pods[1], &pods[2]]).start();
    let mut client = edge.connect();
    let first = ask(&mut client, "2001:db8:0:7::1", "").text().to_owned();
    for number in 2..12 {
        let visitor = format!("2001:db8:0:7:{number}::1");
        assert_eq!(ask(&mut client, &visitor, "").text(), first);
    }
}

#[test]
fn visitors_of_a_pod_that_goes_are_the_only_ones_that_move() {
    let pods = pods();
    let edge = web(&balance("hash-client"), &[&pods[0], &pods[1], &pods[2]]).start();
    let before = owners(&edge);
    edge.remove("web-1.json");
    let after = owners(&edge);
    for (before, after) in before.iter().zip(&after) {
        assert!(after != "b" && (before == "b" || before == after), "{before} {after}");
    }
    let heirs = |pod: &str| before.iter().zip(&after).any(|(b, a)| b == "b" && a == pod);
    assert!(heirs("a") && heirs("c"), "{before:?} {after:?}");
}

#[test]
fn the_value_of_a_field_decides_where_there_is_one() {
    let pods = pods();
    let notes = json!({"ravelin.dev/balance": "hash-header", "ravelin.dev/hash-header": "X-User"});
    let edge = web(&notes, &[&pods[0], &pods[1], &pods[2]]).start();
    let mut client = edge.connect();
    let mut of_user = |user: &str, visitor: &str| {
        let answer = ask(&mut client, visitor, &format!("X-User: {user}\r\n"));
        answer.text().to_owned()
    };
    let mut seen = Vec::new();
    for user in 0..40 {
        let user = format!("user-{user}");
        let first = of_user(&user, "203.0.113.1");
        assert_eq!(of_user(&user, "203.0.113.2"), first);
        seen.push(first);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen, ["a", "b", "c"]);
    assert_eq!(ask(&mut client, "203.0.113.1", "").status(), 200, "by load without it");
}
