//! A client with an address of its own, and a pod that says what it was asked.

use socket2::{Domain, Socket, Type};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// An answer as it came.
pub(super) struct Answer {
    pub(super) status: u16,
    /// All of it; the head in lower case.
    text: String,
}

impl Answer {
    pub(super) fn has(&self, part: &str) -> bool {
        self.text.contains(part)
    }
}

/// Sends a request on a connection from an address.
pub(super) fn ask(from: Ipv4Addr, to: SocketAddr, line: &str, fields: &str) -> Answer {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((from, 0)).into()).expect("an address of the network");
    socket.connect(&to.into()).expect("ravelin listens");
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(crate::PATIENCE)).expect("a socket");
    let message = format!("{line} HTTP/1.1\r\nConnection: close\r\n{fields}\r\n");
    stream.write_all(message.as_bytes()).expect("it is read");
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap_or_else(|error| panic!("{line}: {error}: {text}"));
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.unwrap_or_else(|| panic!("{line}: {text:?}"));
    Answer { status, text: format!("{}\r\n\r\n{body}", head.to_ascii_lowercase()) }
}

/// A server that answers with the head of the request, and tells of itself as PHP does.
pub(super) struct Pod {
    pub(super) addr: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Pod {
    /// Starts it, away from the addresses that [`crate::edge::Backend`] gives.
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([10, 77, 98, 1], 8080)));
        let listener = listener.expect("the range of the backends");
        let addr = listener.local_addr().expect("an address");
        let asked = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let counted = Arc::clone(&counted);
                thread::spawn(move || serve(stream, &counted));
            }
        });
        Self { addr, asked }
    }

    /// How many requests it has got.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn serve(stream: TcpStream, asked: &AtomicUsize) {
    // A proxy that has ended already.
    let Ok(mut to) = stream.try_clone() else { return };
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    loop {
        let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
        if head.is_empty() {
            return;
        }
        asked.fetch_add(1, Ordering::SeqCst);
        let body = head.join("\n");
        let answer = format!(
            "HTTP/1.1 200 OK\r\nserver: apache\r\nx-powered-by: PHP/8\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        if to.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}
