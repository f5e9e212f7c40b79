//! Classic BPF as the kernel runs it, but strict: what our programs have no business to do panics.

use super::super::{IP_HEADER, Instruction, MAX_INSTRUCTIONS, Program};
use std::net::IpAddr;

/// The result for a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) kept: bool,
    /// What it returns.
    pub(super) answer: u32,
    /// Instructions executed.
    pub(super) executed: usize,
}

/// Runs a program over a packet that begins with its IP header.
pub(super) fn run(program: &Program, packet: &[u8]) -> Run {
    let instructions = program.instructions();
    let (mut at, mut executed) = (0, 0);
    // The kernel clears it before the first instruction; ours load it before they look.
    let mut accumulator = None;
    loop {
        let Instruction { code, jt, jf, k } = instructions[at];
        executed += 1;
        at += 1;
        let known = || accumulator.expect("loaded before it is used");
        let mut skip = |holds: bool| at += usize::from(if holds { jt } else { jf });
        match code {
            0x30 => accumulator = Some(u32::from(load::<1>(packet, k)[0])),
            0x20 => accumulator = Some(u32::from_be_bytes(load(packet, k))),
            0x74 => accumulator = Some(known() >> k),
            0x05 => at += usize::try_from(k).expect("within the program"),
            0x15 => skip(known() == k),
            0x35 => skip(known() >= k),
            0x06 => {
                return Run { kept: k != 0, answer: k, executed };
            }
            _ => panic!("unknown instruction {code:#x}"),
        }
    }
}

fn load<const N: usize>(packet: &[u8], k: u32) -> [u8; N] {
    let offset = k.checked_sub(IP_HEADER).expect("relative to the IP header");
    let offset = usize::try_from(offset).expect("within the packet");
    packet[offset..offset + N].try_into().expect("so many bytes")
}

/// What `bpf_check_classic` of net/core/filter.c asks of a program, and that no instruction of it
/// is in vain. Panics otherwise.
pub(super) fn verify(program: &Program) {
    let instructions = program.instructions();
    let length = instructions.len();
    assert!((1..=MAX_INSTRUCTIONS).contains(&length), "{length} instructions");
    let mut reached = vec![false; length];
    reached[0] = true;
    for (at, &Instruction { code, jt, jf, k }) in instructions.iter().enumerate() {
        assert!(reached[at], "instruction {at} is never executed");
        let follow = match code {
            0x20 | 0x30 => vec![0],
            0x74 => {
                assert!(k < 32, "shift by {k}");
                vec![0]
            }
            0x05 => vec![usize::try_from(k).expect("small")],
            0x15 | 0x35 => vec![usize::from(jt), usize::from(jf)],
            0x06 => vec![],
            _ => panic!("instruction {at}: unknown code {code:#x}"),
        };
        for skipped in follow {
            let target = at + 1 + skipped;
            assert!(target < length, "instruction {at} leaves the program");
            reached[target] = true;
        }
    }
    assert_eq!(instructions[length - 1].code, 0x06, "the last instruction returns");
}

/// Most instructions that a packet can execute.
pub(super) fn longest_path(program: &Program) -> usize {
    let instructions = program.instructions();
    let mut longest = vec![0; instructions.len()];
    for (at, &Instruction { code, jt, jf, k }) in instructions.iter().enumerate().rev() {
        longest[at] = 1 + match code {
            0x06 => 0,
            0x05 => longest[at + 1 + usize::try_from(k).expect("small")],
            0x15 | 0x35 => longest[at + 1 + usize::from(jt)].max(longest[at + 1 + usize::from(jf)]),
            _ => longest[at + 1],
        };
    }
    longest[0]
}

/// The head of a packet from an address, as it is on the wire: a mapped address stays IPv6.
pub(super) fn packet_from(source: IpAddr) -> Vec<u8> {
    match source {
        IpAddr::V4(source) => {
            // Version 4, five words of header; the destination looks like a source that is not.
            let mut packet = vec![0x45; 20];
            packet[12..16].copy_from_slice(&source.octets());
            packet
        }
        IpAddr::V6(source) => {
            let mut packet = vec![0x6f; 40];
            packet[8..24].copy_from_slice(&source.octets());
            packet
        }
    }
}
