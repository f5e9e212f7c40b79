//! Break-glass: whom it admits, what it believes of them, and how they leave. A balancer on loopback names sources.

use crate::support::{Client, Edge, Gate, Upstream, edge_to, eventually};
use serde_json::{Value, json};

const BALANCER: &str = r#"["127.0.0.0/8"]"#;
const STRANGER: &str = "203.0.113.9";
const LISTED: &str = "104.16.0.1";

fn switch(word: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"namespace": "ravelin", "name": "ravelin-break-glass"},
        "data": {"switch": word},
    })
}

fn turn(edge: &Edge, word: &str) {
    edge.put("switch.json", &switch(word).to_string());
}

fn start(upstream: &Upstream, keys: &[(&str, &str)]) -> Edge {
    let mut builder = edge_to(&[upstream.addr()])
        .admit(&["cloudflare"])
        .listener("proxy_protocol_from", BALANCER)
        .set("break_glass", "config_map", "\"ravelin/ravelin-break-glass/switch\"")
        .object("switch.json", &switch("off"));
    for (key, value) in keys {
        builder = builder.set("break_glass", key, value);
    }
    builder.start()
}

/// A connection that a balancer brings from `source`.
fn from(edge: &Edge, source: &str) -> Client {
    let mut client = edge.connect();
    client.send(format!("PROXY TCP4 {source} 127.0.0.1 4711 80\r\n"));
    client
}

fn is_served(edge: &Edge, source: &str) -> bool {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(edge.addr()).expect("a balancer may connect");
    let text = format!(
        "PROXY TCP4 {source} 127.0.0.1 4711 80\r\nGET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(text.as_bytes()).expect("the kernel takes it");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).is_ok() && answer.starts_with(b"HTTP/1.1 200 ")
}

fn await_served(edge: &Edge, source: &str, expected: bool) {
    eventually("the switch counts", || (is_served(edge, source) == expected).then_some(()));
}

#[test]
fn a_stranger_is_admitted_as_itself_while_it_is_on() {
    let upstream = Upstream::saying("ok");
    let edge = start(&upstream, &[]);
    assert!(is_served(&edge, LISTED) && !is_served(&edge, STRANGER));
    turn(&edge, "on\n");
    await_served(&edge, STRANGER, true);
    let names = "CF-Connecting-IP: 8.8.8.8\r\nX-Forwarded-For: 8.8.8.8\r\nX-Real-IP: 8.8.8.8\r\n";
    for (source, client) in [(STRANGER, STRANGER), (LISTED, "8.8.8.8")] {
        let mut peer = from(&edge, source);
        peer.send(format!("GET / HTTP/1.1\r\nHost: h\r\n{names}\r\n"));
        assert_eq!(peer.response().status(), 200);
        let requests = upstream.requests();
        let told = requests.last().expect("a request");
        assert_eq!(told.field("x-real-ip"), Some(client), "{source}");
        assert_eq!(told.field("x-forwarded-for"), Some(client), "{source}");
        assert_eq!(told.field("cf-connecting-ip").is_some(), source == LISTED);
    }
    let metrics = edge.metrics();
    assert_eq!(metrics.sum("ravelin_break_glass", &[]), 1.0);
    let finding = [("reason", "break_glass")];
    assert_eq!(metrics.sum("ravelin_rejected_objects", &finding), 1.0);
    turn(&edge, "off");
    await_served(&edge, STRANGER, false);
    assert!(is_served(&edge, LISTED));
    assert_eq!(edge.metrics().sum("ravelin_break_glass", &[]), 0.0);
}

#[test]
fn whatever_is_not_on_is_off() {
    let upstream = Upstream::saying("ok");
    let edge = start(&upstream, &[]);
    for word in ["onn", "", "true"] {
        turn(&edge, "on");
        await_served(&edge, STRANGER, true);
        turn(&edge, word);
        await_served(&edge, STRANGER, false);
        edge.await_metric("ravelin_break_glass_unreadable", &[], 1.0);
    }
    turn(&edge, "on");
    await_served(&edge, STRANGER, true);
    edge.remove("switch.json");
    await_served(&edge, STRANGER, false);
    edge.await_metric("ravelin_break_glass_unreadable", &[], 1.0);
    assert!(is_served(&edge, LISTED));
}

#[test]
fn a_stranger_has_limits_that_others_have_not() {
    let upstream = Upstream::saying("ok");
    let edge = start(&upstream, &[("connections", "2"), ("requests", "5")]);
    turn(&edge, "on");
    // Asked for by another visitor than that of the limits.
    await_served(&edge, "203.0.113.1", true);
    let mut first = from(&edge, STRANGER);
    let statuses: Vec<u16> = (0..20).map(|_| first.get("h", "/").status()).collect();
    assert_eq!(statuses[0], 200);
    assert!(statuses.contains(&429), "{statuses:?}");
    let limited = [("reason", "break_glass_limited")];
    assert!(edge.metrics().sum("ravelin_requests_total", &limited) > 0.0);
    let mut listed = from(&edge, LISTED);
    assert!((0..20).all(|_| listed.get("h", "/").status() == 200));
    // A new connection is no way out, nor are more of them.
    let refused = [("reason", "break_glass_limit")];
    eventually("a connection is refused", || {
        is_served(&edge, STRANGER);
        (edge.metrics().sum("ravelin_connections_refused_total", &refused) > 0.0).then_some(())
    });
}

#[test]
fn what_is_under_way_ends_well_and_is_cut_in_the_end() {
    let gate = Gate::default();
    let waits = gate.clone();
    let upstream = Upstream::scripted(move |conn| {
        while let Some(request) = conn.request() {
            if request.target() == "/slow" {
                waits.wait();
            }
            conn.answer("ok");
        }
    });
    let edge = start(&upstream, &[("drain", "\"1s\"")]);
    turn(&edge, "on");
    await_served(&edge, STRANGER, true);
    let mut slow = from(&edge, STRANGER);
    slow.ask("GET", "h", "/slow");
    let mut idle = from(&edge, STRANGER);
    assert_eq!(idle.get("h", "/").status(), 200);
    let mut listed = from(&edge, LISTED);
    assert_eq!(listed.get("h", "/").status(), 200);
    upstream.await_requests(4);
    turn(&edge, "off");
    idle.closes();
    edge.await_metric("ravelin_break_glass_cut_connections_total", &[], 1.0);
    gate.open();
    assert_eq!(listed.get("h", "/").status(), 200, "Cloudflare's connection stays");
}
