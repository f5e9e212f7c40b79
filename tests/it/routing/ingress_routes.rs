//! IngressRoutes, from a manifest to the pod: rules, and several Services of one route.

use crate::support::{Builder, Edge, Message, Upstream, edge, slice};
use serde_json::{Value, json};

const HOST: &str = "app.example";

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "traefik.io/v1alpha1", "kind": kind,
        "metadata": {"namespace": "ns", "name": name}, "spec": spec})
}

/// An IngressRoute with these routes.
fn routes(routes: &Value) -> Value {
    object("IngressRoute", "app", &json!({"routes": routes}))
}

/// A proxy with the Services `one` and `two`, which say their names, and `none`, which has no pod.
fn several() -> (Builder, [Upstream; 2]) {
    let pods = [Upstream::saying("one"), Upstream::saying("two")];
    let builder = edge()
        .set("source", "ingress_classes", "[\"traefik\"]")
        .service("one", &[pods[0].addr()])
        .service("two", &[pods[1].addr()])
        .service("none", &[]);
    (builder, pods)
}

fn send(edge: &Edge, lines: &str) -> Message {
    let mut client = edge.connect();
    client.send(format!("GET /x HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n"));
    client.response()
}

#[test]
fn the_rule_that_matches_with_the_highest_priority_has_a_request() {
    let (builder, _pods) = several();
    let to = |name: &str| json!([{"name": name, "port": 80}]);
    let all = routes(&json!([
        {"match": format!("Host(`{HOST}`)"), "kind": "Rule", "services": to("one")},
        {"match": format!("Host(`{HOST}`) && Header(`x-beta`, `yes`)"), "kind": "Rule", "services": to("two")},
        {"match": format!("Host(`{HOST}`) && Method(`DELETE`)"), "priority": 1, "services": to("two")},
        {"match": "Host(`gone.example`)", "services": [{"name": "api@internal", "kind": "TraefikService"}]},
    ]));
    let edge = builder.object("app.json", &all).start();
    assert_eq!(send(&edge, "").text(), "one");
    assert_eq!(send(&edge, "X-Beta: yes\r\n").text(), "two");
    assert_eq!(send(&edge, "X-Beta: no\r\n").text(), "one");
    let refused = edge.get("gone.example", "/");
    assert_eq!(refused.status(), 503);
    assert!(refused.text().contains("backend_unsupported"), "{}", refused.text());
    assert_eq!(edge.get("other.example", "/").status(), 404);
}

#[test]
fn several_services_share_requests_by_weight_and_a_cookie_keeps_a_visitor() {
    let (builder, _pods) = several();
    let service = object(
        "TraefikService",
        "both",
        &json!({"weighted": {
        "services": [{"name": "one", "port": 80, "weight": 3}, {"name": "two", "port": 80, "weight": 1}],
        "sticky": {"cookie": {"name": "part"}}}}),
    );
    let all = routes(&json!([{"match": format!("Host(`{HOST}`)"), "kind": "Rule",
        "services": [{"name": "both", "kind": "TraefikService"}]}]));
    let edge = builder.object("both.json", &service).object("app.json", &all).start();
    let mut client = edge.connect();
    let mut of_one = 0;
    for _ in 0..400 {
        client.send(format!("GET /x HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
        of_one += usize::from(client.response().text() == "one");
    }
    // Six standard deviations around 300.
    assert!((248..=352).contains(&of_one), "{of_one} of 400");
    let first = send(&edge, "");
    let cookie = first.field("set-cookie").expect("a cookie").to_owned();
    let pair = cookie.split(';').next().expect("a pair").to_owned();
    assert!(pair.starts_with("part="), "{cookie}");
    for _ in 0..20 {
        let answer = send(&edge, &format!("Cookie: {pair}\r\n"));
        assert_eq!(answer.text(), first.text());
        assert_eq!(answer.field("set-cookie"), None);
    }
}

#[test]
fn a_failover_takes_the_fallback_while_the_first_has_no_pod() {
    let (builder, pods) = several();
    let service = object(
        "TraefikService",
        "safe",
        &json!({"failover": {
        "service": {"name": "none", "port": 80}, "fallback": {"name": "two", "port": 80}}}),
    );
    let all = routes(&json!([{"match": format!("Host(`{HOST}`)"), "kind": "Rule",
        "services": [{"name": "safe", "kind": "TraefikService"}]}]));
    let edge = builder.object("safe.json", &service).object("app.json", &all).start();
    assert_eq!(send(&edge, "").text(), "two");
    edge.put("none-0.json", &slice("none-0", "none", "http", pods[0].addr()).to_string());
    assert_eq!(send(&edge, "").text(), "one");
}
