//! The calls into libc that nothing safe offers: socket2 and rustix lack `SO_MEMINFO`,
//! `SO_ATTACH_REUSEPORT_CBPF`, `SO_BINDTOIFINDEX` and `IP_MINTTL`.

#![expect(unsafe_code, reason = "options of sockets that no crate in use wraps")]

use super::bpf::Instruction;
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

/// Puts a classic BPF program in charge of the group of listening sockets that `socket` belongs to
/// (`SO_ATTACH_REUSEPORT_CBPF`, socket(7)).
///
/// # Errors
///
/// What `setsockopt` says: `EINVAL` if the socket does not share its port, or the program is none.
pub(super) fn select_by(socket: BorrowedFd<'_>, program: &[Instruction]) -> io::Result<()> {
    let mut instructions: Vec<_> = program
        .iter()
        .map(|&Instruction { code, jt, jf, k }| libc::sock_filter { code, jt, jf, k })
        .collect();
    let len = instructions.len().try_into().map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len, filter: instructions.as_mut_ptr() };
    let length = libc::socklen_t::try_from(size_of_val(&program)).expect("16 bytes");
    // SAFETY: the descriptor is open for as long as it is borrowed. `program` has `length` bytes and
    // names `len` instructions that live to the end of this function; the kernel copies both during
    // the call and writes to neither.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_CBPF,
            (&raw const program).cast(),
            length,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Binds a socket to the network interface of this number (`SO_BINDTOIFINDEX`), which need not exist.
///
/// # Errors
///
/// What `setsockopt` says: `ENOPROTOOPT` before Linux 5.1; without CAP_NET_RAW `EPERM` before 5.7, and
/// for a second time.
pub(super) fn bind_to_interface(socket: BorrowedFd<'_>, number: libc::c_int) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of_val(&number)).expect("4 bytes");
    // SAFETY: the descriptor is open for as long as it is borrowed. `number` has `length` bytes, which
    // the kernel reads during the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_BINDTOIFINDEX,
            (&raw const number).cast(),
            length,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Has a socket take only packets with so many hops left (`IP_MINTTL` of ip(7), `IPV6_MINHOPCOUNT` of linux/in6.h); of
/// IPv6 a socket for both families, too.
///
/// # Errors
///
/// What `setsockopt` says: `ENOPROTOOPT` before Linux 2.6.34, and in sandboxes.
pub(super) fn set_least_hops(socket: BorrowedFd<'_>, hops: u8, is_v6: bool) -> io::Result<()> {
    let options =
        [(libc::IPPROTO_IP, libc::IP_MINTTL), (libc::IPPROTO_IPV6, libc::IPV6_MINHOPCOUNT)];
    let number = libc::c_int::from(hops);
    let length = libc::socklen_t::try_from(size_of_val(&number)).expect("4 bytes");
    for (level, option) in options.into_iter().take(1 + usize::from(is_v6)) {
        // SAFETY: the descriptor is open for as long as it is borrowed. `number` has `length` bytes, which the kernel
        // reads during the call.
        let result = unsafe {
            libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const number).cast(), length)
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
