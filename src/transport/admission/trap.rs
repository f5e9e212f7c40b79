//! A listening socket that takes nobody, to which the packets of sources that are not admitted are steered
//! ([`super::steer::by_source`]).
//!
//! It asks for packets that no router has passed on: a TTL, or hop limit, of 255 (`IP_MINTTL`, ip(7); the check of RFC
//! 5082). The kernel drops all others unanswered, whatever they carry, and counts them on the socket
//! (`tcp_v4_rcv` of net/ipv4/tcp_ipv4.c, `tcp_v6_rcv`). Systems begin at 64 or 128. Only a neighbour, such as a pod of
//! this node, can send 255. Its SYNs meet a queue of accepted connections that is full: they are dropped, too
//! (`tcp_conn_request` of net/ipv4/tcp_input.c), whatever `tcp_abort_on_overflow` and `tcp_syncookies` say; other
//! packets of it get RST as from any listening socket.
//!
//! None of this takes a privilege: tried with Linux 6.18, as a user without capabilities.

use super::{kernel, steer, sys};
use crate::transport::listen::{self, GroupIndex, Listing};
use socket2::{Domain, SockAddr, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

/// What a packet begins with, at most: no router has passed it on then.
const HOPS: u8 = u8::MAX;

/// How long the connection that fills the queue may take: far more than one of this machine with itself does.
const FILLING: Duration = Duration::from_millis(100);

/// A trap: closed on drop, where no other process shares it.
#[derive(Debug)]
pub struct Trap(Socket);

impl Trap {
    /// Listens at an address, beside the listener that is there or is to come.
    ///
    /// # Errors
    /// What the kernel says, also where it has no such options.
    pub fn listen(address: SocketAddr) -> io::Result<Self> {
        let socket = listen::bind(address)?.into_socket();
        sys::set_least_hops(socket.as_fd(), HOPS, address.is_ipv6())?;
        // Room for one, until it is there.
        socket.listen(1)?;
        Ok(Self(socket))
    }

    /// Listens where nobody else does, which this listing has been read to tell, and fills the queue.
    pub fn first(address: SocketAddr, before: &Listing) -> Option<Self> {
        let trap = Self::listen(address).ok()?;
        let after = Listing::read().ok()?;
        let place = GroupIndex::of(trap.inode()?, before, &after)?;
        if place.sockets() > 1 {
            return None;
        }
        if let Err(error) = trap.fill() {
            tracing::debug!(%error, "the queue of the trap is not full");
        }
        Some(trap)
    }

    /// Tries whether the kernel has what a trap takes, at a free port of the loopback.
    ///
    /// # Errors
    /// What it does not have.
    pub fn is_possible() -> io::Result<()> {
        let trap = Self::listen((Ipv4Addr::LOCALHOST, 0).into())?;
        steer::to_place(&trap.0, 0)
    }

    /// That of another process.
    pub fn shared(socket: Socket) -> Self {
        Self(socket)
    }

    /// Fills the queue, by a connection of this machine with itself. Only while the program sends its own addresses
    /// to the trap. Blocks for up to 100 ms.
    ///
    /// # Errors
    /// There may be room for one connection of a neighbour, which then fills the queue.
    pub fn fill(&self) -> io::Result<()> {
        let filled = self.connect();
        // Nobody accepts it, so it stays in the queue, even when it has ended.
        self.0.listen(0)?;
        filled
    }

    fn connect(&self) -> io::Result<()> {
        let address = self.0.local_addr()?.as_socket().ok_or(io::ErrorKind::InvalidData)?;
        let home = own_address(address);
        let socket = Socket::new(Domain::for_address(home), Type::STREAM, None)?;
        match home {
            SocketAddr::V4(_) => socket.set_ttl_v4(HOPS.into())?,
            SocketAddr::V6(_) => socket.set_unicast_hops_v6(HOPS.into())?,
        }
        socket.connect_timeout(&SockAddr::from(home), FILLING)?;
        // By RST: neither end is left to be listed.
        socket.set_linger(Some(Duration::ZERO))
    }

    /// The socket.
    pub fn socket(&self) -> &Socket {
        &self.0
    }

    /// The number by which the kernel lists it.
    pub fn inode(&self) -> Option<u64> {
        listen::inode(&self.0).ok()
    }

    /// Packets that were dropped at it. Wraps around, as [`kernel::drops`].
    pub fn drops(&self) -> Option<u32> {
        kernel::drops(&self.0).ok()
    }

    /// Has the kernel answer as if nobody listened: once the listener beside it does not.
    ///
    /// # Errors
    /// As [`steer::refuse`].
    pub fn refuse(&self) -> io::Result<()> {
        steer::refuse(&self.0)
    }
}

/// From where a trap at an address is filled.
pub fn own_address(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        // Of both families the loopback address of IPv4 is there.
        ip if ip.is_unspecified() => (Ipv4Addr::LOCALHOST, address.port()).into(),
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::super::bpf;
    use super::*;
    use crate::net::addr::AddrRanges;
    use ipnet::IpNet;
    use std::io::ErrorKind;
    use std::net::{Ipv6Addr, TcpListener};
    use std::time::Instant;

    /// Far more than a drop takes.
    const DEADLINE: Duration = Duration::from_secs(10);

    /// A socket that has begun to connect, with so many hops.
    fn begun(to: SocketAddr, hops: u8) -> Socket {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).expect("a socket");
        match to {
            SocketAddr::V4(_) => socket.set_ttl_v4(hops.into()),
            SocketAddr::V6(_) => socket.set_unicast_hops_v6(hops.into()),
        }
        .expect("an option of all sockets");
        socket.set_nonblocking(true).expect("an option of all files");
        let _ = socket.connect(&to.into());
        socket
    }

    /// Connects, and sees the SYN dropped at the trap.
    fn meets(trap: &Trap, to: SocketAddr, hops: u8) {
        let before = trap.drops().expect("counted");
        let stranger = begun(to, hops);
        let start = Instant::now();
        while trap.drops().expect("counted") == before {
            assert!(start.elapsed() < DEADLINE, "no drop of {to} with {hops} hops");
        }
        assert!(stranger.take_error().expect("readable").is_none(), "{to} refuses");
        assert!(stranger.peer_addr().is_err(), "{to} connects");
    }

    /// Addresses to listen at, and to connect to.
    fn kinds() -> Vec<(SocketAddr, SocketAddr)> {
        let (v4, v6) = (SocketAddr::from(([127, 0, 0, 1], 0)), (Ipv6Addr::LOCALHOST, 0).into());
        let both = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        let mut kinds = vec![(v4, v4)];
        if TcpListener::bind("[::1]:0").is_ok() {
            kinds.extend([(v6, v6), (both, v4), (both, v6)]);
        }
        kinds
    }

    #[test]
    fn strangers_meet_silence_beside_a_listener_that_serves_whom_it_admits() {
        for (bind, mut to) in kinds() {
            let trap = Trap::listen(bind).expect("a free port");
            let address = trap.socket().local_addr().expect("bound").as_socket().expect("IP");
            to.set_port(address.port());
            // Before it is full: no router has passed on what comes with 255.
            meets(&trap, to, 64);
            trap.fill().expect("nobody else connects");
            for hops in [1, 64, 254, 255] {
                meets(&trap, to, hops);
            }
            let listener = listen::bind(address).expect("shared").into_socket();
            listener.listen(16).expect("bound");
            let networks =
                |network: &str| AddrRanges::new(&[network.parse::<IpNet>().expect("literal")]);
            let strangers = bpf::compile_steering(&networks("192.0.2.0/24"), 1, 0).expect("short");
            steer::by_source(trap.socket(), &strangers).expect("they share");
            meets(&trap, to, 64);
            assert_eq!(listener.accept().expect_err("nobody").kind(), ErrorKind::WouldBlock);
            let loopback = if to.is_ipv4() { "127.0.0.0/8" } else { "::1/128" };
            let admitted = bpf::compile_steering(&networks(loopback), 1, 0).expect("short");
            steer::by_source(trap.socket(), &admitted).expect("they share");
            let client = begun(to, 64);
            let start = Instant::now();
            while listener.accept().is_err() {
                assert!(start.elapsed() < DEADLINE, "{to} is admitted");
            }
            assert!(client.peer_addr().is_ok());
        }
    }

    #[test]
    fn it_stays_full_when_its_own_connection_is_gone() {
        let trap = Trap::listen(([127, 0, 0, 1], 0).into()).expect("a free port");
        let to = trap.socket().local_addr().expect("bound").as_socket().expect("IP");
        trap.fill().expect("nobody else connects");
        // The connection that filled it was reset at once.
        for _ in 0..3 {
            meets(&trap, to, 255);
        }
    }

    #[test]
    fn who_refuses_is_as_good_as_closed() {
        let trap = Trap::listen(([127, 0, 0, 1], 0).into()).expect("a free port");
        let to = trap.socket().local_addr().expect("bound").as_socket().expect("IP");
        trap.refuse().expect("for the first time");
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let refused = socket.connect(&to.into()).expect_err("nobody listens for it");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
}
