//! Which of several listening sockets at one address gets the new connections.
//!
//! Sockets of one user that share an address and port (SO_REUSEPORT) are a group, and the kernel gives
//! each SYN to one of them: by a hash of the addresses, or as a program says that was attached to any
//! of them. It stays when the socket that brought it is closed. It returns a place in the group: the socket that
//! listens last has the last place, and when one closes, the last one takes over its place
//! (`reuseport_detach_sock` of net/core/sock_reuseport.c). A place that does not exist means the hash.
//!
//! None of this takes a privilege: tried with Linux 6.18, as a user without capabilities.

use super::bpf::Program;
use super::sys;
use socket2::Socket;
use std::io;
use std::os::fd::AsFd;

/// A number that no interface has: they are counted from 1.
const NO_INTERFACE: i32 = i32::MAX;

/// Steers every new connection of the reuseport group of this socket to the socket at `place`. The kernel
/// swaps one pointer: every SYN meets the old program or this one. Handshakes in progress end where they
/// began. Takes about 20 us.
///
/// # Errors
///
/// What the kernel says; nothing has changed then. `EINVAL`: the socket does not share its address.
/// `ENOPROTOOPT` before Linux 4.5 and in sandboxes.
pub fn to_place(socket: &Socket, place: usize) -> io::Result<()> {
    // No group has so many.
    by_source(socket, &Program::always(u32::try_from(place).unwrap_or(u32::MAX)))
}

/// Steers every new connection of the reuseport group of this socket by its source: to the place that the program of
/// [`super::bpf::compile_steering`] names. With a [`super::trap::Trap`] there, they get no answer. Swapped as in
/// [`to_place`].
///
/// # Errors
///
/// As [`to_place`].
pub fn by_source(socket: &Socket, program: &Program) -> io::Result<()> {
    sys::select_by(socket.as_fd(), program.instructions())
}

/// Refuses new connections with RST while the socket keeps listening: handshakes in progress complete and
/// can be accepted. Closing at once would answer them with RST.
///
/// The socket is bound to an interface that does not exist. A SYN comes in by another one and finds no
/// listener (`compute_score` of net/ipv4/inet_hashtables.c); the ACK that ends a handshake finds the
/// request of its SYN, which has none. Only for a socket that shares its port with no other one: a group
/// goes on choosing among all its members. Cannot be undone without CAP_NET_RAW.
///
/// # Errors
///
/// What the kernel says: `ENOPROTOOPT` before Linux 5.1, and `EPERM` before 5.7, which asked for
/// CAP_NET_RAW. Nothing has changed then.
pub fn refuse(socket: &Socket) -> io::Result<()> {
    sys::bind_to_interface(socket.as_fd(), NO_INTERFACE)
}

#[cfg(test)]
mod tests {
    use super::super::kernel;
    use super::*;
    use crate::transport::listen::{GroupIndex, Listing};
    use socket2::{Domain, SockAddr, SockFilter, Type};
    use std::io::{ErrorKind, Read, Write};
    use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt;
    use std::time::{Duration, Instant};

    /// Enough that a hash would not give all of them to one of two.
    const CONNECTIONS: usize = 32;
    /// Far more than anything here takes.
    const DEADLINE: Duration = Duration::from_secs(10);

    fn listener(address: SocketAddr, only_v6: bool) -> Socket {
        let socket =
            Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
        if address.is_ipv6() {
            socket.set_only_v6(only_v6).expect("an option of IPv6");
        }
        socket.set_reuse_port(true).expect("shared");
        socket.bind(&SockAddr::from(address)).expect("shared");
        socket.listen(128).expect("bound");
        socket.set_nonblocking(true).expect("an option of all files");
        socket
    }

    fn at(socket: &Socket) -> SocketAddr {
        socket.local_addr().expect("bound").as_socket().expect("an IP address")
    }

    /// Waits until a socket shares its address with so few others. One that was closed lives on in a process that
    /// another test begins just then, until that has its program.
    fn await_group_of(socket: &Socket, sockets: usize) {
        let file = format!("/proc/self/fd/{}", socket.as_raw_fd());
        let inode = std::fs::metadata(file).expect("it is open").ino();
        let begun = Instant::now();
        let now = || GroupIndex::of(inode, &Listing::default(), &Listing::read().expect("Linux"));
        while now().expect("it listens").sockets() > sockets {
            assert!(begun.elapsed() < DEADLINE, "a closed socket listens");
        }
    }

    /// Who of `group` gets [`CONNECTIONS`] connections to `to`.
    fn shares(to: SocketAddr, group: &[&Socket]) -> Vec<usize> {
        let clients: Vec<_> =
            (0..CONNECTIONS).map(|_| TcpStream::connect(to).expect("somebody listens")).collect();
        let begun = Instant::now();
        let mut shares = vec![0; group.len()];
        while shares.iter().sum::<usize>() < clients.len() {
            assert!(begun.elapsed() < DEADLINE, "{shares:?}");
            for (share, socket) in shares.iter_mut().zip(group) {
                *share += usize::from(socket.accept().is_ok());
            }
        }
        shares
    }

    /// Addresses to bind, whether for IPv6 alone, and to connect to: of one family, or of both.
    fn kinds() -> Vec<(SocketAddr, bool, SocketAddr)> {
        let (v4, v6) = (SocketAddr::from(([127, 0, 0, 1], 0)), (Ipv6Addr::LOCALHOST, 0).into());
        let both = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        let mut kinds = vec![(v4, false, v4)];
        if TcpListener::bind("[::1]:0").is_ok() {
            kinds.extend([(v6, true, v6), (both, false, v4), (both, false, v6)]);
        }
        kinds
    }

    #[test]
    fn the_place_gets_all_and_the_last_one_moves_when_one_closes() {
        for (bind, only_v6, mut to) in kinds() {
            let a = listener(bind, only_v6);
            to.set_port(at(&a).port());
            let b = listener(at(&a), only_v6);
            let c = listener(at(&a), only_v6);
            for (place, all) in [(0, [32, 0, 0]), (1, [0, 32, 0]), (2, [0, 0, 32])] {
                // The process that attaches it.
                to_place(&b, place).expect("shared");
                assert_eq!(shares(to, &[&a, &b, &c]), all, "{bind}");
            }
            drop(a);
            await_group_of(&b, 2);
            let hashed = shares(to, &[&b, &c]);
            assert!(!hashed.contains(&0), "place 2 of 2 means the hash: {hashed:?} at {bind}");
            to_place(&b, 0).expect("shared");
            assert_eq!(shares(to, &[&b, &c]), [0, 32], "the last one has moved, at {bind}");
            drop(c);
            await_group_of(&b, 1);
            assert_eq!(shares(to, &[&b]), [32]);
        }
    }

    #[test]
    fn a_socket_that_does_not_share_is_an_error() {
        let alone = TcpListener::bind("127.0.0.1:0").expect("a free port");
        to_place(&Socket::from(alone), 0).expect_err("it is in no group");
    }

    #[test]
    fn who_refuses_ends_the_handshakes_that_have_begun() {
        // Drops ACKs without SYN, so that a handshake waits: load the flags, test for SYN.
        let late = [(0x30, 0, 0, 13), (0x45, 0, 1, 2), (0x06, 0, 0, u32::MAX), (0x06, 0, 0, 0)];
        let late = late.map(|(code, jt, jf, k)| SockFilter::new(code, jt, jf, k));
        for (bind, only_v6, mut to) in kinds() {
            let socket = listener(bind, only_v6);
            to.set_port(at(&socket).port());
            let filtered = socket.attach_filter(&late).is_ok();
            if !filtered {
                println!("handshakes end at once: this kernel wants CAP_NET_ADMIN");
            }
            let mut client = TcpStream::connect(to).expect("answered");
            if filtered {
                let nobody = socket.accept().expect_err("its ACK is dropped");
                assert_eq!(nobody.kind(), ErrorKind::WouldBlock);
            }
            refuse(&socket).expect("for the first time");
            let refused = TcpStream::connect(to).expect_err("nobody listens for it");
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{bind}");
            kernel::detach(&socket).expect("anybody may");
            client.write_all(b"ping").expect("connected");
            let begun = Instant::now();
            let (mut accepted, _) = loop {
                match socket.accept() {
                    Ok(accepted) => break accepted,
                    Err(error) => assert!(begun.elapsed() < DEADLINE, "{error} at {bind}"),
                }
            };
            drop(socket);
            accepted.set_nonblocking(false).expect("an option of all files");
            let mut received = [0; 4];
            accepted.read_exact(&mut received).expect("not reset");
            assert_eq!(&received, b"ping");
        }
    }
}
