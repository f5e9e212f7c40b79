//! Connections that their pod has ended, or has said that it will end: the next request never pays for
//! it, whatever its method.

use crate::support::{Edge, Gate, Upstream, edge_to};
use std::net::Shutdown;
use std::sync::Arc;

/// A request that must not be sent twice.
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";

/// Requests one after another.
const REQUESTS: usize = 4;

/// Sends POSTs one after another; each has to be answered, and to be read by the pod once.
fn all_are_answered(what: &str, upstream: &Upstream, before_next: impl Fn(usize)) {
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    for number in 0..REQUESTS {
        client.send(POST);
        let response = client.response();
        assert_eq!((response.status(), response.text()), (200, "once"), "{what:?}");
        before_next(number);
    }
    assert_eq!(upstream.requests().len(), REQUESTS, "{what:?}");
    assert_eq!(upstream.connections(), REQUESTS, "{what:?}: none was used twice");
}

#[test]
fn a_connection_whose_answer_says_that_it_ends_is_not_used_again() {
    for head in [
        "HTTP/1.1 200 OK\r\nConnection: CLOSE\r\nContent-Length: 4\r\n\r\nonce",
        "HTTP/1.1 200 OK\r\nConnection: keep-alive, Close\r\nContent-Length: 4\r\n\r\nonce",
        "HTTP/1.1 200 OK\r\nConnection: close\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\nonce",
        "HTTP/1.1 200 OK\r\nConnection: \u{e9}, close\r\nContent-Length: 4\r\n\r\nonce",
        "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=0\r\nContent-Length: 4\r\n\r\nonce",
        "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5, max=0\r\nContent-Length: 4\r\n\r\nonce",
        "HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nonce",
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nonceand more",
    ] {
        // It reads on, and would never answer.
        let upstream = Upstream::scripted(move |conn| {
            if conn.request().is_some() {
                conn.send(head);
                conn.closes();
            }
        });
        all_are_answered(head, &upstream, |_| {});
    }
}

#[test]
fn a_connection_that_ended_behind_its_answer_costs_no_request() {
    for head in [
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nonce",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nonce\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nonce",
    ] {
        // One for each connection.
        let ended: Arc<[Gate; REQUESTS]> = Arc::default();
        let ends = Arc::clone(&ended);
        let upstream = Upstream::scripted(move |conn| {
            if conn.request().is_some() {
                conn.send(head);
                conn.wire.stream.shutdown(Shutdown::Both).expect("open");
                ends[conn.number].open();
            }
        });
        all_are_answered(head, &upstream, |number| ended[number].wait());
    }
}

#[test]
fn a_connection_is_closed_before_its_pod_would_do_it() {
    let upstream = Upstream::scripted(|conn| {
        if conn.request().is_some() {
            conn.send("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=2\r\nContent-Length: 4\r\n\r\nonce");
            conn.closes();
        }
    });
    // For longer than a test waits.
    let edge = edge_to(&[upstream.addr()]).set("upstream", "idle", "\"300s\"").start();
    assert_eq!(edge.get("a", "/").text(), "once");
    upstream.await_closed(1);
    edge.await_metric("ravelin_upstream_idle_connections", &[], 0.0);
}
