//! Filters in the real kernel, between addresses of the loopback network. Without the privilege to
//! attach one there is nothing to see, and most of these say so and pass.

use super::super::bpf;
use super::*;
use crate::config::CLOUDFLARE;
use crate::net::addr::AddrRanges;
use ipnet::{IpNet, Ipv4Net};
use socket2::{Domain, Protocol, SockAddr, Type};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

const OPTMEM: usize = libc::SK_MEMINFO_OPTMEM as usize;
/// The limit for a socket before Linux 6.8.
const OPTMEM_MAX_ONCE: u32 = 20 * 1024;
/// Far more than anything here takes.
const DEADLINE: Duration = Duration::from_secs(10);

/// `CAP_NET_ADMIN` of `linux/capability.h`.
const NET_ADMIN: u32 = 12;

/// Whether this process may attach filters: with the capability always, else on older kernels.
fn may_attach() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").expect("every process has one");
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = u64::from_str_radix(effective.expect("a line").trim(), 16).expect("hex");
    let probe = attach(&stream(Domain::IPV4), &only(&[]));
    let refused = probe.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
    assert!(!refused || effective >> NET_ADMIN & 1 == 0, "refused in spite of the capability");
    if refused {
        println!("nothing tested: this kernel wants CAP_NET_ADMIN");
    }
    !refused
}

fn only(nets: &[&str]) -> Program {
    let nets: Vec<IpNet> = nets.iter().map(|net| net.parse().expect("literal")).collect();
    bpf::compile(&AddrRanges::new(&nets)).expect("it fits")
}

fn stream(domain: Domain) -> Socket {
    Socket::new(domain, Type::STREAM, Some(Protocol::TCP)).expect("a socket")
}

/// A listener at this address, and the address with its port.
fn listener(address: &str) -> (Socket, SocketAddr) {
    let address: IpAddr = address.parse().expect("literal");
    let address = SocketAddr::new(address, 0);
    let socket = stream(Domain::for_address(address));
    if address.is_ipv6() {
        socket.set_only_v6(false).expect("dual-stack");
    }
    socket.bind(&SockAddr::from(address)).expect("a free port");
    socket.listen(16).expect("it listens");
    let address = socket.local_addr().expect("bound").as_socket().expect("an IP address");
    (socket, address)
}

fn client(from: &str) -> Socket {
    let from = SocketAddr::new(from.parse().expect("literal"), 0);
    let socket = stream(Domain::for_address(from));
    socket.bind(&SockAddr::from(from)).expect("a loopback address");
    socket
}

/// The connected client, and what the listener accepts for it.
fn connect(from: &str, listener: &Socket, to: SocketAddr) -> (Socket, Socket) {
    let client = client(from);
    client.connect_timeout(&SockAddr::from(to), DEADLINE).expect("admitted");
    let (accepted, peer) = listener.accept().expect("connected");
    let peer = peer.as_socket().expect("an IP address").ip().to_canonical();
    assert_eq!(peer, from.parse::<IpAddr>().expect("literal"));
    for socket in [&client, &accepted] {
        socket.set_read_timeout(Some(DEADLINE)).expect("an option that all sockets have");
    }
    (client, accepted)
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < DEADLINE, "{what} does not happen");
        std::thread::yield_now();
    }
}

/// Connects in vain: the listener's counter moves, and nothing comes back.
fn expect_silence(from: &str, listener: &Socket, to: SocketAddr) {
    let before = drops(listener).expect("counted");
    let client = client(from);
    client.set_nonblocking(true).expect("non-blocking");
    let error = client.connect(&SockAddr::from(to)).expect_err("no answer at once");
    assert_eq!(error.raw_os_error(), Some(libc::EINPROGRESS));
    wait_until("a drop", || drops(listener).expect("counted").wrapping_sub(before) >= 1);
    // The drop is the answer's place: on the loopback an RST would be here by now.
    assert!(client.take_error().expect("readable").is_none(), "{from} was refused");
    assert!(client.peer_addr().is_err(), "{from} was connected");
    listener.set_nonblocking(true).expect("non-blocking");
    let nobody = listener.accept().expect_err("nobody connected");
    assert_eq!(nobody.kind(), io::ErrorKind::WouldBlock);
    listener.set_nonblocking(false).expect("blocking");
}

/// Bytes pass from one end to the other.
fn expect_passage(mut from: &Socket, mut to: &Socket) {
    from.write_all(b"ping").expect("connected");
    let mut received = [0; 4];
    to.read_exact(&mut received).expect("the bytes arrive");
    assert_eq!(&received, b"ping");
}

#[test]
fn who_is_not_in_the_set_gets_no_answer_and_is_counted() {
    if !may_attach() {
        return;
    }
    let (listener, address) = listener("127.0.0.1");
    attach(&listener, &only(&["127.0.0.1/32"])).expect("attached");
    assert_eq!(drops(&listener).expect("counted"), 0);
    expect_silence("127.0.0.2", &listener, address);
    let before = drops(&listener).expect("counted");
    connect("127.0.0.1", &listener, address);
    // A repeated SYN of the client before may have been under way.
    assert!(drops(&listener).expect("counted") <= before + 1);
}

#[test]
fn a_new_program_replaces_the_old_one_and_leaves_connections_alone() {
    if !may_attach() {
        return;
    }
    let (listener, address) = listener("127.0.0.1");
    attach(&listener, &only(&["127.0.0.1/32"])).expect("attached");
    let (first_client, first) = connect("127.0.0.1", &listener, address);
    attach(&listener, &only(&["127.0.0.2/32"])).expect("replaced");
    expect_silence("127.0.0.1", &listener, address);
    connect("127.0.0.2", &listener, address);
    expect_passage(&first_client, &first);
    expect_passage(&first, &first_client);
    detach(&first).expect("detached");
    expect_passage(&first_client, &first);
    expect_passage(&first, &first_client);
}

#[test]
fn a_connection_inherits_the_program_until_it_is_detached() {
    if !may_attach() {
        return;
    }
    let (listener, address) = listener("127.0.0.1");
    attach(&listener, &only(&["127.0.0.1/32"])).expect("attached");
    let (client, accepted) = connect("127.0.0.1", &listener, address);
    accepted.detach_filter().expect("there is one to detach");
    assert_eq!(
        accepted.detach_filter().expect_err("it is gone").raw_os_error(),
        Some(libc::ENOENT)
    );
    detach(&accepted).expect("none is fine");
    expect_passage(&client, &accepted);
    connect("127.0.0.1", &listener, address);
    detach(&listener).expect("detached");
    connect("127.0.0.2", &listener, address);
}

#[test]
fn packets_of_a_connection_count_on_it_and_not_on_its_listener() {
    if !may_attach() {
        return;
    }
    let (listener, address) = listener("127.0.0.1");
    attach(&listener, &only(&["127.0.0.1/32"])).expect("attached");
    let (client, accepted) = connect("127.0.0.1", &listener, address);
    assert_eq!(drops(&accepted).expect("counted"), 0);
    let of_listener = drops(&listener).expect("counted");
    attach(&accepted, &only(&[])).expect("attached");
    (&client).write_all(b"ping").expect("connected");
    wait_until("a drop", || drops(&accepted).expect("counted") >= 1);
    assert_eq!(drops(&listener).expect("counted"), of_listener);
    detach(&accepted).expect("detached");
    // The client sends again what was dropped.
    let mut received = [0; 4];
    (&accepted).read_exact(&mut received).expect("the bytes arrive after all");
}

#[test]
fn an_overflow_of_the_accept_queue_counts_too() {
    let (listener, address) = listener("127.0.0.1");
    listener.listen(0).expect("a queue of one");
    let queued = client("127.0.0.1");
    queued.connect_timeout(&SockAddr::from(address), DEADLINE).expect("there is room");
    let late = client("127.0.0.1");
    late.set_nonblocking(true).expect("non-blocking");
    late.connect(&SockAddr::from(address)).expect_err("no room");
    wait_until("a drop", || drops(&listener).expect("counted") >= 1);
}

#[test]
fn a_dual_stack_listener_tells_both_families_apart() {
    // Without IPv6 there is nothing to show; without ::1 only half of it.
    if !may_attach() || TcpListener::bind("[::]:0").is_err() {
        return;
    }
    let has_loopback = TcpListener::bind("[::1]:0").is_ok();
    let (listener, address) = listener("::");
    let v4 = SocketAddr::from(([127, 0, 0, 1], address.port()));
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, address.port()));
    attach(&listener, &only(&["127.0.0.1/32"])).expect("attached");
    let (client, accepted) = connect("127.0.0.1", &listener, v4);
    expect_passage(&client, &accepted);
    expect_silence("127.0.0.2", &listener, v4);
    if has_loopback {
        expect_silence("::1", &listener, v6);
        attach(&listener, &only(&["::1/128"])).expect("replaced");
        let (client, accepted) = connect("::1", &listener, v6);
        expect_passage(&client, &accepted);
        expect_silence("127.0.0.1", &listener, v4);
    }
}

#[test]
fn the_longest_programs_are_accepted_and_replaced() {
    if !may_attach() {
        return;
    }
    let nets = |last: u8| {
        let wide = (0..3000u32).map(|n| Ipv4Net::new_assert((1 << 31 | n << 9).into(), 24));
        let loopback = Ipv4Net::new_assert([127, 0, 0, last].into(), 32);
        wide.chain([loopback]).map(IpNet::V4).collect::<Vec<_>>()
    };
    // The loopback address is the lowest, so it is among those that fit.
    let fits = bpf::compile(&AddrRanges::new(&nets(1))).expect_err("too large").fits;
    let longest = |last: u8| {
        let mut nets = nets(last);
        nets.sort_unstable();
        bpf::compile(&AddrRanges::new(&nets[..fits])).expect("it fits")
    };
    let (listener, address) = listener("127.0.0.1");
    attach(&listener, &longest(1)).expect("attached");
    connect("127.0.0.1", &listener, address);
    attach(&listener, &longest(2)).expect("replaced");
    expect_silence("127.0.0.1", &listener, address);
    connect("127.0.0.2", &listener, address);
}

#[test]
fn cloudflares_list_is_swapped_in_one_step_on_old_kernels_too() {
    if !may_attach() {
        return;
    }
    let (listener, _) = listener("127.0.0.1");
    let program = bpf::compile(&AddrRanges::new(&CLOUDFLARE)).expect("it fits");
    let optmem = || sys::meminfo(listener.as_fd()).expect("counted")[OPTMEM];
    assert_eq!(optmem(), 0);
    attach(&listener, &program).expect("attached");
    let charged = optmem();
    assert!(0 < charged && 2 * charged < OPTMEM_MAX_ONCE, "{charged} bytes");
    attach(&listener, &program).expect("replaced");
    assert_eq!(optmem(), charged);
    detach(&listener).expect("detached");
    assert_eq!(optmem(), 0);
}

/// Addresses that differ in every word: each takes three loads, long ones for the kernel.
fn dearest() -> Program {
    let nets: Vec<IpNet> = (1..=575u128)
        .map(|n| IpAddr::V6((n << 96 | (n * 3) << 64 | (n * 5) << 32 | (n * 7)).into()).into())
        .collect();
    bpf::compile(&AddrRanges::new(&nets)).expect("it fits")
}

#[test]
fn a_program_that_the_kernel_does_not_take_leaves_none_in_force() {
    if !may_attach() {
        return;
    }
    let (listener, address) = listener("127.0.0.1");
    attach(&listener, &only(&["127.0.0.2/32"])).expect("attached");
    expect_silence("127.0.0.1", &listener, address);
    // Too much for `net.core.optmem_max` as it is by default; it may have been raised.
    match attach(&listener, &dearest()) {
        Err(error) => {
            assert_eq!(error.raw_os_error(), Some(libc::ENOMEM));
            connect("127.0.0.1", &listener, address);
        }
        Ok(()) => expect_silence("127.0.0.1", &listener, address),
    }
}

#[test]
fn to_attach_takes_no_more_than_the_capability() {
    let socket = stream(Domain::IPV4);
    assert_eq!(attach(&socket, &only(&[])).is_ok(), may_attach());
    detach(&socket).expect("anybody may");
    drops(&socket).expect("anybody may");
}

#[test]
fn what_is_not_a_socket_is_an_error() {
    let file = std::fs::File::open("/dev/null").expect("every host has it");
    let not_a_socket = Socket::from(std::os::fd::OwnedFd::from(file));
    for result in
        [drops(&not_a_socket).map(|_| ()), attach(&not_a_socket, &only(&[])), detach(&not_a_socket)]
    {
        let error = result.expect_err("not a socket");
        assert_eq!(error.raw_os_error(), Some(libc::ENOTSOCK));
    }
}
