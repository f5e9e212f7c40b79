//! `Expect: 100-continue` (RFC 9110 section 10.1.1) over HTTP/1.1: nobody is asked for a body that nobody takes.
//! `interim` has it over HTTP/2.

use crate::support::{Edge, Gate, Refusing, Upstream};

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
