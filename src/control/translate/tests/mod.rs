//! The rows of the Ingress and EndpointSlice semantics, and what Nodes say, as manifests.

mod addresses;
mod aliases;
mod annotated;
mod balancing;
mod changes;
mod checked;
mod class;
mod clients;
mod demo;
mod endpoints;
mod entry_points;
mod every_kind;
mod external_name;
mod foreign;
mod guidance;
mod health_check;
mod https;
mod ingress;
mod ingress_routes;
mod limits;
mod messages;
mod middlewares;
mod ownership;
mod path_matching;
mod pool;
mod protocols;
mod random;
mod several;
mod sharing;
mod step_backends;
mod tcp_routes;
mod tls;
mod transports;
mod www;

use super::{Options, translate};
use crate::control::manifest;
use crate::control::objects::Objects;
use crate::model::{BackendSpec, BackendState, Diagnostic, Model, RequestFacts, Sender};
use crate::net::fields::FieldMap;
use crate::routing::{Asked, RouteId, Table, compile};
use http::Method;
use std::sync::Arc;

/// The class and two Services that most cases need.
const BASE: &str = "
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: ravelin}
spec: {controller: ravelin.dev/ingress-controller}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: api}
spec: {ports: [{port: 9000}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [10.0.0.1]}]
---
";

fn options() -> Options {
    Options {
        ingress_class: "ravelin".to_owned(),
        without_class: false,
        strict_class: true,
        loopback_endpoints: false,
        ..Options::default()
    }
}

fn objects(yaml: &str) -> Objects {
    let parsed = manifest::parse("test.yaml", yaml);
    assert_eq!(parsed.findings, [], "the manifest of the test itself is wrong: {yaml}");
    let mut objects = Objects::default();
    for object in parsed.objects {
        assert_eq!(objects.insert(object), None);
    }
    objects
}

fn run_with(options: &Options, yaml: &str) -> (Model, Vec<Diagnostic>) {
    translate(&objects(&format!("{BASE}{yaml}")), options)
}

fn run(yaml: &str) -> (Model, Vec<Diagnostic>) {
    run_with(&options(), yaml)
}

/// The model of manifests with nothing to complain about.
fn model(yaml: &str) -> Model {
    let (model, findings) = run(yaml);
    assert_eq!(findings, []);
    model
}

/// What is made of the route of `http://a.example` with this path, if there is one.
fn at_path<T>(model: &Model, path: &str, make: impl FnOnce(&Table, RouteId) -> T) -> Option<T> {
    at_host(model, "a.example", path, make)
}

/// The same on another host.
fn at_host<T>(
    model: &Model,
    host: &str,
    path: &str,
    make: impl FnOnce(&Table, RouteId) -> T,
) -> Option<T> {
    let table = compile(model, None);
    let request = RequestFacts {
        host,
        path,
        query: None,
        method: &Method::GET,
        headers: &FieldMap::new(),
        sender: Sender::default(),
        peer: [192, 0, 2, 1].into(),
    };
    let asked = Asked { request: Some(request), ..Asked::ANY };
    Some(make(&table, table.find(host, path, &asked)?))
}

fn lines(findings: &[Diagnostic]) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}

/// An Ingress `default/x` of our class with this spec, in flow style.
fn mk_ingress(spec: &str) -> String {
    mk_named("x", spec)
}

fn mk_named(name: &str, spec: &str) -> String {
    let class = "ingressClassName: ravelin";
    format!(
        "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: {name}}}
spec: {{{class}, {spec}}}
---"
    )
}

/// A rule for `a.example` with these paths, each to Service `web`.
fn mk_paths(paths: &[(&str, &str)]) -> String {
    let paths: Vec<String> = paths
        .iter()
        .map(|(kind, path)| {
            let backend = "backend: {service: {name: web, port: {name: http}}}";
            format!("{{pathType: {kind}, path: '{path}', {backend}}}")
        })
        .collect();
    format!("rules: [{{host: a.example, http: {{paths: [{}]}}}}]", paths.join(", "))
}

/// A rule for `a.example` with the one Prefix `/` to this backend.
fn mk_backend(backend: &str) -> String {
    format!(
        "rules: [{{host: a.example, http: {{paths: [{{pathType: Prefix, path: /, backend: {backend}}}]}}}}]"
    )
}

/// The rules as `host kind path -> backend`, as they stand in the manifests.
fn routes(model: &Model) -> Vec<String> {
    let mut rules: Vec<_> = model.rules.iter().collect();
    rules.sort_by(|a, b| a.by_place(b));
    let route = |rule: &Arc<crate::model::Rule>| {
        format!("{} {} -> {}", rule.host, rule.path, model.backends[&rule.backend].key)
    };
    rules.into_iter().map(route).collect()
}

/// The endpoints of a backend as `address state`, or why there are none.
fn endpoints(backend: &BackendSpec) -> Vec<String> {
    match &backend.state {
        BackendState::Resolved(endpoints) => endpoints
            .iter()
            .map(|endpoint| format!("{} {}", endpoint.addr, endpoint.state.as_str()))
            .collect(),
        BackendState::Named(external) => vec![external.to_string()],
        BackendState::Broken(broken) => vec![format!("{broken:?}")],
    }
}
