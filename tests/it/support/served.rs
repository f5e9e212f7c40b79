//! A server that is a program of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// A running program that has written its port on loopback in its first line. Killed when dropped; it ends with its
/// standard input as well.
pub(crate) struct Served {
    addr: SocketAddr,
    child: Child,
}

impl Served {
    /// Starts it, and waits for its port.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it can be run");
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        output.read_line(&mut line).expect("text");
        let port: u16 = line.trim().parse().expect("its port");
        Self { addr: ([127, 0, 0, 1], port).into(), child }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
