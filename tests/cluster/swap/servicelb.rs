//! servicelb of k3s: while Traefik's Service is there, a pod on each node takes the ports of the node by NAT, as
//! klipper-lb does: the node's port leads to the pod (the portmap plugin), and the pod masquerades on to Traefik. Once a
//! node has its label, it is on nodes with the label alone; that is a change of its DaemonSet, which replaces all pods.

use super::kubelet::Node;
use super::network::{Namespace, hub};
use crate::plane::Plane;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const LABEL: &str = "svccontroller.k3s.cattle.io/enablelb";
/// Ports of nodes, and where Traefik has them.
const PORTS: [(u16, u16); 2] = [(80, 8000), (443, 8443)];

/// The controller, with its pods by nodes.
pub(super) struct ServiceLb<'t> {
    plane: &'t Plane,
    nodes: &'t [Node],
    /// Traefik's pod.
    to: &'t str,
    pods: BTreeMap<&'static str, Namespace>,
    /// Whether its DaemonSet asks for the label.
    asks: bool,
}

impl<'t> ServiceLb<'t> {
    pub(super) fn of(plane: &'t Plane, nodes: &'t [Node], to: &'t str) -> Self {
        for node in nodes {
            // The kernel tracks connections only as long as a rule asks for it: on a node kube-proxy's always do.
            node.namespace.run("iptables -A INPUT -m conntrack --ctstate ESTABLISHED");
        }
        Self { plane, nodes, to, pods: BTreeMap::new(), asks: false }
    }

    /// Brings the nodes to what is wanted.
    pub(super) fn tend(&mut self) {
        const SERVICE: &str = "/api/v1/namespaces/kube-system/services/traefik";
        let service = self.plane.get(SERVICE);
        let labelled = self.labelled();
        let is_other = !labelled.is_empty() && !self.asks;
        self.asks |= is_other;
        let mut changed = false;
        for (at, node) in self.nodes.iter().enumerate() {
            let wanted = service.status == 200 && (!self.asks || labelled.contains(node.name));
            if is_other && let Some(pod) = self.pods.remove(node.name) {
                release(node, at, pod);
            }
            if wanted && !self.pods.contains_key(node.name) {
                let pod = self.take(node, at);
                self.pods.insert(node.name, pod);
                changed = true;
            } else if !wanted && let Some(pod) = self.pods.remove(node.name) {
                release(node, at, pod);
                changed = true;
            }
        }
        if changed && service.status == 200 {
            self.publish();
        }
    }

    /// Names of nodes with the label.
    fn labelled(&self) -> BTreeSet<String> {
        let list = self.plane.get("/api/v1/nodes").json();
        let nodes = list["items"].as_array().into_iter().flatten();
        let labelled = nodes.filter(|node| node["metadata"]["labels"][LABEL] == "true");
        labelled.filter_map(|node| node["metadata"]["name"].as_str().map(str::to_owned)).collect()
    }

    /// The status of the Service has the addresses of the nodes that have a pod.
    fn publish(&self) {
        let is_there = |node: &&Node| self.pods.contains_key(node.name);
        let addresses = self.nodes.iter().filter(is_there).map(|node| json!({"ip": node.address}));
        let status =
            json!({"status": {"loadBalancer": {"ingress": addresses.collect::<Vec<Value>>()}}});
        let path = "/api/v1/namespaces/kube-system/services/traefik/status";
        // It may be gone meanwhile.
        self.plane.request("PATCH", path, Some(&status));
    }

    fn take(&self, node: &Node, at: usize) -> Namespace {
        let (pod, address) = (Namespace::start(self.plane), address(at));
        pod.join(Some(&node.namespace), "svclb", &address);
        // Pods reach each other over the network of pods.
        let to_node = format!("dev node{}", last(node.address));
        hub(&format!("ip route replace {address}/32 {to_node}"));
        let to = self.to;
        for (port, own) in PORTS {
            pod.run(&format!(
                "iptables -t nat -I PREROUTING -p tcp --dport {port} -j DNAT --to {to}:{own}\n\
                 iptables -t nat -I POSTROUTING -d {to}/32 -p tcp --dport {own} -j MASQUERADE"
            ));
            node.namespace.run(&format!(
                "iptables -t nat -I PREROUTING ! -s {address}/32 -d {}/32 -p tcp --dport {port} -j DNAT --to {address}:{port}",
                node.address
            ));
        }
        pod
    }
}

/// What the CNI plugins do at the end of a pod: first the rules go, then its network, and connections with it.
fn release(node: &Node, at: usize, pod: Namespace) {
    let address = address(at);
    for (port, _) in PORTS {
        node.namespace.run(&format!(
            "iptables -t nat -D PREROUTING ! -s {address}/32 -d {}/32 -p tcp --dport {port} -j DNAT --to {address}:{port}",
            node.address
        ));
    }
    // The kernel takes its time with a namespace that nobody is in.
    node.namespace.run("ip link delete svclb");
    drop(pod);
}

fn address(at: usize) -> String {
    format!("10.42.9.{}", at + 1)
}

fn last(address: &str) -> &str {
    address.rsplit('.').next().unwrap_or(address)
}
