//! Copies of requests for mirrors (`mirroring` of a TraefikService).

use super::services::{HOST, object, several, to};
use crate::support::{Builder, Edge, Message, Refusing, Upstream};
use serde_json::{Value, json};

/// A proxy whose Service is `one`, with this mirroring besides.
fn mirrored(builder: Builder, mirroring: &Value) -> Edge {
    let mut spec = json!({"name": "one", "port": 80});
    for (key, value) in mirroring.as_object().expect("an object") {
        spec[key] = value.clone();
    }
    builder
        .object("m.json", &object("TraefikService", "m", &json!({"mirroring": spec})))
        .object("app.json", &to(&json!([{"name": "m", "kind": "TraefikService"}])))
        .start()
}

fn mirror(percent: u8) -> Value {
    json!([{"name": "two", "port": 80, "percent": percent}])
}

fn post(edge: &Edge, body: &str, lines: &str) -> Message {
    let mut client = edge.connect();
    let length = body.len();
    client.send(format!(
        "POST /x?y HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {length}\r\n{lines}\r\n{body}"
    ));
    client.response()
}

fn count(edge: &Edge, result: &str) -> f64 {
    edge.metrics().sum("ravelin_mirrored_requests_total", &[("result", result)])
}

#[test]
fn a_mirror_gets_what_the_service_gets_and_nobody_sees_its_answer() {
    let (builder, pods) = several();
    let strip = object("Middleware", "strip", &json!({"replacePath": {"path": "/new"}}));
    let edge = {
        let spec = json!({"mirroring": {"name": "one", "port": 80, "mirrors": mirror(100)}});
        let mut route = to(&json!([{"name": "m", "kind": "TraefikService"}]));
        route["spec"]["routes"][0]["middlewares"] = json!([{"name": "strip"}]);
        builder
            .object("m.json", &object("TraefikService", "m", &spec))
            .object("strip.json", &strip)
            .object("app.json", &route)
            .start()
    };
    let answer = post(&edge, "a body", "X-Own: 1\r\n");
    assert_eq!((answer.status(), answer.text()), (200, "one"));
    pods[1].await_requests(1);
    let [main, copy] = [&pods[0], &pods[1]].map(Upstream::only_request);
    assert_eq!(copy.start, main.start);
    assert_eq!(copy.start, "POST /new?y HTTP/1.1");
    assert_eq!((copy.text(), main.text()), ("a body", "a body"));
    for name in ["host", "x-own", "x-forwarded-for", "x-replaced-path", "content-length"] {
        assert_eq!(copy.field(name), main.field(name), "{name}");
        assert!(copy.field(name).is_some(), "{name}");
    }
    edge.await_metric("ravelin_mirrored_requests_total", &[("result", "sent")], 1.0);
    edge.await_metric("ravelin_mirrored_requests_under_way", &[], 0.0);
}

#[test]
fn a_chunked_body_is_copied_with_its_length() {
    let (builder, pods) = several();
    let edge = mirrored(builder, &json!({"mirrors": mirror(100)}));
    let mut client = edge.connect();
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    ));
    assert_eq!(client.response().text(), "one");
    pods[1].await_requests(1);
    let copy = pods[1].only_request();
    assert_eq!((copy.text(), copy.field("content-length")), ("abcde", Some("5")));
    assert_eq!(copy.field("transfer-encoding"), None);
}

#[test]
fn a_body_that_is_too_large_is_not_copied_and_without_bodies_a_copy_has_none() {
    let (builder, pods) = several();
    let edge = mirrored(builder, &json!({"mirrors": mirror(100), "maxBodySize": 4}));
    assert_eq!(post(&edge, "12345", "").text(), "one");
    edge.await_metric("ravelin_mirrored_requests_total", &[("result", "dropped_body")], 1.0);
    let mut client = edge.connect();
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"
    ));
    assert_eq!(client.response().text(), "one");
    edge.await_metric("ravelin_mirrored_requests_total", &[("result", "dropped_body")], 2.0);
    assert_eq!(post(&edge, "1234", "").text(), "one");
    pods[1].await_requests(1);
    assert_eq!(pods[1].only_request().text(), "1234");

    let (builder, pods) = several();
    let edge = mirrored(builder, &json!({"mirrors": mirror(100), "mirrorBody": false}));
    assert_eq!(post(&edge, "12345", "").text(), "one");
    pods[1].await_requests(1);
    let copy = pods[1].only_request();
    assert_eq!((copy.text(), copy.field("content-length")), ("", Some("0")));
}

#[test]
fn a_share_of_the_requests_is_copied() {
    let (builder, pods) = several();
    let none = json!([{"name": "two", "port": 80, "percent": 0}, {"name": "none", "port": 80}]);
    let edge = mirrored(builder, &json!({"mirrors": none}));
    for _ in 0..20 {
        assert_eq!(edge.get(HOST, "/").text(), "one");
    }
    assert_eq!(pods[1].connections(), 0);

    let (builder, _pods) = several();
    let edge = mirrored(builder, &json!({"mirrors": mirror(25)}));
    let mut client = edge.connect();
    for _ in 0..400 {
        assert_eq!(client.get(HOST, "/").text(), "one");
    }
    edge.await_metric("ravelin_mirrored_requests_under_way", &[], 0.0);
    let copies = count(&edge, "sent");
    // Six standard deviations around 100.
    assert!((48.0..=152.0).contains(&copies), "{copies} of 400");
}

#[test]
fn a_mirror_that_refuses_or_is_silent_costs_the_visitor_nothing() {
    let (builder, _pods) = several();
    let (refusing, silent) = (Refusing::new(), Upstream::scripted(|conn| conn.closes()));
    let builder =
        builder.service("refusing", &[refusing.addr()]).service("silent", &[silent.addr()]);
    let mirrors = json!([{"name": "silent", "port": 80, "percent": 100},
        {"name": "none", "port": 80, "percent": 100}, {"name": "refusing", "port": 80, "percent": 100}]);
    let edge = mirrored(builder, &json!({"mirrors": mirrors}));
    let mut client = edge.connect();
    // More than may be under way.
    for _ in 0..140 {
        assert_eq!(client.get(HOST, "/").text(), "one");
    }
    edge.await_metric("ravelin_mirrored_requests_total", &[("result", "sent")], 0.0);
    edge.await_metric("ravelin_mirrored_requests_under_way", &[], 128.0);
    assert!(count(&edge, "dropped_limit") >= 1.0);
    assert!(count(&edge, "failed") >= 140.0, "one has no pod");
    let held = edge.metrics().sum("ravelin_memory_held_bytes", &[("kind", "mirrors")]);
    assert!(held >= 128.0 * 24.0 * 1024.0, "{held} bytes");
}

#[test]
fn an_upgrade_is_not_copied() {
    let (builder, pods) = several();
    let edge = mirrored(builder, &json!({"mirrors": mirror(100)}));
    let mut client = edge.connect();
    client.send(format!(
        "GET /ws HTTP/1.1\r\nHost: {HOST}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    ));
    assert_eq!(client.response().text(), "one");
    assert_eq!(edge.get(HOST, "/").text(), "one");
    pods[1].await_requests(1);
    assert_eq!(pods[1].only_request().start, "GET / HTTP/1.1");
}
