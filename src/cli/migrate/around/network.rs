//! NetworkPolicies that admit Traefik by its labels, and balancers of the cloud in front of its Service.

use super::{Matter, Topic, add as tell};
use crate::cli::migrate::documents::{Document, Documents};
use crate::config::CLOUDFLARE;
use ipnet::IpNet;
use serde_json::Value;

pub(super) fn add(documents: &Documents, matters: &mut Vec<Matter>) {
    for policy in documents.of("NetworkPolicy", "networking.k8s.io") {
        for (at, rule) in policy.list("/spec/ingress").iter().enumerate() {
            let from = rule.get("from").and_then(Value::as_array).into_iter().flatten();
            for (peer, _) in from.enumerate().filter(|(_, peer)| admits_traefik(peer, documents)) {
                let field = format!("spec.ingress[{at}].from[{peer}]");
                let reason = "admits Traefik's pods by their labels; ravelin has the network of the node, which no label matches";
                let fix = "add the nodes: ipBlock with the addresses of the nodes, and of their pod networks (what a node \
                           sends to pods of another one may come from there)";
                tell(matters, Topic::NetworkPolicies, policy.object(), &field, reason, fix);
            }
        }
    }
    for service in documents.of("Service", "").filter(|service| is_of_traefik(service)) {
        balancer(service, matters);
    }
}

/// Lists that were compared with the address of a node or pod: servicelb changes the source of every connection.
pub(super) fn add_lists(documents: &Documents, matters: &mut Vec<Matter>) {
    for middleware in documents.of("Middleware", "traefik.io") {
        for kind in ["ipAllowList", "ipWhiteList"] {
            let list = format!("/spec/{kind}");
            if middleware.value.pointer(&format!("{list}/ipStrategy")).is_some() {
                continue;
            }
            let ranges = middleware.list(&format!("{list}/sourceRange")).iter();
            let nets = ranges.filter_map(|range| range.as_str()?.parse::<IpNet>().ok());
            let nets: Vec<IpNet> = nets.collect();
            let is_own =
                |net: &IpNet| CLOUDFLARE.iter().any(|it| net.contains(it) || it.contains(net));
            if nets.is_empty() || nets.iter().any(is_own) {
                continue;
            }
            let field = format!("spec.{kind}.sourceRange");
            let reason = "has none of Cloudflare's networks: behind servicelb Traefik saw the address of a node or pod, which the \
                          list may contain; ravelin compares that of Cloudflare's machine, so that visitors get 403";
            let fix = "for the addresses of visitors add ipStrategy.depth: 1; if nobody was to come in, nothing";
            tell(matters, Topic::AddressLists, middleware.object(), &field, reason, fix);
        }
    }
}

/// Whether a selector is about Traefik: by the name, or by the namespace that it is in.
fn admits_traefik(peer: &Value, documents: &Documents) -> bool {
    let names = |selector: &str| {
        let labels = peer.pointer(&format!("/{selector}/matchLabels")).and_then(Value::as_object);
        let expressions = peer.pointer(&format!("/{selector}/matchExpressions"));
        let expressions = expressions.and_then(Value::as_array).into_iter().flatten();
        let values =
            expressions.filter(|it| it.get("operator").and_then(Value::as_str) == Some("In"));
        let values = values.filter_map(|it| it.get("values")?.as_array()).flatten();
        let labels = labels.into_iter().flat_map(|labels| labels.values());
        labels.chain(values).filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    if names("podSelector").iter().any(|name| name.contains("traefik")) {
        return true;
    }
    if peer.get("podSelector").is_some() {
        return false;
    }
    let homes: Vec<&str> = homes(documents).collect();
    names("namespaceSelector")
        .iter()
        .any(|name| name.contains("traefik") || homes.contains(&name.as_str()))
}

/// Namespaces where Traefik runs.
fn homes(documents: &Documents) -> impl Iterator<Item = &str> {
    let is_it = |document: &&Document| {
        document.name == "traefik"
            && ["HelmChart", "HelmChartConfig", "Deployment", "DaemonSet"]
                .contains(&document.kind.as_str())
    };
    documents.all.iter().filter(is_it).map(|document| document.namespace.as_str())
}

fn is_of_traefik(service: &Document) -> bool {
    let selector = service.value.pointer("/spec/selector").and_then(Value::as_object);
    let mut values = selector.into_iter().flat_map(|selector| selector.values());
    service.text("/spec/type") == Some("LoadBalancer")
        && values.any(|value| value.as_str().is_some_and(|value| value.contains("traefik")))
}

fn balancer(service: &Document, matters: &mut Vec<Matter>) {
    let annotations = service.value.pointer("/metadata/annotations").and_then(Value::as_object);
    let of_cloud = |key: &&String| {
        let begins = [
            "load-balancer.hetzner.cloud/",
            "service.beta.kubernetes.io/",
            "metallb.",
            "kube-vip.io/",
        ];
        begins.iter().any(|begin| key.starts_with(begin))
    };
    let annotation = annotations.and_then(|all| all.keys().find(of_cloud));
    let (field, reason) = match annotation {
        Some(key) => (
            format!("metadata.annotations[{key}]"),
            "a controller of the cloud has made a load balancer for it: with the Service, the balancer and its address are \
             deleted",
        ),
        None => (
            "spec.type".to_owned(),
            "selects Traefik's pods: behind a controller of the cloud, the balancer and its address are deleted with it; k3s' \
             servicelb takes ports 80 and 443 of the nodes for it",
        ),
    };
    let fix = "behind a balancer of the cloud, protect it against deletion first, then create a Service of type LoadBalancer in \
               namespace ravelin that selects app.kubernetes.io/name: ravelin and has the name of the same balancer (for \
               Hetzner's, --write writes it as balancer-service.yaml); with servicelb, lead Cloudflare to other ports first \
               (COMMANDS.md)";
    tell(matters, Topic::Balancers, service.object(), &field, reason, fix);
}
