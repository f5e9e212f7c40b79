//! The process leaves: the real binary, with signals.

use crate::support::{Client, Gate, Metrics, Process, Upstream, edge_to, eventually};
use serde_json::Value;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A backend whose `/slow` waits for the gate.
fn slow(gate: &Gate) -> Upstream {
    let gate = gate.clone();
    Upstream::scripted(move |conn| {
        while let Some(request) = conn.request() {
            if request.target() == "/slow" {
                gate.wait();
            }
            conn.answer("done");
        }
    })
}

/// A backend that never answers `/slow`.
fn stuck() -> Upstream {
    Upstream::scripted(|conn| {
        while let Some(request) = conn.request() {
            if request.target() == "/slow" {
                conn.closes();
                return;
            }
            conn.answer("done");
        }
    })
}

fn spawn(upstream: &Upstream, drain: &str, drain_idle: &str) -> Process {
    let builder = edge_to(&[upstream.addr()]);
    builder.timeout("drain", drain).timeout("drain_idle", drain_idle).spawn(2)
}

/// A connection with this request on its way.
fn in_flight(process: &Process, upstream: &Upstream) -> Client {
    let before = upstream.requests().len();
    let mut client = process.connect();
    client.ask("GET", "a", "/slow");
    upstream.await_requests(before + 1);
    client
}

fn await_refusal(process: &Process) {
    eventually("connections are refused", || match TcpStream::connect(process.addr()) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Some(()),
        _ => None,
    });
}

#[test]
fn a_request_in_flight_finishes_after_the_listener_and_idle_connections_have_closed() {
    let gate = Gate::default();
    let upstream = slow(&gate);
    let mut process = spawn(&upstream, "20s", "200ms");
    let mut idle = process.connect();
    assert_eq!(idle.get("a", "/").text(), "done");
    let mut silent = process.connect();
    let mut busy = in_flight(&process, &upstream);

    process.signal("TERM");
    await_refusal(&process);
    idle.closes();
    silent.closes();

    gate.open();
    let response = busy.response();
    assert_eq!((response.text(), response.field("connection")), ("done", Some("close")));
    busy.closes();
    assert_eq!(process.exit().code(), Some(0));
    let lines = process.log_lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
}

#[test]
fn connections_that_a_leaving_process_closes_are_not_counted_as_idle_for_too_long() {
    let gate = Gate::default();
    let upstream = slow(&gate);
    let mut process = spawn(&upstream, "20s", "200ms");
    let mut idle = process.connect();
    assert_eq!(idle.get("a", "/").text(), "done");
    // It keeps no buffers any more after two seconds and what a worker's tick may add.
    let rested = Instant::now() + Duration::from_secs(3);
    eventually("the connection rests", || (Instant::now() >= rested).then_some(()));
    let mut busy = in_flight(&process, &upstream);
    process.signal("TERM");
    idle.closes();
    let closed = Metrics::scrape(process.admin()).sum("ravelin_connections_idle_closed_total", &[]);
    assert!(closed < 0.5, "{closed}");
    gate.open();
    assert_eq!(busy.response().text(), "done");
    assert_eq!(process.exit().code(), Some(0));
}

#[test]
fn a_busy_connection_is_told_to_close_by_its_next_answer() {
    let upstream = Upstream::saying("done");
    let mut process = spawn(&upstream, "20s", "20s");
    let mut client = process.connect();
    assert_eq!(client.get("a", "/").field("connection"), None);
    process.signal("TERM");
    await_refusal(&process);
    // A worker hears of it a moment after the listener.
    eventually("an answer says close", || {
        let response = client.get("a", "/");
        assert_eq!(response.text(), "done");
        response.field("connection").map(|value| assert_eq!(value, "close"))
    });
    client.closes();
    // Nothing is left to wait for, however long the drain may take.
    assert_eq!(process.exit().code(), Some(0));
}

#[test]
fn a_request_that_is_stuck_is_cut_at_the_deadline_and_logged() {
    let upstream = stuck();
    let mut process = spawn(&upstream, "500ms", "100ms");
    let mut client = in_flight(&process, &upstream);
    process.signal("TERM");
    assert_eq!(client.wire.rest(), b"");
    upstream.await_closed(1);
    assert_eq!(process.exit().code(), Some(0));
    let lines = process.log_lines();
    assert_eq!(lines.len(), 1, "the request that was cut is in the log");
    assert_eq!(lines[0]["path"], "/slow");
    // It was not the client who left.
    assert_ne!(lines[0]["reason"], "client_gone");
}

#[test]
fn a_second_signal_cuts_at_once() {
    let upstream = stuck();
    let mut process = spawn(&upstream, "1h", "1h");
    let mut client = in_flight(&process, &upstream);
    process.signal("TERM");
    process.await_message("shutting down");
    process.signal("TERM");
    assert_eq!(client.wire.rest(), b"");
    assert_eq!(process.exit().code(), Some(0));
}

#[test]
fn an_interrupt_is_a_request_to_leave_as_well() {
    let upstream = Upstream::saying("done");
    let mut process = spawn(&upstream, "20s", "20ms");
    process.signal("INT");
    assert_eq!(process.exit().code(), Some(0));
}

#[test]
fn a_successor_at_the_same_address_serves_on_when_the_first_process_has_left() {
    let upstream = Upstream::saying("done");
    let mut first = spawn(&upstream, "20s", "20ms");
    let second = edge_to(&[upstream.addr()]).at(first.addr()).spawn(2);
    assert_eq!(second.addr(), first.addr());
    eventually("the second one gets connections", || {
        assert_eq!(first.connect().get("a", "/").text(), "done");
        (!second.log_lines().is_empty()).then_some(())
    });
    first.signal("TERM");
    assert_eq!(first.exit().code(), Some(0));
    for _ in 0..20 {
        assert_eq!(second.connect().get("a", "/").text(), "done");
    }
}

/// The keys that a line has.
fn keys(line: &Value) -> Vec<&str> {
    line.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[test]
fn the_access_log_has_a_line_for_each_request_and_no_query() {
    let upstream = Upstream::saying("done");
    let mut process = spawn(&upstream, "20s", "20ms");
    let mut client = process.connect();
    for n in 0..200 {
        client.send(format!(
            "PUT /a/../{n}?token=secret HTTP/1.1\r\nHost: App.example:80\r\nUser-Agent: \"t\\\r\n\
             CF-Ray: ray-{n}\r\nContent-Length: 3\r\n\r\nabc"
        ));
        assert_eq!(client.response().text(), "done");
    }
    client.send("GET /?token=secret HTTP/1.1\r\n\r\n");
    assert_eq!(client.response().status(), 400);
    drop(client);
    process.signal("TERM");
    assert_eq!(process.exit().code(), Some(0));

    let lines = process.log_lines();
    assert_eq!(lines.len(), 201);
    // Loopback is not Cloudflare: its CF-Ray is not in the line.
    let line = &lines[7];
    let expected: Value = serde_json::json!({
        "bytes_in": 3, "bytes_out": 4, "client": "127.0.0.1", "endpoint": upstream.addr().to_string(),
        "host": "App.example:80", "listener": "web", "method": "PUT", "path": "/7", "protocol": "HTTP/1.1", "retries": 0, "route": "ns/all",
        "service": "ns/web:http", "status": 200, "user_agent": "\"t\\",
    });
    for (key, value) in expected.as_object().expect("an object") {
        assert_eq!(&line[key], value, "{key} of {line}");
    }
    let measured = ["duration_us", "peer", "time", "upstream_us"];
    let mut all: Vec<_> = keys(&expected).into_iter().chain(measured).collect();
    all.sort_unstable();
    let mut found = keys(line);
    found.sort_unstable();
    assert_eq!(found, all);
    assert!(line["upstream_us"].as_u64() <= line["duration_us"].as_u64(), "{line}");
    assert_eq!(lines[200]["reason"], "bad_host");
    assert!(!format!("{lines:?}").contains("secret"));
}
