//! Pods on our node come first.

use super::{annotated, pods, web};
use crate::support::{Builder, Edge, Refusing, Upstream, edge_to, eventually, service, slice};
use serde_json::{Value, json};

/// The slice of a pod on a node.
fn on_node(number: usize, pod: &Upstream, node: &str) -> Value {
    let mut slice = slice(&format!("web-{number}"), "web", "http", pod.addr());
    slice["endpoints"][0]["nodeName"] = json!(node);
    slice
}

/// A proxy on `n1`, with pods on `n1` and two other nodes.
fn placed(annotations: &Value, pods: &[Upstream; 3]) -> Builder {
    web(annotations, &[&pods[0], &pods[1], &pods[2]])
        .set("source", "node_name", "\"n1\"")
        .object("web-0.json", &on_node(0, &pods[0], "n1"))
        .object("web-1.json", &on_node(1, &pods[1], "n2"))
        .object("web-2.json", &on_node(2, &pods[2], "n3"))
}

fn picks(edge: &Edge, place: &str) -> f64 {
    edge.metrics().sum("ravelin_upstream_picks_total", &[("place", place)])
}

/// Waits until requests stay with the pod on our node: one that the machine made slow is left alone for
/// some seconds.
fn stays_near(edge: &Edge) {
    let mut client = edge.connect();
    eventually("requests stay on our node", || {
        (0..10).all(|_| client.get("a", "/").text() == "a").then_some(())
    });
}

#[test]
fn the_pod_on_our_node_comes_first_where_the_service_says_so() {
    let pods = pods();
    let edge = placed(&json!({"ravelin.dev/prefer": "same-node"}), &pods).start();
    let mut client = edge.connect();
    stays_near(&edge);
    assert!(picks(&edge, "near") > 9.5);
    edge.remove("web-0.json");
    assert_ne!(client.get("a", "/").text(), "a");
    // Without the wish all are alike, and not counted.
    edge.put("web-0.json", &on_node(0, &pods[0], "n1").to_string());
    edge.put("web.json", &annotated(&json!({})).to_string());
    let counted = picks(&edge, "near") + picks(&edge, "far");
    let mut said: Vec<String> = (0..60).map(|_| client.get("a", "/").text().to_owned()).collect();
    said.sort();
    said.dedup();
    assert_eq!(said, ["a", "b", "c"]);
    assert!((picks(&edge, "near") + picks(&edge, "far") - counted).abs() < 0.5);
}

#[test]
fn the_service_or_the_configuration_may_ask_for_it_and_hints_do() {
    let pods = pods();
    let configured = placed(&json!({}), &pods).set("upstream", "prefer", "\"same-node\"").start();
    stays_near(&configured);
    let mut distributed = service("web", "http", 80);
    distributed["spec"]["trafficDistribution"] = json!("PreferSameNode");
    let edge = placed(&json!({}), &pods).object("web.json", &distributed).start();
    stays_near(&edge);
    let mut hinted = placed(&json!({}), &pods);
    for (number, pod) in pods.iter().enumerate() {
        let node = format!("n{}", number + 1);
        let mut slice = on_node(number, pod, &node);
        slice["endpoints"][0]["hints"] = json!({"forNodes": [{"name": node}]});
        hinted = hinted.object(&format!("web-{number}.json"), &slice);
    }
    stays_near(&hinted.start());
}

#[test]
fn a_pod_on_our_node_that_is_not_there_costs_nothing_but_the_attempt() {
    let (refusing, pod) = (Refusing::new(), Upstream::saying("far"));
    let mut near = slice("web-0", "web", "http", refusing.addr());
    near["endpoints"][0]["nodeName"] = json!("n1");
    let edge = edge_to(&[refusing.addr(), pod.addr()])
        .set("source", "node_name", "\"n1\"")
        .object("web.json", &annotated(&json!({"ravelin.dev/prefer": "same-node"})))
        .object("web-0.json", &near)
        .start();
    let mut client = edge.connect();
    for _ in 0..20 {
        assert_eq!(client.get("a", "/").text(), "far");
    }
    edge.await_metric("ravelin_upstream_ejections_total", &[], 1.0);
}
