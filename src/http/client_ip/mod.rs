//! The client address for logs, limits and forwarded headers, and the client's scheme.
//!
//! Only this module can create a client address, so all sources of one are in one place. The peer of a
//! connection always has its own address; a header is read only with a [`TrustedPeer`]. If the header is
//! absent, repeated, invalid or not a public address, the peer's address is used, and counted.
//!
//! | from Cloudflare | client |
//! |---|---|
//! | one address in `CF-Connecting-IP` | that address |
//! | none ("Remove visitor IP headers") | the peer |
//! | two headers, a list, not an address | the peer |
//! | of 240.0.0.0/4 (Pseudo IPv4) with `CF-Connecting-IPv6` | the IPv6 address |
//! | loopback, private, link-local, multicast | the peer: no client has such an address, but a Worker can send it |
//! | `2a06:98c0:3600::103` (a Worker of another zone) | that address, as any other; it proves nothing |
//!
//! Source: Cloudflare documentation, "Cloudflare HTTP headers" and "Pseudo IPv4".

mod cloudflare;
mod forwarded_for;
mod policy;
mod scheme;

pub use policy::{NoSecret, VisitorPolicy};
pub use scheme::Scheme;

use crate::net::addr::PeerAddr;
use crate::net::fields::Fields;
use crate::net::trust::{Speaker, TrustedPeer, TrustedSources};
use crate::telemetry::Unnamed;
use http::{HeaderName, HeaderValue};
use std::fmt;
use std::net::IpAddr;

/// The verified client address of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientIp(IpAddr);

impl ClientIp {
    /// The peer of the connection speaks for itself.
    pub fn of_peer(peer: PeerAddr) -> Self {
        Self(peer.ip())
    }

    /// The address, never IPv4-mapped.
    pub fn ip(self) -> IpAddr {
        self.0
    }
}

impl fmt::Display for ClientIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The verified origin of a request: client and proofs.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The client address.
    pub client: ClientIp,
    /// The address as text. Where a field had it in that form, it shares that field's memory.
    pub text: HeaderValue,
    /// The client's scheme, if a trusted peer reports it.
    pub scheme: Option<Scheme>,
    /// Whether it came through Cloudflare, so that its `CF-*` fields are Cloudflare's.
    pub via_cloudflare: bool,
    /// Why the client is only the last hop that is proven, if so.
    pub unnamed: Option<Unnamed>,
}

/// Reads the identity of a request that came from a trusted peer.
pub fn identify(
    peer: PeerAddr,
    trusted: TrustedPeer,
    believed: &TrustedSources,
    headers: &impl Fields,
) -> Identity {
    let (hop, via_cloudflare) = match trusted.speaker() {
        Speaker::Cloudflare => (Ok(peer.ip()), true),
        Speaker::Proxy => {
            let hop = forwarded_for::client(headers, peer.ip(), believed);
            // A proxy of ours names Cloudflare as its peer: what Cloudflare says is then further in.
            let address = hop.unwrap_or_else(|(address, _)| address);
            (hop, hop.is_ok() && believed.is_cloudflare(address))
        }
    };
    let scheme = scheme::of_visitor(headers, via_cloudflare);
    if !via_cloudflare {
        let (ip, unnamed) = split(hop);
        return Identity { client: ClientIp(ip), text: text(ip), scheme, via_cloudflare, unnamed };
    }
    let last_proven = hop.unwrap_or_else(|(address, _)| address);
    match cloudflare::visitor(headers) {
        Ok((ip, text)) => {
            Identity { client: ClientIp(ip), text, scheme, via_cloudflare, unnamed: None }
        }
        Err(unnamed) => Identity {
            client: ClientIp(last_proven),
            text: text(last_proven),
            scheme,
            via_cloudflare,
            unnamed: Some(unnamed),
        },
    }
}

fn split(hop: Result<IpAddr, (IpAddr, Unnamed)>) -> (IpAddr, Option<Unnamed>) {
    match hop {
        Ok(ip) => (ip, None),
        Err((ip, unnamed)) => (ip, Some(unnamed)),
    }
}

/// An address as a field value.
pub fn text(ip: IpAddr) -> HeaderValue {
    HeaderValue::try_from(ip.to_string()).expect("an address is a valid field value")
}

/// The value of a field that may be there once.
fn single<'h>(
    headers: &'h impl Fields,
    name: &HeaderName,
) -> Result<Option<&'h HeaderValue>, Unnamed> {
    let mut values = headers.get_all(name);
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(Unnamed::Repeated),
    }
}

/// An address as text, nothing around it, in its canonical form.
fn address(text: &[u8]) -> Option<IpAddr> {
    Some(std::str::from_utf8(text).ok()?.parse::<IpAddr>().ok()?.to_canonical())
}
