//! Deadlines of single streams, and of a connection that has none.

use crate::frames::{self, END_HEADERS, Frames, GOAWAY, HEADERS, frame};
use crate::multiplexed::{Connection, get, next, request, reset, run, whole};
use crate::secured::secured;
use crate::support::{Conn, Edge, Gate, Upstream};
use bytes::Bytes;
use h2::Reason;
use h2::client::Builder;

const MIB: usize = 1024 * 1024;

fn with(key: &str, value: &str, upstream: &Upstream) -> Edge {
    secured(upstream.addr()).timeout(key, value).start()
}

/// Answers with more than a window holds, until the proxy gives up.
fn pour(conn: &mut Conn) {
    conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 256 * MIB));
    while conn.send(vec![b'x'; MIB]) {}
}

#[test]
fn a_stream_whose_window_stays_closed_is_reset_and_the_others_go_on() {
    let upstream = Upstream::scripted(|conn| {
        while let Some(request) = conn.request() {
            match request.target() {
                "/large" => return pour(conn),
                _ => conn.answer("small"),
            }
        }
    });
    let edge = with("body_progress", "1s", &upstream);
    run(async {
        let mut settings = Builder::new();
        settings.initial_window_size(64 * 1024).initial_connection_window_size(4 * 1024 * 1024);
        let mut connection = Connection::with(edge.addr(), &settings).await;
        let stalled = connection.send(get("/large")).await.await.expect("an answer");
        let mut body = stalled.into_body();
        let mut bytes = 0;
        // The others are served for as long as this one is stuck, and afterwards.
        let error = loop {
            tokio::select! {
                biased;
                // Nothing is given back.
                data = body.data() => match data.expect("no proper end") {
                    Ok(data) => bytes += data.len(),
                    Err(error) => break error,
                },
                answer = connection.ask(get("/small")) => assert_eq!(answer.text(), "small"),
            }
        };
        assert!(reset(&error).is_some(), "{error:?}");
        assert_eq!(bytes, 64 * 1024);
        assert_eq!(connection.ask(get("/small")).await.text(), "small");
    });
    edge.await_metric("ravelin_requests_total", &[("reason", "client_stalled")], 1.0);
}

#[test]
fn an_upload_that_stops_is_a_408_and_never_whole_upstream() {
    let upstream = Upstream::saying("whole");
    let edge = with("body_progress", "500ms", &upstream);
    run(async {
        let mut connection = Connection::open(edge.addr()).await;
        let (response, mut stream) =
            connection.begin(request("POST", "/").body(()).expect("valid")).await;
        stream.send_data(Bytes::from_static(b"half"), false).expect("an open stream");
        let answer = whole(response.await.expect("an answer")).await;
        assert_eq!(answer.status, 408);
        assert!(answer.text().contains("request_timeout"), "{}", answer.text());
        assert_eq!(connection.post("/next", "all").await.text(), "whole");
    });
    upstream.await_requests(2);
    let requests = upstream.requests();
    let half = requests.iter().find(|request| request.target() == "/").expect("it came");
    assert!(!half.whole);
    assert_eq!(half.body, b"half");
}

#[test]
fn an_upload_that_the_upstream_does_not_take_is_a_504_and_the_others_go_on() {
    let over = Gate::default();
    let is_over = over.clone();
    let upstream = Upstream::scripted(move |conn| {
        let request = conn.head().expect("a request");
        if request.method() == "GET" {
            return conn.answer("whole");
        }
        is_over.wait();
    });
    let edge = with("body_progress", "1s", &upstream);
    run(async {
        let mut connection = Connection::open(edge.addr()).await;
        let (response, mut stream) =
            connection.begin(request("POST", "/").body(()).expect("valid")).await;
        // More than windows and the kernel's buffers hold, sent as there is room.
        stream.send_data(Bytes::from(vec![b'x'; 64 * MIB]), true).expect("an open stream");
        assert_eq!(connection.ask(get("/")).await.text(), "whole");
        let answer = whole(response.await.expect("an answer")).await;
        assert_eq!(answer.status, 504);
        assert!(answer.text().contains("upstream_timeout"), "{}", answer.text());
        assert_eq!(connection.ask(get("/")).await.text(), "whole");
    });
    over.open();
}

#[test]
fn an_upstream_that_does_not_answer_is_a_504_on_its_stream_alone() {
    let gate = Gate::default();
    let closed = gate.clone();
    let upstream = Upstream::scripted(move |conn| {
        while let Some(request) = conn.request() {
            if request.target() == "/slow" {
                return conn.closes();
            }
            closed.wait();
            conn.answer("late");
        }
    });
    let edge = with("response_head", "1s", &upstream);
    run(async {
        let mut connection = Connection::open(edge.addr()).await;
        let slow = connection.send(get("/slow")).await;
        let answer = whole(slow.await.expect("an answer")).await;
        assert_eq!(answer.status, 504);
        assert!(answer.text().contains("upstream_timeout"), "{}", answer.text());
        let late = connection.send(get("/late")).await;
        gate.open();
        assert_eq!(whole(late.await.expect("an answer")).await.text(), "late");
    });
    upstream.await_closed(1);
}

#[test]
fn an_answer_that_stops_is_reset_and_the_upstream_is_named() {
    let upstream = Upstream::scripted(|conn| {
        conn.request();
        conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
        conn.closes();
    });
    let edge = with("body_progress", "500ms", &upstream);
    run(async {
        let mut connection = Connection::open(edge.addr()).await;
        let mut body = connection.send(get("/")).await.await.expect("an answer").into_body();
        assert_eq!(next(&mut body).await.expect("a part").expect("a part"), "half");
        let error = next(&mut body).await.expect("no proper end").expect_err("no more");
        assert!(reset(&error).is_some_and(|reason| reason != Reason::NO_ERROR), "{error:?}");
    });
    upstream.await_closed(1);
    edge.ended("upstream_stalled");
}

#[test]
fn a_connection_without_streams_is_told_to_go_away_and_closed() {
    let upstream = Upstream::saying("hello");
    for key in ["first_request", "downstream_idle"] {
        let edge = with(key, "300ms", &upstream);
        let (mut frames, _) = Frames::open(edge.addr());
        if key == "downstream_idle" {
            frames.send(&frames::get(1, "/", &[]));
        }
        let goodbye = frames.next_of(GOAWAY);
        assert_eq!(goodbye.payload[4..8], [0; 4], "without an error: {goodbye:?}");
        while frames.next().is_some() {}
        let labels = [("listener", "web")];
        edge.await_metric("ravelin_connections_idle_closed_total", &labels, 1.0);
        edge.await_metric("ravelin_connections_open", &labels, 0.0);
    }
}

#[test]
fn a_connection_without_streams_makes_room_and_one_with_a_stream_is_kept() {
    let gate = Gate::default();
    let until = gate.clone();
    let upstream = Upstream::scripted(move |conn| {
        while let Some(request) = conn.request() {
            if request.target() == "/late" {
                until.wait();
            }
            conn.answer("hello");
        }
    });
    let edge = secured(upstream.addr()).set("limits", "connections", "2").start();
    let (mut silent, _) = Frames::open(edge.addr());
    run(async {
        let mut busy = Connection::open(edge.addr()).await;
        let late = busy.send(get("/late")).await;
        let mut first = Connection::open(edge.addr()).await;
        let answer = first.send(get("/")).await.await.expect("an answer");
        assert_eq!(whole(answer).await.text(), "hello");
        tokio::task::spawn_blocking(move || {
            silent.next_of(GOAWAY);
            while silent.next().is_some() {}
        })
        .await
        .expect("it ends");
        let mut second = Connection::open(edge.addr()).await;
        let answer = second.send(get("/")).await.await.expect("an answer");
        assert_eq!(whole(answer).await.text(), "hello");
        gate.open();
        assert_eq!(whole(late.await.expect("an answer")).await.text(), "hello");
    });
    for state in ["first_request", "idle"] {
        edge.await_metric("ravelin_connections_evicted_total", &[("state", state)], 1.0);
    }
}

#[test]
fn a_stream_that_is_open_keeps_its_connection_past_the_idle_time() {
    let gate = Gate::default();
    let closed = gate.clone();
    let upstream = Upstream::scripted(move |conn| {
        while conn.request().is_some() {
            closed.wait();
            conn.answer("late");
        }
    });
    let edge = secured(upstream.addr())
        .timeout("first_request", "300ms")
        .timeout("downstream_idle", "300ms")
        .start();
    let (mut idle, _) = Frames::open(edge.addr());
    run(async {
        let mut connection = Connection::open(edge.addr()).await;
        let late = connection.send(get("/")).await;
        // Another one, which has none, is at its end before.
        tokio::task::spawn_blocking(move || while idle.next().is_some() {}).await.expect("an end");
        gate.open();
        assert_eq!(whole(late.await.expect("an answer")).await.text(), "late");
    });
}

#[test]
fn a_head_that_is_never_whole_ends_the_connection_though_a_stream_is_open() {
    for rest in [
        // A field block without its end, and a frame without its.
        frame(HEADERS, 0, 3, b"\x82"),
        frame(HEADERS, END_HEADERS, 3, b"\x82\x84")[..10].to_vec(),
    ] {
        let gate = Gate::default();
        let upstream = Upstream::scripted({
            let gate = gate.clone();
            move |conn| {
                conn.request();
                gate.wait();
            }
        });
        let edge = with("request_head", "300ms", &upstream);
        let (mut client, _) = Frames::open(edge.addr());
        client.send(&frames::get(1, "/", &[]));
        upstream.await_requests(1);
        client.send(&rest);
        while client.next().is_some() {}
        edge.await_metric("ravelin_connections_idle_closed_total", &[], 1.0);
        gate.open();
    }
}
