//! Timeouts of an Ingress, each with its own reason; those of the configuration are long.

use crate::support::{Edge, Gate, Silent, Upstream, edge_to, ingress, rule};
use serde_json::{Value, json};
use std::net::SocketAddr;

fn annotated(annotations: &Value) -> Value {
    let mut all = ingress("all", &[rule("", &[("/", "Prefix", "web")])]);
    all["metadata"]["annotations"] = annotations.clone();
    all
}

fn edge_with(name: &str, value: &str, endpoint: SocketAddr) -> Edge {
    let annotations = json!({format!("ravelin.dev/{name}-timeout"): value});
    // All of the configuration are longer than a test waits.
    let builder = edge_to(&[endpoint]).timeout("connect", "60s");
    builder.object("web-ingress.json", &annotated(&annotations)).start()
}

#[test]
fn a_pod_that_takes_no_connection_in_time_is_a_504() {
    let silent = Silent::new();
    let edge = edge_with("connect", "100ms", silent.addr());
    assert_eq!(edge.get("a", "/").status(), 504);
    edge.ended("connect_timeout");
}

/// A backend that answers nothing.
fn mute() -> Upstream {
    Upstream::scripted(|conn| {
        conn.request();
        conn.closes();
    })
}

#[test]
fn a_pod_that_does_not_answer_in_time_is_a_504_with_a_body_and_without() {
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
    ] {
        let upstream = mute();
        let edge = edge_with("response-head", "200ms", upstream.addr());
        let mut client = edge.connect();
        client.send(request);
        assert_eq!(client.response().status(), 504, "{request}");
        edge.ended("upstream_timeout");
        upstream.await_closed(1);
    }
}

#[test]
fn a_body_that_stands_still_is_given_up_in_both_directions() {
    let upstream = mute();
    let edge = edge_with("body-progress", "200ms", upstream.addr());
    let mut client = edge.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nbegun");
    assert_eq!(client.response().status(), 408);
    edge.ended("request_timeout");

    let stalled = Upstream::scripted(|conn| {
        conn.request();
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nbegun");
        conn.closes();
    });
    let edge = edge_with("body-progress", "200ms", stalled.addr());
    let mut client = edge.connect();
    client.ask("GET", "a", "/");
    client.broken_response();
    edge.ended("upstream_stalled");
}

#[test]
fn a_tunnel_in_which_nothing_moves_is_closed() {
    let upstream = Upstream::scripted(|conn| {
        conn.request();
        conn.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
        conn.closes();
    });
    let edge = edge_with("tunnel-idle", "200ms", upstream.addr());
    let mut client = edge.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    assert_eq!(client.head().status(), 101);
    client.closes();
    let line = edge.await_log(1).remove(0);
    assert_eq!(line["reason"], "tunnel_idle", "{line}");
}

#[test]
fn an_exchange_that_takes_too_long_is_a_504_before_the_head_and_broken_off_after_it() {
    let upstream = mute();
    let edge = edge_with("request", "300ms", upstream.addr());
    let response = edge.get("a", "/");
    assert_eq!(response.status(), 504);
    assert!(response.text().contains("request_deadline"), "{}", response.text());
    edge.ended("request_deadline");

    // It never stands still.
    let gate = Gate::default();
    let over = gate.clone();
    let moving = Upstream::scripted(move |conn| {
        conn.request();
        conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while conn.send("4\r\nmore\r\n") && !conn.is_stopping() {
            // The pod's pace.
            std::thread::park_timeout(std::time::Duration::from_millis(20));
        }
        over.open();
    });
    let edge = edge_with("request", "300ms", moving.addr());
    let mut client = edge.connect();
    client.ask("GET", "a", "/");
    client.broken_response();
    edge.ended("request_deadline");
    gate.wait();
}

#[test]
fn the_next_request_on_a_connection_has_its_own_time_and_a_tunnel_has_no_end() {
    let upstream = Upstream::scripted(|conn| {
        while let Some(request) = conn.request() {
            if request.field("upgrade").is_some() {
                conn.send(
                    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
                );
                let mut byte = [0];
                while std::io::Read::read_exact(&mut conn.wire.stream, &mut byte).is_ok() {
                    conn.send(byte);
                }
                return;
            }
            conn.answer("fine");
        }
    });
    let edge = edge_with("request", "300ms", upstream.addr());
    let mut client = edge.connect();
    let echo = |client: &mut crate::support::Client| {
        client.send("x");
        let mut byte = [0];
        std::io::Read::read_exact(&mut client.wire.stream, &mut byte).expect("it is open");
    };
    let ends = std::time::Instant::now() + std::time::Duration::from_millis(1_000);
    while std::time::Instant::now() < ends {
        assert_eq!(client.get("a", "/").text(), "fine");
    }
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    assert_eq!(client.head().status(), 101);
    let ends = std::time::Instant::now() + std::time::Duration::from_millis(1_000);
    while std::time::Instant::now() < ends {
        echo(&mut client);
    }
}

#[test]
fn other_time_outs_count_from_the_next_request_on() {
    let upstream = mute();
    let edge = edge_to(&[upstream.addr()]).timeout("response_head", "200ms").start();
    let mut client = edge.connect();
    assert_eq!(client.get("a", "/").status(), 504);
    let long = annotated(&json!({"ravelin.dev/response-head-timeout": "1h"}));
    edge.put("web-ingress.json", &long.to_string());
    client.ask("GET", "a", "/");
    upstream.await_requests(2);
    let short = annotated(&json!({"ravelin.dev/request-timeout": "200ms"}));
    edge.put("web-ingress.json", &short.to_string());
    assert_eq!(edge.get("a", "/").status(), 504);
    let lines = edge.await_log(2);
    assert_eq!(lines.len(), 2, "the second one still waits");
}
