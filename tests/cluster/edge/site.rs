//! The objects of a site: an Ingress, its Service, and a slice that somebody else than a controller
//! of Kubernetes keeps.

use crate::edge::Backend;
use crate::plane::Plane;
use serde_json::{Value, json};
use std::net::SocketAddr;

/// Who serves a class, if it is ours.
const CONTROLLER: &str = "ravelin.dev/ingress-controller";

/// Makes an IngressClass of ours.
pub(crate) fn class(plane: &Plane, name: &str) {
    let class = json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
        "metadata": {"name": name}, "spec": {"controller": CONTROLLER}});
    plane.create("/apis/networking.k8s.io/v1/ingressclasses", &class);
}

/// A site of one host in a namespace, all objects called alike.
pub(crate) struct Site<'s> {
    pub(crate) namespace: &'s str,
    pub(crate) name: &'s str,
    pub(crate) class: &'s str,
    pub(crate) host: &'s str,
}

impl Site<'_> {
    /// Makes all its objects.
    pub(crate) fn create(&self, plane: &Plane, backend: &Backend) {
        plane.create(&self.path("/api/v1", "services"), &self.service());
        plane.create(&self.slices(), &self.slice(&[backend.addr]));
        plane.create(&self.ingresses(), &self.ingress());
    }

    /// The collection of Ingresses.
    pub(crate) fn ingresses(&self) -> String {
        self.path("/apis/networking.k8s.io/v1", "ingresses")
    }

    /// The collection of EndpointSlices.
    pub(crate) fn slices(&self) -> String {
        self.path("/apis/discovery.k8s.io/v1", "endpointslices")
    }

    /// The collection of Services.
    pub(crate) fn services(&self) -> String {
        self.path("/api/v1", "services")
    }

    /// The Ingress to the Service of the site.
    pub(crate) fn ingress(&self) -> Value {
        self.ingress_to(self.name)
    }

    /// The Ingress to another Service of the namespace.
    pub(crate) fn ingress_to(&self, service: &str) -> Value {
        let Self { namespace, name, class, host } = self;
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"ingressClassName": class, "rules": [{"host": host, "http": {"paths": [
                {"path": "/", "pathType": "Prefix",
                    "backend": {"service": {"name": service, "port": {"name": "http"}}}}]}}]}})
    }

    /// The Service, which needs no address of its own.
    pub(crate) fn service(&self) -> Value {
        json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": {"clusterIP": "None", "ports": [{"name": "http", "port": 80}]}})
    }

    /// The slice with these endpoints, which have one port.
    pub(crate) fn slice(&self, endpoints: &[SocketAddr]) -> Value {
        let port = endpoints.first().map_or(1, SocketAddr::port);
        let each = endpoints.iter().map(|addr| {
            assert_eq!(addr.port(), port, "a slice has one port");
            json!({"addresses": [addr.ip()], "conditions": {"ready": true}})
        });
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": self.name, "namespace": self.namespace, "labels": {
                "kubernetes.io/service-name": self.name,
                "endpointslice.kubernetes.io/managed-by": "example.com"}},
            "addressType": "IPv4", "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
            "endpoints": each.collect::<Vec<_>>()})
    }

    fn path(&self, group: &str, plural: &str) -> String {
        format!("{group}/namespaces/{}/{plural}", self.namespace)
    }
}
