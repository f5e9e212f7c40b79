//! A pod's server as a process of its own, which can be killed and stopped like any container.
//!
//! It is this test binary again, told by a variable to be one: the test at the end of this file is
//! both its entry and its test. It takes a moment to start, answers its name, goes on for a while
//! when it is asked to end, and then dies without closing anything in order.

use crate::plane::{Connection, Plane};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio, exit};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// Says who it is: address, name, and the times of its life in milliseconds.
const VARIABLE: &str = "RAVELIN_TEST_POD";
/// The entry of the process.
const ENTRY: &str = "rolling::pod::a_pod_that_is_asked_to_end_serves_for_a_while_and_is_gone_then";
/// How long an answer to a probe may take.
const PROBE: Duration = Duration::from_millis(500);
/// Where each of them listens.
const PORT: u16 = 8080;
/// Addresses given so far, from 10.77.20.0 on.
static GIVEN: AtomicU16 = AtomicU16::new(0);

/// The times in the life of a pod.
#[derive(Clone, Copy)]
pub(super) struct Life {
    /// From its start until it listens.
    pub(super) start: Duration,
    /// What it takes to answer one request.
    pub(super) work: Duration,
    /// How long it goes on serving when it is asked to end.
    pub(super) linger: Duration,
}

/// An address that no other pod has had in this network.
pub(super) fn address() -> SocketAddr {
    let [third, fourth] = GIVEN.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    assert!(third < 80, "addresses from 10.77.100.0 on are others'");
    SocketAddr::from(([10, 77, 20 + third, fourth], PORT))
}

/// The process of a pod. It is killed when this is dropped, and with its plane's group.
pub(super) struct Process {
    child: Child,
    addr: SocketAddr,
}

impl Process {
    /// Starts it. It does not listen yet.
    pub(super) fn start(plane: &Plane, addr: SocketAddr, name: &str, life: Life) -> Self {
        let [start, work, linger] =
            [life.start, life.work, life.linger].map(|span| span.as_millis());
        let child = Command::new(std::env::current_exe().expect("Linux"))
            .args(["--exact", ENTRY, "--nocapture", "--test-threads", "1"])
            .env(VARIABLE, format!("{addr} {name} {start} {work} {linger}"))
            .process_group(plane.group())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("this binary");
        Self { child, addr }
    }

    /// Whether it answers a probe in time.
    pub(super) fn answers(&self) -> bool {
        let answer = || {
            let mut connection = Connection::open(self.addr, None)?;
            connection.socket()?.set_read_timeout(Some(PROBE))?;
            connection.get("probe", "/")
        };
        answer().is_ok_and(|answer| answer.status == 200)
    }

    /// Sends it a signal.
    pub(super) fn signal(&self, signal: Signal) {
        // One that has ended is still our child.
        kill_process(Pid::from_child(&self.child), signal).expect("our child");
    }

    /// Kills it, and returns when it is gone, its connections with it.
    pub(super) fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        self.child.wait().expect("our child");
    }

    /// Whether it is gone.
    pub(super) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("our child").is_some()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Is a pod to its end, if this process is meant to be one.
fn be_one_if_asked() {
    let Ok(text) = std::env::var(VARIABLE) else { return };
    let words: Vec<&str> = text.split(' ').collect();
    let [addr, name, spans @ ..] = words.as_slice() else { panic!("{text}") };
    let span = |at: usize| Duration::from_millis(spans[at].parse().expect("a number"));
    let addr: SocketAddr = addr.parse().expect("an address");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let mut term = signal(SignalKind::terminate()).expect("a handler");
        // The pace of the pod: how long it takes to listen, to answer, and to leave.
        tokio::select! {
            _ = term.recv() => exit(0),
            () = tokio::time::sleep(span(0)) => {}
        }
        let listener = TcpListener::bind(addr).expect("the range of the backends");
        let (name, work) = ((*name).to_owned(), span(1));
        thread::spawn(move || accept(&listener, &name, work));
        term.recv().await;
        tokio::time::sleep(span(2)).await;
    });
    exit(0);
}

fn accept(listener: &TcpListener, name: &str, work: Duration) {
    for stream in listener.incoming().map_while(Result::ok) {
        let name = name.to_owned();
        thread::spawn(move || {
            // A client that is gone.
            let _ = serve(&stream, &name, work);
        });
    }
}

fn serve(stream: &TcpStream, name: &str, work: Duration) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut from = BufReader::new(stream);
    let mut to = stream;
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if from.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            if line.is_empty() {
                break;
            }
        }
        from.read_exact(&mut vec![0; length])?;
        let due = Instant::now() + work;
        while let Some(left) = due.checked_duration_since(Instant::now()).filter(|l| !l.is_zero()) {
            thread::park_timeout(left);
        }
        let size = name.len();
        to.write_all(
            format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n{name}").as_bytes(),
        )?;
    }
}

#[test]
fn a_pod_that_is_asked_to_end_serves_for_a_while_and_is_gone_then() {
    be_one_if_asked();
    let Some(plane) = Plane::shared() else { return };
    let life = Life {
        start: Duration::from_millis(100),
        work: Duration::ZERO,
        linger: Duration::from_secs(3),
    };
    let mut pod = Process::start(&plane, address(), "lingers", life);
    crate::eventually("the pod listens", || pod.answers().then_some(()));
    pod.signal(Signal::TERM);
    assert!(pod.answers() && !pod.has_ended(), "it goes on for three seconds");
    crate::eventually("the pod ends", || pod.has_ended().then_some(()));
    assert!(!pod.answers());
}
