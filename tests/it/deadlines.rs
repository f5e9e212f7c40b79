//! Every phase ends. What is checked is how it ends; when is left to the clock.

use crate::support::{Edge, Gate, PATIENCE, Upstream, edge_to, eventually, unsupported};
use socket2::{Domain, Socket, Type};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// Lets time pass, for the tests of those who are slow.
pub(crate) fn pass(time: Duration) {
    let end = Instant::now() + time;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        thread::park_timeout(left);
    }
}

/// A proxy with one deadline that is short; all others are long.
fn with(key: &str, value: &str, upstream: &Upstream) -> Edge {
    edge_to(&[upstream.addr()]).timeout(key, value).start()
}

#[test]
fn a_head_that_does_not_end_is_answered_and_its_connection_closed() {
    let upstream = Upstream::saying("ok");
    let edge = with("request_head", "300ms", &upstream);
    for begin in ["G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\nFie"] {
        let mut client = edge.connect();
        client.send(begin);
        let response = client.response();
        assert_eq!(response.status(), 408, "{begin:?}");
        assert!(response.text().contains("request_timeout"), "{}", response.text());
        client.closes();
    }
    assert!(edge.await_log(3).iter().all(|line| line["reason"] == "request_timeout"));
    edge.await_metric("ravelin_requests_total", &[("reason", "request_timeout")], 3.0);
    edge.await_metric("ravelin_connections_open", &[], 0.0);
}

#[test]
fn a_head_that_trickles_in_is_no_progress() {
    let upstream = Upstream::saying("ok");
    let edge = with("request_head", "500ms", &upstream);
    let mut client = edge.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n");
    let end = Instant::now() + PATIENCE;
    while client.wire.send(b"A: b\r\n").is_ok() && Instant::now() < end {
        pass(Duration::from_millis(100));
        let mut byte = [0];
        client.wire.stream.set_nonblocking(true).expect("open");
        let answered = client.wire.stream.peek(&mut byte).is_ok();
        client.wire.stream.set_nonblocking(false).expect("open");
        if answered {
            break;
        }
    }
    assert_eq!(client.response().status(), 408);
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let upstream = Upstream::saying("ok");
    let edge = with("downstream_idle", "300ms", &upstream);
    let mut used = edge.connect();
    assert_eq!(used.get("a", "/").text(), "ok");
    used.closes();
    edge.await_metric("ravelin_connections_idle_closed_total", &[], 1.0);
}

#[test]
fn a_connection_without_a_request_is_closed_long_before_an_idle_one() {
    let upstream = Upstream::saying("ok");
    let edge = with("first_request", "300ms", &upstream);
    let mut used = edge.connect();
    assert_eq!(used.get("a", "/").text(), "ok");
    let mut fresh = edge.connect();
    fresh.closes();
    edge.await_metric("ravelin_connections_idle_closed_total", &[], 1.0);
    assert_eq!(used.get("a", "/").text(), "ok");
    assert_eq!(edge.await_log(2).len(), 2, "that nothing came is no request");
}

#[test]
fn a_client_that_does_not_read_the_end_of_its_answer_is_not_idle() {
    let upstream = Upstream::scripted(|conn| {
        let Some(request) = conn.request() else { return };
        let length: usize = request.target()[1..].parse().expect("a length");
        let fields = format!("Content-Length: {length}\r\nConnection: close");
        conn.send(format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n"));
        conn.send(vec![b'x'; length]);
        conn.closes();
    });
    let edge = with("body_progress", "500ms", &upstream);
    // The sockets take the short ones, and the proxy does not read the long ones to their end. In
    // between are those that it has read and not written.
    let clients = (1..=200).map(|n: usize| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(4_096).expect("a new socket");
        socket.connect(&edge.addr().into()).expect("the proxy listens");
        let mut stream = TcpStream::from(socket);
        let request = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", n * 1_000);
        stream.write_all(request.as_bytes()).expect("the proxy reads");
        stream
    });
    let clients: Vec<_> = clients.collect();
    eventually("some are closed as idle", || {
        let closed = edge.metrics().sum("ravelin_connections_idle_closed_total", &[]);
        (closed > 0.5).then_some(())
    });
    drop(clients);
}

#[test]
fn a_content_type_of_grpc_lifts_no_bound_over_http_1() {
    let upstream = Upstream::scripted(|conn| {
        if conn.request().is_some_and(|request| request.whole) {
            conn.send(
                "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nContent-Length: 9\r\n\r\n",
            );
            conn.closes();
        }
    });
    let edge = with("body_progress", "300ms", &upstream);
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\nContent-Length: ";
    let mut client = edge.connect();
    client.send(format!("{head}10\r\n\r\nabc"));
    let response = client.response();
    assert_eq!((response.status(), response.field("grpc-status")), (408, None));
    let mut client = edge.connect();
    client.send(format!("{head}3\r\n\r\nabc"));
    client.broken_response();
    assert_eq!(edge.await_log(2)[1]["reason"], "upstream_stalled");
}

/// A listening socket whose queue is full, so that the kernel drops further SYNs; with the
/// connections that fill it.
fn unanswering() -> Option<(Socket, Vec<TcpStream>, SocketAddr)> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(&any.into()).expect("a free port");
    socket.listen(0).expect("a new socket");
    let addr = socket.local_addr().ok().and_then(|addr| addr.as_socket()).expect("bound");
    let mut filling = Vec::new();
    for _ in 0..16 {
        match TcpStream::connect_timeout(&addr, Duration::from_millis(200)) {
            Ok(stream) => filling.push(stream),
            Err(_) => return Some((socket, filling, addr)),
        }
    }
    unsupported("this kernel answers every SYN: no connect timeout can be made");
    None
}

#[test]
fn an_endpoint_that_does_not_accept_is_a_504() {
    let Some((_socket, _filling, addr)) = unanswering() else { return };
    let edge = edge_to(&[addr]).timeout("connect", "300ms").start();
    let response = edge.get("a", "/");
    assert_eq!(response.status(), 504);
    assert!(response.text().contains("connect_timeout"), "{}", response.text());
    edge.ended("connect_timeout");
}

#[test]
fn a_living_endpoint_serves_beside_one_that_does_not_accept() {
    let Some((_socket, _filling, addr)) = unanswering() else { return };
    let upstream = Upstream::saying("alive");
    let edge = edge_to(&[addr, upstream.addr()]).timeout("connect", "300ms").start();
    for _ in 0..6 {
        assert_eq!(edge.get("a", "/").text(), "alive");
    }
}

#[test]
fn an_upstream_that_does_not_answer_is_a_504() {
    let upstream = Upstream::scripted(|conn| {
        conn.request();
        conn.closes();
    });
    let edge = with("response_head", "300ms", &upstream);
    let mut client = edge.connect();
    for (n, request) in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
    ]
    .into_iter()
    .enumerate()
    {
        client.send(request);
        let response = client.response();
        assert_eq!(response.status(), 504, "{request}");
        assert!(response.text().contains("upstream_timeout"), "{}", response.text());
        upstream.await_closed(n + 1);
    }
    assert!(edge.await_log(2).iter().all(|line| line["reason"] == "upstream_timeout"));
}

#[test]
fn an_upload_that_stops_is_a_408_and_never_whole_upstream() {
    let upstream = Upstream::scripted(|conn| {
        conn.request();
    });
    let edge = with("body_progress", "300ms", &upstream);
    let mut client = edge.connect();
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    let response = client.response();
    assert_eq!(response.status(), 408);
    assert!(response.text().contains("request_timeout"), "{}", response.text());
    client.closes();
    let line = edge.ended("request_timeout");
    assert_eq!(line["bytes_in"], 3);
    upstream.await_requests(1);
    assert!(!upstream.only_request().whole);
}

#[test]
fn an_upload_that_the_upstream_does_not_take_is_a_504() {
    let gate = Gate::default();
    let until = gate.clone();
    let upstream = Upstream::scripted(move |conn| {
        conn.head();
        // Reads no byte of the body before the proxy has given up.
        until.wait();
        conn.closes();
    });
    let edge = with("body_progress", "300ms", &upstream);
    let mut client = edge.connect();
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n");
    let writer = client.wire.stream.try_clone().expect("files are left");
    let writing = thread::spawn(move || {
        let piece = [b'x'; 65536];
        while Write::write_all(&mut &writer, &piece).is_ok() {}
    });
    let response = client.response();
    assert_eq!(response.status(), 504, "{}", response.text());
    assert!(response.text().contains("upstream_timeout"), "{}", response.text());
    gate.open();
    upstream.await_closed(1);
    drop(client);
    writing.join().expect("no panic");
}

#[test]
fn a_response_that_stops_is_cut_and_the_upstream_is_named() {
    let upstream = Upstream::scripted(|conn| {
        conn.request();
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
        conn.closes();
    });
    let edge = with("body_progress", "300ms", &upstream);
    let mut client = edge.connect();
    client.ask("GET", "a", "/");
    assert_eq!(client.broken_response().text(), "abc");
    upstream.await_closed(1);
    let line = edge.ended("upstream_stalled");
    assert_eq!((&line["status"], &line["bytes_out"]), (&200.into(), &3.into()));
}

#[test]
fn a_client_that_stops_reading_is_cut_and_named() {
    let upstream = Upstream::scripted(|conn| {
        conn.request();
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
        while conn.send([b'x'; 65536]) {}
        conn.closes();
    });
    let edge = with("body_progress", "300ms", &upstream);
    let mut client = edge.connect();
    client.ask("GET", "a", "/");
    assert_eq!(client.head().status(), 200);
    upstream.await_closed(1);
    edge.ended("client_stalled");
}

#[test]
fn slow_bodies_that_move_pass_however_long_they_take() {
    let step = Duration::from_millis(200);
    let upstream = Upstream::scripted(move |conn| {
        while let Some(request) = conn.request() {
            conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", request.body.len()));
            for byte in &request.body {
                pass(step);
                conn.send([*byte]);
            }
        }
    });
    // Both together take more than three times of each limit.
    let edge = edge_to(&[upstream.addr()])
        .timeout("body_progress", "1s")
        .timeout("response_head", "1s")
        .timeout("request_head", "1s")
        .timeout("downstream_idle", "1s")
        .start();
    let mut client = edge.connect();
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
    for byte in b"0123456789" {
        pass(step);
        client.send([*byte]);
    }
    assert_eq!(client.response().text(), "0123456789");
    assert_eq!(edge.await_log(1)[0]["reason"], serde_json::Value::Null);
}

#[test]
fn an_unused_upstream_connection_is_closed_after_its_time() {
    let upstream = Upstream::scripted(|conn| {
        if conn.request().is_some() {
            conn.answer("ok");
            conn.closes();
        }
    });
    let edge = edge_to(&[upstream.addr()]).set("upstream", "idle", "\"300ms\"").start();
    assert_eq!(edge.get("a", "/").text(), "ok");
    upstream.await_closed(1);
    edge.await_metric("ravelin_upstream_idle_connections", &[], 0.0);
}

#[test]
fn a_connection_that_rests_goes_on_with_what_it_was_sent_meanwhile() {
    let upstream = Upstream::saying("ok");
    let edge = Edge::to(&[upstream.addr()]);
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut clients = [edge.connect(), edge.connect(), edge.connect()];
    // One rests before its first request, one after an answer, one with half a head.
    clients[1].send(get);
    clients[2].send(format!("{get}{}", &get[..20]));
    for client in &mut clients[1..] {
        assert_eq!(client.response().text(), "ok");
    }
    // After two seconds they rest.
    pass(Duration::from_millis(2_600));
    clients[0].send(get);
    clients[1].send(get);
    clients[2].send(&get[20..]);
    for client in &mut clients {
        assert_eq!(client.response().text(), "ok");
        client.send(get);
        assert_eq!(client.response().text(), "ok");
    }
}
