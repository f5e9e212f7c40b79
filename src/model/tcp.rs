//! Routes of connections: what IngressRouteTCPs (`traefik.io/v1alpha1`) ask for.

use super::{BackendId, Broken, HostPattern, Ingress, NamedStep, Ordered};
use crate::pki::client_certificate::Demand;
use std::sync::Arc;
use std::time::Duration;

/// One of `spec.routes` of an IngressRouteTCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpRoute {
    /// One of [`super::Model::ingresses`].
    pub ingress: Arc<Ingress>,
    /// Some of [`super::Model::backends`], one for each of [`TcpRule::services`].
    pub backends: Box<[Arc<BackendId>]>,
    /// Everything else, shared with the table.
    pub rule: Arc<TcpRule>,
}

/// What a route of connections asks for, beside its pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpRule {
    /// Position in `spec.routes`.
    pub position: usize,
    /// `match`, as it is written.
    pub text: Box<str>,
    /// The names in ClientHellos that it is for, sorted, each once; [`HostPattern::Any`] alone where it may be for
    /// any, or for clients that name none.
    pub hosts: Box<[HostPattern]>,
    /// Whether it is ``HostSNI(`*`)`` and nothing else: it then comes behind routes of HTTP that name no host.
    pub is_catch_all: bool,
    /// Its priority and its conditions.
    pub ordered: Ordered,
    /// The entry points where it is served, as bits.
    pub entry_points: u32,
    /// What becomes of TLS.
    pub tls: TcpTls,
    /// `ipAllowList` and `inFlightConn`, in their order.
    pub steps: Box<[Arc<NamedStep>]>,
    /// The Services, of which a connection gets one by weight.
    pub services: Box<[TcpService]>,
    /// Why its connections are refused. It keeps its place, so that no other route takes them.
    pub broken: Option<Broken>,
}

/// What becomes of the TLS of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TcpTls {
    /// The route is for connections without TLS.
    None,
    /// `tls.passthrough`: the pod gets it as it came.
    Passthrough,
    /// It ends here, and the pod gets what is inside.
    Ended(Box<TcpTlsEnd>),
}

impl TcpTls {
    /// In the words of `check` and of the status page.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::None => "TCP",
            Self::Passthrough => "TLS passed on",
            Self::Ended(_) => "TLS ended",
        }
    }
}

/// How TLS ends here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TcpTlsEnd {
    /// What is asked of clients.
    pub demand: Demand,
    /// The protocols that may be agreed on (ALPN), the one to prefer first.
    pub protocols: Box<[Box<[u8]>]>,
    /// Namespace and name of the Secret that the route names: presented for names without a certificate of their own.
    pub secret: Option<(Arc<str>, Arc<str>)>,
}

/// One of the Services of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TcpService {
    /// Its share of the connections; the others have theirs.
    pub weight: u32,
    /// How its pods are reached.
    pub delivery: TcpDelivery,
}

/// How connections reach pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpDelivery {
    /// The version of the PROXY protocol that tells them who the client is.
    pub proxy_protocol: Option<ProxyVersion>,
    /// `dialTimeout`: the timeout of one connection attempt, if it differs from the configured one.
    pub connect: Option<Duration>,
    /// `dialKeepAlive`: how long a connection is quiet before the kernel asks whether the pod is there.
    pub keep_alive: KeepAlive,
}

/// Keep-alive probes of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepAlive {
    /// None are sent.
    Off,
    /// After so long, and in intervals of it.
    Every(Duration),
}

impl Default for KeepAlive {
    /// Go's, which Traefik has.
    fn default() -> Self {
        Self::Every(Duration::from_secs(15))
    }
}

/// A version of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyVersion {
    /// Text.
    V1,
    /// Binary.
    V2,
}
