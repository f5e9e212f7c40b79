//! Addresses as newtypes by role, so that one cannot be used for another.
//!
//! Every address is created by a constructor here, which turns an IPv4-mapped address of a dual-stack
//! socket (`::ffff:192.0.2.1`, RFC 4291 section 2.5.5.2) into plain IPv4. Nothing downstream has to
//! handle the mapped form.

mod denied;
mod ranges;
mod special;

pub use denied::{Country, DeniedVisitors};
pub use ranges::AddrRanges;
pub use special::{Block, reserved, special, special_net};

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The peer address of a connection: from the kernel, or from the PROXY header of a trusted load balancer;
/// never from an HTTP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerAddr(SocketAddr);

impl PeerAddr {
    /// Wraps the address that `accept` returned, unmapping IPv4-mapped IPv6.
    pub fn new(addr: SocketAddr) -> Self {
        Self(SocketAddr::new(addr.ip().to_canonical(), addr.port()))
    }

    /// The peer's IP address, never IPv4-mapped.
    pub fn ip(self) -> IpAddr {
        self.0.ip()
    }

    /// The peer's port.
    pub fn port(self) -> u16 {
        self.0.port()
    }
}

impl fmt::Display for PeerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Address and port of one endpoint of a Service: a pod, as an EndpointSlice names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointAddr(SocketAddr);

impl EndpointAddr {
    /// Wraps an address of an EndpointSlice and its resolved port.
    pub fn new(ip: IpAddr, port: u16) -> Self {
        Self(SocketAddr::new(ip.to_canonical(), port))
    }

    /// The address to connect to.
    pub fn socket_addr(self) -> SocketAddr {
        self.0
    }

    /// The endpoint's IP address.
    pub fn ip(self) -> IpAddr {
        self.0.ip()
    }
}

impl fmt::Display for EndpointAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_ipv4_becomes_plain_ipv4() {
        let mapped: SocketAddr = "[::ffff:192.0.2.7]:443".parse().expect("literal");
        assert_eq!(PeerAddr::new(mapped).to_string(), "192.0.2.7:443");
        let ip: IpAddr = "::ffff:10.0.0.1".parse().expect("literal");
        assert_eq!(EndpointAddr::new(ip, 80).to_string(), "10.0.0.1:80");
    }
}
