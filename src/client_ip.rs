//! The one client address that logs, limits and forwarded headers use.
//!
//! It can be made in this file only, so that every maker can be found. For now the only proof of an
//! address is the TCP connection itself; addresses out of headers come in here together with the
//! proof that their sender may be believed.

use crate::addr::PeerAddr;
use std::fmt;
use std::net::IpAddr;

/// Whom a request is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientIp(IpAddr);

impl ClientIp {
    /// The peer of the TCP connection speaks for itself.
    pub fn of_peer(peer: PeerAddr) -> Self {
        Self(peer.ip())
    }

    /// The address.
    pub fn ip(self) -> IpAddr {
        self.0
    }
}

impl fmt::Display for ClientIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
