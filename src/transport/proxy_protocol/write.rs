//! A header for a pod: the same two versions as a sender.

use super::v2::SIGNATURE;
use crate::model::ProxyVersion;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Version 2, command PROXY (section 2.2).
const PROXY: u8 = 0x21;

/// TCP over IPv4, and over IPv6.
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;

/// The header for a connection of `source` to `destination`. Where one of the two is of IPv6, both are written so.
pub fn header(version: ProxyVersion, source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let (from, to) = (source.ip().to_canonical(), destination.ip().to_canonical());
    let ports = [source.port(), destination.port()];
    match (version, from, to) {
        (ProxyVersion::V1, IpAddr::V4(from), IpAddr::V4(to)) => {
            format!("PROXY TCP4 {from} {to} {} {}\r\n", ports[0], ports[1]).into_bytes()
        }
        (ProxyVersion::V1, from, to) => {
            let (from, to) = (mapped(from), mapped(to));
            format!("PROXY TCP6 {from} {to} {} {}\r\n", ports[0], ports[1]).into_bytes()
        }
        (ProxyVersion::V2, IpAddr::V4(from), IpAddr::V4(to)) => {
            binary(TCP4, &[from.octets(), to.octets()].concat(), ports)
        }
        (ProxyVersion::V2, from, to) => {
            binary(TCP6, &[mapped(from).octets(), mapped(to).octets()].concat(), ports)
        }
    }
}

fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

fn binary(family: u8, addresses: &[u8], ports: [u16; 2]) -> Vec<u8> {
    let length = u16::try_from(addresses.len() + 2 * ports.len()).unwrap_or(u16::MAX);
    let mut header = SIGNATURE.to_vec();
    header.extend([PROXY, family]);
    header.extend(length.to_be_bytes());
    header.extend(addresses);
    ports.into_iter().for_each(|port| header.extend(port.to_be_bytes()));
    header
}

#[cfg(test)]
mod tests {
    use super::super::{Header, Parsed, parse};
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
        for (source, destination) in [
            ("192.0.2.1:1234", "198.51.100.2:443"),
            ("[2001:db8::1]:1", "[2001:db8::2]:65535"),
            ("[::ffff:192.0.2.1]:7", "198.51.100.2:443"),
            ("192.0.2.1:7", "[2001:db8::2]:443"),
        ] {
            for version in [ProxyVersion::V1, ProxyVersion::V2] {
                let (source, destination) = (address(source), address(destination));
                let written = header(version, source, destination);
                let canonical = |of: SocketAddr| SocketAddr::new(of.ip().to_canonical(), of.port());
                let Ok(Parsed::Complete {
                    header: Header::Proxied { source: from, destination: to },
                    length,
                }) = parse(&written)
                else {
                    panic!("{written:?}: {:?}", parse(&written));
                };
                assert_eq!(length, written.len());
                assert_eq!([from, to].map(canonical), [source, destination].map(canonical));
            }
        }
    }
}
