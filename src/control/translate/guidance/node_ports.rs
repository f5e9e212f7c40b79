//! Ports of the node that k3s's servicelb (klipper-lb, pods `svclb-...`) leads to a Service before any listener
//! of the node gets their packets. A bind succeeds then, and no packet comes.
//!
//! Known without a look at the node: servicelb writes the addresses of the nodes with its pods into the status
//! of the Service, where a balancer of a provider writes its own.

use crate::control::objects::Objects;
use crate::control::translate::Options;
use crate::model::{Diagnostic, Kind, ObjectRef, Severity, Why};
use k8s_openapi::api::core::v1::{Node, Service};
use std::collections::BTreeSet;
use std::sync::Arc;

const LOAD_BALANCER: &str = "LoadBalancer";

/// A finding for each Service that has a port of a listener on this node; on any node, if ours is not known.
pub(super) fn taken_ports(
    objects: &Objects,
    options: &Options,
    listening: &[u16],
) -> Vec<Diagnostic> {
    if listening.is_empty() {
        return Vec::new();
    }
    let own = options.node.as_deref();
    let nodes = objects.nodes().iter().filter(|(_, name, _)| own.is_none_or(|own| own == &***name));
    let nodes: BTreeSet<&str> = nodes.flat_map(|(.., node)| addresses(node)).collect();
    let mut found = Vec::new();
    for (namespace, name, service) in objects.services().iter() {
        if !is_balanced(service) || !balanced_at(service).any(|ip| nodes.contains(ip)) {
            continue;
        }
        let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
        let is_tcp = |protocol: &Option<String>| protocol.as_deref().is_none_or(|it| it == "TCP");
        let ports = ports.filter(|port| is_tcp(&port.protocol));
        let ports: Vec<u16> = ports.filter_map(|port| u16::try_from(port.port).ok()).collect();
        let taken: Vec<String> =
            listening.iter().filter(|port| ports.contains(port)).map(u16::to_string).collect();
        if !taken.is_empty() {
            found.push(finding(namespace, name, &taken.join(" and ")));
        }
    }
    found
}

fn finding(namespace: &Arc<str>, name: &Arc<str>, ports: &str) -> Diagnostic {
    Diagnostic {
        severity: Severity::Warning,
        object: ObjectRef {
            kind: Kind::Service,
            namespace: Arc::clone(namespace),
            name: Arc::clone(name),
        },
        field: "spec.type".to_owned(),
        why: Why::PortTaken,
        reason: format!(
            "is LoadBalancer, and servicelb of k3s (pods svclb-{name}-...) leads port {ports} of the node to it: no packet gets to ravelin"
        ),
        fix: format!(
            "`kubectl -n {namespace} patch service {name} --type=merge -p '{{\"spec\":{{\"type\":\"ClusterIP\"}}}}'`; Traefik of k3s has it \
             back after a restart of k3s, so disable it or follow deploy/swap-from-traefik.md"
        ),
    }
}

/// Whether servicelb may lead ports of nodes to a Service.
pub(super) fn is_balanced(service: &Service) -> bool {
    service.spec.as_ref().is_some_and(|spec| {
        spec.type_.as_deref() == Some(LOAD_BALANCER) && spec.load_balancer_class.is_none()
    })
}

fn balanced_at(service: &Service) -> impl Iterator<Item = &str> {
    let status = service.status.iter().flat_map(|status| &status.load_balancer);
    status.flat_map(|status| status.ingress.iter().flatten()).filter_map(|at| at.ip.as_deref())
}

fn addresses(node: &Node) -> impl Iterator<Item = &str> {
    let status = node.status.iter().flat_map(|status| status.addresses.iter().flatten());
    status
        .filter(|at| matches!(at.type_.as_str(), "InternalIP" | "ExternalIP"))
        .map(|at| at.address.as_str())
}
