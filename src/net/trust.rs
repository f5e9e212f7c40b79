//! Trust: the proof that a peer may name the client of its requests.
//!
//! A header such as `CF-Connecting-IP` is free text from the peer of the connection. It is read
//! only with a [`TrustedPeer`] at hand, and one of those can be made in this file alone: by a peer
//! whose address is in a set of ours.

use crate::net::addr::{AddrRanges, PeerAddr};
use std::net::IpAddr;

/// The sets of addresses that change while the process runs. Empty where nothing is known yet, so
/// that they admit and trust no address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveSets {
    /// Where Cloudflare connects from.
    pub cloudflare: AddrRanges,
    /// Where else it connects from: ranges of the operator, beside the list.
    pub extra: AddrRanges,
    /// Addresses of the nodes of the cluster.
    pub nodes: AddrRanges,
    /// Networks of the pods of the cluster.
    pub pods: AddrRanges,
    /// Whether break-glass is on, so that every address is admitted where Cloudflare's are.
    pub break_glass: bool,
}

impl LiveSets {
    /// All ranges of Cloudflare: the list, and what the operator has beside it.
    pub fn all_cloudflare(&self) -> AddrRanges {
        self.cloudflare.union(&self.extra)
    }
}

/// The trusted sources of one listener: peers that may name the client of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedSources {
    cloudflare: AddrRanges,
    proxies: AddrRanges,
}

/// How a trusted peer names the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// Cloudflare: one address in `CF-Connecting-IP`.
    Cloudflare,
    /// A proxy of the operator: a list in `X-Forwarded-For`, to which each proxy appends its peer.
    Proxy,
}

/// The proof that a peer may name its client. Valid as long as the connection, even if the sets change: the
/// peer stays the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustedPeer(Speaker);

impl TrustedPeer {
    /// How it speaks.
    pub fn speaker(self) -> Speaker {
        self.0
    }
}

impl TrustedSources {
    /// Trusts Cloudflare's addresses, and those of these proxies. An address in both sets counts as
    /// Cloudflare does.
    pub fn new(cloudflare: AddrRanges, proxies: AddrRanges) -> Self {
        Self { cloudflare, proxies }
    }

    /// The proof for a peer, if it is trusted.
    pub fn check(&self, peer: PeerAddr) -> Option<TrustedPeer> {
        let speaker = if self.cloudflare.contains(peer.ip()) {
            Speaker::Cloudflare
        } else if self.proxies.contains(peer.ip()) {
            Speaker::Proxy
        } else {
            return None;
        };
        Some(TrustedPeer(speaker))
    }

    /// Whether this is one of the proxies, so that the client is behind it.
    pub fn is_proxy(&self, ip: IpAddr) -> bool {
        self.proxies.contains(ip) && !self.cloudflare.contains(ip)
    }

    /// Whether this is one of Cloudflare's addresses. Not a proof by itself: the source that told the
    /// address has to be proven.
    pub fn is_cloudflare(&self, ip: IpAddr) -> bool {
        self.cloudflare.contains(ip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipnet::IpNet;

    #[test]
    fn only_members_of_a_set_are_believed() {
        let set = |text: &str| AddrRanges::new(&[text.parse::<IpNet>().expect("literal")]);
        let believed = TrustedSources::new(set("104.16.0.0/13"), set("10.0.0.0/8"));
        for (peer, speaker) in [
            ("104.16.0.1:1", Some(Speaker::Cloudflare)),
            ("[::ffff:104.16.0.1]:1", Some(Speaker::Cloudflare)),
            ("10.1.2.3:1", Some(Speaker::Proxy)),
            ("192.0.2.1:1", None),
        ] {
            let peer = PeerAddr::new(peer.parse().expect("literal"));
            assert_eq!(believed.check(peer).map(TrustedPeer::speaker), speaker, "{peer}");
        }
        assert!(TrustedSources::default().check(PeerAddr::new(([0; 4], 1).into())).is_none());
    }
}
