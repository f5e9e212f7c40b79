//! More streams than may be, and streams that their client gives up.
use crate::until::until;

use crate::frames::{self, Frames, HEADERS, REFUSED_STREAM, RST_STREAM};
use crate::multiplexed::{Connection, get, next, request, run, whole};
use crate::secured::secured;
use crate::support::{Edge, Gate, Upstream};
use bytes::Bytes;
use h2::Reason;
use serde_json::Value;

#[test]
fn a_stream_above_200_is_refused_and_the_200_are_served() {
    const STREAMS: u32 = 200;
    let gate = Gate::default();
    let closed = gate.clone();
    let upstream = Upstream::scripted(move |conn| {
        while conn.request().is_some() {
            closed.wait();
            conn.answer("");
        }
    });
    let edge = secured(upstream.addr()).start();
    let (mut frames, _) = Frames::open(edge.addr());
    for number in 0..STREAMS {
        frames.send(&frames::get(2 * number + 1, "/", &[]));
    }
    upstream.await_requests(STREAMS as usize);
    frames.send(&frames::get(2 * STREAMS + 1, "/", &[]));
    let refused = frames.next_of(RST_STREAM);
    assert_eq!((refused.stream, refused.error()), (2 * STREAMS + 1, REFUSED_STREAM));
    gate.open();
    let mut answered: Vec<u32> = (0..STREAMS)
        .map(|_| {
            let head = frames.next_of(HEADERS);
            // `:status: 200` out of the static table (RFC 7541 appendix A).
            assert_eq!(head.payload[0], 0x88, "{head:?}");
            head.stream
        })
        .collect();
    answered.sort_unstable();
    assert!(answered.iter().copied().eq((0..STREAMS).map(|number| 2 * number + 1)));
    assert_eq!(upstream.requests().len(), STREAMS as usize);
}

/// A backend that never answers.
fn silent() -> Upstream {
    Upstream::scripted(|conn| {
        conn.request();
        conn.closes();
    })
}

fn await_cut(edge: &Edge) {
    let labels = [("listener", "web")];
    edge.await_metric("ravelin_connections_reset_floods_total", &labels, 1.0);
    edge.await_metric("ravelin_connections_open", &labels, 0.0);
}

#[test]
fn a_client_that_resets_its_streams_is_cut_off_and_counted() {
    let upstream = silent();
    let edge = secured(upstream.addr()).set("http2", "resets", "100").start();
    let (mut frames, _) = Frames::open(edge.addr());
    for number in 0..100 {
        let stream = 2 * number + 1;
        frames.send(&frames::get(stream, "/", &[]));
        upstream.await_requests(number as usize + 1);
        frames.send(&frames::cancel(stream));
    }
    await_cut(&edge);
}

#[test]
fn a_client_that_resets_streams_by_the_thousand_is_cut_off_and_counted() {
    let upstream = silent();
    let edge = secured(upstream.addr()).start();
    let (mut frames, _) = Frames::open(edge.addr());
    let opened = |number: u32| {
        let stream = 2 * number + 1;
        [frames::get(stream, "/", &[]), frames::cancel(stream)].concat()
    };
    let bytes: Vec<u8> = (0..2000).flat_map(opened).collect();
    // It may be cut off before it has said all of that.
    frames.try_send(&bytes);
    await_cut(&edge);
    assert!(upstream.connections() < 1000, "most of them are nobody's request");
}

#[test]
fn a_client_that_gives_up_less_than_half_of_its_streams_goes_on() {
    let upstream = Upstream::scripted(|conn| {
        while let Some(request) = conn.request() {
            if request.target() == "/given-up" {
                return conn.closes();
            }
            conn.answer("done");
        }
    });
    let edge = secured(upstream.addr()).set("http2", "resets", "100").start();
    run(async {
        let mut connection = Connection::open(edge.addr()).await;
        for number in 0..150 {
            if number % 3 == 0 {
                // Given up by being dropped.
                drop(connection.send(get("/given-up")).await);
            } else {
                assert_eq!(connection.ask(get("/")).await.text(), "done");
            }
        }
    });
    let floods = "ravelin_connections_reset_floods_total";
    edge.await_metric("ravelin_requests_total", &[("reason", "client_gone")], 50.0);
    edge.await_metric(floods, &[("listener", "web")], 0.0);
}

/// Whether so many requests have been given up by their clients.
fn given_up(edge: &Edge, count: f64) -> bool {
    edge.metrics().sum("ravelin_requests_total", &[("reason", "client_gone")]) >= count
}

#[test]
fn a_reset_before_the_answer_ends_the_request_upstream() {
    let upstream = Upstream::scripted(|conn| {
        conn.request();
        conn.closes();
    });
    let edge = secured(upstream.addr()).start();
    run(async {
        let mut connection = Connection::open(edge.addr()).await;
        let response = connection.send(get("/")).await;
        until("the request is there", || upstream.requests().len() == 1).await;
        drop(response);
        until("it is given up", || given_up(&edge, 1.0)).await;
        upstream.await_closed(1);
    });
    edge.ended("client_gone");
}

#[test]
fn a_reset_in_the_middle_of_an_answer_ends_it_upstream_and_no_other() {
    let gate = Gate::default();
    let closed = gate.clone();
    let upstream = Upstream::scripted(move |conn| {
        let request = conn.request().expect("a request");
        conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
        if request.target() == "/given-up" {
            return conn.closes();
        }
        closed.wait();
        conn.send("5\r\nwhole\r\n0\r\n\r\n");
    });
    let edge = secured(upstream.addr()).start();
    run(async {
        let mut connection = Connection::open(edge.addr()).await;
        let other = connection.send(get("/other")).await.await.expect("an answer");
        let mut body = connection.send(get("/given-up")).await.await.expect("a head").into_body();
        assert_eq!(next(&mut body).await.expect("a part").expect("a part"), "half");
        drop(body);
        until("it is given up", || given_up(&edge, 1.0)).await;
        upstream.await_closed(1);
        gate.open();
        assert_eq!(whole(other).await.text(), "halfwhole");
    });
    let lines = edge.await_log(2);
    let reason = |path: &str| lines.iter().find(|l| l["path"] == path).map(|l| &l["reason"]);
    assert_eq!(reason("/given-up"), Some(&"client_gone".into()));
    assert_eq!(reason("/other"), Some(&Value::Null));
}

#[test]
fn a_reset_in_the_middle_of_an_upload_never_makes_it_whole_upstream() {
    let upstream = Upstream::saying("whole");
    let edge = secured(upstream.addr()).start();
    run(async {
        let mut connection = Connection::open(edge.addr()).await;
        for (before, length) in [None, Some("1000")].into_iter().enumerate() {
            let mut head = request("POST", "/upload");
            if let Some(length) = length {
                head = head.header("content-length", length);
            }
            let (_response, mut stream) = connection.begin(head.body(()).expect("valid")).await;
            stream.send_data(Bytes::from_static(b"half"), false).expect("an open stream");
            until("it is on its way", || upstream.connections() > before).await;
            stream.send_reset(Reason::CANCEL);
        }
        until("both have come", || upstream.requests().len() == 2).await;
        assert_eq!(connection.ask(get("/next")).await.text(), "whole");
    });
    assert!(upstream.requests()[..2].iter().all(|request| !request.whole));
}
