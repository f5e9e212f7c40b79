//! How tunnels end, and who is told.

use crate::client::Client as TlsClient;
use crate::secured::{HOST, offering, secured};
use crate::support::{Edge, Upstream, edge_to, eventually, ingress, rule};
use crate::switched::{End, SWITCHING, WEBSOCKET, agree, await_open, ends, open, open_on};
use serde_json::Value;
use socket2::SockRef;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// A backend that agrees, and takes what comes until the proxy ends it.
fn listening() -> Upstream {
    Upstream::scripted(|conn| {
        agree(conn);
        conn.closes();
    })
}

/// The line of the only request, which is written when its tunnel has ended.
fn line(edge: &Edge) -> Value {
    let line = edge.await_log(1).remove(0);
    assert_eq!(line["status"], 101, "{line}");
    line
}

#[test]
fn tunnels_are_counted_while_they_are_open() {
    let upstream = listening();
    let edge = Edge::to(&[upstream.addr()]);
    await_open(&edge, 0.0);
    let first = open(&edge);
    await_open(&edge, 1.0);
    let second = open(&edge);
    await_open(&edge, 2.0);
    drop(first);
    await_open(&edge, 1.0);
    drop(second);
    await_open(&edge, 0.0);
    upstream.await_closed(2);
}

#[test]
fn the_table_that_a_tunnel_began_with_is_freed_while_it_is_open() {
    let upstream = listening();
    let edge = Edge::to(&[upstream.addr()]);
    let client = open(&edge);
    let table = edge.table();
    let other = rule("other.example", &[("/", "Prefix", "web")]);
    edge.put("other.json", &ingress("other", &[other]).to_string());
    eventually("the old table is freed", || (table.strong_count() == 0).then_some(()));
    await_open(&edge, 1.0);
    drop(client);
    // What is counted and logged afterwards has its route all the same.
    let line = line(&edge);
    assert_eq!((&line["route"], &line["service"]), (&"ns/all".into(), &"ns/web:http".into()));
    edge.await_metric("ravelin_requests_total", &[("route", "ns/all")], 1.0);
}

#[test]
fn a_tunnel_in_which_nothing_moves_is_closed_on_both_sides() {
    let upstream = listening();
    let edge = edge_to(&[upstream.addr()]).timeout("tunnel_idle", "300ms").start();
    let client = open(&edge);
    ends(&client);
    upstream.await_closed(1);
    assert_eq!(line(&edge)["reason"], "tunnel_idle");
    await_open(&edge, 0.0);
}

#[test]
fn a_tunnel_in_which_either_side_speaks_is_not_idle() {
    let upstream = Upstream::scripted(|conn| {
        agree(conn);
        while conn.try_take(1).is_some() {
            conn.send("!");
        }
    });
    let edge = edge_to(&[upstream.addr()]).timeout("tunnel_idle", "500ms").start();
    let mut client = open(&edge);
    // Longer than it may be idle, in steps that are shorter.
    for _ in 0..15 {
        client.send("?");
        client.takes("!");
        thread::park_timeout(Duration::from_millis(100));
    }
    drop(client);
    assert_eq!(line(&edge)["reason"], Value::Null);
}

#[test]
fn the_end_of_what_a_client_says_is_passed_on_and_the_pod_may_answer() {
    let upstream = Upstream::scripted(|conn| {
        agree(conn);
        conn.takes("last words");
        assert_eq!(conn.try_take(1), None);
        conn.send("farewell");
    });
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = open(&edge);
    client.send("last words");
    client.wire.stream.shutdown(Shutdown::Write).expect("a socket");
    client.takes("farewell");
    ends(&client);
    let line = line(&edge);
    assert_eq!((&line["reason"], &line["bytes_in"]), (&Value::Null, &10.into()), "{line}");
    assert_eq!(line["bytes_out"], 8, "{line}");
}

#[test]
fn the_end_of_what_a_pod_says_is_passed_on_and_the_client_may_answer() {
    let upstream = Upstream::scripted(|conn| {
        agree(conn);
        conn.send("last words");
        conn.wire.stream.shutdown(Shutdown::Write).expect("a socket");
        conn.takes("farewell");
        conn.closes();
    });
    let edge = Edge::to(&[upstream.addr()]);
    let mut client = open(&edge);
    client.takes("last words");
    assert!(client.is_closed());
    client.send("farewell");
    drop(client);
    upstream.await_closed(1);
    assert_eq!(line(&edge)["reason"], Value::Null);
}

#[test]
fn a_client_that_neither_speaks_nor_ends_after_the_pod_is_cut_off() {
    let upstream = Upstream::scripted(agree);
    let edge = edge_to(&[upstream.addr()]).timeout("body_progress", "300ms").start();
    let client = open(&edge);
    ends(&client);
    await_open(&edge, 0.0);
    assert_eq!(line(&edge)["reason"], "tunnel_idle");
    drop(client);
}

/// Has a socket reset its connection when it is closed, and closes it.
fn reset(socket: TcpStream) {
    SockRef::from(&socket).set_linger(Some(Duration::ZERO)).expect("a socket");
    drop(socket);
}

#[test]
fn a_tunnel_that_the_pod_resets_ends_for_the_client() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let edge = Edge::to(&[listener.local_addr().expect("bound")]);
    let pod = thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("the proxy connects");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            socket.read_exact(&mut byte).expect("a request");
            head.extend(byte);
        }
        socket.write_all(SWITCHING.as_bytes()).expect("the proxy reads");
        socket.read_exact(&mut [0]).expect("the client speaks");
        reset(socket);
    });
    let mut client = open(&edge);
    client.send("x");
    assert!(client.is_closed());
    pod.join().expect("no panic");
    assert_eq!(line(&edge)["reason"], "upstream_truncated");
    await_open(&edge, 0.0);
}

#[test]
fn a_client_that_vanishes_ends_the_tunnel_for_the_pod() {
    let upstream = listening();
    let edge = Edge::to(&[upstream.addr()]);
    let client = open(&edge);
    await_open(&edge, 1.0);
    reset(client.wire.stream);
    upstream.await_closed(1);
    assert_eq!(line(&edge)["reason"], "client_gone");
}

#[test]
fn a_tunnel_goes_on_while_the_process_drains_and_is_closed_at_the_end() {
    let upstream = Upstream::scripted(|conn| {
        agree(conn);
        while conn.try_take(1).is_some() {
            conn.send("!");
        }
    });
    let builder = edge_to(&[upstream.addr()]).timeout("drain", "1s").timeout("drain_idle", "20ms");
    let mut process = builder.spawn(1);
    let mut idle = process.connect();
    let mut client = open_on(process.connect());
    process.signal("TERM");
    // Idle connections are closed, the tunnel is not.
    idle.closes();
    client.send("?");
    client.takes("!");
    ends(&client);
    assert_eq!(process.exit().code(), Some(0));
    let lines = process.log_lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!((&lines[0]["status"], &lines[0]["reason"]), (&101.into(), &"cut_by_drain".into()));
}

#[test]
fn a_tunnel_within_tls_is_closed_with_close_notify() {
    let upstream = listening();
    let edge = secured(upstream.addr()).timeout("drain", "300ms").start();
    let config = offering(&["http/1.1"]);
    let mut client = TlsClient::offer(edge.addr(), HOST, &config).expect("a handshake");
    client.send(WEBSOCKET.replace("Host: a\r", &format!("Host: {HOST}\r")));
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.stream.read_exact(&mut byte).expect("an answer");
        head.extend(byte);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    await_open(&edge, 1.0);
    let leaving = thread::spawn(move || drop(edge));
    assert!(client.ends_properly());
    leaving.join().expect("it leaves");
    upstream.await_closed(1);
}
