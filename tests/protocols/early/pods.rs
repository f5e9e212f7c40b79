//! Pods that answer when they have read the head of a request, and then do something else.

use crate::support::framed::{end, frame, goaway, literal, part};
use socket2::SockRef;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// The body of every answer: more than one segment, and less than a window.
pub(super) static ANSWER: [u8; 40_000] = [b'!'; 40_000];

/// What a pod does with its connection when it has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    KeepsReading,
    HalfCloses,
    Closes,
    ResetsSoon,
    ResetsAtOnce,
}

impl Then {
    pub(super) const ALL: [Self; 5] =
        [Self::KeepsReading, Self::HalfCloses, Self::Closes, Self::ResetsSoon, Self::ResetsAtOnce];
}

/// What a pod speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    Http1,
    H2c,
}

/// A running pod; stopped when dropped.
pub(super) struct Pod {
    addr: SocketAddr,
    stopping: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Pod {
    pub(super) fn start(speaks: Speaks, then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let stopping = Arc::new(AtomicBool::new(false));
        let stops = Arc::clone(&stopping);
        let acceptor = thread::spawn(move || {
            while let Ok((socket, _)) = listener.accept() {
                if stops.load(Ordering::Relaxed) {
                    return;
                }
                // Ends with its connection at the latest.
                thread::spawn(move || serve(socket, speaks, then));
            }
        });
        Self { addr, stopping, acceptor: Some(acceptor) }
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.addr));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn serve(mut socket: TcpStream, speaks: Speaks, then: Then) {
    let answered = match speaks {
        Speaks::Http1 => answer(&mut socket),
        Speaks::H2c => answer_streams(&mut socket, then != Then::KeepsReading),
    };
    if answered.is_none() {
        return;
    }
    match then {
        Then::KeepsReading => rest(&mut socket),
        Then::HalfCloses => {
            let _ = socket.shutdown(Shutdown::Write);
            rest(&mut socket);
        }
        Then::Closes => {}
        Then::ResetsSoon | Then::ResetsAtOnce => {
            if then == Then::ResetsSoon {
                // The pod's pace.
                thread::park_timeout(Duration::from_millis(50));
            }
            SockRef::from(&socket).set_linger(Some(Duration::ZERO)).expect("a socket");
        }
    }
}

/// Answers as soon as the head is there.
fn answer(socket: &mut TcpStream) -> Option<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut piece = [0; 4096];
        let read = socket.read(&mut piece).ok().filter(|&read| read > 0)?;
        head.extend_from_slice(&piece[..read]);
    }
    let start =
        format!("HTTP/1.1 413 Content Too Large\r\nContent-Length: {}\r\n\r\n", ANSWER.len());
    socket.write_all(&[start.as_bytes(), &ANSWER].concat()).ok()
}

/// The same with HTTP/2, where a stream is given up by a reset (RFC 9113 section 8.1). If the first one
/// is the last, it says so and returns.
fn answer_streams(socket: &mut TcpStream, is_last: bool) -> Option<()> {
    const NO_ERROR: [u8; 4] = [0; 4];
    let mut preface = [0; 24];
    socket.read_exact(&mut preface).ok()?;
    socket.write_all(&frame(SETTINGS, 0, 0, b"")).ok()?;
    let mut start = [0; 9];
    loop {
        socket.read_exact(&mut start).ok()?;
        let length = u32::from_be_bytes([0, start[0], start[1], start[2]]);
        let stream = u32::from_be_bytes([start[5], start[6], start[7], start[8]]);
        let mut payload = vec![0; length as usize];
        socket.read_exact(&mut payload).ok()?;
        match start[3] {
            SETTINGS if start[4] & ACK == 0 => {
                socket.write_all(&frame(SETTINGS, ACK, 0, b"")).ok()?;
            }
            HEADERS => {
                let length = ANSWER.len().to_string();
                let fields = [literal((":status", "413")), literal(("content-length", &length))];
                let head = frame(HEADERS, END_HEADERS, stream, &fields.concat());
                let body: Vec<u8> =
                    ANSWER.chunks(16_384).flat_map(|piece| part(stream, piece)).collect();
                let mut answer = [head, body, end(stream)].concat();
                if is_last {
                    answer.extend(goaway(stream));
                }
                answer.extend(frame(RST_STREAM, 0, stream, &NO_ERROR));
                socket.write_all(&answer).ok()?;
                if is_last {
                    return Some(());
                }
            }
            _ => {}
        }
    }
}

fn rest(socket: &mut TcpStream) {
    let mut piece = vec![0; 256 * 1024];
    while socket.read(&mut piece).is_ok_and(|read| read > 0) {}
}
