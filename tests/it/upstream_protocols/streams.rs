//! How a stream ends: by its end, or visibly broken.

use super::peer::{Peer, h2c_edge};
use super::resetting::Resetting;
use super::told;
use crate::support::{Fault, Gate, Upstream, eventually, framed, is_by_hyper};
use h2::Reason;

#[test]
fn a_stream_that_is_reset_midway_breaks_the_answer_off_whatever_the_code() {
    for reason in [Reason::CANCEL, Reason::NO_ERROR, Reason::INTERNAL_ERROR] {
        let resetting = Resetting::start(reason);
        let edge = h2c_edge(resetting.addr()).start();
        let mut client = edge.connect();
        client.ask("GET", "a.example", "/");
        let mut response = client.head();
        assert_eq!(client.wire.chunk().as_deref(), Ok(&b"part"[..]));
        resetting.reset();
        assert_eq!(client.wire.body(&mut response), Err(Fault::Closed), "{reason:?}");
        edge.ended("upstream_truncated");
        // The connection is as good as before.
        let mut next = edge.connect();
        next.ask("GET", "a.example", "/");
        resetting.await_requests(2);
        edge.await_metric("ravelin_upstream_connects_total", &[("result", "ok")], 1.0);
    }
}

#[test]
fn an_answer_before_the_end_of_the_request_is_an_answer() {
    let Some(peer) = Peer::h2c() else { return };
    let edge = h2c_edge(peer.addr()).start();
    let mut client = edge.connect();
    client.send("POST /early HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1000\r\n\r\nbegun");
    let response = client.response();
    assert_eq!((response.status(), response.text()), (413, "too much"));
    drop(client);
    assert_eq!(told(&edge.get("a.example", "/info"))["sessions"], 1);
}

#[test]
fn a_large_body_passes_both_ways_through_the_windows() {
    let Some(peer) = Peer::h2c() else { return };
    let edge = h2c_edge(peer.addr()).start();
    let body: Vec<u8> = (0..3_000_000u32).map(|n| n.to_le_bytes()[0]).collect();
    let mut client = edge.connect();
    client
        .send(format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()));
    let mut sending = client.wire.stream.try_clone().expect("files are left");
    let sent = body.clone();
    let sender = std::thread::spawn(move || {
        std::io::Write::write_all(&mut sending, &sent).expect("the proxy reads");
    });
    assert!(client.response().body == body, "the body comes back as it was");
    sender.join().expect("it was sent");
}

#[test]
fn a_pod_that_reads_nothing_more_holds_the_client_back_and_no_other_request() {
    let Some(peer) = Peer::h2c() else { return };
    let edge = h2c_edge(peer.addr()).start();
    let mut client = edge.connect();
    client.send("POST /never HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n");
    let stalled = std::time::Duration::from_millis(500);
    client.wire.stream.set_write_timeout(Some(stalled)).expect("not zero");
    let block = vec![0; 1 << 20];
    let mut sent = 0;
    // It ends when every buffer on the way is full, and stays so.
    while sent < 100_000_000 {
        match std::io::Write::write(&mut client.wire.stream, &block) {
            Ok(count) => sent += count,
            Err(_) => break,
        }
    }
    assert!(sent < 50_000_000, "{sent} bytes were taken for a pod that reads none");
    eventually("others are served", || {
        (told(&edge.get("a.example", "/info"))["requests"].as_u64() >= Some(2)).then_some(())
    });
}

#[test]
fn a_pod_that_no_longer_answers_loses_its_connection_when_a_request_was_given_up() {
    // Empty SETTINGS, and then silence: also to a PING.
    let upstream = Upstream::scripted(|conn| {
        conn.wire.send(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).expect("the proxy reads");
        conn.closes();
    });
    let edge = h2c_edge(upstream.addr()).timeout("response_head", "200ms").start();
    assert_eq!(edge.get("a.example", "/").status(), 504);
    edge.ended("upstream_timeout");
    upstream.await_closed(1);
}

/// A pod that opens the window of its connection only once nothing is left of it: a byte that is kept back for an upload
/// whose client has nothing to say would be waited for by both sides.
#[test]
fn an_upload_whose_client_pauses_keeps_nothing_of_the_window_from_others() {
    const WINDOW: usize = 65_535;
    const BYTES: usize = 3 * WINDOW;
    let begun = Gate::default();
    let has_begun = begun.clone();
    let upstream = Upstream::scripted(move |conn| {
        let (mut unread, mut read) = (0, 0);
        framed::converse(conn, |conn, frame| {
            match frame.kind {
                framed::HEADERS => has_begun.open(),
                framed::DATA => {
                    unread += frame.payload.len();
                    read += frame.payload.len();
                    if read == BYTES {
                        conn.send(framed::answer(frame.stream, b"all"));
                    }
                }
                _ => {}
            }
            if unread == WINDOW {
                unread = 0;
                let more = u32::try_from(WINDOW).expect("31 bits").to_be_bytes();
                for stream in [0, frame.stream] {
                    conn.send(framed::frame(framed::WINDOW_UPDATE, 0, stream, &more));
                }
            }
        });
    });
    let edge = h2c_edge(upstream.addr()).start();
    let mut paused = edge.connect();
    paused.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    begun.wait();
    let mut other = edge.connect();
    other.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {BYTES}\r\n\r\n"));
    other.send(vec![b'x'; BYTES]);
    assert_eq!(other.response().text(), "all");
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn what_a_pod_says_before_its_answer_reaches_a_client_of_http_1_1() {
    let Some(peer) = Peer::h2c() else { return };
    let edge = h2c_edge(peer.addr()).start();
    let mut client = edge.connect();
    client.ask("GET", "a.example", "/hints");
    if !is_by_hyper() {
        let hint = client.head();
        assert_eq!((hint.status(), hint.field("link")), (103, Some("</a.css>")));
        assert_eq!(client.head().status(), 102);
    }
    told(&client.response());
}
