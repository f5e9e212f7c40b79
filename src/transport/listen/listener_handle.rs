//! A second hold on a listening socket, for those who set its filter, read its counters and say whose turn it is, from
//! other threads.

use socket2::Socket;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// A handle of a listening socket. It does not keep the socket open: the acceptor releases
/// the hold before closing, and from then on there is nothing to hold.
#[derive(Clone, Debug)]
pub struct ListenerHandle(Arc<Held>);

#[derive(Debug)]
struct Held {
    socket: Mutex<Option<Socket>>,
    /// Whether this process takes the connections, of those that share the socket.
    turn: watch::Sender<bool>,
}

impl ListenerHandle {
    pub(super) fn new(socket: Socket) -> Self {
        let turn = watch::Sender::new(true);
        Self(Arc::new(Held { socket: Mutex::new(Some(socket)), turn }))
    }

    /// Does something with the socket. `None` if it is closed.
    pub fn with<R>(&self, act: impl FnOnce(&Socket) -> R) -> Option<R> {
        self.0.socket.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(act)
    }

    /// The number by which the kernel lists the socket, if it is open.
    pub fn inode(&self) -> Option<u64> {
        self.with(|socket| inode(socket).ok()).flatten()
    }

    /// Whether connections are accepted here: `true` unless another process that shares the socket does.
    pub fn has_turn(&self) -> bool {
        *self.0.turn.borrow()
    }

    /// Has the acceptor begin, or stop. What waits in the kernel's queue stays there for the other process.
    pub fn set_turn(&self, turn: bool) {
        self.0.turn.send_if_modified(|now| std::mem::replace(now, turn) != turn);
    }

    /// Follows [`ListenerHandle::has_turn`].
    pub(super) fn turns(&self) -> watch::Receiver<bool> {
        self.0.turn.subscribe()
    }

    /// Holds this socket from now on.
    pub(super) fn replace(&self, socket: Socket) {
        *self.0.socket.lock().unwrap_or_else(PoisonError::into_inner) = Some(socket);
    }

    pub(super) fn release(&self) {
        self.0.socket.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// The number by which the kernel lists a socket.
///
/// # Errors
/// There are no more files.
pub fn inode(socket: &Socket) -> io::Result<u64> {
    Ok(File::from(OwnedFd::from(socket.try_clone()?)).metadata()?.ino())
}
