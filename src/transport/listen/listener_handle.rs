//! A second hold on a listening socket, for those who set its filter and read its counters from
//! other threads.

use socket2::Socket;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, PoisonError};

/// A handle of a listening socket. It does not keep the socket open: the acceptor releases
/// the hold before closing, and from then on there is nothing to hold.
#[derive(Clone, Debug)]
pub struct ListenerHandle(Arc<Mutex<Option<Socket>>>);

impl ListenerHandle {
    pub(super) fn new(socket: Socket) -> Self {
        Self(Arc::new(Mutex::new(Some(socket))))
    }

    /// Does something with the socket. `None` if it is closed.
    pub fn with<R>(&self, act: impl FnOnce(&Socket) -> R) -> Option<R> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(act)
    }

    /// The number by which the kernel lists the socket, if it is open.
    pub fn inode(&self) -> Option<u64> {
        let inode = |socket: &Socket| -> io::Result<u64> {
            Ok(File::from(OwnedFd::from(socket.try_clone()?)).metadata()?.ino())
        };
        self.with(|socket| inode(socket).ok()).flatten()
    }

    pub(super) fn release(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
