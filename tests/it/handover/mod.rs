//! One process takes a port over from another, while clients go on connecting.

mod admin_port;
mod reload;
mod strangers;
mod uploads;

use crate::support::{
    Builder, Metrics, PATIENCE, Process, Upstream, edge_to, eventually, reserve, unsupported,
};
use std::io::{Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Roll-outs in a row.
const UPGRADES: usize = 5;
/// Clients at a time for each address: half of them with one request a connection.
const CLIENTS: usize = 4;
/// Requests on a connection of the other half, unless they are told to close.
const KEPT: usize = 10;
/// Clients that connect, ask and count, again and again.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    fn on(addresses: &[SocketAddr]) -> Self {
        let mut load = Self { stop: Arc::default(), answered: Arc::default(), clients: Vec::new() };
        for client in 0..CLIENTS * addresses.len() {
            let to = addresses[client / CLIENTS];
            let requests = if client % 2 == 0 { 1 } else { KEPT };
            let (stop, answered) = (Arc::clone(&load.stop), Arc::clone(&load.answered));
            load.clients.push(thread::spawn(move || {
                let mut faults = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    if let Err(fault) = visit(to, requests, &answered) {
                        faults.push(fault);
                    }
                    // So that loopback ports are left for all.
                    thread::park_timeout(Duration::from_millis(1));
                }
                faults
            }));
        }
        load
    }

    /// Waits until this many further requests have been answered.
    fn await_answers(&self, count: usize) {
        let enough = self.answered.load(Ordering::Relaxed) + count;
        eventually("answers", || (self.answered.load(Ordering::Relaxed) >= enough).then_some(()));
    }

    /// Ends it. What went wrong on whichever connection.
    fn faults(mut self) -> Vec<String> {
        self.end().into_iter().flat_map(|client| client.expect("it counts")).collect()
    }

    fn end(&mut self) -> Vec<thread::Result<Vec<String>>> {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.drain(..).map(JoinHandle::join).collect()
    }
}

impl Drop for Load {
    /// Nobody asks at an address that belongs to another test by then.
    fn drop(&mut self) {
        // One that has panicked has been told of by its own message.
        let _ = self.end();
    }
}

/// One connection with its requests.
fn visit(to: SocketAddr, requests: usize, answered: &AtomicUsize) -> Result<(), String> {
    let connected = TcpStream::connect_timeout(&to, PATIENCE);
    let mut stream = connected.map_err(|error| format!("connect: {:?}", error.kind()))?;
    stream.set_read_timeout(Some(PATIENCE)).expect("an option of all sockets");
    for number in 1..=requests {
        let close = if number == requests { "Connection: close\r\n" } else { "" };
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{close}\r\n");
        let sent = stream.write_all(request.as_bytes());
        sent.map_err(|error| format!("request {number}: {:?}", error.kind()))?;
        let head = answer(&mut stream).map_err(|fault| format!("answer {number}: {fault}"))?;
        answered.fetch_add(1, Ordering::Relaxed);
        if head.to_ascii_lowercase().contains("connection: close") {
            return Ok(());
        }
    }
    Ok(())
}

/// The head of a whole answer.
fn answer(stream: &mut TcpStream) -> Result<String, String> {
    let (mut text, mut piece) = (String::new(), [0; 1024]);
    loop {
        let read = stream.read(&mut piece).map_err(|error| format!("{:?}", error.kind()))?;
        if read == 0 {
            return Err(format!("closed after {text:?}"));
        }
        text.push_str(&String::from_utf8_lossy(&piece[..read]));
        if text.ends_with("\r\n\r\ndone") {
            return if text.starts_with("HTTP/1.1 200 ") { Ok(text) } else { Err(text) };
        }
    }
}

fn at(upstream: &Upstream, address: SocketAddr) -> Builder {
    let builder = edge_to(&[upstream.addr()]).at(address);
    builder.timeout("drain", "20s").timeout("drain_idle", "2s")
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn is_steered(process: &Process) -> bool {
    Metrics::scrape(process.admin()).sum("ravelin_listener_steered", &[("listener", "web")]) > 0.5
}

fn await_steered(process: &Process) {
    eventually("the kernel is steered", || is_steered(process).then_some(()));
}

/// How processes are started.
type Spawn = fn(Builder) -> Process;

/// So that a successor gets the sockets of the one before.
const SHARING: Spawn = |builder| builder.spawn(1);

/// So that each has to listen with sockets of its own.
const APART: Spawn = |builder| builder.spawn_without("unix");

/// A new process at the address of `old` takes over from it; then that leaves.
fn upgrade_to(old: &mut Process, new: Process) -> Process {
    assert_eq!(new.addr(), old.addr());
    await_steered(&new);
    eventually("the old one knows", || (!is_steered(old)).then_some(()));
    old.signal("TERM");
    assert_eq!(old.exit().code(), Some(0));
    new
}

fn upgrades_lose_nothing(spawn: Spawn, bind: SocketAddr, clients: &[SocketAddr]) {
    let upstream = Upstream::saying("done");
    let mut process = spawn(at(&upstream, bind));
    await_steered(&process);
    let addr = process.addr();
    let to: Vec<_> = clients.iter().map(|to| SocketAddr::new(to.ip(), addr.port())).collect();
    let load = Load::on(&to);
    for _ in 0..UPGRADES {
        load.await_answers(50);
        process = upgrade_to(&mut process, spawn(at(&upstream, addr)));
        load.await_answers(50);
        assert!(is_steered(&process), "and stays so when the old one has gone");
    }
    assert_eq!(load.faults(), Vec::<String>::new());
}

#[test]
fn rolling_upgrades_lose_nothing_on_a_listener_of_ipv4() {
    upgrades_lose_nothing(SHARING, loopback(), &[loopback()]);
    upgrades_lose_nothing(APART, loopback(), &[loopback()]);
}

#[test]
fn rolling_upgrades_lose_nothing_on_a_listener_of_ipv6_alone() {
    if TcpListener::bind("[::1]:0").is_err() {
        return unsupported("no IPv6 on the loopback");
    }
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
    upgrades_lose_nothing(SHARING, v6, &[v6]);
    upgrades_lose_nothing(APART, v6, &[v6]);
}

#[test]
fn rolling_upgrades_lose_nothing_on_a_listener_of_both_families() {
    if TcpListener::bind("[::1]:0").is_err() {
        return unsupported("no IPv6 on the loopback");
    }
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
    let bind = (Ipv6Addr::UNSPECIFIED, 0).into();
    upgrades_lose_nothing(SHARING, bind, &[loopback(), v6]);
    upgrades_lose_nothing(APART, bind, &[loopback(), v6]);
}

#[test]
fn a_successor_gets_all_new_connections_and_the_old_process_keeps_its_own() {
    let upstream = Upstream::saying("done");
    let old = at(&upstream, loopback()).spawn(1);
    await_steered(&old);
    let mut kept = old.connect();
    assert_eq!(kept.get("a", "/").text(), "done");
    let new = at(&upstream, old.addr()).spawn(1);
    await_steered(&new);
    eventually("the old one knows", || (!is_steered(&old)).then_some(()));
    for _ in 0..30 {
        assert_eq!(old.connect().get("a", "/").text(), "done");
    }
    assert_eq!(kept.get("a", "/").text(), "done");
    let lines = |process: &Process| process.log_lines().len();
    eventually("all lines", || (lines(&old) == 2 && lines(&new) == 30).then_some(()));
}

#[test]
fn the_old_process_serves_again_when_its_successor_dies() {
    serves_again_when_its_successor_dies(SHARING);
    serves_again_when_its_successor_dies(APART);
}

fn serves_again_when_its_successor_dies(spawn: Spawn) {
    let upstream = Upstream::saying("done");
    let old = spawn(at(&upstream, loopback()));
    await_steered(&old);
    let new = spawn(at(&upstream, old.addr()));
    await_steered(&new);
    eventually("the old one knows", || (!is_steered(&old)).then_some(()));
    let load = Load::on(&[old.addr()]);
    load.await_answers(50);
    // By SIGKILL; when it can be waited for, the kernel has closed its sockets.
    drop(new);
    let after = Load::on(&[old.addr()]);
    after.await_answers(100);
    await_steered(&old);
    after.await_answers(50);
    assert_eq!(after.faults(), Vec::<String>::new());
    // Connections that it had, or got while it died. Never was there nobody to connect to.
    let faults = load.faults();
    assert_eq!(faults.iter().find(|fault| fault.starts_with("connect")), None);
}

#[test]
fn a_successor_that_is_not_ready_gets_nothing_and_its_death_is_not_noticed() {
    let old = one_that_is_not_ready_gets_nothing(SHARING);
    assert!(old, "it keeps the turn");
    let old = one_that_is_not_ready_gets_nothing(APART);
    assert!(!old, "it does not claim what the kernel decides");
}

/// Returns whether the old process says that it gets all new connections meanwhile.
fn one_that_is_not_ready_gets_nothing(spawn: Spawn) -> bool {
    let upstream = Upstream::saying("done");
    let old = spawn(at(&upstream, loopback()));
    await_steered(&old);
    let load = Load::on(&[old.addr()]);
    load.await_answers(50);
    // It listens, and waits for a list of Cloudflare's addresses that nobody has written.
    let waits = at(&upstream, old.addr()).set("cloudflare", "config_map", "\"ns/ips/list\"");
    let new = spawn(waits);
    let begun = Instant::now();
    // Longer than it takes the old one to look.
    while begun.elapsed() < Duration::from_secs(3) {
        load.await_answers(50);
    }
    let keeps = is_steered(&old);
    assert!(!is_steered(&new));
    assert_eq!(new.log_lines().len(), 0);
    drop(new);
    load.await_answers(50);
    await_steered(&old);
    assert_eq!(load.faults(), Vec::<String>::new());
    keeps
}

#[test]
fn a_process_without_a_successor_refuses_and_resets_nobody() {
    let upstream = Upstream::saying("done");
    let mut process = at(&upstream, loopback()).spawn(1);
    let _reserved = reserve(process.addr());
    let load = Load::on(&[process.addr()]);
    load.await_answers(100);
    process.signal("TERM");
    assert_eq!(process.exit().code(), Some(0));
    let faults = load.faults();
    let refused = |fault: &&String| *fault == "connect: ConnectionRefused";
    assert!(!faults.is_empty());
    assert_eq!(faults.iter().find(|fault| !refused(fault)), None);
}
