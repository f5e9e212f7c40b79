//! A proxy whose routes have steps, given as values: what is read of manifests has its own tests.

use super::{Builder, Edge, edge};
use ravelin::model::middleware::{NamedStep, Step};
use ravelin::model::{
    BackendId, BackendKey, BackendSpec, BackendState, EndpointSpec, EndpointState, HostPattern,
    Https, Ingress, Kind, Model, PathKind, PathPattern, PortKey, Protocol, Rule, Treatment,
};
use ravelin::net::addr::EndpointAddr;
use ravelin::routing::compile;
use std::net::SocketAddr;
use std::sync::Arc;

/// The key of a Service of [`Stepped`].
pub(crate) fn backend_key(service: &str) -> BackendKey {
    BackendKey {
        namespace: "default".into(),
        service: service.into(),
        port: PortKey::Number(80),
        variant: None,
    }
}

/// Services, and routes to the first of them.
pub(crate) struct Stepped {
    builder: Builder,
    backends: Vec<BackendSpec>,
    rules: Vec<(String, String, Vec<Step>)>,
}

impl Stepped {
    /// With a Service `web` that every route leads to.
    pub(crate) fn new(web: SocketAddr) -> Self {
        Self::on(edge(), web)
    }

    /// The same with other settings.
    pub(crate) fn on(builder: Builder, web: SocketAddr) -> Self {
        Self { builder, backends: Vec::new(), rules: Vec::new() }.service("web", &[web])
    }

    /// With a Service `web` of several pods.
    pub(crate) fn to(pods: &[SocketAddr]) -> Self {
        Self { builder: edge(), backends: Vec::new(), rules: Vec::new() }.service("web", pods)
    }

    /// With another Service, which may have no endpoint.
    pub(crate) fn service(mut self, name: &str, endpoints: &[SocketAddr]) -> Self {
        let spec = |addr: &SocketAddr| EndpointSpec {
            addr: EndpointAddr::new(addr.ip(), addr.port()),
            state: EndpointState::Ready,
            node: None,
            zone: None,
            near: false,
        };
        self.backends.push(BackendSpec {
            key: backend_key(name),
            state: BackendState::Resolved(endpoints.iter().map(spec).collect()),
            protocol: Protocol::Http,
            treatment: Treatment::default(),
        });
        self
    }

    /// With a route of a host, empty for every host, with these steps.
    pub(crate) fn route(mut self, host: &str, path: &str, steps: Vec<Step>) -> Self {
        self.rules.push((host.to_owned(), path.to_owned(), steps));
        self
    }

    /// Starts it, with one worker.
    pub(crate) fn start(self) -> Edge {
        let web = BackendId::of(backend_key("web"));
        let ingress = Arc::new(Ingress {
            kind: Kind::Ingress,
            has_status: true,
            namespace: "default".into(),
            name: "stepped".into(),
            created: 0,
            https: Https::default(),
            timeouts: None,
            balance: None,
            raw_path: false,
            max_body: None,
        });
        let rule = |(number, (host, path, steps)): (usize, &(String, String, Vec<Step>))| {
            let named = |(place, step): (usize, &Step)| {
                let name = format!("default/{}-{number}-{place}", step.kind());
                Arc::new(NamedStep { name: name.into(), step: step.clone() })
            };
            Rule {
                host: HostPattern::parse(Some(host.as_str()).filter(|host| !host.is_empty()))
                    .expect("a host"),
                path: PathPattern::new(PathKind::Prefix, path).expect("a path"),
                backend: Arc::clone(&web),
                ingress: Arc::clone(&ingress),
                rule: number,
                position: 0,
                matching: Default::default(),
                middlewares: Some(steps.iter().enumerate().map(named).collect()),
            }
        };
        let model = Model {
            ingresses: [Ingress::clone(&ingress)].into_iter().collect(),
            rules: self.rules.iter().enumerate().map(rule).collect(),
            defaults: Vec::new(),
            tcp: Vec::new(),
            backends: self.backends.into_iter().collect(),
        };
        let edge = self.builder.start();
        edge.put_table(|before| compile(&model, Some(before)));
        edge
    }
}
