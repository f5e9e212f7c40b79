//! The process in a namespace: does what it is told on standard input, until that ends.
//!
//! It is this test binary again, as its one ignored test: a process with threads cannot move to
//! another namespace, and a program of its own would have to be built beside the tests.

use crate::orders::{Met, Order, Told};
use crate::raw::{Heard, Raw};
use serde::Serialize;
use socket2::{Domain, Socket, Type};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Tells the process that it is an agent.
pub(crate) const MARK: &str = "RAVELIN_TEST_AGENT";
/// What makes this binary one.
pub(crate) const ARGUMENTS: [&str; 5] =
    ["--exact", "agent::obeys_orders", "--ignored", "--nocapture", "--test-threads=1"];
/// What its lines begin with; the others are the test harness's.
pub(crate) const PREFIX: &str = "agent: ";
/// For a response. Less than the patience of who asks.
const RESPONSE: Duration = Duration::from_secs(10);
/// A request of a load.
const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
/// Failures after which a load ends by itself.
const MOST_FAILED: usize = 20;

#[test]
#[ignore = "not a test: what the tests run within a namespace"]
fn obeys_orders() {
    if std::env::var_os(MARK).is_none() {
        return;
    }
    let mut agent = Agent::default();
    // A line of the harness has no end yet.
    println!();
    say(&Ok(()));
    for line in io::stdin().lines() {
        let line = line.expect("standard input is UTF-8");
        agent.obey(serde_json::from_str(&line).expect("an order"));
    }
}

/// Writes a result, or why there is none.
fn say<T: Serialize>(result: &Result<T, String>) {
    let text = serde_json::to_string(result).expect("plain data");
    let mut out = io::stdout().lock();
    writeln!(out, "{PREFIX}{text}").and_then(|()| out.flush()).expect("somebody listens");
}

#[derive(Default)]
struct Agent {
    connections: Vec<TcpStream>,
    raw: Option<Raw>,
    started: Option<Child>,
    load: Option<Load>,
}

/// Requests without a pause, on a thread of its own.
struct Load {
    ends: Arc<AtomicBool>,
    thread: JoinHandle<(u64, Vec<String>)>,
}

impl Load {
    fn begin(to: SocketAddr) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ends);
        let thread = thread::spawn(move || {
            let (mut answered, mut failed) = (0, Vec::new());
            let mut kept = connect(to, RESPONSE);
            while !end.load(Ordering::Relaxed) {
                let new = connect(to, RESPONSE);
                for (what, stream) in [("kept", &kept), ("new", &new)] {
                    match stream.as_ref().map(|stream| ask(stream, REQUEST)) {
                        Ok(Told::Response(..)) => answered += 1,
                        other => failed.push(format!("{what}: {other:?}")),
                    }
                }
                if failed.len() >= MOST_FAILED {
                    break;
                }
                if kept.is_err() {
                    kept = connect(to, RESPONSE);
                }
            }
            (answered, failed)
        });
        Self { ends, thread }
    }

    fn end(self) -> (u64, Vec<String>) {
        self.ends.store(true, Ordering::Relaxed);
        self.thread.join().expect("no panic")
    }
}

impl Agent {
    fn obey(&mut self, order: Order) {
        match order {
            Order::Run { script } => say(&run(&script)),
            Order::Start { words, output } => say(&self.start(&words, &output)),
            Order::Stop => {
                self.stop();
                say(&Ok(()));
            }
            Order::Connect { to, milliseconds } => {
                say(&Ok(self.connect(&to, Duration::from_millis(milliseconds))));
            }
            Order::Ask { connection, text } => say(&Ok(ask(&self.connections[connection], &text))),
            Order::Load { to } => {
                self.load = Some(Load::begin(to));
                say(&Ok(()));
            }
            Order::Unload => {
                let load = self.load.take().expect("a load has begun");
                say(&Ok(load.end()));
            }
            Order::Tap => {
                let opened = Raw::open().map(|raw| self.raw = Some(raw));
                say(&opened.map_err(|error| error.to_string()));
            }
            Order::Send { segments } => {
                let sent = segments.iter().try_for_each(|segment| self.raw().send(segment));
                say(&sent.map_err(|error| error.to_string()));
            }
            Order::Hear => {
                let heard: io::Result<Vec<Heard>> = self.raw().heard();
                say(&heard.map_err(|error| error.to_string()));
            }
        }
    }

    fn raw(&self) -> &Raw {
        self.raw.as_ref().expect("tapped before")
    }

    fn start(&mut self, words: &[String], output: &str) -> Result<(), String> {
        let file = File::create(output).map_err(|error| error.to_string())?;
        let child = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn();
        self.started = Some(child.map_err(|error| error.to_string())?);
        Ok(())
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.started.take() {
            // It may have ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn connect(&mut self, to: &[SocketAddr], limit: Duration) -> Vec<Met> {
        let attempts: Vec<_> = thread::scope(|scope| {
            let each = to.iter().map(|&to| scope.spawn(move || connect(to, limit)));
            let each: Vec<_> = each.collect();
            each.into_iter().map(|attempt| attempt.join().expect("no panic")).collect()
        });
        let met = attempts.into_iter().map(|attempt| match attempt {
            Ok(stream) => {
                self.connections.push(stream);
                Met::Connected(self.connections.len() - 1)
            }
            Err(error) if error.kind() == ErrorKind::TimedOut => Met::Silence,
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Met::Refused,
            Err(error) => Met::Failed(error.to_string()),
        });
        met.collect()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(script: &str) -> Result<(), String> {
    let mut shell = Command::new("sh");
    let output = shell.args(["-e", "-c", script]).stdin(Stdio::null()).output();
    let output = output.map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{said}{script}")) }
}

fn connect(to: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    socket.connect_timeout(&to.into(), limit)?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(RESPONSE))?;
    Ok(stream)
}

fn ask(stream: &TcpStream, text: &str) -> Told {
    match exchange(stream, text) {
        Ok((status, body)) => Told::Response(status, body),
        // The reset may come before or after the first byte is sent.
        Err(error)
            if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) =>
        {
            Told::Reset
        }
        Err(error) => Told::Failed(error.to_string()),
    }
}

/// Reads up to an end, in lower case.
fn read_to(mut stream: &TcpStream, end: &[u8]) -> io::Result<String> {
    let mut read = Vec::new();
    while !read.ends_with(end) {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        read.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&read).to_ascii_lowercase())
}

/// Sends a text and reads one response with a `Content-Length` or chunks, without reading past it.
fn exchange(mut stream: &TcpStream, text: &str) -> io::Result<(u16, String)> {
    stream.write_all(text.as_bytes())?;
    let invalid = |what: &str| io::Error::new(ErrorKind::InvalidData, what.to_owned());
    let head = read_to(stream, b"\r\n\r\n")?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| invalid(&head))?;
    let mut body = Vec::new();
    if head.contains("transfer-encoding: chunked") {
        loop {
            let size = read_to(stream, b"\r\n")?;
            let size = usize::from_str_radix(size.trim(), 16).map_err(|_| invalid(&size))?;
            let mut chunk = vec![0; size + 2];
            stream.read_exact(&mut chunk)?;
            if size == 0 {
                break;
            }
            body.extend_from_slice(&chunk[..size]);
        }
    } else {
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.and_then(|length| length.parse().ok()).ok_or_else(|| invalid(&head))?;
        body.resize(length, 0);
        stream.read_exact(&mut body)?;
    }
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}
