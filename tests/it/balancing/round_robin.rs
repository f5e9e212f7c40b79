//! In turn.

use super::{annotated, balance, pods, web};
use crate::support::{ingress, rule};
use serde_json::json;

#[test]
fn pods_take_turns() {
    let pods = pods();
    let edge = web(&balance("round-robin"), &[&pods[0], &pods[1], &pods[2]]).start();
    let mut client = edge.connect();
    let said: Vec<String> = (0..9).map(|_| client.get("a", "/").text().to_owned()).collect();
    for round in said.windows(3) {
        assert!(round[0] != round[1] && round[1] != round[2] && round[0] != round[2], "{said:?}");
    }
}

#[test]
fn the_word_of_the_ingress_comes_before_that_of_the_service() {
    let pods = pods();
    let mut other = ingress("turns", &[rule("turns.example", &[("/", "Prefix", "web")])]);
    other["metadata"]["annotations"] = balance("round-robin");
    let edge = web(&balance("hash-client"), &[&pods[0], &pods[1], &pods[2]])
        .object("turns.json", &other)
        .start();
    let mut client = edge.connect();
    let mut distinct = |host: &str| {
        let mut said: Vec<String> =
            (0..6).map(|_| client.get(host, "/").text().to_owned()).collect();
        said.sort();
        said.dedup();
        said.len()
    };
    assert_eq!(distinct("turns.example"), 3);
    assert_eq!(distinct("a.example"), 1);
    // What it says no longer counts no longer.
    other["metadata"]["annotations"] = json!({});
    edge.put("turns.json", &other.to_string());
    assert_eq!(distinct("turns.example"), 1);
}

#[test]
fn another_algorithm_leaves_connections_and_endpoints_as_they_are() {
    let pods = pods();
    let edge = web(&balance("round-robin"), &[&pods[0], &pods[1]]).start();
    let mut client = edge.connect();
    for _ in 0..4 {
        assert_eq!(client.get("a", "/").status(), 200);
    }
    edge.put("web.json", &annotated(&balance("hash-client")).to_string());
    let said = client.get("a", "/").text().to_owned();
    for _ in 0..4 {
        assert_eq!(client.get("a", "/").text(), said);
    }
    assert_eq!((pods[0].connections(), pods[1].connections()), (1, 1));
}
