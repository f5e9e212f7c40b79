//! The one call into libc that nothing safe offers: neither socket2 nor rustix has `SIOCOUTQ`.

#![expect(unsafe_code, reason = "a request to a socket that no crate in use wraps")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Bytes in the send queue of a TCP socket that its peer has not acknowledged, sent or not
/// (`SIOCOUTQ`, tcp(7)). It is known for a connection that was reset as well.
///
/// # Errors
///
/// The error of `ioctl`: `EINVAL` for a listening socket.
pub fn unacknowledged(socket: BorrowedFd<'_>) -> io::Result<u64> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is open for as long as it is borrowed. The kernel writes one `int` to
    // where `bytes` is, which lives to the end of this function, and reads nothing.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(u64::try_from(bytes).unwrap_or(0))
}
