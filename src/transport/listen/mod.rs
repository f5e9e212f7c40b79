//! Listening sockets, and the loop that hands accepted connections to the workers.
//!
//! One socket for each address, one thread for all of them. A connection goes to the worker with the
//! fewest: Cloudflare's connections are few and long-lived, and hashing would leave some workers idle. The
//! loop never ends on an error, only at shutdown.

mod handover;
mod listener_handle;
mod listing;
mod local;
mod reuseport_group;
pub mod share;

pub use handover::{Accepted, Intake, Order, Slot, WorkerSenders};
pub use listener_handle::{ListenerHandle, inode};
pub use listing::Listing;
pub use local::{LocalAccepting, LocalError, LocalListening, LocalName};
pub use local::{bind_local, bind_local_aside};
pub use reuseport_group::GroupIndex;

use crate::net::addr::PeerAddr;
use crate::net::shutdown::{ShutdownSignal, Stage};
use crate::telemetry::{ListenerCells, Refusal};
use rustix::net::{SocketFlags, acceptfrom_with};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::pin::pin;
use std::time::Duration;
use tokio::io::Interest;
use tokio::sync::watch;

/// Connections that the kernel completes and queues, at most (`net.core.somaxconn` caps
/// it): a burst of Cloudflare's whole fleet after a restart.
const BACKLOG: i32 = 4096;

/// How long to wait after `accept` has failed for lack of files or memory: what it lacks comes back
/// with connections that end, not by asking at once again.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long handshakes that have begun may take to end after the process has begun to leave: the time
/// of a way there and back from wherever on Earth. A client that has got our SYN-ACK by then is connected,
/// and a listener that closes earlier answers the ACK with RST.
pub const HANDSHAKES: Duration = Duration::from_millis(300);

/// A bound address that does not listen yet.
#[derive(Debug)]
pub struct Bound {
    socket: Socket,
    hold: ListenerHandle,
}

/// The bytes that the kernel takes for a client beyond what it may send at once. Its default is 4 MiB, which 2 000
/// clients that do not read have copied to them, while all others wait.
const UNSENT: u32 = 64 * 1024;

/// Binds an address. An IPv6 wildcard takes IPv4 as well.
///
/// Other processes of the same user may bind it too (SO_REUSEPORT, socket(7)): a successor starts
/// beside the process that it replaces. Those that listen share what comes, until one of them has the
/// kernel give it to itself (`crate::app`, steering).
///
/// # Errors
/// Also if the address is in use: by another user, or a process that does not share it.
pub fn bind(address: SocketAddr) -> io::Result<Bound> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // A connection that is in TIME_WAIT from the process before must not stop us.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    set_options(&socket)?;
    socket.bind(&SockAddr::from(address))?;
    let hold = ListenerHandle::new(socket.try_clone()?);
    Ok(Bound { socket, hold })
}

fn set_options(socket: &Socket) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    // Connections have both from their listener (Linux copies the socket): no call for each. Without them all still
    // works.
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_notsent_lowat(UNSENT);
    Ok(())
}

/// Tries whether an address could be bound by a process that shares it with nobody. Does not listen, so that
/// a process that does is not disturbed; the address is free again at once.
///
/// # Errors
/// As [`bind`], and also where another process of this user listens.
pub fn try_alone(address: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // As for `bind`: connections in TIME_WAIT do not count.
    socket.set_reuse_address(true)?;
    socket.bind(&SockAddr::from(address))
}

impl Bound {
    /// The address, with the port that the kernel chose for port 0.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let address = self.socket.local_addr()?;
        address.as_socket().ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// A second handle of the socket; it does not keep the socket open.
    pub fn hold(&self) -> ListenerHandle {
        self.hold.clone()
    }

    /// The same address by the socket of another process, which listens already. Has the options of this one from now
    /// on.
    ///
    /// # Errors
    /// What the kernel says of the socket.
    pub fn replaced_by(self, socket: Socket) -> io::Result<Self> {
        set_options(&socket)?;
        self.hold.replace(socket.try_clone()?);
        Ok(Self { socket, hold: self.hold })
    }

    /// The bare socket.
    pub fn into_socket(self) -> Socket {
        self.hold.release();
        self.socket
    }

    /// Starts to listen: from now on the kernel completes and queues connections.
    pub fn listen(self) -> io::Result<Listening> {
        self.socket.listen(BACKLOG)?;
        Ok(Listening(self))
    }
}

/// A listening address without an acceptor yet.
#[derive(Debug)]
pub struct Listening(Bound);

impl Listening {
    /// Hands the socket to the runtime within which this is called.
    pub fn accept_here(self) -> io::Result<Accepting> {
        let Bound { socket, hold } = self.0;
        // A socket without an acceptor must not keep listening.
        let socket = Readiness::from_std(socket.into()).inspect_err(|_| hold.release())?;
        let turns = hold.turns();
        Ok(Accepting { socket, hold, turns })
    }
}

/// A listening address with its acceptor. Closed on drop.
#[derive(Debug)]
pub struct Accepting {
    socket: Readiness,
    hold: ListenerHandle,
    turns: watch::Receiver<bool>,
}

/// Of a listening socket. tokio's own listener accepts by itself; its stream lets others make the call, and asks the
/// kernel for nothing but readiness.
type Readiness = tokio::net::TcpStream;

impl Accepting {
    /// The next connection, non-blocking, and not registered with the runtime: it goes to another one, and to
    /// register it here would take two system calls and an allocation more. What filter it has from the listening
    /// socket is taken off: it was for those who connect, and would be run for every packet from now on.
    ///
    /// Waits while another process that shares the socket has the turn.
    ///
    /// # Errors
    /// What the kernel says: mostly that there are no more files, or no memory.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let mut turns = self.turns.clone();
        loop {
            if *turns.borrow_and_update() {
                tokio::select! {
                    biased;
                    accepted = self.socket.async_io(Interest::READABLE, || accept(&self.socket)) => {
                        return accepted;
                    }
                    Ok(()) = turns.changed() => {}
                }
            } else if turns.changed().await.is_err() {
                // Nobody is left who could give it a turn, which is not before the handle is released.
                std::future::pending::<()>().await;
            }
        }
    }

    /// A connection that waits already, if there is one, and is not for another process.
    fn accept_at_once(&self) -> Option<(TcpStream, SocketAddr)> {
        self.hold.has_turn().then(|| accept(&self.socket).ok()).flatten()
    }
}

fn accept(listener: &impl AsFd) -> io::Result<(TcpStream, SocketAddr)> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (socket, peer) = acceptfrom_with(listener, flags)?;
    let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
    // Of a listener for TCP every connection has one.
    let peer = peer.ok_or(io::ErrorKind::InvalidData)?;
    let socket = TcpStream::from(socket);
    // There may be none, which is an error of no interest.
    let _ = SockRef::from(&socket).detach_filter();
    Ok((socket, peer))
}

impl Drop for Accepting {
    fn drop(&mut self) {
        // The socket listens until the last descriptor is closed.
        self.hold.release();
    }
}

/// Closes a connection with RST, so that a source that is not admitted learns nothing more.
pub fn reset(socket: impl AsFd) {
    // Closing with no linger time sends RST. If that fails, FIN does as well.
    let _ = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
    drop(socket);
}

/// A listener in use.
pub struct Acceptor {
    /// The socket.
    pub socket: Accepting,
    /// Position in the configuration.
    pub listener: usize,
    /// The admitted sources.
    pub admits: Box<dyn Fn(IpAddr) -> bool>,
    /// Where connections go.
    pub doors: WorkerSenders,
    /// Called once at shutdown: keeps new SYNs from the socket. Returns whether that succeeded, so that it
    /// is worth waiting for handshakes in progress.
    pub turn_away: Box<dyn Fn() -> bool>,
}

impl Acceptor {
    /// Accepts until shutdown begins, then what connects of those whose handshake had begun, then what
    /// the kernel has queued, and closes the socket: a client that connects afterwards is refused at once
    /// and can try another node.
    pub async fn run(self, cells: &ListenerCells, shutdown: ShutdownSignal) {
        let (mut leaving, mut aborting) = (shutdown.clone(), shutdown);
        self.accept_until(cells, leaving.reached(Stage::Draining)).await;
        if (self.turn_away)() {
            let over = async {
                // Either is an end.
                let _ = tokio::time::timeout(HANDSHAKES, aborting.reached(Stage::Aborting)).await;
            };
            self.accept_until(cells, over).await;
        }
        self.empty_queue(cells);
    }

    async fn accept_until(&self, cells: &ListenerCells, end: impl Future<Output = ()>) {
        let mut end = pin!(end);
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut end => return,
                accepted = self.socket.accept() => accepted,
            };
            let admitted = match accepted {
                Ok((socket, peer)) => self.admitted(socket, peer, cells),
                Err(error) => {
                    cells.errors.add(1);
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Some((socket, peer)) = admitted else { continue };
            // One at a time waits here, all others in the kernel's queue.
            let slot = match self.doors.try_slot() {
                Some(slot) => slot,
                None => {
                    cells.at_limit.add(1);
                    tokio::select! {
                        biased;
                        () = &mut end => {
                            cells.refuse(Refusal::ConnectionLimit);
                            return reset(socket);
                        }
                        slot = self.doors.slot() => slot,
                    }
                }
            };
            self.hand_over(socket, peer, slot, cells);
        }
    }

    /// The admitted sources; others are reset.
    fn admitted(
        &self,
        socket: TcpStream,
        peer: SocketAddr,
        cells: &ListenerCells,
    ) -> Option<(TcpStream, PeerAddr)> {
        let peer = PeerAddr::new(peer);
        if !(self.admits)(peer.ip()) {
            cells.refuse(Refusal::NotAdmitted);
            reset(socket);
            return None;
        }
        Some((socket, peer))
    }

    fn hand_over(&self, socket: TcpStream, peer: PeerAddr, slot: Slot, cells: &ListenerCells) {
        cells.accepted.add(1);
        self.doors.hand_over(Accepted::new(socket, peer, self.listener, slot));
    }

    /// Takes what had been accepted by the kernel before the decision to leave.
    fn empty_queue(self, cells: &ListenerCells) {
        while let Some(slot) = self.doors.try_slot() {
            let Some((socket, peer)) = self.socket.accept_at_once() else {
                break;
            };
            if let Some((socket, peer)) = self.admitted(socket, peer, cells) {
                self.hand_over(socket, peer, slot, cells);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpStream as Client};

    #[test]
    fn accepted_connections_have_the_options_of_their_listener() {
        let bound = bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
        let addr = bound.local_addr().expect("it is bound");
        let Listening(Bound { socket, .. }) = bound.listen().expect("a socket of ours");
        socket.set_nonblocking(false).expect("a socket");
        let _client = Client::connect(addr).expect("it listens");
        let (accepted, _) = socket.accept().expect("a client");
        assert!(accepted.tcp_nodelay().expect("a TCP socket"));
        assert_eq!(accepted.tcp_notsent_lowat().expect("a TCP socket"), UNSENT);
    }
}
