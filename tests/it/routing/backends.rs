//! From a rule to addresses: Service ports, slices, and what is missing.

use super::{serves, three};
use crate::support::{Refusing, Upstream, edge, ingress, rule, service, slice};
use serde_json::{Value, json};

/// A rule's backend that names a port in some way.
fn path(path: &str, service: &str, port: &Value) -> Value {
    let backend = json!({"service": {"name": service, "port": port}});
    json!({"path": path, "pathType": "Prefix", "backend": backend})
}

#[test]
fn a_port_by_name_or_number_is_the_slices_port_of_that_name() {
    let (web, metrics) = (Upstream::saying("web"), Upstream::saying("metrics"));
    let mut two_ports = service("s", "http", 80);
    two_ports["spec"]["ports"] = json!([
        {"name": "http", "port": 80, "targetPort": 1},
        {"name": "metrics", "port": 9100, "targetPort": "other"},
    ]);
    let mut endpoints = slice("s-1", "s", "http", web.addr());
    endpoints["ports"] = json!([
        {"name": "metrics", "port": metrics.addr().port()},
        {"name": "http", "port": web.addr().port()},
    ]);
    let rules = [json!({"host": "h", "http": {"paths": [
        path("/name", "s", &json!({"name": "http"})),
        path("/number", "s", &json!({"number": 80})),
        path("/metrics-name", "s", &json!({"name": "metrics"})),
        path("/metrics-number", "s", &json!({"number": 9100})),
    ]}})];
    let edge = edge()
        .object("s.json", &two_ports)
        .object("e.json", &endpoints)
        .object("i.json", &ingress("i", &rules))
        .start();
    serves(
        &edge,
        &[
            ("h", "/name", "web"),
            ("h", "/number", "web"),
            ("h", "/metrics-name", "metrics"),
            ("h", "/metrics-number", "metrics"),
        ],
    );
}

#[test]
fn an_unnamed_port_meets_the_slices_unnamed_port() {
    let web = Upstream::saying("web");
    let mut unnamed = service("s", "", 80);
    unnamed["spec"]["ports"] = json!([{"port": 80}]);
    let mut endpoints = slice("s-1", "s", "", web.addr());
    endpoints["ports"] = json!([{"port": web.addr().port()}]);
    let rules = [json!({"host": "h", "http": {"paths": [path("/", "s", &json!({"number": 80}))]}})];
    let edge = edge()
        .object("s.json", &unnamed)
        .object("e.json", &endpoints)
        .object("i.json", &ingress("i", &rules))
        .start();
    serves(&edge, &[("h", "/", "web")]);
}

#[test]
fn each_slice_has_its_own_port_number_and_all_are_used() {
    let (first, second) = (Upstream::saying("x"), Upstream::saying("x"));
    let edge = edge()
        .service("s", &[first.addr(), second.addr()])
        .object("i.json", &ingress("i", &[rule("h", &[("/", "Prefix", "s")])]))
        .start();
    let mut client = edge.connect();
    while first.requests().is_empty() || second.requests().is_empty() {
        assert_eq!(client.get("h", "/").text(), "x");
        assert!(first.requests().len() + second.requests().len() < 1000, "both are used");
    }
}

#[test]
fn what_is_missing_keeps_its_place_and_answers_503() {
    let (builder, _upstreams) = three();
    let rules = [json!({"host": "h", "http": {"paths": [
        path("/", "a", &json!({"name": "http"})),
        path("/no-service", "none", &json!({"name": "http"})),
        path("/no-port", "b", &json!({"name": "https"})),
        path("/no-number", "b", &json!({"number": 81})),
        path("/no-endpoint", "empty", &json!({"name": "http"})),
        {"path": "/resource", "pathType": "Prefix",
         "backend": {"resource": {"apiGroup": "x.example", "kind": "Bucket", "name": "b"}}},
    ]}})];
    let edge = builder.service("empty", &[]).object("i.json", &ingress("i", &rules)).start();
    serves(
        &edge,
        &[
            ("h", "/", "a"),
            ("h", "/no-service/x", "503 service_missing"),
            ("h", "/no-port", "503 port_missing"),
            ("h", "/no-number", "503 port_missing"),
            ("h", "/no-endpoint", "503 no_endpoint"),
            ("h", "/resource", "503 backend_unsupported"),
        ],
    );
}

#[test]
fn a_host_whose_every_rule_is_broken_does_not_fall_to_the_wildcard() {
    let (builder, _upstreams) = three();
    let rules =
        [rule("*.example", &[("/", "Prefix", "a")]), rule("x.example", &[("/", "Prefix", "none")])];
    let edge = builder.object("i.json", &ingress("i", &rules)).start();
    serves(&edge, &[("x.example", "/", "503 service_missing"), ("y.example", "/", "a")]);
}

/// A slice whose endpoint has these conditions.
fn conditioned(name: &str, upstream: &Upstream, conditions: &Value) -> Value {
    let mut slice = slice(name, "s", "http", upstream.addr());
    slice["endpoints"][0]["conditions"] = conditions.clone();
    slice
}

/// What a Service with two endpoints serves, with each one's conditions.
fn with_conditions(first: &Value, second: &Value) -> Vec<String> {
    let upstreams = [Upstream::saying("first"), Upstream::saying("second")];
    let edge = edge()
        .service("s", &[])
        .object("1.json", &conditioned("one", &upstreams[0], first))
        .object("2.json", &conditioned("two", &upstreams[1], second))
        .object("i.json", &ingress("i", &[rule("h", &[("/", "Prefix", "s")])]))
        .start();
    let mut served: Vec<_> = (0..40).map(|_| super::served(&edge, "h", "/")).collect();
    served.sort();
    served.dedup();
    served
}

#[test]
fn only_ready_endpoints_serve_while_there_are_any() {
    let ready = json!({"ready": true});
    let terminating = json!({"ready": false, "serving": true, "terminating": true});
    let unready = json!({"ready": false, "serving": false});
    assert_eq!(with_conditions(&ready, &json!({})), ["first", "second"]);
    assert_eq!(with_conditions(&ready, &terminating), ["first"]);
    assert_eq!(with_conditions(&unready, &ready), ["second"]);
    assert_eq!(with_conditions(&unready, &terminating), ["second"]);
    assert_eq!(with_conditions(&unready, &unready), ["503 no_endpoint"]);
}

#[test]
fn a_slice_of_another_service_or_namespace_serves_nothing_here() {
    let stranger = Upstream::saying("stranger");
    let mut elsewhere = slice("e", "s", "http", stranger.addr());
    elsewhere["metadata"]["namespace"] = "other".into();
    let edge = edge()
        .service("s", &[])
        .object("1.json", &elsewhere)
        .object("2.json", &slice("f", "s2", "http", stranger.addr()))
        .object("i.json", &ingress("i", &[rule("h", &[("/", "Prefix", "s")])]))
        .start();
    serves(&edge, &[("h", "/", "503 no_endpoint")]);
}

#[test]
fn an_endpoint_that_is_in_two_slices_is_one() {
    let (one, dead) = (Upstream::saying("one"), Refusing::new());
    let edge = edge()
        .service("s", &[one.addr(), one.addr(), dead.addr()])
        .object("i.json", &ingress("i", &[rule("h", &[("/", "Prefix", "s")])]))
        .start();
    serves(&edge, &[("h", "/", "one")]);
    edge.await_metric("ravelin_endpoints", &[("service", "s:http"), ("state", "ready")], 2.0);
}
