//! How routes name Middlewares, and what becomes of those that name something that is not there.

use super::{OWN, ROUTER, asking, middleware, one, send, with};
use crate::support::{Edge, eventually};
use serde_json::json;

/// The target that the pod got of `/x`.
fn seen(edge: &Edge, upstream: &crate::support::Upstream) -> String {
    assert_eq!(send(edge, "GET /x", "").status(), 200);
    upstream.requests().last().expect("it came").target().to_owned()
}

fn adding(prefix: &str) -> serde_json::Value {
    json!({"addPrefix": {"prefix": prefix}})
}

#[test]
fn steps_are_passed_in_the_order_of_the_list() {
    let (edge, upstream) = with(&[adding("/one"), adding("/two")]);
    assert_eq!(seen(&edge, &upstream), "/two/one/x");
}

#[test]
fn a_chain_is_its_members() {
    let (builder, upstream) = one();
    let chain = json!({"chain": {"middlewares": [{"name": "b"}, {"name": "a"}]}});
    let edge = builder
        .object("a-m.json", &middleware("a", &adding("/a")))
        .object("b-m.json", &middleware("b", &adding("/b")))
        .object("all.json", &middleware("all", &chain))
        .object("h.json", &asking("h", ROUTER, "ns-all@kubernetescrd"))
        .start();
    assert_eq!(seen(&edge, &upstream), "/a/b/x");
}

#[test]
fn a_route_that_names_what_is_missing_or_broken_answers_503_and_the_others_are_served() {
    let (builder, upstream) = one();
    let edge = builder
        .object("m.json", &middleware("good", &adding("/good")))
        .object("bad.json", &middleware("bad", &json!({"redirectRegex": {"regex": "("}})))
        .object("h.json", &asking("h", ROUTER, "ns-good@kubernetescrd"))
        .object("i.json", &asking("i", ROUTER, "ns-good@kubernetescrd,ns-gone@kubernetescrd"))
        .object("j.json", &asking("j", OWN, "bad"))
        .start();
    assert_eq!(seen(&edge, &upstream), "/good/x");
    for host in ["i", "j"] {
        let response = edge.get(host, "/");
        assert_eq!(response.status(), 503, "{host}");
        assert!(response.text().contains("middleware_unusable"), "{}", response.text());
    }
    assert_eq!(upstream.requests().len(), 1);
    edge.await_metric("ravelin_requests_total", &[("reason", "middleware_unusable")], 2.0);
    // What was missing comes.
    edge.put("gone.json", &middleware("gone", &adding("/gone")).to_string());
    eventually("the route is served", || (edge.get("i", "/").status() == 200).then_some(()));
    // And goes: the route does not fall open.
    edge.remove("gone.json");
    eventually("the route is refused", || (edge.get("i", "/").status() == 503).then_some(()));
}

#[test]
fn a_middleware_that_changes_counts_at_once() {
    let (edge, upstream) = with(&[adding("/one")]);
    assert_eq!(seen(&edge, &upstream), "/one/x");
    edge.put("m0.json", &middleware("m0", &adding("/other")).to_string());
    eventually("the new prefix", || (seen(&edge, &upstream) == "/other/x").then_some(()));
}

#[test]
fn middlewares_of_other_namespaces_can_be_forbidden() {
    let mut other = middleware("m", &adding("/other"));
    other["metadata"]["namespace"] = "other".into();
    let host = asking("h", ROUTER, "other-m@kubernetescrd");
    let (builder, upstream) = one();
    let edge = builder.object("m.json", &other).object("h.json", &host).start();
    assert_eq!(seen(&edge, &upstream), "/other/x");
    let (builder, upstream) = one();
    let edge = builder
        .set("source", "middlewares", "\"own-namespace\"")
        .object("m.json", &other)
        .object("h.json", &host)
        .start();
    assert_eq!(edge.get("h", "/").status(), 503);
    assert_eq!(upstream.requests().len(), 0);
}
