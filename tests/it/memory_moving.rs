//! Who keeps what it holds when memory is short: whoever moves, fast or slowly.

use crate::support::{Client, Conn, Edge, PATIENCE, Upstream, Wire, edge_to, eventually};
use socket2::{Domain, Socket, Type};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

/// More than a test moves.
const LONG: u64 = 1 << 40;

/// Between two steps of whoever is slow.
const PACE: Duration = Duration::from_millis(5);

/// Bytes of a body that the slow pod takes in one step.
const STEP: usize = 8 * 1024;

/// Streams or connections that have to be ended before the test is satisfied.
const ENDED: f64 = 300.0;

/// A pod: `/long` does not end, and `/up` and `/slow` take a body, the latter slowly until it `hurries`,
/// and tell its length.
fn pod(hurries: &Arc<AtomicBool>) -> Upstream {
    let hurries = Arc::clone(hurries);
    Upstream::scripted(move |conn: &mut Conn| {
        while let Some(mut request) = conn.head() {
            if request.target() == "/long" {
                conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LONG}\r\n\r\n"));
                let piece = vec![b'x'; 64 * 1024];
                while conn.wire.stream.write_all(&piece).is_ok() {}
                return;
            }
            let (is_slow, mut length) = (request.target() == "/slow", 0);
            let taken = conn.wire.body_into(&mut request, |bytes| {
                length += bytes.len();
                for _ in 0..bytes.len().div_ceil(STEP) {
                    if is_slow && !hurries.load(Relaxed) {
                        thread::park_timeout(PACE);
                    }
                }
            });
            if taken.is_err() {
                return;
            }
            conn.answer(&length.to_string());
        }
    })
}

/// A client whose socket takes little: the rest is the proxy's to hold.
fn narrow(edge: &Edge) -> Client {
    let addr = edge.addr();
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a size");
    socket.connect_timeout(&addr.into(), PATIENCE).expect("the proxy listens");
    Client { wire: Wire::new(TcpStream::from(socket)) }
}

/// What somebody has moved, and whether it is over.
#[derive(Default)]
struct Progress {
    bytes: AtomicUsize,
    is_over: AtomicBool,
}

impl Progress {
    fn is_going_on(&self, step: usize) -> bool {
        self.bytes.fetch_add(step, Relaxed);
        !self.is_over.load(Relaxed)
    }
}

/// Takes an answer that does not end, with a rest after each step if the client is slow.
fn download(mut client: Client, step: usize, rest: Option<Duration>, progress: &Progress) {
    client.ask("GET", "a", "/long");
    client.head();
    let mut piece = vec![0; step];
    loop {
        let read = client.wire.stream.read(&mut piece).expect("it goes on");
        assert!(
            read > 0,
            "it was ended after {progress} bytes",
            progress = progress.bytes.load(Relaxed)
        );
        if !progress.is_going_on(read) {
            return;
        }
        if let Some(rest) = rest {
            thread::park_timeout(rest);
        }
    }
}

/// Sends a body in steps until it is over, and compares what the pod says of it.
fn upload(
    mut client: Client,
    path: &str,
    step: usize,
    rest: Option<Duration>,
    progress: &Progress,
) {
    client.send(format!("PUT {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"));
    let chunk = [format!("{step:x}\r\n").into_bytes(), vec![b'x'; step], b"\r\n".to_vec()].concat();
    let mut sent = step;
    client.send(&chunk);
    while progress.is_going_on(step) {
        client.send(&chunk);
        sent += step;
        if let Some(rest) = rest {
            thread::park_timeout(rest);
        }
    }
    client.send("0\r\n\r\n");
    let answer = client.response();
    assert_eq!((answer.status(), answer.text()), (200, &*sent.to_string()));
}

/// Ends all work when it is dropped, by a failure too: the scope would wait for it without end.
struct Over<'p>(&'p [Progress]);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        for one in self.0 {
            one.is_over.store(true, Relaxed);
        }
    }
}

/// Somebody who is at work while others stand still.
type Work<'w> = &'w (dyn Fn(Client, &Progress) + Sync);

/// Has each of these at work while others, who stand still, are ended for their memory.
fn all_go_on(works: &[(&str, Work<'_>)]) {
    let hurries = Arc::default();
    let pod = pod(&hurries);
    let edge = edge_to(&[pod.addr()]).set("limits", "memory", "\"16MiB\"").start();
    let progress: Vec<_> = works.iter().map(|_| Progress::default()).collect();
    thread::scope(|scope| {
        let over = Over(&progress);
        for ((_, work), progress) in works.iter().zip(&progress) {
            let client = narrow(&edge);
            scope.spawn(move || work(client, progress));
        }
        let moved = || progress.iter().map(|one| one.bytes.load(Relaxed)).collect::<Vec<_>>();
        eventually("all have begun", || moved().iter().all(|bytes| *bytes > 0).then_some(()));
        let mut still = Vec::new();
        eventually("others were ended", || {
            for _ in 0..20 {
                let mut client = narrow(&edge);
                let _ = client.wire.send(b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n");
                still.push(client);
            }
            // Few at a time: those at work have to get their share of a small machine.
            thread::park_timeout(PACE);
            let labels = [("state", "answer"), ("cause", "process")];
            let ended = edge.metrics().sum("ravelin_memory_ended_total", &labels);
            (ended >= ENDED).then_some(())
        });
        let before = moved();
        for (index, (name, _)) in works.iter().enumerate() {
            eventually(&format!("{name} goes on"), || {
                (moved()[index] > before[index]).then_some(())
            });
        }
        hurries.store(true, Relaxed);
        drop(over);
    });
}

#[test]
fn answers_go_on_whose_clients_take_them_fast_or_slowly() {
    all_go_on(&[
        ("a fast client", &|client, progress| download(client, 1 << 20, None, progress)),
        // The proxy sees it move when its kernel's buffer takes more: often enough on a busy machine, too.
        ("a slow client", &|client, progress| download(client, 4096, Some(PACE), progress)),
    ]);
}

#[test]
fn uploads_go_on_that_are_fast_or_slow_on_either_side() {
    all_go_on(&[
        ("a fast upload", &|client, progress| upload(client, "/up", 64 * 1024, None, progress)),
        ("a slow upload", &|client, progress| upload(client, "/up", 16, Some(PACE), progress)),
    ]);
}

#[test]
fn an_upload_goes_on_that_a_slow_pod_takes() {
    all_go_on(&[("an upload to a slow pod", &|client, progress| {
        upload(client, "/slow", STEP, None, progress);
    })]);
}
