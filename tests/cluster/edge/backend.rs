//! A pod's server, at an address that an EndpointSlice may name: it answers its name.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::thread;

/// Where each of them listens.
const PORT: u16 = 8080;
/// Addresses given so far, from 10.77.100.0 on.
static GIVEN: AtomicU16 = AtomicU16::new(0);

/// A server. Its listener is closed when this is dropped; connections end as a pod's do, with it.
pub(crate) struct Backend {
    pub(crate) name: String,
    pub(crate) addr: SocketAddr,
    gone: Arc<AtomicBool>,
}

impl Backend {
    /// Starts one at an address of its own, which nobody else has in this network: all have the same
    /// port, as the Pods of a Service do.
    pub(crate) fn start(name: &str) -> Self {
        let [third, fourth] = GIVEN.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        assert!(third < 100, "the range goes to 10.77.255.255");
        let listener = TcpListener::bind(SocketAddr::from(([10, 77, 100 + third, fourth], PORT)));
        let listener = listener.expect("the range of the backends");
        let addr = listener.local_addr().expect("an address");
        let gone = Arc::<AtomicBool>::default();
        let (ended, answer) = (Arc::clone(&gone), name.to_owned());
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let (answer, ended) = (answer.clone(), Arc::clone(&ended));
                thread::spawn(move || serve(stream, &answer, &ended));
            }
        });
        Self { name: name.to_owned(), addr, gone }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts, which then closes the listener.
        let _ = TcpStream::connect(self.addr);
    }
}

/// Answers requests without bodies until the client ends, or the server.
fn serve(stream: TcpStream, answer: &str, gone: &AtomicBool) {
    // A client that has ended already.
    let Ok(mut to) = stream.try_clone() else { return };
    let _ = to.set_nodelay(true);
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    while lines.by_ref().any(|line| line.is_empty()) {
        if gone.load(Ordering::SeqCst) {
            return;
        }
        let length = answer.len();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{answer}");
        if to.write_all(head.as_bytes()).is_err() {
            return;
        }
    }
}
