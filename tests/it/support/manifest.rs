//! Kubernetes objects, in the namespace `ns`.

use serde_json::{Value, json};
use std::net::SocketAddr;

/// A Service with one named port.
pub(crate) fn service(name: &str, port_name: &str, port: u16) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": "ns", "name": name},
        "spec": {"ports": [{"name": port_name, "port": port}]},
    })
}

/// An EndpointSlice of a Service with one endpoint that is ready.
pub(crate) fn slice(name: &str, service: &str, port_name: &str, endpoint: SocketAddr) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "namespace": "ns",
            "name": name,
            "labels": {"kubernetes.io/service-name": service},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [endpoint.ip().to_string()], "conditions": {"ready": true}}],
        "ports": [{"name": port_name, "port": endpoint.port(), "protocol": "TCP"}],
    })
}

/// An Ingress of ravelin's class.
pub(crate) fn ingress(name: &str, rules: &[Value]) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"namespace": "ns", "name": name},
        "spec": {"ingressClassName": "ravelin", "rules": rules},
    })
}

/// A rule for a host ("" for all) from paths: path, type, and the Service whose port `http` serves.
pub(crate) fn rule(host: &str, paths: &[(&str, &str, &str)]) -> Value {
    let paths: Vec<Value> = paths
        .iter()
        .map(|(path, path_type, service)| {
            let backend = json!({"service": {"name": service, "port": {"name": "http"}}});
            json!({"path": path, "pathType": path_type, "backend": backend})
        })
        .collect();
    match host {
        "" => json!({"http": {"paths": paths}}),
        host => json!({"host": host, "http": {"paths": paths}}),
    }
}
