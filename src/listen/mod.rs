//! Listening sockets, and the loop that hands what they accept to the workers.
//!
//! One socket for each address, one thread for all of them. A connection goes to the worker with
//! the fewest: Cloudflare's are few and long-lived, and hashing would leave some workers idle. The
//! loop never ends on an error, only at shutdown.

mod handover;

pub use handover::{Accepted, Door, Doors, Slot};

use crate::addr::PeerAddr;
use crate::shutdown::{ShutdownSignal, Stage};
use crate::telemetry::ListenerCells;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::Poll;
use std::time::Duration;
use tokio::net::TcpListener;

/// Connections that the kernel completes and keeps for us, at the most (`net.core.somaxconn` caps
/// it): a burst of Cloudflare's whole fleet after a restart.
const BACKLOG: i32 = 4096;

/// How long to wait after `accept` has failed for want of files or memory: what it lacks comes back
/// with connections that end, not by asking at once again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A bound address that does not listen yet.
#[derive(Debug)]
pub struct Bound(Socket);

/// Binds an address. An IPv6 wildcard takes IPv4 as well.
pub fn bind(address: SocketAddr) -> io::Result<Bound> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // A connection that is in TIME_WAIT from the process before must not stop us.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    Ok(Bound(socket))
}

impl Bound {
    /// The address, with the port that the kernel chose for port 0.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let address = self.0.local_addr()?;
        address.as_socket().ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Begins to take connections: from now on the kernel completes them and keeps them for us.
    pub fn listen(self) -> io::Result<Listening> {
        self.0.listen(BACKLOG)?;
        Ok(Listening(self.0))
    }
}

/// An address that takes connections, which nobody accepts yet.
#[derive(Debug)]
pub struct Listening(Socket);

impl Listening {
    /// Hands the socket to the runtime within which this is called.
    pub fn accept_here(self) -> io::Result<TcpListener> {
        TcpListener::from_std(self.0.into())
    }
}

/// One listener at work.
pub struct Acceptor {
    /// The socket.
    pub socket: TcpListener,
    /// Position in the configuration.
    pub listener: usize,
    /// Who may connect.
    pub admits: Box<dyn Fn(IpAddr) -> bool>,
    /// Where connections go.
    pub doors: Doors,
}

impl Acceptor {
    /// Accepts until shutdown begins, then what the kernel has queued already, and closes the
    /// socket: whoever connects afterwards is refused at once and can try another node.
    pub async fn run(self, cells: &ListenerCells, mut shutdown: ShutdownSignal) {
        loop {
            // The slot comes first: at the limit, connections wait in the kernel's queue.
            let slot = tokio::select! {
                biased;
                () = shutdown.reached(Stage::Draining) => break,
                slot = self.doors.slot() => slot,
            };
            let accepted = tokio::select! {
                biased;
                () = shutdown.reached(Stage::Draining) => break,
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok((socket, peer)) => self.admit(socket, peer, slot, cells),
                Err(error) => {
                    cells.errors.add(1);
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        self.empty_queue(cells).await;
    }

    fn admit(
        &self,
        socket: tokio::net::TcpStream,
        peer: SocketAddr,
        slot: Slot,
        cells: &ListenerCells,
    ) {
        let peer = PeerAddr::new(peer);
        if !(self.admits)(peer.ip()) {
            cells.refused.add(1);
            // Closing with no linger time sends RST. If that fails, FIN does as well.
            let _ = socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO));
            return;
        }
        // Both would only cost time: a socket that is gone already fails at its first read.
        let _ = socket.set_nodelay(true);
        let Ok(socket) = socket.into_std() else {
            cells.errors.add(1);
            return;
        };
        cells.accepted.add(1);
        self.doors.hand_over(Accepted::new(socket, peer, self.listener, slot));
    }

    /// Takes what had been accepted by the kernel before the decision to leave.
    async fn empty_queue(self, cells: &ListenerCells) {
        while let Some(slot) = self.doors.try_slot() {
            let at_once = std::future::poll_fn(|cx| Poll::Ready(self.socket.poll_accept(cx)));
            let Poll::Ready(Ok((socket, peer))) = at_once.await else {
                break;
            };
            self.admit(socket, peer, slot, cells);
        }
    }
}
