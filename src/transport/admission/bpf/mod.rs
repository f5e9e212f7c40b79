//! The kernel's half of admission: a set of addresses as a program of classic BPF.
//!
//! The program runs as the filter of a listening TCP socket, over every packet that reaches it, and
//! returns how many bytes to keep: all, or 0 to drop the packet unanswered (`linux/filter.h`,
//! Documentation/networking/filter.rst). The packet begins at the TCP header there, so the IP header
//! is read from `SKF_NET_OFF`; IPv4 has a real IPv4 header on a dual-stack socket as well.
//!
//! The same tree can choose among the listening sockets of a group instead ([`compile_steering`]): it returns a
//! place in the group then. Packets begin behind the TCP header there, and `SKF_NET_OFF` reads the IP header as well.
//!
//! Cost: a balanced tree over the ends of the ranges, word by word. Of `n` IPv4 ranges a packet
//! executes about `log2(2n) + 7` instructions out of about `2n`. Cloudflare's 22 networks take 46
//! instructions, of which an IPv4 packet executes 9 to 10 and an IPv6 packet 8 to 10. About 2000
//! IPv4 networks that do not touch fit into a program, or 900 of IPv6 with lengths up to /64.

mod assembler;
mod steps;

#[cfg(test)]
mod tests;

use crate::net::addr::AddrRanges;
use assembler::{Assembler, JUMP_EQUAL, JumpTarget, LOAD_BYTE, SHIFT_RIGHT};
use std::net::Ipv6Addr;

/// Most instructions of a program: `BPF_MAXINSNS`, `linux/bpf_common.h`.
const MAX_INSTRUCTIONS: usize = 4096;

/// `SKF_NET_OFF` of `linux/filter.h`, -0x100000: offsets from here count from the IP header.
const IP_HEADER: u32 = 0xfff0_0000;
/// Source address in the header: RFC 791 section 3.1, RFC 8200 section 3.
const V4_SOURCE: u32 = IP_HEADER + 12;
const V6_SOURCE: u32 = IP_HEADER + 8;

/// One instruction: `struct sock_filter` of `linux/filter.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// What to do.
    pub code: u16,
    /// Instructions to skip if a condition holds.
    pub jt: u8,
    /// Instructions to skip if it does not.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// A program that the kernel accepts: 1 to 4096 instructions, forward jumps only, `ret` at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program(Box<[Instruction]>);

impl Program {
    /// The instructions, in order.
    pub fn instructions(&self) -> &[Instruction] {
        &self.0
    }

    /// The program that returns `place` for every packet.
    pub fn always(place: u32) -> Self {
        Self(Box::new([Instruction { code: assembler::RETURN, jt: 0, jf: 0, k: place }]))
    }
}

/// What a program returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Answers {
    /// For sources of the set.
    allowed: u32,
    /// For all others.
    others: u32,
}

/// Of a filter: all bytes of the packet, or none.
const FILTER: Answers = Answers { allowed: u32::MAX, others: 0 };

/// A set of more addresses than a program can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{ranges} address ranges do not fit into the kernel filter ({instructions} instructions of \
        {limit}; the first {fits} would fit), so connections are checked in user space"
)]
pub struct TooLarge {
    /// Ranges of the set, both families: networks that touch are one.
    pub ranges: usize,
    /// Instructions that its program would have.
    pub instructions: usize,
    /// Instructions that a program may have.
    pub limit: usize,
    /// How many of the ranges, counted from the lowest IPv4 address, fit into a program.
    pub fits: usize,
}

/// Compiles the filter that keeps packets from these addresses and drops all others.
///
/// IPv4-mapped IPv6 addresses (`::ffff:0:0/96`) are dropped whatever the set says: that form is for
/// the inside of a host, and a packet with it as its source never is legitimate (RFC 4942 section
/// 2.2; the kernel opens no connection for one either). So is what is neither IPv4 nor IPv6.
///
/// # Errors
///
/// Where the set takes more instructions than the kernel accepts.
pub fn compile(allowed: &AddrRanges) -> Result<Program, TooLarge> {
    compile_to(allowed, FILTER)
}

/// Compiles the program that steers new connections from these addresses to the socket at the place `admitted` of a
/// group, and all others to the one at `others` (`SO_ATTACH_REUSEPORT_CBPF`, socket(7)). IPv4-mapped addresses are
/// among the others, as in [`compile`]; the program is as long.
///
/// # Errors
///
/// As [`compile`].
pub fn compile_steering(
    allowed: &AddrRanges,
    admitted: u32,
    others: u32,
) -> Result<Program, TooLarge> {
    compile_to(allowed, Answers { allowed: admitted, others })
}

fn compile_to(allowed: &AddrRanges, answers: Answers) -> Result<Program, TooLarge> {
    let v4: Vec<_> =
        allowed.v4().iter().map(|&(first, last)| (first.into(), last.into())).collect();
    let v6 = allowed.v6();
    let program = assemble(&v4, v6, answers);
    if program.len() <= MAX_INSTRUCTIONS {
        return Ok(Program(program.into()));
    }
    let ranges = v4.len() + v6.len();
    let first = |count: usize| {
        let of_v4 = count.min(v4.len());
        assemble(&v4[..of_v4], &v6[..count - of_v4], answers)
    };
    let (mut fits, mut too_many) = (0, ranges);
    while too_many - fits > 1 {
        let middle = fits.midpoint(too_many);
        if first(middle).len() <= MAX_INSTRUCTIONS {
            fits = middle;
        } else {
            too_many = middle;
        }
    }
    Err(TooLarge { ranges, instructions: program.len(), limit: MAX_INSTRUCTIONS, fits })
}

/// The program, however long.
fn assemble(v4: &[(u128, u128)], v6: &[(u128, u128)], answers: Answers) -> Vec<Instruction> {
    let mut assembler = Assembler::new(answers);
    let v6 = assembler.decide(V6_SOURCE, &steps::steps(&without_mapped(v6), u128::BITS));
    let v4 = assembler.decide(V4_SOURCE, &steps::steps(v4, u32::BITS));
    let is_v6 = assembler.branch(JUMP_EQUAL, 6, v6, JumpTarget::Drop);
    let mut root = assembler.branch(JUMP_EQUAL, 4, v4, is_v6);
    if root != JumpTarget::Drop {
        // The version is the first half of the first byte.
        root = assembler.load(SHIFT_RIGHT, 4, root);
        root = assembler.load(LOAD_BYTE, IP_HEADER, root);
    }
    assembler.finish(root)
}

/// Cuts out `::ffff:0:0/96`.
fn without_mapped(ranges: &[(u128, u128)]) -> Vec<(u128, u128)> {
    let first_mapped = u128::from(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0));
    let last_mapped = first_mapped | u128::from(u32::MAX);
    let around = |&(first, last): &(u128, u128)| {
        let below = (first, last.min(first_mapped - 1));
        let above = (first.max(last_mapped + 1), last);
        [below, above]
    };
    ranges.iter().flat_map(around).filter(|(first, last)| first <= last).collect()
}
