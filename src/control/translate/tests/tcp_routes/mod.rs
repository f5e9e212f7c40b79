//! IngressRouteTCPs: which connections their routes take, and what is said of those that cannot be served.

mod closed;
mod content;
mod lookups;

use super::{BASE, lines, mk_ingress, mk_paths, objects, options, run_with};
use crate::config::{Config, MiddlewarePolicy};
use crate::control::objects::Change;
use crate::control::source::Changes;
use crate::control::translate::entry_points::CarriedTraffic;
use crate::control::translate::{EntryPointTable, NamedEntryPoint, Options, Translator};
use crate::model::middleware::Step;
use crate::model::{
    Broken, ConnectionFacts, Kind, Model, ObjectRef, Protocol, ProxyVersion, TcpRoute, TcpTls,
};
use crate::pki::client_certificate::Mode;
use crate::routing::{AskedConnection, Table, compile};
use std::net::IpAddr;

const WEB: u32 = 1;
const WEBSECURE: u32 = 2;
/// Of a listener with `protocol = "tcp"`.
const DB: u32 = 4;

fn mk_tcp(spec: &str) -> String {
    mk_named("r", spec)
}

fn mk_named(name: &str, spec: &str) -> String {
    mk_object("IngressRouteTCP", name, spec)
}

fn mk_object(kind: &str, name: &str, spec: &str) -> String {
    format!(
        "
apiVersion: traefik.io/v1alpha1
kind: {kind}
metadata: {{name: {name}}}
spec: {{{spec}}}
---"
    )
}

/// A route to the Service `api`.
fn mk_route(rule: &str, more: &str) -> String {
    format!("{{match: '{rule}', services: [{{name: api, port: 9000}}]{more}}}")
}

fn taking() -> Options {
    let preset = |name: &str, is_secure| NamedEntryPoint {
        name: name.into(),
        is_secure,
        carries: CarriedTraffic {
            plain: !is_secure,
            tls: is_secure,
            http: true,
            cloudflare_alone: false,
        },
        ports: Vec::new(),
        is_default: true,
        middlewares: Vec::new(),
    };
    let carries = CarriedTraffic { plain: true, tls: true, http: false, cloudflare_alone: false };
    let db = NamedEntryPoint { carries, is_default: false, ..preset("db", false) };
    let points = vec![preset("web", false), preset("websecure", true), db];
    let entry_points = EntryPointTable::new(points);
    Options { taken_classes: vec!["traefik".to_owned()], entry_points, ..options() }
}

fn run(yaml: &str) -> (Model, Vec<String>) {
    let (model, findings) = run_with(&taking(), yaml);
    (model, lines(&findings))
}

/// The same without a finding.
fn model(yaml: &str) -> Model {
    let (model, said) = run(yaml);
    assert_eq!(said, [""; 0]);
    model
}

/// Who connects, and how.
#[derive(Clone, Copy)]
struct Client<'c> {
    name: &'c str,
    protocols: &'c [&'c str],
    peer: &'c str,
}

const CLIENT: Client<'_> = Client { name: "", protocols: &[], peer: "192.0.2.1" };

/// The route of a connection with TLS at a listener of these entry points.
fn secured(table: &Table, client: Client<'_>, entry_points: u32) -> Option<String> {
    let protocols: Vec<Vec<u8>> =
        client.protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let peer: IpAddr = client.peer.parse().expect("an address");
    let facts = ConnectionFacts { server_name: client.name, protocols: &protocols, peer };
    let asked = AskedConnection { entry_points, facts };
    let found = table.tcp_tls(&asked, entry_points & DB == 0)?;
    Some(format!("{} {}", found.object, found.field()))
}

fn plain(table: &Table, peer: &str, entry_points: u32) -> Option<String> {
    let peer: IpAddr = peer.parse().expect("an address");
    let facts = ConnectionFacts { server_name: "", protocols: &[], peer };
    let found = table.tcp_plain(&AskedConnection { entry_points, facts })?;
    Some(format!("{} {}", found.object, found.field()))
}

fn route(position: usize) -> Option<String> {
    Some(format!("default/r spec.routes[{position}]"))
}

fn named(name: &'static str) -> Client<'static> {
    Client { name, ..CLIENT }
}

/// Why the connections of each route are refused, in the order of the objects and routes.
fn broken(model: &Model) -> Vec<Option<Broken>> {
    let mut routes: Vec<&TcpRoute> = model.tcp.iter().collect();
    routes.sort_by(|a, b| {
        let by_position = || a.rule.position.cmp(&b.rule.position);
        a.ingress.by_age(&b.ingress).then_with(by_position)
    });
    routes.into_iter().map(|route| route.rule.broken).collect()
}
