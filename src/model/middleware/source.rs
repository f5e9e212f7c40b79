//! Who may ask, by address.

use super::NamedStep;
use ipnet::IpNet;
use std::sync::Arc;

/// `ipAllowList`, `whitelist-source-range`, `denylist-source-range`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceRule {
    /// Whether the list names who may ask, or else who may not.
    pub list: SourceList,
    /// Whose address is compared.
    pub client: ClientSelector,
    /// `rejectStatusCode`; 403.
    pub status: http::StatusCode,
}

/// A step that some addresses need not pass: `satisfy: any` of ingress-nginx.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exemption {
    /// Who need not pass it.
    pub networks: Vec<IpNet>,
    /// Whose address is compared.
    pub client: ClientSelector,
    /// The step.
    pub step: Arc<NamedStep>,
}

/// A list of networks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceList {
    /// Only these.
    Allow(Vec<IpNet>),
    /// All but these.
    Deny(Vec<IpNet>),
}

/// Which address of a request is the client's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientSelector {
    /// The other end of the connection, or what a PROXY protocol header names: Traefik without `ipStrategy`.
    Peer,
    /// The verified visitor (design: one client address): what ingress-nginx compares, and what limits count.
    Visitor {
        /// Bits of an IPv6 address that count: neighbours in a network of that size are one client.
        ipv6_bits: u8,
    },
    /// `ipStrategy.depth`: the n-th address from the right of `X-Forwarded-For`, as received.
    Depth {
        /// `depth`; more than 0.
        depth: usize,
        /// `ipv6Subnet`.
        ipv6_bits: Option<u8>,
    },
    /// `ipStrategy.excludedIPs`: the first address from the right of `X-Forwarded-For` that is in none of them.
    Excluding {
        /// `excludedIPs`.
        networks: Vec<IpNet>,
        /// `ipv6Subnet`.
        ipv6_bits: Option<u8>,
    },
}
