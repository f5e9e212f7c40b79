//! The stage between a balancer and a server: reads the header and passes the rest on.

use crate::PATIENCE;
use crate::balancer::canonical;
use ravelin::transport::proxy_protocol::{Header, read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Instant;

/// What the stage said of a connection, an error by its label.
pub(crate) type Seen = Result<Header, &'static str>;

/// Listens until it is dropped.
pub(crate) struct Acceptor {
    addr: SocketAddr,
    seen: Receiver<Seen>,
    stopped: Arc<AtomicBool>,
}

impl Acceptor {
    /// In front of a server.
    pub(crate) fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let (sender, seen) = channel();
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopped);
        thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let sender = sender.clone();
                thread::spawn(move || pass_on(socket, server, &sender));
            }
        });
        Self { addr, seen, stopped }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Waits for a connection of which the stage says what is wanted.
    pub(crate) fn await_result(&self, what: &str, wanted: impl Fn(&Seen) -> bool) {
        self.find(what, |seen| wanted(seen).then_some(()));
    }

    /// Where the connection of a client went by its header.
    pub(crate) fn destination_of(&self, client: SocketAddr) -> SocketAddr {
        self.find(&format!("of {client}"), |seen| match seen {
            Ok(Header::Proxied { source, destination }) if canonical(*source) == client => {
                Some(canonical(*destination))
            }
            _ => None,
        })
    }

    /// The polls of the start and health checks come in between, and none of those may be anything
    /// but a header or an end.
    fn find<T>(&self, what: &str, pick: impl Fn(&Seen) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        let mut last = None;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(seen) = self.seen.recv_timeout(left) else {
                panic!("no connection {what}; the last one was {last:?}");
            };
            assert!(matches!(seen, Ok(_) | Err("closed")), "{what}: {seen:?}");
            if let Some(picked) = pick(&seen) {
                return picked;
            }
            last = Some(seen);
        }
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.addr);
    }
}

fn pass_on(socket: TcpStream, server: SocketAddr, seen: &Sender<Seen>) {
    socket.set_nonblocking(true).expect("a socket");
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut socket = tokio::net::TcpStream::from_std(socket).expect("in a runtime");
        let result = read(&socket, PATIENCE).await;
        let passes = result.is_ok();
        // The test may be over.
        let _ = seen.send(result.map_err(|error| error.label()));
        if !passes {
            return;
        }
        // The server may be gone, and either end may close in the middle.
        if let Ok(mut server) = tokio::net::TcpStream::connect(server).await {
            let _ = tokio::io::copy_bidirectional(&mut socket, &mut server).await;
        }
    });
}
