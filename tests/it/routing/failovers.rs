//! Failovers with `errors`, and the choice by the client's address.

use super::services::{HOST, object, several, to};
use crate::support::{Builder, Edge, Message, Refusing, Upstream};
use serde_json::{Value, json};

/// A pod that answers all requests with this status.
fn failing(status: u16) -> Upstream {
    Upstream::scripted(move |conn| {
        while conn.request().is_some() {
            conn.send(format!("HTTP/1.1 {status} No\r\nContent-Length: 4\r\n\r\nmain"));
        }
    })
}

fn failover(builder: Builder, spec: &Value) -> Edge {
    builder
        .object("safe.json", &object("TraefikService", "safe", &json!({"failover": spec})))
        .object("app.json", &to(&json!([{"name": "safe", "kind": "TraefikService"}])))
        .start()
}

fn spec(main: &str, fallback: &str, errors: &Value) -> Value {
    json!({"service": {"name": main, "port": 80}, "fallback": {"name": fallback, "port": 80},
        "errors": errors})
}

fn post(edge: &Edge, body: &str) -> Message {
    let mut client = edge.connect();
    let length = body.len();
    client.send(format!(
        "POST /x HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {length}\r\nX-Own: 1\r\n\r\n{body}"
    ));
    client.response()
}

#[test]
fn the_fallback_gets_the_request_whole_where_the_status_is_one_of_the_errors() {
    let (builder, pods) = several();
    let main = failing(503);
    let builder = builder.service("main", &[main.addr()]);
    let edge = failover(builder, &spec("main", "two", &json!({"status": ["500-502", "503"]})));
    let body = "b".repeat(100_000);
    let answer = post(&edge, &body);
    assert_eq!((answer.status(), answer.text()), (200, "two"));
    for pod in [&main, &pods[1]] {
        let request = pod.only_request();
        assert_eq!(request.start, "POST /x HTTP/1.1");
        assert_eq!((request.text(), request.field("x-own")), (&*body, Some("1")));
    }
    assert_eq!(edge.get(HOST, "/").text(), "two");
    let line = edge.await_log(2).remove(0);
    assert_eq!(line["endpoint"], pods[1].addr().to_string(), "{line}");
}

#[test]
fn any_other_answer_is_passed_on() {
    for errors in [json!({"status": ["500-502"]}), json!({}), json!({"status": []})] {
        let (builder, pods) = several();
        let main = failing(503);
        let builder = builder.service("main", &[main.addr()]);
        let edge = failover(builder, &spec("main", "two", &errors));
        let answer = edge.get(HOST, "/");
        assert_eq!((answer.status(), answer.text()), (503, "main"), "{errors}");
        assert_eq!(pods[1].connections(), 0, "{errors}");
    }
}

#[test]
fn a_pod_that_cannot_be_reached_has_failed_with_502_and_one_that_is_gone_needs_no_status() {
    let errors = json!({"status": ["502"]});
    let (builder, _pods) = several();
    let refusing = Refusing::new();
    let builder = builder.service("main", &[refusing.addr()]);
    let edge = failover(builder, &spec("main", "two", &errors));
    assert_eq!(post(&edge, "body").text(), "two");
    let (builder, _pods) = several();
    let edge = failover(builder, &spec("none", "two", &errors));
    assert_eq!(edge.get(HOST, "/").text(), "two");
}

#[test]
fn the_answer_of_the_fallback_is_the_last_word_and_within_each_other_the_inner_one_is_first() {
    let errors = json!({"status": ["503"]});
    let (builder, _pods) = several();
    let (main, other) = (failing(503), failing(503));
    let builder = builder.service("main", &[main.addr()]).service("other", &[other.addr()]).object(
        "inner.json",
        &object("TraefikService", "inner", &json!({"failover": spec("main", "other", &errors)})),
    );
    let mut outer = spec("inner", "one", &errors);
    outer["service"] = json!({"name": "inner", "kind": "TraefikService"});
    let edge = failover(builder, &outer);
    assert_eq!(post(&edge, "body").text(), "one");
    assert_eq!((main.only_request().text(), other.only_request().text()), ("body", "body"));

    let (builder, _pods) = several();
    let builder = builder.service("main", &[main.addr()]).service("other", &[other.addr()]);
    let edge = failover(builder, &spec("main", "other", &errors));
    assert_eq!(post(&edge, "body").status(), 503);
}

#[test]
fn a_body_above_the_bound_is_refused() {
    let (builder, pods) = several();
    let errors = json!({"status": ["503"], "maxRequestBodyBytes": 4});
    let edge = failover(builder, &spec("one", "two", &errors));
    assert_eq!(post(&edge, "1234").text(), "one");
    assert_eq!(post(&edge, "12345").status(), 413);
    let mut client = edge.connect();
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"
    ));
    assert_eq!(client.response().status(), 413);
    assert_eq!(pods[1].connections(), 0);
}

#[test]
fn a_client_keeps_its_service_unless_that_has_no_pod() {
    let hashed = |services: Value| {
        let (builder, pods) = several();
        let spec = json!({"highestRandomWeight": {"services": services}});
        let edge = builder
            .object("h.json", &object("TraefikService", "h", &spec))
            .object("app.json", &to(&json!([{"name": "h", "kind": "TraefikService"}])))
            .start();
        (edge, pods)
    };
    let of = |name: &str, weight: u32| json!({"name": name, "port": 80, "weight": weight});
    let (edge, _pods) = hashed(json!([of("one", 1), of("two", 1)]));
    let first = edge.get(HOST, "/").text().to_owned();
    for _ in 0..20 {
        assert_eq!(edge.get(HOST, "/").text(), first);
    }
    let (edge, _pods) = hashed(json!([of("one", 0), of("two", 1)]));
    assert_eq!(edge.get(HOST, "/").text(), "two");
    let (edge, _pods) = hashed(json!([of("none", 1_000_000), of("one", 1)]));
    assert_eq!(edge.get(HOST, "/").text(), "one");
}
