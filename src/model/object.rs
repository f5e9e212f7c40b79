//! Names of Kubernetes objects, for messages.

use std::fmt;
use std::sync::Arc;

/// The kinds that ravelin reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `networking.k8s.io/v1` Ingress.
    Ingress,
    /// `networking.k8s.io/v1` IngressClass.
    IngressClass,
    /// `v1` Service.
    Service,
    /// `discovery.k8s.io/v1` EndpointSlice.
    EndpointSlice,
    /// `traefik.io/v1alpha1` Middleware. Those of Traefik are before Secrets: they say which of these are kept.
    Middleware,
    /// `traefik.io/v1alpha1` IngressRoute.
    IngressRoute,
    /// `traefik.io/v1alpha1` IngressRouteTCP.
    IngressRouteTcp,
    /// `traefik.io/v1alpha1` MiddlewareTCP.
    MiddlewareTcp,
    /// `traefik.io/v1alpha1` TraefikService.
    TraefikService,
    /// `traefik.io/v1alpha1` ServersTransport.
    ServersTransport,
    /// `traefik.io/v1alpha1` ServersTransportTCP.
    ServersTransportTcp,
    /// `traefik.io/v1alpha1` TLSOption.
    TlsOption,
    /// `traefik.io/v1alpha1` TLSStore.
    TlsStore,
    /// `v1` Secret.
    Secret,
    /// `v1` Node.
    Node,
    /// `v1` ConfigMap.
    ConfigMap,
    /// Not an object: a file of a manifest directory that could not be read as objects.
    File,
    /// Not an object: what an API server has of kinds that are not read.
    Cluster,
}

impl Kind {
    /// Every kind that a running process has findings about, for metrics that name each of them.
    pub const ALL: [Self; 17] = [
        Self::Ingress,
        Self::IngressClass,
        Self::Service,
        Self::EndpointSlice,
        Self::Middleware,
        Self::IngressRoute,
        Self::IngressRouteTcp,
        Self::MiddlewareTcp,
        Self::TraefikService,
        Self::ServersTransport,
        Self::ServersTransportTcp,
        Self::TlsOption,
        Self::TlsStore,
        Self::Secret,
        Self::Node,
        Self::ConfigMap,
        Self::File,
    ];

    /// The kind in manifests and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "Ingress",
            Self::IngressClass => "IngressClass",
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
            Self::Middleware => "Middleware",
            Self::IngressRoute => "IngressRoute",
            Self::IngressRouteTcp => "IngressRouteTCP",
            Self::MiddlewareTcp => "MiddlewareTCP",
            Self::TraefikService => "TraefikService",
            Self::ServersTransport => "ServersTransport",
            Self::ServersTransportTcp => "ServersTransportTCP",
            Self::TlsOption => "TLSOption",
            Self::TlsStore => "TLSStore",
            Self::Secret => "Secret",
            Self::Node => "Node",
            Self::ConfigMap => "ConfigMap",
            Self::File => "File",
            Self::Cluster => "Cluster",
        }
    }

    /// Whether its objects are in namespaces. Cluster-wide kinds and files are not.
    pub fn is_namespaced(self) -> bool {
        !matches!(self, Self::IngressClass | Self::Node | Self::File | Self::Cluster)
    }
}

/// Kind, namespace and name of one object. The namespace is empty for cluster-wide kinds and files.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectRef {
    /// What it is.
    pub kind: Kind,
    /// `metadata.namespace`, or empty.
    pub namespace: Arc<str>,
    /// `metadata.name`, or the path of a file.
    pub name: Arc<str>,
}

impl ObjectRef {
    /// Names an object.
    pub fn new(kind: Kind, namespace: &str, name: &str) -> Self {
        Self { kind, namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() {
            f.write_str(self.kind.as_str())
        } else if self.namespace.is_empty() {
            write!(f, "{} {}", self.kind.as_str(), self.name)
        } else {
            write!(f, "{} {}/{}", self.kind.as_str(), self.namespace, self.name)
        }
    }
}
