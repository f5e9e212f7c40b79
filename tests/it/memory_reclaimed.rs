//! Who loses what it holds when memory is short: whoever stands still.

use crate::support::{Client, Conn, Edge, PATIENCE, Upstream, edge_to, eventually};
use socket2::{Domain, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

/// More than all sockets of a connection hold.
const LONG: usize = 256 << 20;

/// Clients that together ask for several times what a small proxy may hold.
const CROWD: usize = 250;

/// A pod: `/` is a word, `/long` is [`LONG`], and all else waits.
fn pod() -> Upstream {
    Upstream::scripted(|conn: &mut Conn| {
        while let Some(request) = conn.head() {
            match request.target() {
                "/" => conn.answer("through"),
                "/long" => {
                    conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LONG}\r\n\r\n"));
                    let piece = vec![b'x'; 64 * 1024];
                    // Until nobody wants more of it.
                    while conn.wire.stream.write_all(&piece).is_ok() {}
                    return;
                }
                _ => return conn.closes(),
            }
        }
    })
}

fn small(pod: &Upstream) -> Edge {
    edge_to(&[pod.addr()]).set("limits", "memory", "\"16MiB\"").start()
}

/// A client whose socket takes little: the rest is the proxy's to hold.
fn narrow(edge: &Edge) -> Client {
    let addr = edge.addr();
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a size");
    socket.connect_timeout(&addr.into(), PATIENCE).expect("the proxy listens");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
    Client { wire: crate::support::Wire::new(stream) }
}

/// Clients of which each has sent this. The proxy may have refused one before all of it was sent.
fn crowd(edge: &Edge, text: &str) -> Vec<Client> {
    let each = (0..CROWD).map(|_| {
        let mut client = narrow(edge);
        let _ = client.wire.send(text.as_bytes());
        client
    });
    each.collect()
}

/// A request head of 60 kB, without its end.
fn long_head(target: &str) -> String {
    let fields: String =
        (0..60).map(|number| format!("X-{number}: {}\r\n", "v".repeat(1000))).collect();
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}")
}

fn ended(edge: &Edge, state: &str) -> f64 {
    let labels = [("state", state), ("cause", "process")];
    edge.metrics().sum("ravelin_memory_ended_total", &labels)
}

/// Waits until some have been ended for their memory, and checks that there is room and the log says so.
fn is_reclaimed(edge: &Edge, state: &str) {
    eventually("some were ended", || (ended(edge, state) > 0.0).then_some(()));
    eventually("it is enough", || {
        let held = edge.metrics().sum("ravelin_memory_held_bytes", &[]);
        (held < 0.6 * 16.0 * 1024.0 * 1024.0).then_some(())
    });
    assert_eq!(edge.get("a", "/").text(), "through");
    eventually("the log has the reason", || {
        let lines = edge.await_log(1);
        lines.iter().any(|line| line["reason"] == "memory_reclaimed").then_some(())
    });
    let reason = [("reason", "memory_reclaimed")];
    assert!(edge.metrics().sum("ravelin_requests_total", &reason) > 0.0);
}

#[test]
fn answers_that_nobody_reads_are_ended_by_a_reset_and_others_are_served() {
    let pod = pod();
    let edge = small(&pod);
    let request = "GET /long HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut unread = crowd(&edge, request);
    is_reclaimed(&edge, "answer");
    // What was in the socket comes, and then the reset.
    let is_reset = |client: &mut Client| {
        let stream = &mut client.wire.stream;
        stream.set_nonblocking(true).expect("a socket");
        let mut piece = [0; 1 << 16];
        loop {
            match stream.read(&mut piece) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) => return error.kind() == ErrorKind::ConnectionReset,
            }
        }
    };
    eventually("one is reset", || unread.iter_mut().any(is_reset).then_some(()));
}

#[test]
fn requests_that_wait_for_a_pod_are_told_so_the_largest_first() {
    let pod = pod();
    let edge = small(&pod);
    let mut waiting = crowd(&edge, &(long_head("/waits") + "\r\n"));
    // Last, so that it is not the only one that has stood still for long enough.
    let mut small = edge.connect();
    small.ask("GET", "a", "/waits");
    is_reclaimed(&edge, "exchange");
    small.wire.stream.set_nonblocking(true).expect("a socket");
    let peeked = small.wire.stream.peek(&mut [0]).map_err(|error| error.kind());
    assert_eq!(peeked, Err(ErrorKind::WouldBlock), "it waits still");
    let told = waiting.iter_mut().find_map(|client| {
        client.wire.stream.set_nonblocking(true).expect("a socket");
        let answered = client.wire.stream.peek(&mut [0]).is_ok_and(|bytes| bytes > 0);
        client.wire.stream.set_nonblocking(false).expect("a socket");
        answered.then(|| client.response()).filter(|answer| answer.text().contains("reclaimed"))
    });
    assert_eq!(told.expect("one that was ended").status(), 503);
}

#[test]
fn heads_that_do_not_end_are_ended_and_say_why() {
    let pod = pod();
    let edge = small(&pod);
    let _unfinished = crowd(&edge, &long_head("/"));
    is_reclaimed(&edge, "head");
}
