//! What is refused before it is forwarded: status, reason in body, log and metrics, and the end of
//! the connection.

use crate::support::{Edge, Upstream, edge, edge_to};

/// How a refusal leaves the connection.
#[derive(Clone, Copy, PartialEq)]
enum Then {
    Closes,
    LivesOn,
}

/// Sends a request to a proxy and checks that it refuses it alone.
fn refused(request: &[u8], status: u16, reason: &str, then: Then) {
    let upstream = Upstream::saying("through");
    let edge = edge_to(&[upstream.addr()]).set("limits", "header_block", "\"16KiB\"").start();
    refuses(&edge, request, status, reason, then);
    edge.ended(reason);
    assert!(upstream.requests().iter().all(|request| request.target() == "/next"));
}

fn refuses(edge: &Edge, request: &[u8], status: u16, reason: &str, then: Then) {
    let shown = String::from_utf8_lossy(&request[..request.len().min(200)]).into_owned();
    let mut client = edge.connect();
    client.send(request);
    assert!(!client.is_closed(), "no answer: {shown}");
    let response = client.response();
    assert_eq!(response.status(), status, "{shown}: {response:?}");
    let said = response.text().lines().nth(1).and_then(|line| line.split(':').next());
    assert_eq!(said, Some(reason), "{shown}");
    match then {
        Then::Closes => client.closes(),
        Then::LivesOn => assert_eq!(client.get("a", "/next").text(), "through", "{shown}"),
    }
}

#[test]
fn heads_that_are_not_http_are_refused_and_their_connections_closed() {
    let heads: [&[u8]; 21] = [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nSpace : 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n: empty\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nA: \0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nA: b\rc\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        b"GET / http/1.1\r\nHost: a\r\n\r\n",
        b"GET /\r\n\r\n",
        b"G\x00T / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
        b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ];
    let upstream = Upstream::saying("through");
    let edge = Edge::to(&[upstream.addr()]);
    for head in heads {
        refuses(&edge, head, 400, "malformed_request", Then::Closes);
    }
    assert_eq!(upstream.requests().len(), 0);
    let count = heads.len();
    let lines = edge.await_log(count);
    assert!(
        lines.iter().all(|line| line["reason"] == "malformed_request" && line["status"] == 400)
    );
    let labels = [("reason", "malformed_request"), ("host", "_"), ("status", "4xx")];
    let counted = edge.metrics().sum("ravelin_requests_total", &labels);
    assert!((counted - count as f64).abs() < 0.5, "{counted} of {count}");
}

#[test]
fn a_broken_head_behind_a_good_request_does_not_spoil_its_answer() {
    let upstream = Upstream::saying("through");
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\nGARBAGE\r\n\r\n");
    assert_eq!(client.response().text(), "through");
    let refusal = client.response();
    assert_eq!(refusal.status(), 400);
    assert!(refusal.text().contains("malformed_request"), "{refusal:?}");
    client.closes();
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn the_preface_of_http_2_ends_the_connection() {
    let upstream = Upstream::saying("through");
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    client.wire.rest();
    assert_eq!(upstream.requests().len(), 0);
    edge.await_metric("ravelin_connections_open", &[], 0.0);
}

#[test]
fn a_head_of_too_many_bytes_is_refused() {
    let value = "x".repeat(17 * 1024);
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nLarge: {value}\r\n\r\n");
    refused(head.as_bytes(), 431, "headers_too_large", Then::Closes);
}

#[test]
fn a_head_of_too_many_fields_is_refused() {
    let fields = |count: usize| "A: b\r\n".repeat(count);
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", fields(100));
    refused(head.as_bytes(), 431, "headers_too_large", Then::Closes);
    let upstream = Upstream::saying("through");
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", fields(99)));
    assert_eq!(client.response().text(), "through");
}

#[test]
fn a_target_that_is_too_long_is_refused() {
    let upstream = Upstream::saying("through");
    let edge = edge_to(&[upstream.addr()]).set("limits", "request_target", "2048").start();
    let request = |length: usize| {
        let target = format!("/{}", "x".repeat(length - 1));
        format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
    };
    let mut client = edge.connect();
    client.send(request(2048));
    assert_eq!(client.response().text(), "through");
    refuses(&edge, request(2049).as_bytes(), 414, "target_too_long", Then::LivesOn);
    refuses(&edge, request(70_000).as_bytes(), 414, "target_too_long", Then::Closes);
}

#[test]
fn a_request_without_one_valid_host_is_refused() {
    for fields in [
        "",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nHost: b\r\n",
        "Host: a, b\r\n",
        "Host: user@a\r\n",
        "Host: a:b\r\n",
        "Host: a/b\r\n",
        "Host: a b\r\n",
        "Host: [::1\r\n",
    ] {
        let head = format!("GET / HTTP/1.1\r\n{fields}\r\n");
        refused(head.as_bytes(), 400, "bad_host", Then::LivesOn);
    }
}

#[test]
fn a_path_that_can_be_read_in_two_ways_is_refused() {
    for target in ["/%", "/%0", "/%zz", "/%00", "/a\\b", "*", "a"] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        let upstream = Upstream::saying("through");
        let edge = Edge::to(&[upstream.addr()]);
        let mut client = edge.connect();
        client.send(request);
        let response = client.response();
        assert_eq!(response.status(), 400, "{target}: {response:?}");
        assert_eq!(upstream.requests().len(), 0, "{target}");
    }
    refused(b"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_target", Then::LivesOn);
}

#[test]
fn connect_is_refused() {
    let head = b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n";
    refused(head, 501, "connect_refused", Then::Closes);
}

#[test]
fn a_refusal_while_the_body_is_still_to_come_does_not_make_a_request_of_the_body() {
    let edge = edge().start();
    let mut client = edge.connect();
    let inner = "GET /inner HTTP/1.1\r\nHost: a\r\n\r\n";
    let length = inner.len();
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"));
    assert_eq!(client.response().status(), 404);
    // The connection may be closed already: what counts is that nothing comes back.
    let _ = client.wire.send(inner.as_bytes());
    let _ = client.wire.stream.shutdown(std::net::Shutdown::Write);
    assert_eq!(client.wire.rest(), b"");
    assert_eq!(edge.await_log(1).len(), 1);
}

#[test]
fn a_refusal_reaches_a_client_that_goes_on_sending() {
    let edge = edge().start();
    for _ in 0..20 {
        let mut client = edge.connect();
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n");
        let piece = [b'x'; 65536];
        while client.wire.send(&piece).is_ok() {}
        assert_eq!(client.response().status(), 404);
    }
}

#[test]
fn what_we_say_ourselves_is_in_the_form_of_http_whatever_the_content_type() {
    let edge = edge().start();
    let mut client = edge.connect();
    client.send(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\n\r\n",
    );
    let response = client.response();
    assert_eq!((response.status(), response.field("grpc-status")), (404, None));
    assert!(response.text().contains("no_route"), "{}", response.text());
}
