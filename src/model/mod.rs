//! What the cluster asks for, as plain data.
//!
//! `control::translate` writes a [`Model`] from Kubernetes objects, and `routing::compile` reads it. It is
//! `PartialEq`, so a test compares whole values, and the control plane can detect that an event changed
//! nothing.
//!
//! **Invariant**: plain data: no Kubernetes type, no live object, no I/O (`tests/layering`).

mod backends;
mod balancing;
mod condition;
mod config_text;
mod diagnostic;
mod health_check;
mod https;
mod ingresses;
mod limits;
pub mod middleware;
mod object;
mod path;
mod protocol;
mod raw_path;
mod route;
mod rules;
mod service;
mod shared_map;
mod tcp;
mod timeouts;
mod tls;
mod weights;

pub use crate::net::host::{Host, HostError, HostPattern};
pub use backends::{BackendId, Backends};
pub use balancing::{
    Algorithm, Balancing, COOKIE_NAME, CookieSettings, HashKey, Prefer, SameSite, cookie_domain,
    is_cookie_name, is_cookie_path,
};
pub use condition::{Condition, ConnectionFacts, RequestFacts, Sender};
pub use config_text::{ConfigText, ConfigTexts};
pub use diagnostic::{Diagnostic, Severity, Why};
pub use health_check::{CheckKind, HealthCheck, PlainCheck};
pub use https::{ACME_CHALLENGES, Hsts, HstsError, Https};
pub use ingresses::Ingresses;
pub use limits::Limits;
pub use middleware::{Chain, NamedStep};
pub use object::{Kind, ObjectRef};
pub use path::{CanonicalPath, PathError, PathKind, PathPattern};
pub use protocol::Protocol;
pub use raw_path::RawPath;
pub use route::{EntryPoints, Matching, Ordered, RuleHash, bare_rule_length, rule_length};
pub use rules::{RulesByHost, by_element, table_order};
pub use service::{
    BackendKey, BackendSpec, BackendState, Broken, EndpointSpec, EndpointState, ExternalName,
    HostSent, PortKey, Treatment,
};
pub use shared_map::SharedMap;
pub use tcp::{
    KeepAlive, ProxyVersion, TcpDelivery, TcpRoute, TcpRule, TcpService, TcpTls, TcpTlsEnd,
};
pub use timeouts::Timeouts;
pub use tls::{CertificateRole, HostClients, Issuer, TlsSecret};
pub use weights::drawn_by_weight;

use ipnet::IpNet;
use std::num::NonZeroU64;
use std::sync::Arc;

/// Everything that is to be served.
///
/// Ingresses, rules and backends are persistent collections: a model shares with the one before it what a change has
/// not touched, and its cost does not grow with what there is. They name each other by what they are and not by where
/// they stand, which every change of another one would move.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// The Ingresses of ravelin, in the order of `(created, namespace, name)`: the first one wins a tie.
    pub ingresses: Ingresses,
    /// One entry for each path of each rule of each Ingress.
    pub rules: RulesByHost,
    /// `spec.defaultBackend` of each Ingress that has one.
    pub defaults: Vec<DefaultBackend>,
    /// The routes of connections, the highest priority first; of equals the older object comes first, and then the
    /// one that stands first.
    pub tcp: Vec<TcpRoute>,
    /// The Service ports that rules and default backends refer to, each once.
    pub backends: Backends,
}

/// How a model differs from the one before it, in a row of models.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// The number of the model before. Each is there once in the life of a process; 0 is none's.
    pub since: u64,
    /// The number of this model.
    pub now: u64,
    /// The hosts whose rules or default backends may be others, or what their Ingresses ask for;
    /// [`HostPattern::Any`] also for the default backend of all hosts.
    pub hosts: Vec<HostPattern>,
    /// The backends that have come, gone or changed.
    pub backends: Vec<ChangedBackend>,
    /// Whether default backends may be others.
    pub defaults: bool,
    /// Whether the routes of connections may be others.
    pub tcp: bool,
}

/// A backend that is not, or not as it is, in both of two models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedBackend {
    /// Which one.
    pub id: Arc<BackendId>,
    /// The hosts with rules or default backends that lead to it, unless nothing is other than its endpoints.
    pub hosts: Option<Vec<HostPattern>>,
}

/// The addresses from the cluster: the sets `nodes` and `pods`; and the texts that the configuration names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterAddresses {
    /// The addresses of type InternalIP and ExternalIP in `status.addresses` of every Node, sorted,
    /// each once.
    pub nodes: Vec<IpNet>,
    /// `spec.podCIDRs` of every Node, or else its `spec.podCIDR`; sorted, without duplicates.
    pub pods: Vec<IpNet>,
    /// The texts under the keys of ConfigMaps that the configuration names, as far as they are there.
    pub texts: ConfigTexts,
}

/// An Ingress, an IngressRoute or an IngressRouteTCP: its identity, for ties, labels and `explain`, and what is for all of its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingress {
    /// Which of them.
    pub kind: Kind,
    /// `metadata.namespace`.
    pub namespace: Arc<str>,
    /// `metadata.name`.
    pub name: Arc<str>,
    /// `metadata.creationTimestamp` in seconds since the Unix epoch; `i64::MAX` where absent, so
    /// that an object without one (a manifest in Git) is younger than every object that has one.
    pub created: i64,
    /// Whether its status is ours to write.
    pub has_status: bool,
    /// Its redirect to TLS and its HSTS header.
    pub https: Https,
    /// The timeouts of its requests, if it sets any; boxed, because few Ingresses do.
    pub timeouts: Option<Box<Timeouts>>,
    /// Its load balancing, if it sets any: it takes precedence over the Service's.
    pub balance: Option<Algorithm>,
    /// Whether its pods get the path as it was sent, if it is unambiguous.
    pub raw_path: bool,
    /// The most bytes that the body of a request may have, if there is a limit; more than zero.
    pub max_body: Option<NonZeroU64>,
}

#[cfg(test)]
impl Ingress {
    /// One that asks for nothing.
    pub(crate) fn mk_plain(namespace: &str, name: &str, created: i64) -> Self {
        Self {
            kind: Kind::Ingress,
            has_status: true,
            namespace: namespace.into(),
            name: name.into(),
            created,
            https: Https::default(),
            timeouts: None,
            balance: None,
            raw_path: false,
            max_body: None,
        }
    }
}

/// One path of one rule of an Ingress (`spec.rules[rule].http.paths[path]`), or one host of a route of an IngressRoute
/// (`spec.routes[rule]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// `spec.rules[].host`; [`HostPattern::Any`] where absent.
    pub host: HostPattern,
    /// `path` and `pathType`.
    pub path: PathPattern,
    /// One of [`Model::backends`].
    pub backend: Arc<BackendId>,
    /// One of [`Model::ingresses`].
    pub ingress: Arc<Ingress>,
    /// Position in `spec.rules`, or in `spec.routes`.
    pub rule: usize,
    /// Position in `http.paths`, or among the hosts of a route.
    pub position: usize,
    /// Where it is served, and what it asks of a request beyond host and path.
    pub matching: Matching,
    /// The steps of its requests, if there are any.
    pub middlewares: Option<Chain>,
}

impl Rule {
    /// The host that it leads all requests to, if it does nothing else (`from-to-www-redirect`).
    pub fn leads_to(&self) -> Option<&str> {
        middleware::leads_to(self.middlewares.as_ref()?)
    }
}

/// `spec.defaultBackend` of one Ingress.
///
/// It takes what no rule of any Ingress matches: first for the hosts that the same Ingress names
/// (or all requests, if it names none), then for every host. Where several apply, an Ingress
/// without rules comes first, then the older one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultBackend {
    /// One of [`Model::backends`].
    pub backend: Arc<BackendId>,
    /// One of [`Model::ingresses`].
    pub ingress: Arc<Ingress>,
    /// The hosts of that Ingress's rules, each once; empty for an Ingress without rules.
    pub hosts: Vec<HostPattern>,
    /// Where it is served.
    pub entry_points: EntryPoints,
    /// The steps of its requests, if there are any.
    pub middlewares: Option<Chain>,
}
