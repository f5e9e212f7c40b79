//! One listening socket for several processes: a successor gets it from the process that it replaces.
//!
//! A process that listens at an address holds an abstract Unix socket (unix(7)) of a name that the address tells. Pods
//! with the node's network see it, without a volume. Who connects gets the listening socket, and the trap beside it
//! if there is one (`SCM_RIGHTS`); so the kernel's queue, filter and place in the group outlive every single process.
//! The connection stays open, and its end tells either side that the other one is gone. While several live, the
//! holder of the name says who accepts ([`Word`]).
//!
//! The name is open to everybody in the network. The holder gives to processes of its own user only; a process that
//! joins asks the kernel which user made each socket that it gets ([`super::Listing::is_own`]). Where such
//! a connection is forbidden (SELinux between two pods, a sandbox), there is nobody to share with, and processes
//! listen beside each other ([`super::GroupIndex`]).

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use rustix::process::geteuid;
use socket2::Socket;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as Name, UnixListener, UnixStream};
use std::time::Duration;

/// How long the holder of the name may take to answer: it does at once, unless the machine is very busy.
const ANSWER: Duration = Duration::from_secs(1);

/// Sockets in an answer: the listener, and the trap.
const MOST_SOCKETS: usize = 2;

/// The place of a listener in its group as the holder tells it, where it does not know.
const NO_PLACE: u8 = u8::MAX;

/// What the processes that share a socket tell each other, in one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Word {
    /// To the holder of the name: this process can take the connections.
    Ready = b'R',
    /// From it: accept.
    Accept = b'A',
    /// From it: leave what comes to another one.
    Pause = b'P',
}

impl Word {
    /// What a byte stands for.
    pub fn of(byte: u8) -> Option<Self> {
        [Self::Ready, Self::Accept, Self::Pause].into_iter().find(|word| *word as u8 == byte)
    }
}

/// What a process gets that joins.
#[derive(Debug)]
pub struct Joined {
    /// The listening socket.
    pub listener: Socket,
    /// The trap in its group ([`crate::transport::admission::trap`]).
    pub trap: Option<Socket>,
    /// The place of the listener in the group.
    pub place: Option<usize>,
    /// The connection to the holder of the name, non-blocking.
    pub link: UnixStream,
}

fn name(address: SocketAddr) -> io::Result<Name> {
    let user = geteuid().as_raw();
    Name::from_abstract_name(format!("ravelin/1/{user}/{address}"))
}

/// Takes the name of an address: a process that connects waits until it is served.
///
/// # Errors
/// `AddrInUse`: another process holds it.
pub fn offer(address: SocketAddr) -> io::Result<UnixListener> {
    let listener = UnixListener::bind_addr(&name(address)?)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Gets the sockets of an address from the process that holds its name. Blocks for a second at most. What comes is to
/// be checked by [`super::Listing::is_own`].
///
/// # Errors
/// `ConnectionRefused`: nobody holds it. Others: who does gives nothing.
pub fn join(address: SocketAddr) -> io::Result<Joined> {
    let link = UnixStream::connect_addr(&name(address)?)?;
    link.set_read_timeout(Some(ANSWER))?;
    let (mut place, mut space) =
        ([0], [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_SOCKETS))]);
    let mut received = RecvAncillaryBuffer::new(&mut space);
    let read =
        recvmsg(&link, &mut [IoSliceMut::new(&mut place)], &mut received, RecvFlags::CMSG_CLOEXEC)?;
    let mut sockets = received.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(sockets) => Some(sockets),
        _ => None,
    });
    let mut sockets = sockets.by_ref().flatten().map(Socket::from);
    let (listener, trap) = (sockets.next(), sockets.next());
    let (1.., Some(listener)) = (read.bytes, listener) else {
        return Err(ErrorKind::UnexpectedEof.into());
    };
    link.set_nonblocking(true)?;
    let place = (place[0] != NO_PLACE).then(|| place[0].into());
    Ok(Joined { listener, trap, place, link })
}

/// Answers who has connected.
///
/// # Errors
/// It is gone, or the kernel lets no sockets pass.
pub fn give(
    link: impl AsFd,
    listener: &Socket,
    trap: Option<&Socket>,
    place: Option<usize>,
) -> io::Result<()> {
    let place = place.and_then(|place| u8::try_from(place).ok()).unwrap_or(NO_PLACE);
    let sockets: Vec<BorrowedFd<'_>> =
        [Some(listener), trap].into_iter().flatten().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_SOCKETS))];
    let mut sent = SendAncillaryBuffer::new(&mut space);
    sent.push(SendAncillaryMessage::ScmRights(&sockets));
    sendmsg(link, &[IoSlice::new(&[place])], &mut sent, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Whether the process at the other end has the same user.
pub fn is_own_user(link: &tokio::net::UnixStream) -> bool {
    link.peer_cred().is_ok_and(|peer| peer.uid() == geteuid().as_raw())
}

#[cfg(test)]
mod tests {
    use super::super::{Listing, bind};
    use super::*;
    use std::net::{Ipv4Addr, TcpStream};

    #[test]
    fn a_successor_gets_the_same_socket_and_outlives_who_gave_it() {
        let bound = bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
        let address = bound.local_addr().expect("bound");
        assert_eq!(join(address).expect_err("nobody").kind(), ErrorKind::ConnectionRefused);
        let offered = offer(address).expect("nobody holds the name");
        assert_eq!(offer(address).expect_err("held").kind(), ErrorKind::AddrInUse);
        let inode = bound.hold().inode().expect("open");
        let listening = bound.listen().expect("a socket of ours");
        let waits = TcpStream::connect(address).expect("it listens");
        let holder = std::thread::spawn(move || {
            offered.set_nonblocking(false).expect("a socket");
            let (link, _) = offered.accept().expect("a successor");
            let socket = &listening.0.socket;
            give(&link, socket, Some(socket), Some(1)).expect("it waits");
        });
        let joined = join(address).expect("the holder gives");
        holder.join().expect("it has given, and closed all it had");
        assert_eq!(joined.place, Some(1));
        assert!(joined.trap.is_some());
        let got = super::super::listener_handle::inode(&joined.listener).expect("open");
        assert_eq!(got, inode);
        let listing = Listing::read().expect("Linux");
        assert!(listing.is_own(inode, address));
        assert!(!listing.is_own(inode, (Ipv4Addr::LOCALHOST, 1).into()));
        let (_, peer) = joined.listener.accept().expect("what waited for the one before");
        assert_eq!(peer.as_socket(), Some(waits.local_addr().expect("connected")));
    }

    #[test]
    fn who_says_nothing_or_brings_nothing_is_an_error() {
        let address = (Ipv4Addr::LOCALHOST, 2).into();
        let offered = offer(address).expect("nobody holds the name");
        join(address).expect_err("it does not answer within a second");
        let mute = std::thread::spawn(move || {
            offered.set_nonblocking(false).expect("a socket");
            // The first one has given up.
            let _ = offered.accept().expect("waits");
            use std::io::Write;
            offered.accept().expect("a successor").0.write_all(&[0]).expect("it waits");
        });
        join(address).expect_err("a byte without a socket");
        mute.join().expect("it has answered");
    }

    #[test]
    fn words_are_told_apart() {
        for word in [Word::Ready, Word::Accept, Word::Pause] {
            assert_eq!(Word::of(word as u8), Some(word));
        }
        assert_eq!(Word::of(0), None);
    }
}
