//! A connection of an IngressRouteTCP: which route takes it before anything of HTTP is read.

use super::Explanation;
use super::handshake::named_host;
use crate::config::{Listener, ListenerProtocol};
use crate::model::{ConnectionFacts, NamedStep, TcpTls};
use crate::net::message::Request;
use crate::proxy::ListenerEntry;
use crate::proxy::middleware::admit_connection;
use crate::routing::{AskedConnection, Table, TcpEntry};
use serde::Serialize;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// The route of a connection.
#[derive(Debug, Serialize)]
pub(super) struct ConnectionReport {
    /// `namespace/name` of the IngressRouteTCP.
    pub(super) object: String,
    pub(super) field: String,
    /// `match`, as it is written.
    pub(super) rule: String,
    /// What becomes of TLS.
    pub(super) tls: &'static str,
    /// `namespace/service:port`, each with its share.
    pub(super) services: Vec<String>,
    pub(super) endpoints: Vec<String>,
    /// The MiddlewareTCPs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) middlewares: Vec<String>,
}

impl ConnectionReport {
    /// As lines of text.
    pub(super) fn lines(&self) -> Vec<(&'static str, String)> {
        let endpoints = match &self.endpoints[..] {
            [] => "none".to_owned(),
            some => some.join(" "),
        };
        let object = format!("IngressRouteTCP {} {}", self.object, self.field);
        let mut lines =
            vec![("rule", self.rule.clone()), ("object", object), ("tls", self.tls.to_owned())];
        lines.extend(self.services.iter().map(|service| ("service", service.clone())));
        lines.push(("endpoints", endpoints));
        lines.extend(self.middlewares.iter().map(|step| ("middleware", step.clone())));
        lines
    }
}

/// A connection that is asked about.
pub(super) struct Asked<'a> {
    pub(super) table: &'a Table,
    pub(super) listener: Option<&'a Listener>,
    pub(super) entry: ListenerEntry,
    /// `http`, `https`, `tcp` or `tls`.
    pub(super) scheme: &'a str,
    /// The name in its ClientHello, if it is not the host.
    pub(super) sni: Option<&'a str>,
    /// No pods are named in the input: a Service is enough.
    pub(super) without_pods: bool,
}

/// Explains a connection, if a route of connections takes it, or nothing else can. Returns whether it is served.
pub(super) fn explain(
    asked: &Asked<'_>,
    request: &Request<()>,
    explanation: &mut Explanation,
) -> Option<bool> {
    let (host, is_name) = named_host(request);
    let name = asked.sni.unwrap_or(if is_name { &host } else { "" });
    let peer = explanation.origin.as_ref().and_then(|origin| origin.peer);
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
    let (has_tls, is_http) = match asked.scheme {
        "https" => (true, true),
        "tls" => (true, false),
        scheme => (false, scheme == "http"),
    };
    let protocols = match asked.scheme {
        "https" => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        _ => Vec::new(),
    };
    let server_name = if has_tls { name } else { "" };
    let facts = ConnectionFacts { server_name, protocols: &protocols, peer };
    let connection = AskedConnection { entry_points: asked.entry.bits, facts };
    let is_mixed = asked.listener.map_or(is_http, |one| one.protocol == ListenerProtocol::Https);
    let found = match has_tls {
        true => asked.table.tcp_tls(&connection, is_mixed),
        false => asked.table.tcp_plain(&connection),
    };
    let Some(entry) = found else {
        if is_http {
            return None;
        }
        explanation.answer = "refused no_route".to_owned();
        explanation.note =
            "no IngressRouteTCP of its entry points is for this connection".to_owned();
        return Some(false);
    };
    explanation.connection = Some(report(entry));
    let refused = refusal(entry, peer, asked.without_pods);
    match refused {
        None => {
            explanation.answer = "relayed".to_owned();
            explanation.note =
                "its bytes go to one pod, by weight of the services and by load".to_owned();
        }
        Some((reason, note)) => {
            explanation.answer = format!("refused {reason}");
            explanation.note = note;
        }
    }
    Some(explanation.answer == "relayed")
}

fn report(entry: &TcpEntry) -> ConnectionReport {
    let services = entry.services().map(|(service, backend)| match entry.backends.len() {
        1 => backend.key.to_string(),
        _ => format!("{} (weight {})", backend.key, service.weight),
    });
    let endpoints = entry.backends.iter().flat_map(|backend| {
        let set = backend.endpoints();
        set.usable().iter().map(|endpoint| endpoint.addr.to_string()).collect::<Vec<_>>()
    });
    let shown = |step: &Arc<NamedStep>| {
        let name = step.name.split(" of ").next().unwrap_or_default();
        format!("{name} ({})", step.step.kind())
    };
    ConnectionReport {
        object: entry.object.to_string(),
        field: entry.field(),
        rule: entry.rule.text.to_string(),
        tls: match entry.rule.tls {
            TcpTls::None => "none",
            TcpTls::Passthrough => "passed on to the pod",
            TcpTls::Ended(_) => "ends here",
        },
        services: services.collect(),
        endpoints: endpoints.collect(),
        middlewares: entry.rule.steps.iter().map(shown).collect(),
    }
}

/// Why a connection is refused, with words, if it is.
fn refusal(entry: &TcpEntry, peer: IpAddr, without_pods: bool) -> Option<(&'static str, String)> {
    let told = |reason: crate::error::Reason| (reason.label(), reason.text().to_owned());
    if let Some(broken) = entry.rule.broken {
        let note = format!("{} `ravelin check` says what is wrong.", broken.reason().text());
        return Some((broken.reason().label(), note));
    }
    let is_known = !peer.is_unspecified();
    if is_known && let Err(reason) = admit_connection(&entry.rule.steps, &Default::default(), peer)
    {
        return Some(told(reason));
    }
    entry.refusal(|backend| without_pods || backend.external.is_some()).map(told)
}
