//! A pod that speaks first, and repeats what it hears.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A running pod; ends with the process.
pub(super) struct Pod {
    addr: SocketAddr,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Pod {
    /// One that greets with its name, and answers with what it has heard once its client has ended.
    pub(super) fn greeting(name: &str) -> Self {
        let name = name.to_owned();
        Self::scripted(move |mut socket, heard| {
            let _ = socket.write_all(format!("{name}\n").as_bytes());
            let mut all = Vec::new();
            let _ = socket.read_to_end(&mut all);
            heard.lock().expect("no panic").push(all.clone());
            let _ = socket.write_all(&all);
            let _ = socket.shutdown(Shutdown::Write);
        })
    }

    /// One that does this with each connection.
    pub(super) fn scripted(
        act: impl Fn(TcpStream, &Mutex<Vec<Vec<u8>>>) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let addr = listener.local_addr().expect("bound");
        let heard = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let (act, of_pod) = (Arc::new(act), Arc::clone(&heard));
        thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let (act, heard) = (Arc::clone(&act), Arc::clone(&of_pod));
                thread::spawn(move || act(socket, &heard));
            }
        });
        Self { addr, heard }
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What each connection has said, whole.
    pub(super) fn heard(&self) -> Vec<Vec<u8>> {
        self.heard.lock().expect("no panic").clone()
    }
}
