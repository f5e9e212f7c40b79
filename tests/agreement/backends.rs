//! The pods: a server for each Service that answers with its name and with the target it got.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

/// Namespace and name of every Service that a rule may name and that may exist.
pub(crate) const SERVICES: [(&str, &str); 5] =
    [("one", "s0"), ("one", "s1"), ("one", "s2"), ("two", "s0"), ("two", "s1")];

/// The address of each Service's only endpoint.
pub(crate) struct Backends(BTreeMap<String, SocketAddr>);

impl Backends {
    /// Servers that run until the test ends.
    pub(crate) fn start() -> Self {
        let each = SERVICES.iter().map(|(namespace, name)| {
            let name = format!("{namespace}/{name}");
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port of loopback");
            let address = listener.local_addr().expect("it is bound");
            let service = name.clone();
            thread::spawn(move || {
                for socket in listener.incoming().map_while(Result::ok) {
                    let service = service.clone();
                    thread::spawn(move || serve(&service, &socket));
                }
            });
            (name, address)
        });
        Self(each.collect())
    }

    /// Where a Service (`namespace/name`) is served.
    pub(crate) fn address(&self, service: &str) -> SocketAddr {
        self.0[service]
    }
}

/// Answers requests without body until the proxy closes the connection.
fn serve(service: &str, mut socket: &TcpStream) {
    let mut lines = BufReader::new(socket).lines().map_while(Result::ok);
    while let Some(first) = lines.next() {
        if !lines.by_ref().any(|line| line.is_empty()) {
            return;
        }
        let target = first.split(' ').nth(1).unwrap_or_default();
        let body = format!("{service} {target}");
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        // The proxy may be gone: then the next line is missing too.
        let _ = socket.write_all(format!("{head}{body}").as_bytes());
    }
}
