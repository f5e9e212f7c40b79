//! What those who are not admitted hear while one process takes over from another: nothing.

use super::{APART, Load, SHARING, Spawn, at, await_steered, loopback, upgrade_to};
use crate::support::{Builder, Metrics, Process, Upstream, eventually, is_by_hyper, unsupported};
use socket2::{Domain, Socket, Type};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long a stranger listens for an answer: on the loopback it comes at once.
const SILENCE: Duration = Duration::from_millis(20);

/// On the loopback device, like all of 127.0.0.0/8.
const STRANGER_V4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 9));
/// The only address of IPv6 that the loopback device has: nobody admits it here.
const STRANGER_V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// Whether anything comes back for a SYN from an address to a port of this machine.
fn is_answered(from: IpAddr, port: u16) -> bool {
    let home = if from.is_ipv4() { loopback().ip() } else { from };
    let to = SocketAddr::new(home, port);
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::new(from, 0).into()).expect("a loopback address");
    socket.set_nonblocking(true).expect("an option of all files");
    let begun = socket.connect(&to.into()).expect_err("never at once");
    if begun.kind() == ErrorKind::ConnectionRefused {
        return true;
    }
    let end = Instant::now() + SILENCE;
    while Instant::now() < end {
        let refused = socket.take_error().expect("readable").is_some();
        if refused || socket.peer_addr().is_ok() {
            return true;
        }
        thread::park_timeout(Duration::from_millis(1));
    }
    false
}

/// Strangers who ask again and again, and count what is asked and answered.
struct Strangers {
    stop: Arc<AtomicBool>,
    each: Vec<JoinHandle<(u32, u32)>>,
}

impl Strangers {
    fn of(addresses: &[IpAddr], port: u16) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let ask = |&from: &IpAddr| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                let (mut asked, mut answered) = (0, 0);
                while !stop.load(Ordering::Relaxed) {
                    asked += 1;
                    answered += u32::from(is_answered(from, port));
                }
                (asked, answered)
            })
        };
        let each = addresses.iter().cycle().take(2 * addresses.len()).map(ask).collect();
        Self { stop, each }
    }

    fn heard_nothing(mut self) {
        for stranger in self.end() {
            let (asked, answered) = stranger.expect("it counts");
            assert!(asked > 0);
            assert_eq!(answered, 0, "of {asked}");
        }
    }

    fn end(&mut self) -> Vec<thread::Result<(u32, u32)>> {
        self.stop.store(true, Ordering::Relaxed);
        self.each.drain(..).map(JoinHandle::join).collect()
    }
}

impl Drop for Strangers {
    /// As with [`Load`], also where the test has failed.
    fn drop(&mut self) {
        // One that has panicked has been told of by its own message.
        let _ = self.end();
    }
}

/// What keeps strangers out: the mode of admission.
fn mode(process: &Process) -> Option<&'static str> {
    let page = Metrics::scrape(process.admin());
    let is_in_force = |mode: &&str| {
        page.sum("ravelin_admission_mode", &[("listener", "web"), ("mode", mode)]) > 0.5
    };
    ["kernel", "trap", "user_space", "off"].into_iter().find(is_in_force)
}

/// How a process is started, and the mode that it is in then.
type Start = (Spawn, &'static str);

const FILTER: Start = (SHARING, "kernel");
const FILTER_APART: Start = (APART, "kernel");
const TRAP: Start = (|builder| builder.spawn_without("filter"), "trap");

/// Upgrades, a reload, and a successor that dies, at this address, which admits `admitted` alone.
fn strangers_hear_nothing(
    (start, expected): Start,
    bind: SocketAddr,
    admitted: &str,
    strangers: &[IpAddr],
) {
    let upstream = Upstream::saying("done");
    let only =
        |address: SocketAddr| -> Builder { at(&upstream, address).admit_only("one", admitted) };
    let mut process = start(only(bind));
    await_steered(&process);
    if mode(&process) == Some("user_space") && expected == "kernel" {
        return unsupported("the kernel takes no filter");
    }
    assert_eq!(mode(&process), Some(expected));
    let addr = process.addr();
    // Who is admitted loads it, where that is an address that this machine has.
    let visitor = SocketAddr::new(loopback().ip(), addr.port());
    let load = (!bind.is_ipv6() || bind.ip().is_unspecified()).then(|| Load::on(&[visitor]));
    let await_answers = || load.iter().for_each(|load| load.await_answers(50));
    let asking = Strangers::of(strangers, addr.port());
    for _ in 0..2 {
        await_answers();
        process = upgrade_to(&mut process, start(only(addr)));
        assert_eq!(mode(&process), Some(expected));
    }
    process.reload(|text| text);
    process.await_message("the new configuration is in force");
    process.await_message("left");
    assert_eq!(mode(&process), Some(expected));
    let dies = start(only(addr));
    await_steered(&dies);
    drop(dies);
    await_steered(&process);
    await_answers();
    asking.heard_nothing();
    if let Some(load) = load {
        // Who was connected to the one that was killed has lost that, and nobody was refused.
        let refused = |fault: &String| fault.starts_with("connect");
        assert_eq!(load.faults().into_iter().find(refused), None);
    }
}

fn at_one_family_and_both(start: Start) {
    strangers_hear_nothing(start, loopback(), "127.0.0.1/32", &[STRANGER_V4]);
    if TcpListener::bind("[::1]:0").is_err() {
        return unsupported("no IPv6 on the loopback");
    }
    let both = (Ipv6Addr::UNSPECIFIED, 0).into();
    strangers_hear_nothing(start, both, "127.0.0.1/32", &[STRANGER_V4, STRANGER_V6]);
    let v6 = (Ipv6Addr::LOCALHOST, 0).into();
    strangers_hear_nothing(start, v6, "2001:db8::1/128", &[STRANGER_V6]);
}

#[test]
fn strangers_hear_nothing_at_any_moment_of_an_upgrade() {
    at_one_family_and_both(FILTER);
}

#[test]
fn they_hear_nothing_where_processes_filter_and_share_nothing() {
    at_one_family_and_both(FILTER_APART);
}

/// Beside a process that shares nothing there is no trap: its sources are reset meanwhile, and nobody is lost.
#[test]
fn a_trap_is_set_when_the_process_before_is_gone() {
    let upstream = Upstream::saying("done");
    let apart = |address: SocketAddr| {
        at(&upstream, address).admit_only("one", "127.0.0.1/32").spawn_without("filter,unix")
    };
    let mut process = apart(loopback());
    await_steered(&process);
    assert_eq!(mode(&process), Some("trap"));
    let load = Load::on(&[process.addr()]);
    for _ in 0..3 {
        load.await_answers(50);
        let address = process.addr();
        let next = apart(address);
        await_steered(&next);
        assert_eq!(mode(&next), Some("user_space"));
        process = upgrade_to(&mut process, next);
        eventually("the trap is set", || (mode(&process) == Some("trap")).then_some(()));
        assert!(!is_answered(STRANGER_V4, address.port()));
    }
    load.await_answers(50);
    assert_eq!(load.faults(), Vec::<String>::new());
}

#[test]
fn they_hear_nothing_either_where_the_kernel_takes_no_filter() {
    at_one_family_and_both(TRAP);
}

/// How far a successor gets before it is killed.
#[derive(Clone, Copy)]
enum Phase {
    /// So long after it has begun, wherever it is then: it binds, reads, joins, or is about to take over.
    After(Duration),
    /// It has said that it listens.
    Listening,
    /// It accepts.
    Accepting,
}

/// Twenty successors take over, one after another, and before each of them one is killed.
#[test]
fn successors_that_are_killed_in_each_phase_open_the_gate_for_nobody() {
    // Forty processes: once is enough, as none of it is about HTTP.
    if is_by_hyper() {
        return;
    }
    let upstream = Upstream::saying("done");
    let only = |address: SocketAddr| -> Builder {
        at(&upstream, address).admit_only("one", "127.0.0.1/32")
    };
    let (start, expected) = TRAP;
    let mut process = start(only(loopback()));
    await_steered(&process);
    let addr = process.addr();
    let load = Load::on(&[addr]);
    let asking = Strangers::of(&[STRANGER_V4], addr.port());
    for number in 0..20u64 {
        let phase = match number % 5 {
            0 => Phase::Listening,
            1 => Phase::Accepting,
            _ => Phase::After(Duration::from_millis(7 * number)),
        };
        load.await_answers(20);
        match phase {
            Phase::After(time) => only(addr).begin_without("filter", time),
            Phase::Listening => drop(start(only(addr))),
            Phase::Accepting => {
                let successor = start(only(addr));
                await_steered(&successor);
            }
        }
        load.await_answers(20);
        await_steered(&process);
        process = upgrade_to(&mut process, start(only(addr)));
        assert_eq!(mode(&process), Some(expected));
    }
    load.await_answers(20);
    asking.heard_nothing();
    let refused = |fault: &String| fault.starts_with("connect");
    assert_eq!(load.faults().into_iter().find(refused), None);
}
