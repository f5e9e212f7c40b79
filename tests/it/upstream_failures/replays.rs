//! Requests with a body that are sent again, byte for byte, and those that must not be.

use crate::support::{Edge, Message, Upstream, chunked, edge_to, framed, service};
use serde_json::json;
use std::sync::{Arc, Mutex};

/// A request with this body, framed in this way.
fn request(method: &str, framing: &str, body: &str) -> String {
    let head = format!("{method} /x HTTP/1.1\r\nHost: a\r\n");
    match framing {
        "chunked" => {
            let (begin, rest) = body.split_at(body.len() / 2);
            format!("{head}Transfer-Encoding: chunked\r\n\r\n{}", chunked(&[begin, rest]))
        }
        _ => format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()),
    }
}

/// Answers the first request of a connection, reads the second one, and closes.
fn once() -> Upstream {
    Upstream::scripted(|conn| {
        if conn.request().is_some() {
            conn.answer("fine");
        }
        conn.request();
    })
}

/// What the backend was sent, after the first request.
fn repeated(method: &str, framing: &str, body: &str) -> (u16, Vec<Message>) {
    let upstream = once();
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    assert_eq!(client.get("a", "/").text(), "fine");
    client.send(request(method, framing, body));
    let status = client.response().status();
    (status, upstream.requests().split_off(1))
}

fn text(len: usize) -> String {
    (0..len).map(|n| char::from(b'a' + u8::try_from(n % 26).expect("small"))).collect()
}

#[test]
fn a_put_on_a_connection_that_closes_is_sent_again_byte_for_byte() {
    for framing in ["length", "chunked"] {
        for len in [2, 1_000, 60_000] {
            let body = text(len);
            let (status, sent) = repeated("PUT", framing, &body);
            assert_eq!(status, 200, "{framing} {len}");
            assert_eq!(sent.len(), 2, "{framing} {len}");
            assert_eq!(sent[0].sorted_fields(), sent[1].sorted_fields());
            assert_eq!(sent[0].framing, sent[1].framing);
            for request in sent {
                assert!(request.whole && request.body == body.as_bytes(), "{framing} {len}");
            }
        }
    }
}

#[test]
fn what_may_have_been_carried_out_or_is_too_long_is_not_sent_again() {
    for (method, framing, len) in [
        ("POST", "length", 10),
        ("POST", "chunked", 10),
        ("PATCH", "length", 10),
        ("PUT", "length", 64 * 1024 + 1),
        ("PUT", "chunked", 200_000),
    ] {
        let (status, sent) = repeated(method, framing, &text(len));
        assert_eq!((status, sent.len()), (502, 1), "{method} {framing} {len}");
    }
}

#[test]
fn a_put_that_is_still_coming_is_sent_again_from_its_beginning_and_goes_on() {
    let upstream = Upstream::scripted(|conn| {
        if conn.number == 0 {
            if conn.request().is_some() {
                conn.answer("fine");
            }
            // The head of the second one, and the begin of its body.
            conn.head();
            conn.wire.chunk().expect("a part");
        } else {
            conn.keep_saying("again");
        }
    });
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    assert_eq!(client.get("a", "/").text(), "fine");
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
    edge.await_metric("ravelin_upstream_retries_total", &[("reason", "reused_closed")], 1.0);
    client.send("6\r\nsecond\r\n0\r\n\r\n");
    assert_eq!(client.response().text(), "again");
    let all = upstream.requests();
    let last = all.last().expect("it came");
    assert!(last.whole);
    assert_eq!(last.text(), "firstsecond");
    edge.await_metric("ravelin_upstream_idle_connections", &[], 1.0);
}

/// A proxy in front of a backend with HTTP/2 that takes one request on each connection, and says of
/// the next one that it has not looked at it.
fn forgetful(refusal: fn(u32) -> Vec<u8>) -> (Edge, Upstream, Arc<Mutex<Vec<Vec<u8>>>>) {
    let bodies: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let seen = Arc::clone(&bodies);
    let upstream = Upstream::scripted(move |conn| {
        let mut first = true;
        framed::serve(conn, |conn, stream, body| {
            let answer = if first { framed::answer(stream, b"fine") } else { refusal(stream) };
            first = false;
            seen.lock().expect("no holder panics").push(body);
            conn.send(answer);
        });
    });
    let mut web = service("web", "http", 80);
    web["metadata"]["annotations"] = json!({"ravelin.dev/upstream-protocol": "h2c"});
    let edge = edge_to(&[upstream.addr()]).object("web.json", &web).start();
    (edge, upstream, bodies)
}

#[test]
fn a_post_that_a_backend_has_not_looked_at_is_sent_again_byte_for_byte() {
    // GOAWAY names the stream before as the last one that it has looked at.
    let goaway: fn(u32) -> Vec<u8> = |stream| framed::goaway(stream - 2);
    for framing in ["length", "chunked"] {
        for len in [2, 60_000] {
            let (edge, upstream, bodies) = forgetful(goaway);
            let mut client = edge.connect();
            assert_eq!(client.get("a", "/").text(), "fine");
            let body = text(len);
            client.send(request("POST", framing, &body));
            assert_eq!(client.response().text(), "fine", "{framing} {len}");
            let bodies = bodies.lock().expect("no holder panics");
            assert_eq!(bodies.len(), 3, "{framing} {len}");
            assert!(bodies[1..].iter().all(|sent| sent == body.as_bytes()), "{framing} {len}");
            assert_eq!(upstream.connections(), 2);
            let labels = [("reason", "stream_refused")];
            edge.await_metric("ravelin_upstream_retries_total", &labels, 1.0);
        }
    }
}

#[test]
fn a_stream_that_is_refused_again_and_again_ends_in_an_answer_of_ours() {
    let (edge, _upstream, bodies) = forgetful(framed::refusal);
    let mut client = edge.connect();
    assert_eq!(client.get("a", "/").text(), "fine");
    client.send(request("POST", "length", "body"));
    assert_eq!(client.response().status(), 502);
    let bodies = bodies.lock().expect("no holder panics");
    assert!(bodies[1..].iter().all(|sent| sent == b"body"), "{bodies:?}");
}
