//! The pods of the sites: servers that answer their name, and one that is asked about logins.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

/// Who passes the login.
pub(super) const PASS: &str = "X-Pass: smith\r\n";

/// Starts a pod at an address. It runs as long as the process of the tests.
pub(super) fn start(name: &'static str, address: SocketAddr) {
    let listener = TcpListener::bind(address);
    let listener = listener.unwrap_or_else(|error| panic!("{name} at {address}: {error}"));
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // A proxy that goes away.
            thread::spawn(move || drop(serve(name, &stream)));
        }
    });
}

fn serve(name: &str, stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut lines = BufReader::new(stream).lines();
    let mut has_pass = false;
    while let Some(line) = lines.next().transpose()? {
        has_pass |= line.eq_ignore_ascii_case(PASS.trim_end());
        if line.is_empty() {
            let status = if name == "login" && !has_pass { "401 Who" } else { "200 OK" };
            let length = name.len();
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{name}");
            (&mut &*stream).write_all(answer.as_bytes())?;
            has_pass = false;
        }
    }
    Ok(())
}
