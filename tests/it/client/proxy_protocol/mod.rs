//! The PROXY header through the whole proxy: who is served, as whom, and who is not.

mod connections;
mod headers;
mod refusals;

use crate::support::{Builder, Upstream, edge_to};

/// A proxy that takes headers from loopback, for sources of 192.0.2.0/24 and 2001:db8::/32.
fn behind_balancer(upstream: &Upstream) -> Builder {
    balanced(edge_to(&[upstream.addr()]))
}

/// Makes it such a proxy.
fn balanced(builder: Builder) -> Builder {
    builder
        .listener("proxy_protocol_from", "[\"127.0.0.0/8\"]")
        .admit_only("office", "192.0.2.0/24, 2001:db8::/32")
}

const REQUEST: &str = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";

/// A header of version 1.
fn line(source: &str, port: u16) -> Vec<u8> {
    let (family, destination) = match source.contains(':') {
        true => ("TCP6", "2001:db8::80"),
        false => ("TCP4", "198.51.100.80"),
    };
    format!("PROXY {family} {source} {destination} 40000 {port}\r\n").into()
}

/// A header of version 2 with this command and family, and this block behind it.
fn binary(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).expect("short").to_be_bytes();
    let start = [command, family, length[0], length[1]];
    [b"\r\n\r\n\0\r\nQUIT\n", &start[..], block].concat()
}

/// LOCAL, as health checks have it.
fn local() -> Vec<u8> {
    binary(0x20, 0, &[])
}

/// A header of version 2 from this source to this port.
fn proxied(source: &str, port: u16) -> Vec<u8> {
    let ports = [&40_000_u16.to_be_bytes()[..], &port.to_be_bytes()].concat();
    match source.parse().expect("an address") {
        std::net::IpAddr::V4(ip) => {
            let block = [&ip.octets()[..], &[198, 51, 100, 80], &ports].concat();
            binary(0x21, 0x11, &block)
        }
        std::net::IpAddr::V6(ip) => {
            let block = [&ip.octets()[..], &[0x20; 16], &ports].concat();
            binary(0x21, 0x21, &block)
        }
    }
}
