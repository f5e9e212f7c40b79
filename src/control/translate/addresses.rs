//! Nodes and the ConfigMaps that the configuration names to [`ClusterAddresses`].
//!
//! What is in these sets may connect, so a value counts only if it can be what it says: the address
//! of a node, the pods of a node. What is broken keeps out itself alone and is reported.
//!
//! Little is said of what is merely absent. A Node without pod networks is a finding only where the
//! set `pods` admits somebody; if no Node has any, as with Cilium's cluster-pool IPAM or Calico's,
//! it is one finding and not one for each.

use super::report::{Problem, Report};
use super::{ConfigMapKey, Options};
use crate::control::cloudflare::switch::is_on;
use crate::control::objects::Objects;
use crate::control::quote::quote;
use crate::control::suggest::nearest;
use crate::model::{ClusterAddresses, ConfigText, Diagnostic, Kind, ObjectRef, Severity, Why};
use crate::net::addr::special_net;
use ipnet::IpNet;
use k8s_openapi::api::core::v1::{ConfigMap, Node, NodeAddress, NodeSpec};
use std::net::IpAddr;
use std::sync::Arc;

/// Shortest IPv4 prefix that is taken for the pods of one Node: that of the largest private network
/// (RFC 1918 section 3). Kubernetes gives a Node a /24.
const SHORTEST_V4: u8 = 8;

/// Shortest IPv6 prefix, likewise: that of a whole provider. Kubernetes gives a Node a /64.
const SHORTEST_V6: u8 = 32;

/// Collects the addresses from the cluster. The findings are sorted, without duplicates.
pub fn addresses(objects: &Objects, options: &Options) -> (ClusterAddresses, Vec<Diagnostic>) {
    let mut addresses = ClusterAddresses::default();
    let mut findings = Vec::new();
    let mut silent = Vec::new();
    for (namespace, name, node) in objects.nodes().iter() {
        let object = ObjectRef {
            kind: Kind::Node,
            namespace: Arc::clone(namespace),
            name: Arc::clone(name),
        };
        let mut report = Report::new(&object, &mut findings);
        read_addresses(node, options.loopback_endpoints, &mut addresses.nodes, &mut report);
        if !read_pods(node, &mut addresses.pods, &mut report) {
            silent.push(object);
        }
    }
    if options.admits_pods {
        report_silent(&silent, objects.nodes().len(), &mut findings);
    }
    for (text, key) in &options.texts {
        let found = read_text(objects, key, text.setting(), &mut findings);
        if let (ConfigText::BreakGlass, Some(found)) = (text, &found) {
            report_switch(key, found, &mut findings);
        }
        addresses.texts.extend(found.map(|found| (*text, found)));
    }
    for set in [&mut addresses.nodes, &mut addresses.pods] {
        set.sort_unstable();
        set.dedup();
    }
    findings.sort();
    findings.dedup();
    (addresses, findings)
}

/// Reads `status.addresses`. Names in it (Hostname, InternalDNS, ExternalDNS) are no addresses.
fn read_addresses(node: &Node, loopback: bool, into: &mut Vec<IpNet>, report: &mut Report<'_>) {
    let addresses = node.status.as_ref().and_then(|status| status.addresses.as_deref());
    for (position, address) in addresses.unwrap_or_default().iter().enumerate() {
        let NodeAddress { address, type_ } = address;
        if !matches!(type_.as_str(), "InternalIP" | "ExternalIP") {
            continue;
        }
        match read_address(address, loopback) {
            Ok(net) => into.push(net),
            Err(reason) => {
                let fix = "use the address of an interface of the node; this one is not admitted";
                let problem = Problem::invalid("", reason, fix);
                report.add(&format!("status.addresses[{position}].address"), problem);
            }
        }
    }
}

fn read_address(text: &str, loopback: bool) -> Result<IpNet, String> {
    let Ok(ip) = text.parse::<IpAddr>() else {
        return Err(format!("{} is not an IP address", quote(text)));
    };
    let net = IpNet::from(ip.to_canonical());
    match special_net(&net) {
        Some("loopback") if loopback => Ok(net),
        Some(word) => Err(format!("{} is {word}", quote(text))),
        None => Ok(net),
    }
}

/// Reads `spec.podCIDRs`, or else `spec.podCIDR`. Returns whether there is anything.
fn read_pods(node: &Node, into: &mut Vec<IpNet>, report: &mut Report<'_>) -> bool {
    let Some(NodeSpec { pod_cidr, pod_cidrs, .. }) = &node.spec else {
        return false;
    };
    let all = pod_cidrs.as_deref().unwrap_or_default();
    // The older field holds the first of the newer one (core/v1 NodeSpec.podCIDRs).
    let one = pod_cidr.iter().filter(|text| all.is_empty() && !text.is_empty());
    let all = all.iter().enumerate();
    let all = all.map(|(position, text)| (format!("spec.podCIDRs[{position}]"), text));
    let mut any = false;
    for (field, text) in all.chain(one.map(|text| ("spec.podCIDR".to_owned(), text))) {
        any = true;
        match read_network(text) {
            Ok(net) => into.push(net),
            Err(problem) => report.add(&field, problem),
        }
    }
    any
}

fn read_network(text: &str) -> Result<IpNet, Problem> {
    let problem = |what: &str, fix: &str| {
        Problem::invalid(
            "",
            format!("{} {what}", quote(text)),
            format!("{fix}; this one is not admitted"),
        )
    };
    let fix = "write the network of the node's pods, such as \"10.42.0.0/24\"";
    let Ok(net) = text.parse::<IpNet>() else {
        return Err(problem("is not a network", fix));
    };
    if net.trunc() != net {
        let fix = format!("the network is \"{}\"", net.trunc());
        return Err(problem("has host bits set", &fix));
    }
    let shortest = if net.addr().is_ipv4() { SHORTEST_V4 } else { SHORTEST_V6 };
    if net.prefix_len() < shortest {
        return Err(problem(&format!("is wider than a /{shortest}, too wide for one node"), fix));
    }
    match special_net(&net) {
        Some(word) => Err(problem(&format!("has {word} addresses"), fix)),
        None => Ok(net),
    }
}

/// Reports the Nodes that say nothing of their pods; `count` is the number of all.
fn report_silent(silent: &[ObjectRef], count: usize, findings: &mut Vec<Diagnostic>) {
    let (silent, reason) = if silent.len() == count {
        (&silent[..count.min(1)], "is empty in every Node, so the set \"pods\" is empty")
    } else {
        (silent, "is empty, so the set \"pods\" lacks the pods of this Node")
    };
    for object in silent {
        let fix = "define the pod network as a set of your own under [admit], and name it besides \"pods\"";
        let problem = Problem::error(Why::PodNetworkUnknown, "", reason, fix).with(Severity::Info);
        Report::new(object, findings).add("spec.podCIDRs", problem);
    }
}

/// Says that break-glass is on, or why it is off.
fn report_switch(key: &ConfigMapKey, text: &str, findings: &mut Vec<Diagnostic>) {
    let problem = match is_on(text) {
        Ok(false) => return,
        Ok(true) => {
            let reason = "break-glass is ON: every address is admitted";
            let fix = "write \"off\" as soon as Cloudflare is back";
            Problem::error(Why::BreakGlass, "", reason, fix).with(Severity::Warning)
        }
        Err(error) => {
            let fix = "write \"on\" or \"off\"";
            Problem::error(Why::BreakGlass, "", format!("{error}, so break-glass is off"), fix)
        }
    };
    let object = key.object();
    Report::new(&object, findings).add(&format!("data[{}]", key.key), problem);
}

/// The text under the key. The messages do not quote it: nobody knows what a wrong key holds.
fn read_text(
    objects: &Objects,
    wanted: &ConfigMapKey,
    setting: &str,
    findings: &mut Vec<Diagnostic>,
) -> Option<Arc<str>> {
    let ConfigMapKey { namespace, name, key } = wanted;
    let object = wanted.object();
    let mut report = Report::new(&object, findings);
    let unusable = |field: &'static str, reason: String, fix: String| {
        Problem::error(Why::ConfigMapUnusable, field, reason, fix)
    };
    let instead = |near: Option<&str>, otherwise: String| match near {
        Some(near) => format!("did you mean {}?", quote(near)),
        None => otherwise,
    };
    let Some(config_map) = objects.config_maps().get(namespace, name) else {
        let near = nearest(name, objects.config_maps().names(namespace));
        let fix = instead(near, format!("create it with the key {}", quote(key)));
        let reason = format!("is set in {setting}, but does not exist or cannot be read");
        report.add("", unusable("", reason, fix).with(Severity::Warning));
        return None;
    };
    let ConfigMap { binary_data, data, immutable: _, metadata: _ } = &**config_map;
    if let Some(text) = data.as_ref().and_then(|data| data.get(key)) {
        return Some(text.as_str().into());
    }
    if let Some(bytes) = binary_data.as_ref().and_then(|data| data.get(key)) {
        let text = std::str::from_utf8(&bytes.0).ok();
        if text.is_none() {
            let (reason, fix) = ("is not UTF-8 text", "put it as text under `data`");
            let problem = unusable("", reason.to_owned(), fix.to_owned());
            report.add(&format!("binaryData[{key}]"), problem);
        }
        return text.map(Into::into);
    }
    let keys = data.iter().flat_map(|data| data.keys());
    let keys = keys.chain(binary_data.iter().flat_map(|data| data.keys()));
    let fix = instead(nearest(key, keys.map(String::as_str)), "put the text there".to_owned());
    let reason = format!("is missing, but set in {setting}");
    report.add(&format!("data[{key}]"), unusable("", reason, fix));
    None
}
