//! What is served here, as far as it has to agree with what is set at Cloudflare.

use super::ZoneArgs;
use crate::cli::certificates::Certificates;
use crate::cli::{Failure, full_strict};
use crate::config::{Config, ListenerProtocol};
use crate::control::reconcile::Build;
use crate::control::write_back::NodeAddresses;
use crate::model::HostPattern;
use crate::pki::client_certificate::Demand;
use crate::routing::Table;
use crate::tls::TlsPeer;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The listeners, and the addresses that DNS records should have.
#[derive(Debug)]
pub(super) struct Edge {
    /// A listener speaks HTTP without TLS.
    pub(super) has_http: bool,
    /// A listener ends TLS for HTTP.
    pub(super) has_https: bool,
    /// Every source may connect to some listener for HTTP.
    pub(super) admits_any: bool,
    /// What the records should have.
    pub(super) nodes: Nodes,
}

/// The addresses that DNS records should have.
#[derive(Debug)]
pub(super) enum Nodes {
    /// They are not known, and why.
    Unknown(&'static str),
    /// A list for each node; each has one at least.
    Known(Vec<Vec<IpAddr>>),
}

/// A host of the rules.
#[derive(Debug)]
pub(super) struct ServedHost {
    pub(super) pattern: HostPattern,
    pub(super) name: String,
    /// What Full (strict) says. `None`: no listener ends TLS.
    pub(super) strict: Option<StrictVerdict>,
    /// Whether visitors without TLS are sent to the same address with it.
    pub(super) redirects: bool,
    /// Whether a Service of it declares gRPC.
    pub(super) has_grpc: bool,
    /// What is asked of clients.
    pub(super) demand: Demand,
}

/// The verdict of Full (strict) on a host.
#[derive(Debug)]
pub(super) struct StrictVerdict {
    /// 525 or 526.
    pub(super) status: Option<u16>,
    pub(super) words: String,
    pub(super) fix: &'static str,
    pub(super) has_certificate: bool,
}

impl Edge {
    pub(super) fn of(config: &Config, args: &ZoneArgs, nodes: &[NodeAddresses]) -> Self {
        let speaks = |protocol| config.listeners.iter().any(|it| it.protocol == protocol);
        let mut for_http = config.listeners.iter();
        let is_behind_balancer =
            config.listeners.iter().any(|listener| !listener.proxy_protocol_from.is_empty());
        Self {
            has_http: speaks(ListenerProtocol::Http),
            has_https: config.has_https(),
            admits_any: for_http
                .any(|it| it.protocol != ListenerProtocol::Tcp && it.admit.is_any()),
            nodes: Nodes::of(&args.node_address, nodes, is_behind_balancer),
        }
    }
}

impl Nodes {
    /// Addresses that are named come first; a balancer's are not in the cluster.
    fn of(named: &[IpAddr], nodes: &[NodeAddresses], is_behind_balancer: bool) -> Self {
        if !named.is_empty() {
            return Self::Known(named.iter().map(|address| vec![*address]).collect());
        }
        if is_behind_balancer {
            return Self::Unknown(
                "a load balancer is in front (proxy_protocol_from): name its addresses with \
                 --node-address",
            );
        }
        let public = nodes.iter().map(|node| {
            let all = if node.external.is_empty() { &node.internal } else { &node.external };
            all.iter().copied().filter(|address| !is_private(*address)).collect::<Vec<_>>()
        });
        let public: Vec<Vec<IpAddr>> = public.filter(|addresses| !addresses.is_empty()).collect();
        if nodes.is_empty() {
            Self::Unknown("no Node is in the input: name addresses with --node-address")
        } else if public.len() < nodes.len() {
            Self::Unknown(
                "a Node has private addresses only: name the public addresses of all nodes with \
                 --node-address",
            )
        } else {
            Self::Known(public)
        }
    }
}

/// The hosts of rules, in order. Rules without a host are for names that nobody lists.
pub(super) fn hosts(
    build: &Build,
    certificates: &Certificates<'_>,
    strict: &[full_strict::Row],
) -> Result<Vec<ServedHost>, Failure> {
    let rows: BTreeMap<&str, &full_strict::Row> = strict.iter().map(|it| (it.host(), it)).collect();
    let mut hosts: BTreeMap<HostPattern, (bool, bool)> = BTreeMap::new();
    let table: &Table = &build.table;
    for id in table.routes() {
        let route = table.route(id);
        let pattern = match (route.host, route.wildcard) {
            ("", _) => continue,
            (name, true) => HostPattern::Wildcard(name.into()),
            (name, false) => HostPattern::Exact(name.into()),
        };
        let (redirects, has_grpc) = hosts.entry(pattern).or_default();
        *redirects |= table.redirects(id);
        *has_grpc |= table.backend(id).protocol.is_grpc();
    }
    let served = hosts.into_iter().map(|(pattern, (redirects, has_grpc))| {
        let name = pattern.to_string();
        // A policy of a wildcard is that of the names it stands for.
        let asked = name.replacen('*', "name", 1);
        let demand = certificates.demand(Some(&asked), TlsPeer::Cloudflare);
        let demand = demand.map_err(|text| Failure { code: 1, text })?.clone();
        let strict = rows.get(name.as_str()).map(|row| StrictVerdict {
            status: row.status(),
            words: row.words().to_owned(),
            fix: row.fix(),
            has_certificate: row.has_certificate(),
        });
        Ok(ServedHost { pattern, name, strict, redirects, has_grpc, demand })
    });
    served.collect()
}

/// Addresses that no visitor of the Internet reaches: RFC 1918, RFC 6598, RFC 4193, and those of a link.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let is_shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            v4.is_private() || v4.is_link_local() || v4.is_loopback() || is_shared
        }
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(external: &[&str], internal: &[&str]) -> NodeAddresses {
        let read = |all: &[&str]| all.iter().map(|it| it.parse().expect("an address")).collect();
        NodeAddresses { name: "n".into(), external: read(external), internal: read(internal) }
    }

    #[test]
    fn addresses_that_are_named_come_before_those_of_nodes() {
        let nodes = [node(&["192.0.2.1"], &["10.0.0.1"]), node(&[], &["192.0.2.2", "10.0.0.2"])];
        let shown = |named: &[&str], nodes: &[NodeAddresses], balancer| {
            let named: Vec<IpAddr> =
                named.iter().map(|it| it.parse().expect("an address")).collect();
            match Nodes::of(&named, nodes, balancer) {
                Nodes::Known(all) => format!("{all:?}"),
                Nodes::Unknown(why) => why.to_owned(),
            }
        };
        assert_eq!(shown(&[], &nodes, false), "[[192.0.2.1], [192.0.2.2]]");
        assert_eq!(shown(&["192.0.2.7"], &nodes, true), "[[192.0.2.7]]");
        assert!(shown(&[], &nodes, true).contains("proxy_protocol_from"));
        assert!(shown(&[], &[], false).starts_with("no Node"));
        assert!(shown(&[], &[node(&[], &["10.0.0.1"])], false).contains("private addresses"));
        assert!(shown(&[], &[node(&[], &["100.64.0.1", "fd00::1"])], false).contains("private"));
    }
}
