//! Routes of connections at both: what a client gets, and what the pod has heard, is compared as a text.

mod pods;
mod talk;

use crate::differences::like;
use crate::lab::Lab;
use crate::manifests::{CERTIFICATE, DOMAIN, ELSEWHERE, NAMESPACE};
use crate::{Run, Side, shows};
pub(crate) use pods::start;
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::sync::atomic::Ordering;

/// With which a client of PostgreSQL asks for TLS.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// In the ids of its cases.
const KIND: &str = "tcp";

/// IngressRouteTCPs, and what comes to their entry points.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    name: String,
    /// Of an IngressRouteTCP each.
    specs: Vec<Value>,
    #[serde(default)]
    objects: Vec<Value>,
    /// Whether an IngressRoute has the host, too.
    #[serde(default)]
    http: bool,
    /// Why ravelin does otherwise.
    differs: Option<String>,
    connections: Vec<Connection>,
}

/// A connection, and what comes of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Connection {
    at: String,
    /// The name that the client asks for.
    #[serde(default)]
    name: String,
    #[serde(default)]
    plain: bool,
    #[serde(default)]
    alpn: Vec<String>,
    from: Option<Ipv4Addr>,
    #[serde(default)]
    certificate: bool,
    /// It asks for TLS as PostgreSQL does.
    #[serde(default)]
    postgres: bool,
    /// It says nothing, and hears the pod.
    #[serde(default)]
    silent: bool,
    /// The same, and it stays until the case is through.
    #[serde(default)]
    held: bool,
    /// What is part of that which Traefik makes of it.
    traefik: String,
    /// The same of ravelin, where it differs.
    ravelin: Option<String>,
}

impl Case {
    fn id(&self) -> String {
        format!("{KIND}/{}", self.name)
    }

    /// With its own names.
    fn named(&self, text: &str) -> String {
        let name = format!("{KIND}-{}", self.name);
        text.replace("$HOST", &format!("{name}.{DOMAIN}")).replace("$NAME", &name)
    }

    fn objects(&self) -> Vec<Value> {
        let mut objects = self.objects.clone();
        for (at, spec) in self.specs.iter().enumerate() {
            objects.push(json!({"apiVersion": "traefik.io/v1alpha1", "kind": "IngressRouteTCP",
                "metadata": {"name": format!("$NAME-{at}")}, "spec": spec}));
        }
        if self.http {
            objects.push(json!({"apiVersion": "traefik.io/v1alpha1", "kind": "IngressRoute",
                "metadata": {"name": "$NAME"}, "spec": {"tls": {"secretName": CERTIFICATE}, "routes": [
                    {"match": "Host(`$HOST`)", "services": [{"name": "app", "port": 80}]}]}}));
            objects.push(json!({"apiVersion": "traefik.io/v1alpha1", "kind": "IngressRoute",
                "metadata": {"name": "$NAME-plain"}, "spec": {"entryPoints": ["web"], "routes": [
                    {"match": "Host(`$HOST`)", "services": [{"name": "app", "port": 80}]}]}}));
        }
        let written = self.named(&serde_json::to_string(&objects).expect("JSON"));
        let mut objects: Vec<Value> = serde_json::from_str(&written).expect("JSON");
        for object in &mut objects {
            object["metadata"]["namespace"] = NAMESPACE.into();
        }
        objects
    }
}

/// All cases, or those that are asked for.
pub(crate) fn all(only: Option<&str>) -> Vec<Case> {
    let mut cases: Vec<Case> =
        serde_saphyr::from_str(include_str!("cases.yaml")).unwrap_or_else(|e| panic!("{e}"));
    cases.retain(|case| only.is_none_or(|only| like(only, &case.id())));
    cases
}

/// Their objects, and the Services that they name.
pub(crate) fn objects(cases: &[Case]) -> Vec<Value> {
    let mut objects: Vec<Value> =
        [NAMESPACE, ELSEWHERE].into_iter().flat_map(pods::services).collect();
    objects.extend(cases.iter().flat_map(Case::objects));
    objects
}

/// Makes the connections of all cases to both.
pub(crate) fn compare(lab: &Lab, cases: &[Case], run: &Run) {
    for case in cases {
        let mut held = Vec::new();
        for (at, connection) in case.connections.iter().enumerate() {
            let told = format!("{}#{}", case.id(), at + 1);
            let [theirs, ours] = [Side::Traefik, Side::Ravelin].map(|side| {
                let (heard, stream) = talk::talk(lab, side, case, connection);
                held.extend(stream.filter(|_| connection.held));
                heard
            });
            run.compared.fetch_add(1, Ordering::Relaxed);
            if shows() {
                show(&told, &theirs, &ours);
            }
            if !theirs.contains(&case.named(&connection.traefik)) {
                run.fail(format!("{told}: Traefik {theirs:?}, not {:?}", connection.traefik));
            }
            let differs = connection.ravelin.as_deref().filter(|_| case.differs.is_some());
            let is_right = match differs {
                Some(wanted) => ours.contains(wanted) && ours != theirs,
                None => ours == theirs,
            };
            if !is_right {
                run.fail(format!("{told}: Traefik {theirs:?}, ravelin {ours:?}"));
            }
        }
    }
}

#[expect(clippy::print_stdout, reason = "asked for by a variable")]
fn show(told: &str, traefik: &str, ravelin: &str) {
    println!("== {told}\ntraefik {traefik:?}\nravelin {ravelin:?}");
}
