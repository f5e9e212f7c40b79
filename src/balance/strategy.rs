//! The inputs of a request to load balancing, computed once.
//!
//! The numbers are the same in every process and on every node, so that a visitor who comes by another
//! node meets the same pod. They are no secrets: who knows the addresses of pods can work them out, and
//! who can choose the key of a hash can choose the pod.

use crate::net::addr::EndpointAddr;
use crate::net::random::mix;
use http::HeaderValue;
use std::fmt;
use std::net::IpAddr;

/// How the endpoint of one request is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// By load.
    #[default]
    LeastLoad,
    /// The next one.
    RoundRobin,
    /// The one that the key is nearest to.
    Key(Key),
    /// The one with this token, or else by load.
    AffinityToken(AffinityToken),
}

/// The hash of a consistent hashing key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(pub(super) u64);

impl Key {
    /// The key of a client: its IPv4 address, or the /64 of its IPv6 address, which is what one visitor
    /// has (RFC 6177 section 2).
    pub fn of_client(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self(hash(&ip.octets())),
            IpAddr::V6(ip) => Self(hash(&ip.octets()[..8])),
        }
    }

    /// The key of a field's value.
    pub fn of_value(value: &HeaderValue) -> Self {
        Self(hash(value.as_bytes()))
    }
}

/// The affinity cookie's value: a hash of an endpoint address, as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AffinityToken(pub(super) u64);

impl AffinityToken {
    const DIGITS: usize = 16;

    /// The token of an endpoint.
    pub fn of(addr: EndpointAddr) -> Self {
        let socket = addr.socket_addr();
        let mut bytes = [0; 18];
        let ip = match socket.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        bytes[..16].copy_from_slice(&ip.octets());
        bytes[16..].copy_from_slice(&socket.port().to_be_bytes());
        Self(hash(&bytes))
    }

    /// Parses the value of a cookie; `None` for any text that is not one of our tokens.
    pub fn parse(value: &[u8]) -> Option<Self> {
        if value.len() != Self::DIGITS {
            return None;
        }
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let all = value.iter().try_fold(0, |sum, &byte| Some(sum << 4 | u64::from(digit(byte)?)));
        all.map(Self)
    }
}

impl fmt::Display for AffinityToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0width$x}", self.0, width = Self::DIGITS)
    }
}

/// A hash without a secret: FNV-1a, whose bits are then mixed, as its upper ones are poor.
fn hash(bytes: &[u8]) -> u64 {
    let fnv = bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    mix(fnv)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> EndpointAddr {
        let socket: std::net::SocketAddr = text.parse().expect("an address");
        EndpointAddr::new(socket.ip(), socket.port())
    }

    #[test]
    fn a_token_is_read_as_it_is_written_and_nothing_else_is_taken() {
        let token = AffinityToken::of(addr("10.0.0.1:80"));
        let text = token.to_string();
        assert_eq!(text.len(), 16);
        assert_eq!(AffinityToken::parse(text.as_bytes()), Some(token));
        assert_eq!(AffinityToken(0x0a).to_string(), "000000000000000a");
        for junk in
            ["", "0", "000000000000000A", "000000000000000g", "00000000000000000", "+0000000"]
        {
            assert_eq!(AffinityToken::parse(junk.as_bytes()), None, "{junk}");
        }
    }

    /// Changing the hash moves every client of every cluster to another pod once.
    #[test]
    fn the_numbers_are_the_same_for_ever() {
        assert_eq!(AffinityToken::of(addr("10.0.0.1:80")).to_string(), "2eceb24cfb463151");
        assert_eq!(AffinityToken::of(addr("[fd00::1]:80")).to_string(), "5bfa9b27461d65f5");
        assert_ne!(AffinityToken::of(addr("10.0.0.1:80")), AffinityToken::of(addr("10.0.0.1:81")));
    }

    #[test]
    fn clients_are_told_apart_by_address_and_by_64_bits_of_it_with_ipv6() {
        let key = |ip: &str| Key::of_client(ip.parse().expect("an address"));
        assert_eq!(key("192.0.2.1"), key("::ffff:192.0.2.1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:1"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
    }
}
