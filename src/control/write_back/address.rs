//! The addresses under which the cluster is reached: what goes into the status of every Ingress.

use k8s_openapi::api::core::v1::Node;
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// An entry of `status.loadBalancer.ingress`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// Its `ip`.
    Ip(IpAddr),
    /// Its `hostname`, in lower case.
    Hostname(Arc<str>),
}

impl Address {
    /// Parses an IP address or a host name.
    pub fn parse(text: &str) -> Self {
        match text.parse() {
            Ok(ip) => Self::Ip(ip),
            Err(_) => Self::Hostname(text.to_ascii_lowercase().into()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Hostname(name) => name.fmt(f),
        }
    }
}

/// The addresses of a Node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeAddresses {
    /// `metadata.name`.
    pub name: Arc<str>,
    /// Addresses of type ExternalIP.
    pub external: Vec<IpAddr>,
    /// Addresses of type InternalIP.
    pub internal: Vec<IpAddr>,
}

impl NodeAddresses {
    /// Reads `status.addresses`. What is not an IP address, or is one that nobody can connect to
    /// from elsewhere, is left out.
    pub fn of(node: &Node) -> Self {
        let all = node.status.iter().flat_map(|status| status.addresses.iter().flatten());
        let of_type = |type_: &str| {
            let these = all.clone().filter(|address| address.type_ == type_);
            these.filter_map(|address| address.address.parse().ok()).filter(is_usable).collect()
        };
        Self {
            name: node.metadata.name.as_deref().unwrap_or_default().into(),
            external: of_type("ExternalIP"),
            internal: of_type("InternalIP"),
        }
    }
}

fn is_usable(address: &IpAddr) -> bool {
    !(address.is_unspecified() || address.is_loopback() || address.is_multicast())
}

/// The addresses of the ready nodes, sorted, without duplicates: of each node those of type ExternalIP, or
/// else those of type InternalIP.
pub fn node_addresses(nodes: &[NodeAddresses], ready: &BTreeSet<Arc<str>>) -> Vec<Address> {
    let ready = nodes.iter().filter(|node| ready.contains(&node.name));
    let chosen = ready.flat_map(|node| match node.external.as_slice() {
        [] => node.internal.as_slice(),
        external => external,
    });
    let each: BTreeSet<_> = chosen.copied().map(Address::Ip).collect();
    each.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::{NodeAddress, NodeStatus};

    fn mk_node(name: &str, addresses: &[(&str, &str)]) -> NodeAddresses {
        let mut node = Node::default();
        node.metadata.name = Some(name.to_owned());
        let mk_address = |&(type_, address): &(&str, &str)| NodeAddress {
            type_: type_.to_owned(),
            address: address.to_owned(),
        };
        let addresses = Some(addresses.iter().map(mk_address).collect());
        node.status = Some(NodeStatus { addresses, ..NodeStatus::default() });
        NodeAddresses::of(&node)
    }

    fn written(nodes: &[NodeAddresses], ready: &[&str]) -> Vec<String> {
        let ready = ready.iter().map(|&name| name.into()).collect();
        node_addresses(nodes, &ready).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn external_addresses_are_preferred_and_internal_ones_stand_in() {
        let nodes = [
            mk_node("a", &[("InternalIP", "10.0.0.1"), ("ExternalIP", "192.0.2.9")]),
            mk_node(
                "b",
                &[("Hostname", "b"), ("InternalIP", "10.0.0.2"), ("InternalIP", "fd00::2")],
            ),
            mk_node("c", &[("ExternalIP", "192.0.2.3")]),
        ];
        assert_eq!(written(&nodes, &["a", "b"]), ["10.0.0.2", "192.0.2.9", "fd00::2"]);
        assert_eq!(written(&nodes, &["c", "gone"]), ["192.0.2.3"]);
        assert_eq!(written(&nodes, &[]), [""; 0]);
    }

    #[test]
    fn what_nobody_can_connect_to_is_left_out() {
        let nodes = [mk_node(
            "a",
            &[("ExternalIP", "nonsense"), ("ExternalIP", "0.0.0.0"), ("InternalIP", "10.0.0.1")],
        )];
        assert_eq!(written(&nodes, &["a"]), ["10.0.0.1"]);
    }

    #[test]
    fn a_name_is_told_from_an_address() {
        assert_eq!(Address::parse("::1"), Address::Ip("::1".parse().expect("an address")));
        assert_eq!(Address::parse("Edge.Example"), Address::Hostname("edge.example".into()));
    }
}
