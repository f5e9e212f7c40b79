//! `Expect: 100-continue` (RFC 9110 section 10.1.1): nobody is asked for a body that nobody takes.

use crate::multiplexed::{Connection, request, run, whole};
use crate::secured::secured;
use crate::support::{Edge, Gate, Refusing, Upstream};
use bytes::Bytes;

const EXPECTING: &str =
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";

#[test]
fn continue_is_not_said_where_no_upstream_can_be_connected_to() {
    let nobody = Refusing::new();
    let edge = Edge::to(&[nobody.addr()]);
    let mut client = edge.connect();
    client.send(EXPECTING);
    // The next head there is: an interim one would be 100.
    assert_eq!(client.head().status(), 502);
    edge.ended("connect_failed");
}

#[test]
fn continue_is_said_when_the_upstream_has_the_head_and_not_before() {
    let (accepted, asked) = (Gate::default(), Gate::default());
    let (is_accepted, is_asked) = (accepted.clone(), asked.clone());
    let upstream = Upstream::scripted(move |conn| {
        is_accepted.open();
        let mut request = conn.head().expect("a request");
        assert_eq!(request.field("expect"), None, "the expectation is ours to meet");
        // The body can come only after the client was told to send it.
        is_asked.wait();
        conn.body(&mut request);
        conn.answer(request.text());
    });
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    client.send(EXPECTING);
    assert_eq!(client.head().status(), 100);
    accepted.wait();
    asked.open();
    client.send("body");
    assert_eq!(client.response().text(), "body");
}

#[test]
fn a_client_of_http_2_that_expects_it_is_served_like_any_other() {
    let upstream = Upstream::saying("hello");
    let edge = secured(upstream.addr()).start();
    run(async {
        let mut connection = Connection::open(edge.addr()).await;
        let head = request("POST", "/").header("expect", "100-continue");
        let (response, mut stream) = connection.begin(head.body(()).expect("valid")).await;
        stream.send_data(Bytes::from_static(b"body"), true).expect("an open stream");
        assert_eq!(whole(response.await.expect("an answer")).await.text(), "hello");
    });
    let request = upstream.only_request();
    assert_eq!((request.text(), request.field("expect")), ("body", None));
}
