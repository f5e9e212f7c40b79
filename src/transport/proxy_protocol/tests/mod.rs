//! The stage against an encoder of its own: what is said arrives, and nothing else is taken for it.

mod properties;
mod read;
mod v1;
mod v2;

use super::{Header, Malformed, Parsed, parse};
use std::net::{IpAddr, SocketAddr};

#[test]
fn labels_are_distinct() {
    let mut labels = Malformed::ALL.map(Malformed::label);
    labels.sort_unstable();
    assert!(labels.windows(2).all(|pair| pair[0] != pair[1]), "{labels:?}");
}

fn mk_proxied(source: &str, destination: &str) -> Header {
    let address = |text: &str| text.parse().expect("literal");
    Header::Proxied { source: address(source), destination: address(destination) }
}

fn complete(header: Header, length: usize) -> Result<Parsed, Malformed> {
    Ok(Parsed::Complete { header, length })
}

/// A line as HAProxy and nginx write it.
fn line(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (source.port(), destination.port());
    format!("PROXY {family} {} {} {from} {to}\r\n", source.ip(), destination.ip()).into_bytes()
}

/// A header of version 2 around a block.
fn frame(version_and_command: u8, family_and_transport: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).expect("a block that can be framed");
    let mut bytes = b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a".to_vec();
    bytes.extend([version_and_command, family_and_transport]);
    bytes.extend(length.to_be_bytes());
    bytes.extend(block);
    bytes
}

fn binary(source: SocketAddr, destination: SocketAddr, tlvs: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut block = Vec::new();
    for address in [source, destination] {
        match address.ip() {
            IpAddr::V4(ip) => block.extend(ip.octets()),
            IpAddr::V6(ip) => block.extend(ip.octets()),
        }
    }
    block.extend(source.port().to_be_bytes());
    block.extend(destination.port().to_be_bytes());
    for (kind, value) in tlvs {
        block.push(*kind);
        block.extend(u16::try_from(value.len()).expect("a short value").to_be_bytes());
        block.extend(value);
    }
    frame(0x21, if source.is_ipv4() { 0x11 } else { 0x21 }, &block)
}
