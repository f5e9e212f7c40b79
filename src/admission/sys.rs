//! The one call into libc that nothing safe offers: socket2 and rustix lack `SO_MEMINFO`.

#![expect(unsafe_code, reason = "getsockopt of an option that no crate in use wraps")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Numbers in the answer to `SO_MEMINFO`: `SK_MEMINFO_VARS` of `linux/sock_diag.h`.
const MEMINFO_VARS: usize = 9;

/// What the kernel accounts to a socket, by the `SK_MEMINFO_*` indices of `linux/sock_diag.h`.
///
/// # Errors
///
/// What `getsockopt` says, `ENOPROTOOPT` before Linux 4.12, and `Unsupported` if the kernel knows
/// fewer numbers.
pub(super) fn meminfo(socket: BorrowedFd<'_>) -> io::Result<[u32; MEMINFO_VARS]> {
    let mut info = [0u32; MEMINFO_VARS];
    let expected = libc::socklen_t::try_from(size_of_val(&info)).expect("36 bytes");
    let mut length = expected;
    // SAFETY: the descriptor is open for as long as it is borrowed. `info` has room for `length`
    // bytes, the kernel writes no more than that, and any bytes make numbers. `length` is a
    // `socklen_t` of ours that the kernel overwrites with what it has written.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    if length != expected {
        return Err(io::ErrorKind::Unsupported.into());
    }
    Ok(info)
}
