//! A proxy that leaves while HTTP/2 is spoken.

use crate::frames::{self, DATA, END_STREAM, Frames, GOAWAY, HEADERS};
use crate::secured::secured;
use crate::support::{Gate, Metrics, Upstream, eventually};
use std::net::TcpStream;
use std::thread;

/// A backend that answers when the gate is open.
fn gated() -> (Gate, Upstream) {
    let gate = Gate::default();
    let closed = gate.clone();
    let upstream = Upstream::scripted(move |conn| {
        while conn.request().is_some() {
            closed.wait();
            conn.answer("done");
        }
    });
    (gate, upstream)
}

#[test]
fn streams_in_flight_finish_after_goaway_and_new_ones_are_not_taken() {
    let (gate, upstream) = gated();
    let builder = secured(upstream.addr()).timeout("drain", "20s").timeout("drain_idle", "20ms");
    let edge = builder.start();
    let (mut idle, _) = Frames::open(edge.addr());
    let (mut frames, _) = Frames::open(edge.addr());
    frames.send(&frames::get(1, "/in-flight", &[]));
    upstream.await_requests(1);

    let leaving = thread::spawn(move || drop(edge));
    // RFC 9113 section 6.8: the first names no stream, the second the last one that is served.
    let last =
        |frame: &frames::Frame| u32::from_be_bytes(frame.payload[..4].try_into().expect("4"));
    let mut goodbye = frames.next_of(GOAWAY);
    while last(&goodbye) != 1 {
        goodbye = frames.next_of(GOAWAY);
    }
    assert_eq!(goodbye.payload[4..8], [0; 4], "without an error: {goodbye:?}");
    idle.next_of(GOAWAY);
    while idle.next().is_some() {}
    frames.send(&frames::get(3, "/too-late", &[]));

    gate.open();
    assert_eq!(frames.next_of(HEADERS).stream, 1);
    let data = frames.next_of(DATA);
    assert_eq!((data.stream, &data.payload[..], data.flags & END_STREAM), (1, &b"done"[..], 1));
    while let Some(frame) = frames.next() {
        assert_ne!(frame.stream, 3, "{frame:?}");
    }
    leaving.join().expect("it leaves when the last stream is through");
    assert_eq!(upstream.only_request().target(), "/in-flight");
}

#[test]
fn a_stream_that_is_stuck_is_cut_at_the_end_of_the_drain() {
    let upstream = Upstream::scripted(|conn| {
        conn.request();
        conn.closes();
    });
    let builder = secured(upstream.addr()).timeout("drain", "500ms").timeout("drain_idle", "20ms");
    let edge = builder.start();
    let (mut frames, _) = Frames::open(edge.addr());
    frames.send(&frames::get(1, "/stuck", &[]));
    upstream.await_requests(1);
    let leaving = thread::spawn(move || drop(edge));
    while let Some(frame) = frames.next() {
        assert!(frame.kind != HEADERS && frame.kind != DATA, "{frame:?}");
    }
    upstream.await_closed(1);
    leaving.join().expect("it leaves");
}

#[test]
fn an_answer_that_ends_after_idle_connections_are_closed_is_whole() {
    let (gate, upstream) = gated();
    let builder = secured(upstream.addr()).timeout("drain", "20s").timeout("drain_idle", "20ms");
    let edge = builder.start();
    // Whoever has just connected is told to go when idle connections are, and not before.
    let (mut fresh, _) = Frames::open(edge.addr());
    let (mut busy, _) = Frames::open(edge.addr());
    busy.send(&frames::get(1, "/", &[]));
    upstream.await_requests(1);
    let leaving = thread::spawn(move || drop(edge));
    fresh.next_of(GOAWAY);
    while fresh.next().is_some() {}
    gate.open();
    assert_eq!(busy.next_of(HEADERS).stream, 1);
    assert_eq!(busy.next_of(DATA).payload, b"done");
    while busy.next().is_some() {}
    leaving.join().expect("it leaves when the last stream is through");
}

#[test]
fn who_has_just_connected_is_not_told_to_go_before_the_first_request() {
    let upstream = Upstream::saying("done");
    let builder = secured(upstream.addr()).timeout("drain", "20s").timeout("drain_idle", "10s");
    let edge = builder.start();
    let (mut used, _) = Frames::open(edge.addr());
    used.send(&frames::get(1, "/", &[]));
    used.next_of(DATA);
    let (mut fresh, _) = Frames::open(edge.addr());
    let leaving = thread::spawn(move || drop(edge));
    // By then the other one would have it as well.
    while used.next().is_some() {}
    fresh.send(&frames::get(1, "/first", &[]));
    let mut seen = Vec::new();
    while let Some(frame) = fresh.next() {
        seen.push((frame.kind, frame.stream));
    }
    let answer = seen.iter().position(|frame| *frame == (HEADERS, 1));
    let goodbye = seen.iter().position(|(kind, _)| *kind == GOAWAY);
    assert!(answer.is_some() && goodbye.is_some() && seen[0].0 != GOAWAY, "{seen:?}");
    leaving.join().expect("it leaves when the last connection is closed");
    assert_eq!(upstream.requests().len(), 2);
}

#[test]
fn a_handshake_that_the_drain_ends_has_not_timed_out() {
    let (gate, upstream) = gated();
    let builder = secured(upstream.addr()).timeout("drain", "20s").timeout("drain_idle", "20ms");
    let mut process = builder.spawn(1);
    let (mut frames, _) = Frames::open(process.addr());
    frames.send(&frames::get(1, "/in-flight", &[]));
    upstream.await_requests(1);
    let mut stalled = TcpStream::connect(process.addr()).expect("the proxy listens");
    process.signal("TERM");
    let end = std::io::Read::read(&mut stalled, &mut [0]);
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    let failed = |reason| {
        let metrics = Metrics::scrape(process.admin());
        metrics.sum("ravelin_tls_handshake_failures_total", &[("reason", reason)])
    };
    assert_eq!([failed("drained"), failed("timeout")], [1.0, 0.0]);
    gate.open();
    assert_eq!(frames.next_of(HEADERS).stream, 1);
    drop(frames);
    assert_eq!(process.exit().code(), Some(0));
}

#[test]
fn a_client_that_still_uploads_after_goaway_is_not_reset() {
    let upstream = Upstream::scripted(|conn| {
        conn.head();
        conn.send("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        conn.closes();
    });
    let builder = secured(upstream.addr()).timeout("drain", "20s").timeout("drain_idle", "20ms");
    let mut process = builder.spawn(1);
    let (mut frames, _) = Frames::open(process.addr());
    let piece = frames::frame(DATA, 0, 1, &[b'x'; 1024]);
    frames.send(&frames::post(1, "/upload", &[]));
    frames.send(&piece);
    assert_eq!(frames.next_of(HEADERS).stream, 1);
    process.signal("TERM");
    // Until the end of what the proxy sends.
    while frames.next().is_some() {}
    let lingering = || Metrics::scrape(process.admin()).sum("ravelin_connections_lingering", &[]);
    eventually("it lingers", || (lingering() > 0.5).then_some(()));
    for _ in 0..1000 {
        assert!(frames.try_send(&piece), "the client would take its answer for lost");
    }
    drop(frames);
    assert_eq!(process.exit().code(), Some(0));
}
