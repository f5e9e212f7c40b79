//! What a routing table serves, as rows for people and for programs.

use crate::error::Reason;
use crate::model::middleware::leads_to;
use crate::model::{Algorithm, HashKey, Kind, Prefer};
use crate::proxy::request;
use crate::routing::{RouteId, Table, TcpEntry};
use serde::Serialize;

/// One route.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    /// Host of the rule; `*` for every host.
    pub(super) host: String,
    /// `Exact` or `Prefix`; `Default` for a default backend; for connections what becomes of TLS.
    pub(super) kind: &'static str,
    /// Canonical path; for connections the rule.
    pub(super) path: String,
    /// `namespace/service:port`.
    pub(super) service: String,
    /// The protocol to its endpoints, if it is not plain HTTP/1.1: `h2c`, or `https` and how it
    /// is verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) protocol: Option<String>,
    /// How its requests are spread, if not by load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) balance: Option<String>,
    /// Which endpoints come first, if any do: `same-node`, `same-zone`, or `hints` of the slices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) prefer: Option<&'static str>,
    /// Addresses that come first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) near: Vec<String>,
    /// The host that visitors are redirected to, in the place of what the endpoints would do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) redirect: Option<String>,
    /// How they are checked, if they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) check: Option<String>,
    /// How one of them is chosen, for people.
    #[serde(skip)]
    pub(super) how: String,
    /// Addresses that requests may go to.
    pub(super) endpoints: Vec<String>,
    /// What is answered if none can be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) answer: Option<String>,
    /// `namespace/name` of the Ingress.
    pub(super) ingress: String,
    /// The kind of that object.
    #[serde(skip)]
    pub(super) object: &'static str,
    /// Where in it.
    pub(super) field: String,
}

impl Row {
    /// Whether nothing is wrong but that no endpoint is known.
    pub(super) fn has_no_endpoint(&self) -> bool {
        self.answer.as_deref().is_some_and(|answer| answer.ends_with(Reason::NoEndpoint.label()))
    }
}

/// Describes one route.
pub(super) fn row(table: &Table, id: RouteId) -> Row {
    let (route, backend) = (table.route(id), table.backend(id));
    let external = backend.external.as_ref().filter(|_| backend.broken.is_none());
    let redirect = table.chain(id).and_then(leads_to).map(str::to_owned);
    let mut near = Vec::new();
    let (endpoints, answer) = match request::usable(backend) {
        // Nothing is resolved here.
        Err(_) if external.is_some() => (external.iter().map(ToString::to_string).collect(), None),
        Ok(set) => {
            let first = set.usable().iter().filter(|endpoint| set.is_near(endpoint));
            near.extend(first.map(|endpoint| endpoint.addr.to_string()));
            (set.usable().iter().map(|endpoint| endpoint.addr.to_string()).collect(), None)
        }
        // The backend is not asked.
        Err(_) if redirect.is_some() => (Vec::new(), None),
        Err(reason) => {
            (Vec::new(), Some(format!("{} {}", reason.status().as_u16(), reason.label())))
        }
    };
    let algorithm = table.algorithm(id);
    let prefer = match backend.balancing.prefer {
        Prefer::None => (!near.is_empty()).then_some("hints"),
        prefer => Some(prefer.as_str()),
    };
    Row {
        host: route.host_pattern(),
        kind: route.kind_text(),
        path: route.path.to_owned(),
        service: backend.key.to_string(),
        protocol: backend.protocol_text(),
        balance: Some(algorithm)
            .filter(|algorithm| **algorithm != Algorithm::LeastLoad)
            .map(ToString::to_string),
        prefer,
        how: how(algorithm, !near.is_empty()),
        near,
        redirect,
        check: backend.check.as_ref().map(ToString::to_string),
        endpoints,
        answer,
        ingress: format!("{}/{}", route.namespace, route.ingress),
        object: route.object.as_str(),
        field: route.field(),
    }
}

/// How an endpoint is chosen.
fn how(algorithm: &Algorithm, has_near: bool) -> String {
    let how = match algorithm {
        Algorithm::LeastLoad => "one endpoint, by load".to_owned(),
        Algorithm::RoundRobin => "each endpoint in turn".to_owned(),
        Algorithm::Hash(HashKey::Client) => {
            "an endpoint by hash of the client's address".to_owned()
        }
        Algorithm::Hash(HashKey::Header(name)) => {
            format!("an endpoint by hash of the header {name}; by load without it")
        }
        Algorithm::Cookie(settings) => {
            format!("the endpoint that the cookie {} names; by load without it", settings.name)
        }
    };
    if has_near { format!("{how}; local ones first") } else { how }
}

/// Describes a route of connections.
fn tcp_row(entry: &TcpEntry) -> Row {
    let rule = &entry.rule;
    let sets = entry.backends.iter().map(|backend| (backend, backend.endpoints()));
    let endpoints: Vec<String> = sets
        .flat_map(|(_, set)| {
            let all = set.usable().iter().map(|endpoint| endpoint.addr.to_string());
            all.collect::<Vec<_>>()
        })
        .collect();
    let reason = entry.refusal(|backend| backend.external.is_some());
    Row {
        host: entry.hosts(),
        kind: rule.tls.as_str(),
        path: rule.text.to_string(),
        service: entry.service_text(),
        protocol: None,
        balance: None,
        prefer: None,
        near: Vec::new(),
        redirect: None,
        check: None,
        how: String::new(),
        endpoints,
        answer: reason.map(|reason| format!("refused {}", reason.label())),
        ingress: entry.object.to_string(),
        object: Kind::IngressRouteTcp.as_str(),
        field: entry.field(),
    }
}

/// Every route, by host and path; behind them those of connections, as they are tried.
pub(super) fn rows(table: &Table) -> Vec<Row> {
    let mut rows: Vec<Row> = table.routes().map(|id| row(table, id)).collect();
    // Names before wildcards before "every host", as requests are matched.
    rows.sort_by_cached_key(|row| {
        let breadth = if row.host == "*" { 2 } else { u8::from(row.host.starts_with("*.")) };
        (breadth, row.host.clone(), row.kind == "Default", row.path.clone(), row.kind)
    });
    rows.extend(table.tcp_routes().iter().map(|entry| tcp_row(entry)));
    rows
}

/// The rows in columns.
pub(super) fn text(rows: &[Row]) -> String {
    let head = ["HOST", "TYPE", "PATH", "SERVICE", "GOES TO", "INGRESS"].map(str::to_owned);
    let cells = rows.iter().map(|row| {
        let goes_to = match (&row.redirect, &row.answer) {
            (Some(host), _) => format!("redirect to {host}"),
            (None, Some(answer)) => answer.clone(),
            // A checkout tells only that the Service exists.
            (None, None) if row.endpoints.is_empty() => "its pods".to_owned(),
            (None, None) => row.endpoints.join(" "),
        };
        let (host, kind) = (row.host.clone(), row.kind.to_owned());
        let protocol = row.protocol.as_deref().and_then(|words| words.split(' ').next());
        let service = match protocol {
            None => row.service.clone(),
            Some(protocol) => format!("{} ({protocol})", row.service),
        };
        [host, kind, row.path.clone(), service, goes_to, row.ingress.clone()]
    });
    let lines: Vec<[String; 6]> = std::iter::once(head).chain(cells).collect();
    let mut widths = [0; 6];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    for line in &lines {
        let padded = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        out.push_str(padded.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
    out
}
