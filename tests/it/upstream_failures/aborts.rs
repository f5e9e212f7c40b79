//! Clients that go away.

use crate::support::{Edge, Gate, Upstream};
use std::net::Shutdown;

#[test]
fn a_client_that_goes_away_in_the_middle_of_a_response_ends_it_upstream() {
    let upstream = Upstream::scripted(|conn| {
        conn.request();
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n");
        // Ends when the proxy takes no more.
        while conn.send([b'x'; 65536]) {}
        conn.closes();
    });
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    client.ask("GET", "a", "/");
    assert_eq!(client.head().status(), 200);
    drop(client);
    upstream.await_closed(1);
    let line = edge.ended("client_gone");
    assert_eq!(line["status"], 200);
}

#[test]
fn a_client_that_goes_away_while_the_response_pauses_ends_it_upstream() {
    let upstream = Upstream::scripted(|conn| {
        conn.request();
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
        conn.closes();
    });
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    client.ask("GET", "a", "/");
    assert_eq!(client.head().status(), 200);
    drop(client);
    upstream.await_closed(1);
    edge.ended("client_gone");
}

#[test]
fn a_client_that_goes_away_before_the_response_ends_the_request_upstream() {
    let upstream = Upstream::scripted(|conn| {
        conn.request();
        conn.closes();
    });
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    client.ask("GET", "a", "/");
    upstream.await_requests(1);
    drop(client);
    upstream.await_closed(1);
    let line = edge.ended("client_gone");
    assert_eq!(line["status"], 499);
    assert_eq!(line["endpoint"], upstream.addr().to_string());
    edge.await_metric("ravelin_upstream_idle_connections", &[], 0.0);
}

#[test]
fn an_upload_that_breaks_off_never_reaches_the_upstream_as_a_whole() {
    for (framing, part) in [
        ("Content-Length: 10", "abc"),
        ("Transfer-Encoding: chunked", "3\r\nabc\r\n"),
        ("Transfer-Encoding: chunked", "3\r\nabc\r\n4\r\nde"),
        ("Transfer-Encoding: chunked", "3\r\nabc\r\nzz\r\n"),
        ("Transfer-Encoding: chunked", "3\r\nabcdef\r\n0\r\n\r\n"),
    ] {
        let begun = Gate::default();
        let seen = begun.clone();
        let upstream = Upstream::scripted(move |conn| {
            let mut request = conn.head().expect("a request");
            seen.open();
            conn.body(&mut request);
        });
        let edge = Edge::to(&[upstream.addr()]);
        let mut client = edge.connect();
        client.send(format!("PUT / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n"));
        // What is no chunk is refused as soon as it comes, be the pod asked or not.
        begun.wait();
        client.send(part);
        client.wire.stream.shutdown(Shutdown::Both).expect("open");
        upstream.await_requests(1);
        let request = upstream.only_request();
        assert!(!request.whole, "{framing} {part:?}: {request:?}");
        let line = &edge.await_log(1)[0];
        assert!(
            line["reason"] == "client_gone" || line["reason"] == "malformed_body",
            "{framing} {part:?}: {line}"
        );
        edge.await_metric("ravelin_upstream_idle_connections", &[], 0.0);
    }
}

#[test]
fn a_body_that_breaks_its_framing_is_refused_and_the_connection_closed() {
    let upstream = Upstream::scripted(|conn| {
        conn.request();
    });
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send("3\r\nabc\r\nnonsense\r\n\r\nGET /inner HTTP/1.1\r\nHost: a\r\n\r\n");
    let response = client.response();
    assert_eq!(response.status(), 400, "{}", response.text());
    assert!(response.text().contains("malformed_body"), "{}", response.text());
    client.closes();
    edge.ended("malformed_body");
    assert!(upstream.requests().iter().all(|request| !request.whole));
}
