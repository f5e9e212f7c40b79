//! Pods that go, and whoever comes to their address.

use crate::support::{Conn, Edge, Gate, Upstream, edge_to, eventually, framed, service, slice};
use serde_json::json;
use std::time::{Duration, Instant};

/// Far less than the 30 s for which an unused connection is kept.
const SOON: Duration = Duration::from_secs(10);

/// Enough that a connection of before, were it kept, would be used.
const REQUESTS: usize = 2_000;

/// Answers in two parts where that is asked for, the second when the gate is open.
fn over_http1(conn: &mut Conn, gate: &Gate, text: &str) {
    while let Some(request) = conn.request() {
        if request.body == b"slow" {
            conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
            gate.wait();
            conn.send("5\r\nwhole\r\n0\r\n\r\n");
        } else {
            conn.answer(text);
        }
    }
    conn.closes();
}

fn over_http2(conn: &mut Conn, gate: &Gate, text: &str) {
    framed::serve(conn, |conn, stream, body| {
        if body == b"slow" {
            conn.send([framed::head(stream, &[]), framed::part(stream, b"half")].concat());
            gate.wait();
            conn.send(
                [framed::part(stream, b"whole"), framed::trailers(stream, &[("x-end", "1")])]
                    .concat(),
            );
        } else {
            conn.send(framed::answer(stream, text.as_bytes()));
        }
    });
    conn.closes();
}

type Script = fn(&mut Conn, &Gate, &str);

fn backend(script: Script, gate: &Gate, text: &'static str) -> Upstream {
    let gate = gate.clone();
    Upstream::scripted(move |conn| script(conn, &gate, text))
}

fn edge_of(protocol: &str, upstream: &Upstream) -> Edge {
    let mut web = service("web", "http", 80);
    web["metadata"]["annotations"] = json!({"ravelin.dev/upstream-protocol": protocol});
    edge_to(&[upstream.addr()]).object("web.json", &web).start()
}

/// Puts another endpoint in the place of the only one.
fn replace(edge: &Edge, with: &Upstream) {
    edge.put("web-1.json", &slice("web-1", "web", "http", with.addr()).to_string());
    edge.remove("web-0.json");
}

#[test]
fn a_pod_that_has_gone_gets_nothing_more_and_its_address_is_another_pod_when_it_is_back() {
    for (protocol, script) in [("http", over_http1 as Script), ("h2c", over_http2)] {
        let gate = Gate::default();
        let (gone, other) = (backend(script, &gate, "gone"), backend(script, &gate, "other"));
        let edge = edge_of(protocol, &gone);
        let mut client = edge.connect();
        assert_eq!(client.get("a", "/").text(), "gone");
        let begun = Instant::now();
        replace(&edge, &other);
        gone.await_closed(1);
        assert!(begun.elapsed() < SOON, "{protocol}: its idle connection is closed");

        for _ in 0..REQUESTS {
            assert_eq!(client.get("a", "/").text(), "other");
        }
        assert_eq!(gone.connections(), 1, "{protocol}: whoever is there now is left alone");

        let back = slice("web-0", "web", "http", gone.addr()).to_string();
        edge.put("web-0.json", &back);
        eventually("it is back", || (client.get("a", "/").text() == "gone").then_some(()));
        assert_eq!(gone.connections(), 2, "{protocol}");
    }
}

#[test]
fn an_answer_of_a_pod_that_goes_comes_whole_and_its_connection_is_closed_behind_it() {
    for (protocol, script) in [("http", over_http1 as Script), ("h2c", over_http2)] {
        let gate = Gate::default();
        let (gone, other) = (backend(script, &gate, "gone"), backend(script, &gate, "other"));
        let edge = edge_of(protocol, &gone);
        let mut slow = edge.connect();
        slow.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nslow");
        let mut response = slow.head();
        assert_eq!(slow.wire.chunk().as_deref(), Ok(&b"half"[..]), "{protocol}");
        let mut client = edge.connect();
        if protocol == "http" {
            // On a connection of its own, which is idle then.
            assert_eq!(client.get("a", "/").text(), "gone");
        }
        let begun = Instant::now();
        replace(&edge, &other);
        if protocol == "http" {
            gone.await_closed(1);
            assert!(begun.elapsed() < SOON, "while another of its connections is in use");
        }
        assert_eq!(client.get("a", "/").text(), "other");

        gate.open();
        assert_eq!(slow.wire.body(&mut response), Ok(()), "{protocol}");
        assert_eq!(response.text(), "whole", "{protocol}");
        gone.await_closed(gone.connections());
        for _ in 0..20 {
            assert_eq!(client.get("a", "/").text(), "other");
        }
        assert!(begun.elapsed() < SOON, "{protocol}");
    }
}

#[test]
fn a_service_that_no_rule_names_any_more_leaves_no_connection_behind() {
    let gate = Gate::default();
    let gone = backend(over_http1, &gate, "gone");
    let edge = edge_of("http", &gone);
    let mut client = edge.connect();
    assert_eq!(client.get("a", "/").text(), "gone");
    let begun = Instant::now();
    edge.remove("web-ingress.json");
    gone.await_closed(1);
    assert!(begun.elapsed() < SOON);
    assert_eq!(client.get("a", "/").status(), 404);
}
