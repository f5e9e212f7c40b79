//! The services of routes: several of one route, and TraefikServices.

use crate::support::{Builder, Edge, Message, Upstream, edge, slice};
use serde_json::{Value, json};

pub(super) const HOST: &str = "app.example";

pub(super) fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "traefik.io/v1alpha1", "kind": kind,
        "metadata": {"namespace": "ns", "name": name}, "spec": spec})
}

/// An IngressRoute with these routes.
pub(super) fn routes(routes: &Value) -> Value {
    object("IngressRoute", "app", &json!({"routes": routes}))
}

/// The only route, to these services.
pub(super) fn to(services: &Value) -> Value {
    routes(&json!([{"match": format!("Host(`{HOST}`)"), "kind": "Rule", "services": services}]))
}

/// A proxy with the Services `one` and `two`, which say their names, and `none`, which has no pod.
pub(super) fn several() -> (Builder, [Upstream; 2]) {
    let pods = [Upstream::saying("one"), Upstream::saying("two")];
    let builder = edge()
        .set("source", "ingress_classes", "[\"traefik\"]")
        .service("one", &[pods[0].addr()])
        .service("two", &[pods[1].addr()])
        .service("none", &[]);
    (builder, pods)
}

pub(super) fn send(edge: &Edge, lines: &str) -> Message {
    let mut client = edge.connect();
    client.send(format!("GET /x HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n"));
    client.response()
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
    let all = to(&json!([{"name": "both", "kind": "TraefikService"}]));
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
    let all = to(&json!([{"name": "safe", "kind": "TraefikService"}]));
    let edge = builder.object("safe.json", &service).object("app.json", &all).start();
    assert_eq!(send(&edge, "").text(), "two");
    edge.put("none-0.json", &slice("none-0", "none", "http", pods[0].addr()).to_string());
    assert_eq!(send(&edge, "").text(), "one");
}
