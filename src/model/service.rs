//! Service ports and the endpoints behind them.

use super::{Balancing, HealthCheck, Limits, Protocol, Timeouts};
use crate::error::{Reason, labels};
use crate::net::addr::EndpointAddr;
use std::fmt;
use std::sync::Arc;

/// How a backend names a port of its Service (`service.port.name` or `.number`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PortKey {
    /// By `spec.ports[].port`.
    Number(u16),
    /// By `spec.ports[].name`.
    Name(Arc<str>),
}

impl fmt::Display for PortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// A Service port as a rule refers to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BackendKey {
    /// Namespace of the Ingress, and so of the Service: a backend never crosses it.
    pub namespace: Arc<str>,
    /// `metadata.name` of the Service; for a `resource` backend its `Kind/name`.
    pub service: Arc<str>,
    /// The port.
    pub port: PortKey,
    /// What a route asks of it beside the words of the Service: with something else asked for it is another backend.
    pub variant: Option<Arc<str>>,
}

impl fmt::Display for BackendKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.namespace, self.service, self.port)
    }
}

/// A backend and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendSpec {
    /// Which Service port.
    pub key: BackendKey,
    /// Its endpoints, or why it can have none.
    pub state: BackendState,
    /// The protocol to the endpoints. If its CAs are missing, the backend counts as
    /// [`Broken::ProtocolUnusable`], unless they were there before.
    pub protocol: Protocol,
    /// How the endpoints are treated.
    pub treatment: Treatment,
}

/// The settings of a Service for all of its endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Treatment {
    /// How requests are spread over them.
    pub balancing: Balancing,
    /// How they are checked, if they are.
    pub check: Option<Arc<HealthCheck>>,
    /// Concurrent requests per endpoint, if the Service limits them.
    pub limits: Option<Limits>,
    /// Which host their requests name.
    pub host: HostSent,
    /// Timeouts of their requests, for routes that set none.
    pub timeouts: Option<Timeouts>,
}

/// Which host a request to an endpoint names, in `Host` or `:authority`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HostSent {
    /// The one that the client has asked for.
    #[default]
    Visitors,
    /// The endpoint's address with its port, or the external name with it (`passHostHeader: false`).
    Endpoints,
}

/// Whether a backend can be used at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackendState {
    /// The Service and its port exist; the endpoints (may be none), sorted by address, without duplicates.
    Resolved(Arc<[EndpointSpec]>),
    /// A Service of type ExternalName, where they are served: its endpoints are the addresses that
    /// DNS has for the name.
    Named(ExternalName),
    /// The rule keeps its place and answers 503, so that no broader rule takes its traffic.
    Broken(Broken),
}

/// Where an ExternalName Service leads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExternalName {
    /// `spec.externalName`: a DNS name, in lower case, without the dot at its end.
    pub name: Arc<str>,
    /// The port of the Service, or, if it has none, the port in the rule.
    pub port: u16,
}

impl fmt::Display for ExternalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.port)
    }
}

/// Why a backend cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Broken {
    /// No Service of that name in the namespace.
    ServiceMissing,
    /// The Service has no such port.
    PortMissing,
    /// A `resource` backend, or an ExternalName Service where they are not served.
    Unsupported,
    /// The protocol or TLS settings to the endpoints cannot be used, or the CAs
    /// that their certificates are to be verified by are missing.
    ProtocolUnusable,
    /// An annotation restricts who is served, and it is not obeyed.
    Restricted,
    /// An annotation changes what the rule matches or what the pod gets, and it is not obeyed.
    Altered,
    /// A middleware of the route does not exist, or cannot be used.
    MiddlewareUnusable,
}

impl Broken {
    /// Why requests and connections are refused.
    pub fn reason(self) -> Reason {
        match self {
            Self::ServiceMissing => Reason::ServiceMissing,
            Self::PortMissing => Reason::PortMissing,
            Self::Unsupported => Reason::BackendUnsupported,
            Self::ProtocolUnusable => Reason::ProtocolUnusable,
            Self::Restricted => Reason::RestrictionUnsupported,
            Self::Altered => Reason::AnnotationUnsupported,
            Self::MiddlewareUnusable => Reason::MiddlewareUnusable,
        }
    }
}

/// An endpoint of a Service port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EndpointSpec {
    /// Address and resolved port.
    pub addr: EndpointAddr,
    /// Whether it accepts new requests.
    pub state: EndpointState,
    /// `nodeName`, where the slice names one.
    pub node: Option<Arc<str>>,
    /// `zone`, where the slice names one.
    pub zone: Option<Arc<str>>,
    /// Whether it is preferred: it is on our node or in our zone and that is configured, or a hint of its
    /// slice selects it (`hints`).
    pub near: bool,
}

labels! { fn as_str;
    /// The conditions of an endpoint that matter for routing (`discovery.k8s.io/v1` EndpointConditions).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum EndpointState {
        /// `ready` is true or absent.
        Ready = "ready",
        /// Not ready, but `serving` and `terminating`: the last resort when nothing is ready.
        Terminating = "terminating",
        /// Neither: never used, listed by `explain`.
        NotReady = "not_ready",
    }
}
