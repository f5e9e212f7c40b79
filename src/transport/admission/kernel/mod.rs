//! The filter of a listening socket: attached, replaced, detached, and what it has dropped.
//!
//! A dropped packet gets no answer, neither SYN-ACK nor RST, and nothing of it reaches `accept`. The
//! filter of a listener sees SYNs and the ACKs that end handshakes. A connection inherits the
//! program of that moment, keeps it whatever the listener gets, and runs it over all it receives
//! until [`detach`].
//!
//! To attach takes CAP_NET_ADMIN on kernels since June 2026, stable updates from 6.1 up included
//! ("tcp: restrict SO_ATTACH_FILTER to priv users", commit 5d39580f68e6): a filter can be made to
//! leak sequence numbers. Before that it takes nothing, and to detach or to count never does.

#[cfg(test)]
mod tests;

use super::bpf::Program;
use super::sys;
use socket2::{SockFilter, Socket};
use std::io;
use std::os::fd::AsFd;

/// Puts a program into force, in place of the one before.
///
/// The kernel swaps one pointer (`__sk_attach_prog` of net/core/filter.c): every packet meets the
/// old program or the new one, never none. The exception is a socket whose memory for options
/// (`net.core.optmem_max`: 128 KiB, before Linux 6.8 20 KiB) does not hold both. The old program
/// goes first there, and for that moment every connection reaches the check in user space.
/// Cloudflare's list takes 1 KiB of it, other sets about 40 bytes for each IPv4 network and 100 for
/// each of IPv6: 20 KiB hold 250 IPv4 networks twice, and 500 once.
///
/// Takes 15 to 60 us for Cloudflare's list and 1 to 7 ms for the longest programs (Linux 6.18 on
/// x86-64, with its JIT compiler). Packets are not held up meanwhile.
///
/// # Errors
///
/// What the kernel says. No program is in force then, not even the old one: it would keep out
/// sources that have been added since, while user space can refuse those that were removed. `ENOMEM`: the
/// program alone is too much for that memory. `EPERM` ([`io::ErrorKind::PermissionDenied`]): the
/// process lacks CAP_NET_ADMIN. `ENOPROTOOPT` and others: a sandbox without filters.
pub fn attach(socket: &Socket, program: &Program) -> io::Result<()> {
    let instructions = program.instructions().iter();
    let filter: Vec<_> = instructions.map(|i| SockFilter::new(i.code, i.jt, i.jf, i.k)).collect();
    let Err(error) = socket.attach_filter(&filter) else {
        return Ok(());
    };
    // Best effort: where attaching is refused for good, there is nothing to detach.
    let detached = detach(socket);
    if error.raw_os_error() == Some(libc::ENOMEM) && detached.is_ok() {
        return socket.attach_filter(&filter);
    }
    Err(error)
}

/// Lets every packet through. A socket without a program is no error. One system call of 0.3 us.
///
/// # Errors
///
/// What the kernel says.
pub fn detach(socket: &Socket) -> io::Result<()> {
    match socket.detach_filter() {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        result => result,
    }
}

/// Packets for this socket that the kernel has dropped since it was made. Wraps around, so take
/// differences with `wrapping_sub`. One system call of 0.3 us.
///
/// On a listening socket it counts (net/ipv4/tcp_ipv4.c, tcp_input.c, tcp_minisocks.c of Linux 6.18):
///
/// - what its filter drops, packets and not clients: a client that waits for an answer repeats the SYN
///   after 1 s, 3 s, 7 s and so on, and other segments than SYNs count as well;
/// - what a filter of its cgroup or a security module drops, and packets short of memory;
/// - connections that the accept queue has no room for: once for a SYN, twice for the ACK that ends
///   a handshake (`ListenDrops` in /proc/net/netstat counts these as well, and none of the above);
/// - packets of handshakes that lead nowhere, such as a SYN that is repeated because the SYN-ACK was
///   lost, or a bare ACK under `TCP_DEFER_ACCEPT`.
///
/// So it is an upper bound of what the filter has dropped: nearly exact while nothing overflows.
/// Packets of accepted connections count on the connection's own socket, which begins at 0.
///
/// # Errors
///
/// What the kernel says: `ENOPROTOOPT` before Linux 4.12.
pub fn drops(socket: &Socket) -> io::Result<u32> {
    const DROPS: usize = libc::SK_MEMINFO_DROPS as usize;
    Ok(sys::meminfo(socket.as_fd())?[DROPS])
}
