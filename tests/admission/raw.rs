//! TCP segments without a connection: written byte by byte, sent and received on raw sockets.

use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::{self, ErrorKind, Read};
use std::net::{IpAddr, SocketAddr};

/// Flags of RFC 9293 section 3.1.
pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const RST: u8 = 0x04;
pub(crate) const PSH: u8 = 0x08;
pub(crate) const ACK: u8 = 0x10;
pub(crate) const URG: u8 = 0x20;

/// What Linux begins with (net.ipv4.ip_default_ttl).
pub(crate) const HOPS: u8 = 64;

/// Bytes of a TCP header without options, and of an IPv4 one.
const HEADER: usize = 20;

/// A segment without data.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Segment {
    /// Any IPv4 address; of IPv6 ones the only one that the namespace has.
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) flags: u8,
    /// Routers that may pass it on; of IPv6 segments always [`HOPS`].
    pub(crate) hops: u8,
}

/// A segment that arrived.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Heard {
    pub(crate) from_port: u16,
    pub(crate) to_port: u16,
    pub(crate) flags: u8,
}

impl Segment {
    fn tcp(&self) -> [u8; HEADER] {
        let mut tcp = [0; HEADER];
        tcp[0..2].copy_from_slice(&self.from.port().to_be_bytes());
        tcp[2..4].copy_from_slice(&self.to.port().to_be_bytes());
        tcp[4..8].copy_from_slice(&1000u32.to_be_bytes());
        if self.flags & ACK != 0 {
            tcp[8..12].copy_from_slice(&2000u32.to_be_bytes());
        }
        tcp[12] = 5 << 4; // Words of the header.
        tcp[13] = self.flags;
        tcp[14..16].copy_from_slice(&1024u16.to_be_bytes());
        let sum =
            checksum(&[&octets(self.from.ip()), &octets(self.to.ip()), &[0, 6], &[0, 20], &tcp]);
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());
        tcp
    }

    /// The IPv4 header, RFC 791 section 3.1. The kernel fills in length and checksum (raw(7)).
    fn ipv4(&self) -> [u8; HEADER] {
        let mut ip = [0; HEADER];
        ip[0] = 0x45;
        ip[8] = self.hops;
        ip[9] = 6; // TCP.
        ip[12..16].copy_from_slice(&octets(self.from.ip()));
        ip[16..20].copy_from_slice(&octets(self.to.ip()));
        ip
    }
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// RFC 1071, over parts of an even length: the pseudo-header and the segment.
fn checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks_exact(2));
    let mut sum: u32 = words.map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded")
}

/// The raw sockets of a namespace: they send, and get a copy of every TCP segment that arrives.
pub(crate) struct Raw {
    v4: Socket,
    v6: Socket,
}

impl Raw {
    pub(crate) fn open() -> io::Result<Self> {
        let v4 = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::TCP))?;
        v4.set_header_included_v4(true)?;
        let v6 = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::TCP))?;
        for socket in [&v4, &v6] {
            socket.set_nonblocking(true)?;
        }
        Ok(Self { v4, v6 })
    }

    pub(crate) fn send(&self, segment: &Segment) -> io::Result<()> {
        // Raw sockets have no ports.
        let to = SockAddr::from(SocketAddr::new(segment.to.ip(), 0));
        if segment.to.is_ipv4() {
            let packet = [segment.ipv4(), segment.tcp()].concat();
            self.v4.send_to(&packet, &to)?;
        } else {
            self.v6.send_to(&segment.tcp(), &to)?;
        }
        Ok(())
    }

    /// What has arrived since the last time.
    pub(crate) fn heard(&self) -> io::Result<Vec<Heard>> {
        let mut all = Vec::new();
        // IPv4 packets come with their header, IPv6 ones without (raw(7), RFC 3542 section 3).
        for (mut socket, begin) in [(&self.v4, HEADER), (&self.v6, 0)] {
            let mut packet = [0; 2048];
            loop {
                match socket.read(&mut packet) {
                    Ok(length) if length >= begin + HEADER => {
                        let tcp = &packet[begin..];
                        let port = |at: usize| u16::from_be_bytes([tcp[at], tcp[at + 1]]);
                        all.push(Heard { from_port: port(0), to_port: port(2), flags: tcp[13] });
                    }
                    Ok(length) => return Err(io::Error::other(format!("{length} bytes"))),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(all)
    }
}
