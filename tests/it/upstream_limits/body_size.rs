//! How large the body of a request may be, by annotations of its Ingress.

use crate::support::{Client, Edge, Gate, Upstream, edge_to, ingress, rule};
use serde_json::json;

/// A proxy whose Ingress has this annotation.
fn edge_with(name: &str, value: &str, upstream: &Upstream) -> Edge {
    let mut all = ingress("all", &[rule("", &[("/", "Prefix", "web")])]);
    all["metadata"]["annotations"] = json!({name: value});
    edge_to(&[upstream.addr()]).object("web-ingress.json", &all).start()
}

const OURS: &str = "ravelin.dev/max-body-size";

fn is_refused(client: &mut Client) {
    let response = client.response();
    assert_eq!(response.status(), 413, "{response:?}");
    assert!(response.text().contains("body_too_large"), "{}", response.text());
}

#[test]
fn a_length_that_is_too_large_is_refused_before_a_byte_is_read() {
    for (name, value) in [
        (OURS, "10B"),
        ("nginx.ingress.kubernetes.io/proxy-body-size", "10"),
        ("haproxy-ingress.github.io/proxy-body-size", "10"),
    ] {
        let upstream = Upstream::saying("through");
        let edge = edge_with(name, value, &upstream);
        let mut client = edge.connect();
        client.send(
            "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n",
        );
        is_refused(&mut client);
        edge.ended("body_too_large");
        assert_eq!(upstream.requests().len(), 0, "{name}");
        let mut client = edge.connect();
        client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n1234567890");
        assert_eq!(client.response().text(), "through");
    }
}

#[test]
fn a_body_without_a_length_is_counted_and_never_whole_upstream() {
    let upstream = Upstream::saying("through");
    let edge = edge_with(OURS, "10B", &upstream);
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n123456\r\n";
    let mut client = edge.connect();
    client.send(format!("{head}4\r\n7890\r\n0\r\n\r\n"));
    assert_eq!(client.response().text(), "through");
    let mut client = edge.connect();
    client.send(format!("{head}5\r\n78901\r\n"));
    is_refused(&mut client);
    assert_eq!(edge.await_log(2)[1]["reason"], "body_too_large");
    upstream.await_requests(2);
    let whole: Vec<_> = upstream.requests().iter().map(|request| request.whole).collect();
    assert!(whole.iter().filter(|whole| **whole).count() == 1, "{whole:?}");
}

#[test]
fn an_answer_that_has_begun_is_broken_off() {
    let over = Gate::default();
    let until = over.clone();
    let upstream = Upstream::scripted(move |conn| {
        let mut request = conn.head().expect("a request");
        conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
        conn.body(&mut request);
        until.wait();
    });
    let edge = edge_with(OURS, "10B", &upstream);
    let mut client = edge.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n123456\r\n");
    assert_eq!(client.head().status(), 200);
    assert_eq!(client.wire.chunk().as_deref(), Ok(&b"abc"[..]));
    client.send("5\r\n78901\r\n");
    assert!(client.wire.chunk().is_err(), "no proper end");
    edge.ended("body_too_large");
    over.open();
}

#[test]
fn a_limit_that_is_none_leaves_nothing_served() {
    let upstream = Upstream::saying("through");
    for (name, value) in
        [(OURS, "10"), (OURS, "0B"), ("nginx.ingress.kubernetes.io/proxy-body-size", "ten")]
    {
        let edge = edge_with(name, value, &upstream);
        assert_eq!(edge.get("a", "/").status(), 503, "{value}");
        edge.ended("restriction_unsupported");
    }
    let edge = edge_with("nginx.ingress.kubernetes.io/proxy-body-size", "0", &upstream);
    assert_eq!(edge.get("a", "/").text(), "through");
}
