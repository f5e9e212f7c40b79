//! A way to the API server that can become slow: what the server says arrives later, as over a
//! congested link or from a server that lags behind.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes that are taken at once.
const CHUNK: usize = 16 * 1024;

/// Relays connections to a server. Without a delay until one is set. It listens as long as the
/// process lives.
pub(super) struct Relay {
    pub(super) addr: SocketAddr,
    millis: Arc<AtomicU64>,
}

impl Relay {
    /// Listens on a port of its own.
    pub(super) fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let addr = listener.local_addr().expect("it listens");
        let millis = Arc::<AtomicU64>::default();
        let delay = Arc::clone(&millis);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // A server that is away looks like one that closes.
                let Ok(server) = TcpStream::connect(server) else { continue };
                relay(&client, &server, &delay);
            }
        });
        Self { addr, millis }
    }

    /// Holds back what the server says from now on by so much.
    pub(super) fn delay(&self, delay: Duration) {
        let millis = u64::try_from(delay.as_millis()).expect("seconds");
        self.millis.store(millis, Ordering::SeqCst);
    }
}

fn relay(client: &TcpStream, server: &TcpStream, delay: &Arc<AtomicU64>) {
    let both = || Some((client.try_clone().ok()?, server.try_clone().ok()?));
    let (Some((asks, to_server)), Some((to_client, says))) = (both(), both()) else { return };
    let (send, held) = channel();
    thread::spawn(move || {
        read(&asks, |bytes| (&to_server).write_all(&bytes).is_ok());
        // It may be closed already.
        let _ = to_server.shutdown(Shutdown::Both);
    });
    let delay = Arc::clone(delay);
    thread::spawn(move || {
        read(&says, |bytes| {
            let due = Instant::now() + Duration::from_millis(delay.load(Ordering::SeqCst));
            send.send((due, bytes)).is_ok()
        });
    });
    thread::spawn(move || write_when_due(&held, &to_client));
}

/// Reads until the end, or until nobody takes it.
fn read(mut from: &TcpStream, mut take: impl FnMut(Vec<u8>) -> bool) {
    let mut buffer = vec![0; CHUNK];
    while let Ok(count) = from.read(&mut buffer) {
        if count == 0 || !take(buffer[..count].to_vec()) {
            break;
        }
    }
}

fn write_when_due(held: &Receiver<(Instant, Vec<u8>)>, mut to: &TcpStream) {
    for (due, bytes) in held {
        // The way that it stands for.
        while let Some(left) = due.checked_duration_since(Instant::now()).filter(|l| !l.is_zero()) {
            thread::park_timeout(left);
        }
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    // Likewise.
    let _ = to.shutdown(Shutdown::Both);
}
