//! A connection of HTTP/2 to a pod, which clients share: what one of them does costs no other its answer.
use crate::until::until;

use crate::frames::HEADERS;
use crate::multiplexed::{Connection, get, run};
use crate::secured::h2c;
use crate::support::PATIENCE;
use crate::support::framed::{answer, frame, goaway_for};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const ENHANCE_YOUR_CALM: u32 = 11;

/// Resets of one connection that the pod takes: as many as h2, for streams that wait.
const MOST_RESETS: usize = 20;

/// A pod that answers a GET never, a POST when it is told to, and a connection with too many resets with
/// the end of it.
#[derive(Default)]
struct Nervous {
    answers: AtomicBool,
    requests: AtomicUsize,
    /// The most on one connection.
    resets: AtomicUsize,
}

impl Nervous {
    fn start() -> (Arc<Self>, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let pod = Arc::new(Self::default());
        let shared = Arc::clone(&pod);
        // They end with their connections, and the acceptor with the process.
        thread::spawn(move || {
            while let Ok((socket, _)) = listener.accept() {
                let pod = Arc::clone(&shared);
                thread::spawn(move || pod.serve(socket));
            }
        });
        (pod, addr)
    }

    fn serve(&self, mut socket: TcpStream) -> Option<()> {
        let (mut posts, mut resets, mut last) = (Vec::new(), 0, 0);
        socket.read_exact(&mut [0; 24]).ok()?;
        socket.write_all(&frame(SETTINGS, 0, 0, b"")).ok()?;
        loop {
            if self.answers.load(Relaxed) {
                for stream in posts.drain(..) {
                    socket.write_all(&answer(stream, b"done")).ok()?;
                }
            }
            socket.set_read_timeout(Some(Duration::from_millis(10))).expect("not zero");
            match socket.peek(&mut [0]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Ok(1) => {}
                _ => return None,
            }
            socket.set_read_timeout(Some(PATIENCE)).expect("not zero");
            let mut start = [0; 9];
            socket.read_exact(&mut start).ok()?;
            let length = u32::from_be_bytes([0, start[0], start[1], start[2]]);
            let stream = u32::from_be_bytes([start[5], start[6], start[7], start[8]]);
            socket.read_exact(&mut vec![0; length as usize]).ok()?;
            match (start[3], start[4]) {
                (SETTINGS, 0) => socket.write_all(&frame(SETTINGS, ACK, 0, b"")).ok()?,
                (HEADERS, flags) => {
                    last = stream;
                    self.requests.fetch_add(1, Relaxed);
                    if flags & END_STREAM == 0 {
                        posts.push(stream);
                    }
                }
                (RST_STREAM, _) => {
                    resets += 1;
                    self.resets.fetch_max(resets, Relaxed);
                    if resets > MOST_RESETS {
                        return socket.write_all(&goaway_for(last, ENHANCE_YOUR_CALM)).ok();
                    }
                }
                _ => {}
            }
        }
    }
}

#[test]
fn a_client_that_gives_up_its_streams_costs_no_other_client_its_answer() {
    const GIVEN_UP: usize = 60;
    let (pod, addr) = Nervous::start();
    let edge = h2c(addr).start();
    run(async {
        let mut honest = Connection::open(edge.addr()).await;
        let mut attacker = Connection::open(edge.addr()).await;
        for wave in 1..=3 {
            pod.answers.store(false, Relaxed);
            let seen = pod.requests.load(Relaxed);
            let mut posts = Vec::new();
            for _ in 0..10 {
                let head = crate::multiplexed::request("POST", "/").body(()).expect("valid");
                let (response, mut stream) = honest.begin(head).await;
                stream.send_data("body".into(), true).expect("an open stream");
                posts.push(response);
            }
            let mut dropped = Vec::new();
            for _ in 0..GIVEN_UP {
                dropped.push(attacker.send(get("/")).await);
            }
            let sent = seen + posts.len() + GIVEN_UP;
            until("all are there", || pod.requests.load(Relaxed) >= sent).await;
            drop(dropped);
            #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
            let count = (wave * GIVEN_UP) as f64;
            let gone = [("reason", "client_gone")];
            let given_up = || edge.metrics().sum("ravelin_requests_total", &gone) >= count;
            until("they are given up", given_up).await;
            pod.answers.store(true, Relaxed);
            for response in posts {
                assert_eq!(response.await.expect("an answer").status(), 200, "wave {wave}");
            }
        }
    });
    assert!(pod.resets.load(Relaxed) <= MOST_RESETS, "{} resets", pod.resets.load(Relaxed));
    let retired = edge.metrics().sum("ravelin_upstream_connections_retired_total", &[]);
    assert!(retired > 0.5, "{retired}");
}
