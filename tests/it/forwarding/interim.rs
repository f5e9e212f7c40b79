//! Interim responses of pods (RFC 9110 section 15.2): Cloudflare makes Early Hints of 103, and does not give up on a
//! request while 102 comes.

use crate::support::{Client, Edge, Framing, Message, Upstream, edge_to, eventually, is_by_hyper};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::sleep;
use std::time::Duration;

/// The final response, and the interim ones before it. hyper passes none of them on.
fn responses(client: &mut Client) -> (Vec<Message>, Message) {
    let mut interim = Vec::new();
    loop {
        let message = client.response();
        if message.status() >= 200 {
            return (interim, message);
        }
        assert_eq!(message.framing, Framing::Bodyless);
        interim.push(message);
    }
}

#[test]
fn hints_come_before_the_answer_and_100_is_ours_to_say() {
    let upstream = Upstream::scripted(|conn| {
        while conn.request().is_some() {
            conn.send(
                "HTTP/1.1 100 Continue\r\n\r\n\
                 HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nX-Own: 1\r\nConnection: x-own\r\n\
                 Keep-Alive: timeout=5\r\nContent-Length: 3\r\n\r\n\
                 HTTP/1.1 103 Early Hints\r\nLink: </b.css>\r\n\r\n\
                 HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfinal",
            );
        }
    });
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    for _ in 0..2 {
        client.ask("GET", "a.example", "/");
        let (interim, answer) = responses(&mut client);
        assert_eq!((answer.status(), answer.text()), (200, "final"));
        assert_eq!(answer.field("link"), None);
        let expected = if is_by_hyper() { &[][..] } else { &["</a.css>", "</b.css>"] };
        let links: Vec<_> = interim.iter().filter_map(|hint| hint.field("link")).collect();
        assert_eq!(links, expected);
        for hint in &interim {
            assert_eq!((hint.status(), hint.sorted_fields().len()), (103, 1), "{hint:?}");
        }
    }
    // A client of HTTP/1.0 does not know them.
    let mut old = edge.connect();
    old.send("GET / HTTP/1.0\r\nHost: a.example\r\n\r\n");
    assert_eq!(old.head_of_http_1_0().status(), 200);
}

#[test]
fn a_hint_is_here_before_the_answer_is_made() {
    if is_by_hyper() {
        return;
    }
    let is_read = Arc::new(AtomicBool::new(false));
    let known = Arc::clone(&is_read);
    let upstream = Upstream::scripted(move |conn| {
        conn.request();
        conn.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
        eventually("the hint at the client", || known.load(Relaxed).then_some(()));
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate");
    });
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = edge.connect();
    client.ask("GET", "a.example", "/");
    assert_eq!(client.head().field("link"), Some("</a.css>"));
    is_read.store(true, Relaxed);
    assert_eq!(client.response().text(), "late");
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the pod works for that long, on a thread of its own"
)]
fn a_pod_that_says_that_it_works_on_a_request_is_not_given_up() {
    if is_by_hyper() {
        return;
    }
    let upstream = Upstream::scripted(|conn| {
        conn.request();
        for _ in 0..10 {
            sleep(Duration::from_millis(200));
            conn.send("HTTP/1.1 102 Processing\r\n\r\n");
        }
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
        // And then it is silent for good.
        conn.request();
        conn.send("HTTP/1.1 102 Processing\r\n\r\n");
        conn.closes();
    });
    let edge = edge_to(&[upstream.addr()]).timeout("response_head", "1s").start();
    let mut client = edge.connect();
    client.ask("GET", "a.example", "/");
    let (interim, answer) = responses(&mut client);
    assert_eq!((interim.len(), answer.status(), answer.text()), (10, 200, "done"));
    client.ask("GET", "a.example", "/");
    assert_eq!(responses(&mut client).1.status(), 504);
}
