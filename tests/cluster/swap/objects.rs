//! The objects of a fixture of `tests/cli/migrate`, in a real API server.

use super::network::HUB;
use super::pods;
use crate::plane::Plane;
use crate::{crds, eventually};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// Kinds of others that fixtures have: group, version, kind, scope.
const OTHERS: [[&str; 4]; 4] = [
    ["helm.cattle.io", "v1", "HelmChart", "Namespaced"],
    ["helm.cattle.io", "v1", "HelmChartConfig", "Namespaced"],
    ["cert-manager.io", "v1", "ClusterIssuer", "Cluster"],
    ["monitoring.coreos.com", "v1", "PrometheusRule", "Namespaced"],
];

/// A pod behind a Service of a fixture.
pub(super) struct Backend {
    pub(super) namespace: &'static str,
    /// That of the Service, and what the pod answers.
    pub(super) service: &'static str,
    /// The name of the port in the Service.
    pub(super) port_name: &'static str,
    pub(super) address: &'static str,
}

/// Where the fixture is.
pub(super) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/migrate").join(name)
}

/// Makes everything: kinds, nodes, the objects of the files, and what runs behind them.
pub(super) fn create(
    plane: &Plane,
    files: &[PathBuf],
    nodes: &[(&str, &str)],
    backends: &[Backend],
) {
    crds::install(plane);
    let definitions: Vec<Value> = OTHERS.iter().map(definition).collect();
    apply(plane, &definitions);
    for (name, address) in nodes {
        let labels = json!({"harbour.example/edge": "true"});
        plane.create(
            "/api/v1/nodes",
            &json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}),
        );
        let addresses = json!([{"type": "InternalIP", "address": address}]);
        let path = format!("/api/v1/nodes/{name}/status");
        let told =
            plane.request("PATCH", &path, Some(&json!({"status": {"addresses": addresses}})));
        assert_eq!(told.status, 200, "{}", told.body);
        // Nobody says that they are ready: without this no Pod of a DaemonSet is made for them.
        let path = format!("/api/v1/nodes/{name}");
        let told = plane.request("PATCH", &path, Some(&json!({"spec": {"taints": null}})));
        assert_eq!(told.status, 200, "{}", told.body);
    }
    let mut objects: Vec<Value> = files.iter().flat_map(|file| read(file)).collect();
    objects.extend(backends.iter().map(slice));
    let namespaces: BTreeSet<&str> =
        objects.iter().filter_map(|object| object["metadata"]["namespace"].as_str()).collect();
    for namespace in namespaces.into_iter().filter(|name| *name != "kube-system") {
        plane.namespace(namespace);
    }
    eventually("all kinds take objects", || {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
        plane.kubectl_given(&["apply", "-f", "-"], &list).status.success().then_some(())
    });
    for backend in backends {
        let address: SocketAddr = backend.address.parse().expect("an address");
        assert_ne!(address.ip(), HUB.parse::<IpAddr>().expect("an address"));
        pods::start(backend.service, address);
    }
}

/// Applies objects.
pub(super) fn apply(plane: &Plane, objects: &[Value]) {
    plane.apply(&json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string());
}

/// The objects of a file but definitions, which are whole ones here.
fn read(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).expect("a file of ours");
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text).expect("YAML");
    let items = |document: Value| match document["items"].as_array() {
        Some(items) => items.clone(),
        None => vec![document],
    };
    // Slices are of the pods here.
    let is_ours = |object: &Value| {
        object["kind"] != "CustomResourceDefinition" && object["kind"] != "EndpointSlice"
    };
    documents.into_iter().flat_map(items).filter(is_ours).collect()
}

/// The slice of a pod.
pub(super) fn slice(backend: &Backend) -> Value {
    let Backend { namespace, service, port_name, address } = backend;
    let address: SocketAddr = address.parse().expect("an address");
    let labels = json!({"kubernetes.io/service-name": service,
        "endpointslice.kubernetes.io/managed-by": "example.com"});
    json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": format!("{service}-1"), "namespace": namespace, "labels": labels},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address.ip()], "conditions": {"ready": true}}],
        "ports": [{"name": port_name, "port": address.port(), "protocol": "TCP"}]})
}

fn definition([group, version, kind, scope]: &[&str; 4]) -> Value {
    let plural = kind.to_lowercase() + "s";
    let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {"group": group, "scope": scope, "names": {"kind": kind, "plural": plural},
            "versions": [{"name": version, "served": true, "storage": true,
                "schema": {"openAPIV3Schema": anything}}]}})
}
