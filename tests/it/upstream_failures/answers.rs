//! Answers that are none, and answers that break off.

use crate::support::{Edge, Framing, Upstream};

/// A backend that answers with these bytes and closes the connection when it is told to.
fn broken(answer: &'static str) -> Upstream {
    Upstream::scripted(move |conn| {
        if conn.request().is_some() {
            conn.send(answer);
        }
    })
}

fn is_502(answer: &'static str, reason: &str) {
    let upstream = broken(answer);
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    client.ask("GET", "a", "/");
    let response = client.response();
    assert_eq!(response.status(), 502, "{answer:?}");
    assert!(response.text().contains(reason), "{answer:?}: {}", response.text());
    let line = edge.ended(reason);
    assert_eq!((&line["status"], &line["retries"]), (&502.into(), &0.into()));
    assert_eq!(line["endpoint"], upstream.addr().to_string());
    assert_eq!(upstream.requests().len(), 1, "a fresh connection is not tried again");
    // The client's own connection has done nothing wrong.
    client.ask("GET", "a", "/");
    assert_eq!(client.response().status(), 502);
}

#[test]
fn an_upstream_that_closes_without_an_answer_is_a_502() {
    is_502("", "upstream_closed");
}

#[test]
fn half_a_head_is_a_502() {
    is_502("HTTP/1.1 200 OK\r\nContent-", "upstream_closed");
}

#[test]
fn only_an_interim_answer_is_a_502() {
    is_502("HTTP/1.1 100 Continue\r\n\r\n", "upstream_closed");
}

#[test]
fn an_answer_that_is_not_http_is_a_502() {
    for answer in [
        "garbage\r\n\r\n",
        "SSH-2.0-OpenSSH_9.9\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
    ] {
        is_502(answer, "upstream_malformed");
    }
}

#[test]
fn a_switch_of_protocols_that_nobody_asked_for_is_a_502() {
    let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n";
    is_502(answer, "upstream_upgraded");
}

#[test]
fn a_response_that_breaks_off_is_seen_to_break_off() {
    for (answer, framing) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabcde", Framing::Length(10)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n", Framing::Chunked),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n7\r\n",
            Framing::Chunked,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\nzz\r\n",
            Framing::Chunked,
        ),
    ] {
        let upstream = broken(answer);
        let edge = Edge::to(&[upstream.addr()]);
        let mut client = edge.connect();
        client.ask("GET", "a", "/");
        let response = client.broken_response();
        assert_eq!((response.framing, response.text()), (framing, "abcde"), "{answer:?}");
        let line = edge.ended("upstream_truncated");
        assert_eq!((&line["status"], &line["bytes_out"]), (&200.into(), &5.into()));
        // Nothing is kept of either connection.
        edge.await_metric("ravelin_connections_open", &[], 0.0);
        edge.await_metric("ravelin_upstream_idle_connections", &[], 0.0);
    }
}
