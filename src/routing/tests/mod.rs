//! Which route a request gets, what a new table keeps of the old one, and who frees tables.

mod live;
mod ordered;
mod precedence;
mod random;
mod recompile;

use super::{Table, compile};
use crate::model::{
    BackendId, BackendKey, BackendSpec, BackendState, CanonicalPath, DefaultBackend, EndpointSpec,
    EndpointState, EntryPoints, Host, HostPattern, Hsts, Ingress, Kind, Model, PathKind,
    PathPattern, PortKey, Protocol, Rule, Treatment,
};
use crate::net::addr::EndpointAddr;
use std::sync::Arc;

/// `*` for every host, else as a manifest has it.
fn mk_host(host: &str) -> HostPattern {
    HostPattern::parse(Some(host).filter(|host| *host != "*")).expect("a host")
}

/// `Exact /x` or `Prefix /x`.
fn mk_path(path: &str) -> PathPattern {
    let (kind, text) = path.split_once(' ').expect("a kind and a path");
    let kind = match kind {
        "Exact" => PathKind::Exact,
        "Prefix" => PathKind::Prefix,
        other => panic!("no such kind of path: {other}"),
    };
    PathPattern::new(kind, text).expect("a path")
}

/// An Ingress that is older than those with higher numbers.
fn mk_ingress(number: usize) -> Ingress {
    let created = i64::try_from(number).expect("a small number");
    Ingress::mk_plain("default", &format!("i{number}"), created)
}

/// A model of so many Ingresses, the first one the oldest, and one backend for all.
fn mk_model(ingresses: usize) -> Model {
    Model {
        ingresses: (0..ingresses).map(mk_ingress).collect(),
        backends: [mk_backend("web", BackendState::Resolved([].into()))].into_iter().collect(),
        ..Model::default()
    }
}

fn mk_key(service: &str) -> BackendKey {
    BackendKey {
        namespace: "default".into(),
        service: service.into(),
        port: PortKey::Number(80),
        variant: None,
    }
}

fn mk_backend(service: &str, state: BackendState) -> BackendSpec {
    let key = mk_key(service);
    BackendSpec { key, state, protocol: Protocol::Http, treatment: Treatment::default() }
}

fn mk_endpoints(last: &[u8]) -> BackendState {
    let spec = |last| EndpointSpec {
        addr: EndpointAddr::new([10, 0, 0, last].into(), 8080),
        state: EndpointState::Ready,
        node: None,
        zone: None,
        near: false,
    };
    BackendState::Resolved(last.iter().copied().map(spec).collect())
}

fn mk_rule(host: &str, path: &str, ingress: usize, rule: usize, position: usize) -> Rule {
    Rule {
        host: mk_host(host),
        path: mk_path(path),
        backend: BackendId::of(mk_key("web")),
        ingress: Arc::new(mk_ingress(ingress)),
        rule,
        position,
        matching: Default::default(),
        middlewares: None,
    }
}

fn mk_default(ingress: usize, hosts: &[&str]) -> DefaultBackend {
    let hosts = hosts.iter().map(|host| mk_host(host)).collect();
    DefaultBackend {
        backend: BackendId::of(mk_key("web")),
        ingress: Arc::new(mk_ingress(ingress)),
        hosts,
        entry_points: EntryPoints::ALL,
        middlewares: None,
    }
}

/// Rules of one Ingress each, in this order: `(host, path)`.
fn mk_table(rules: &[(&str, &str)], defaults: &[(usize, &[&str])]) -> Table {
    let mut model = mk_model(rules.len() + defaults.len());
    let rules = rules.iter().zip(0..);
    model.rules = rules.map(|((host, path), i)| mk_rule(host, path, i, 0, 0)).collect();
    model.defaults = defaults.iter().map(|(i, hosts)| mk_default(*i, hosts)).collect();
    compile(&model, None)
}

/// The winner of a request as `ingress host path`, or nothing. Host and path in any spelling.
fn winner(table: &Table, host: &str, path: &str) -> Option<String> {
    let host = Host::parse(host).expect("a host");
    let path = CanonicalPath::parse(path).expect("a path");
    table.lookup(host.as_str(), path.as_str()).map(|id| {
        let route = table.route(id);
        let kind = if route.position.is_some() { route.kind.as_str() } else { "Default" };
        format!("{} {} {kind} {}", route.ingress, route.host_pattern(), route.path)
    })
}

#[test]
fn a_value_of_hsts_that_cannot_be_sent_moves_no_other_one() {
    let mut model = mk_model(3);
    let values = ["max-age=1", "max-age=2\n", "max-age=3"];
    let rules = (0..3).zip(values).map(|(i, value)| {
        let mut ingress = mk_ingress(i);
        ingress.https.hsts = Some(Hsts::unread(value));
        let rule = mk_rule(&format!("h{i}.example"), "Prefix /", i, 0, 0);
        Rule { ingress: Arc::new(ingress), ..rule }
    });
    model.rules = rules.collect();
    let table = compile(&model, None);
    let sent = |host| table.hsts(table.lookup(host, "/").expect("a route"));
    assert_eq!(sent("h0.example").expect("a value"), "max-age=1");
    assert_eq!(sent("h1.example"), None);
    assert_eq!(sent("h2.example").expect("a value"), "max-age=3");
}
