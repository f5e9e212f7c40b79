//! Routes: where each leads, and whether it can be served.

use super::Sources;
use super::question::Search;
use super::window::{Bounds, Window};
use crate::error::Reason;
use crate::model::Kind;
use crate::model::middleware::leads_to;
use crate::proxy::request;
use crate::routing::{RouteId, Table, TcpEntry};
use serde::Serialize;
use std::cmp::Ordering;

/// A route of HTTP, or of connections.
#[derive(Debug, Serialize)]
pub(super) struct RouteRow {
    /// Host of the rule; `*` for every host.
    host: String,
    /// `Exact`, `Prefix` or `Default`; for connections what becomes of TLS.
    kind: &'static str,
    /// Canonical path; for connections the rule.
    path: String,
    /// Kind, namespace and name of the object that defines it.
    object: String,
    /// Where in it.
    field: String,
    /// `namespace/service:port`.
    pub(super) service: String,
    /// The protocol to its endpoints, if it is not plain HTTP/1.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<String>,
    /// The host that visitors are redirected to, in the place of what the endpoints would do.
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect: Option<String>,
    /// Whether visitors without TLS are sent to the same address with it.
    https_only: bool,
    /// Names of its middlewares, in the order of the request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    middlewares: Vec<String>,
    /// Endpoints that requests may go to.
    endpoints: usize,
    /// Of them, how many are left out for their failures.
    ejected: u32,
    /// `ok`, `redirect`, `external` (a DNS name), or the reason of the response that visitors get.
    state: &'static str,
    /// The status of that response.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
}

impl Sources {
    /// Names before wildcards before "every host", as requests are matched; then by path. Behind them those of
    /// connections, as they are tried.
    pub(super) fn routes(&self, search: &Search) -> Window<RouteRow> {
        let table = self.tables.load();
        let mut found: Vec<(RouteId, usize)> =
            table.routes().filter(|id| is_asked(&table, *id, search)).zip(0..).collect();
        let of_http = found.len();
        let of_tcp: Vec<_> =
            table.tcp_routes().iter().filter(|entry| is_asked_tcp(entry, search)).collect();
        let total = of_http + of_tcp.len();
        let compare = |a: &(RouteId, usize), b: &(RouteId, usize)| {
            order(&table, a.0, b.0).then(a.1.cmp(&b.1))
        };
        let part = search.bounds.sorted(&mut found, compare);
        let mut rows: Vec<RouteRow> = part.iter().map(|(id, _)| route_row(&table, *id)).collect();
        let rest = Bounds {
            after: search.bounds.after.saturating_sub(of_http),
            limit: search.bounds.limit - rows.len(),
        };
        rows.extend(of_tcp[rest.range(of_tcp.len())].iter().map(|entry| tcp_route_row(entry)));
        search.bounds.window(table.generation(), total, rows)
    }
}

fn is_asked(table: &Table, id: RouteId, search: &Search) -> bool {
    if search.text.is_empty() {
        return true;
    }
    let (route, key) = (table.route(id), &table.backend(id).key);
    let texts = [route.host, route.path, route.namespace, route.ingress, &key.service];
    search.matches(&texts) || search.matches(&[&route.host_pattern(), &key.to_string()])
}

fn is_asked_tcp(entry: &TcpEntry, search: &Search) -> bool {
    search.text.is_empty() || search.matches(&[&entry.hosts(), &entry.object, &entry.rule.text])
}

fn order(table: &Table, a: RouteId, b: RouteId) -> Ordering {
    let (a, b) = (table.route(a), table.route(b));
    let key = |of: &crate::routing::Route<'_>| {
        let breadth = if of.host.is_empty() { 2 } else { u8::from(of.wildcard) };
        (breadth, of.position.is_none())
    };
    let ((wide_a, last_a), (wide_b, last_b)) = (key(&a), key(&b));
    let by_host = wide_a.cmp(&wide_b).then_with(|| a.host.cmp(b.host)).then(last_a.cmp(&last_b));
    by_host
        .then_with(|| a.path.cmp(b.path))
        .then_with(|| a.kind.as_str().cmp(b.kind.as_str()))
        .then_with(|| {
            (a.namespace, a.ingress, a.position).cmp(&(b.namespace, b.ingress, b.position))
        })
}

/// Describes a route.
pub(super) fn route_row(table: &Table, id: RouteId) -> RouteRow {
    let (route, backend) = (table.route(id), table.backend(id));
    let redirect = table.chain(id).and_then(leads_to).map(str::to_owned);
    let external = backend.external.is_some() && backend.broken.is_none();
    let (endpoints, ejected, refused) = match request::usable(backend) {
        Ok(set) => (set.usable().len(), set.ejected(), None),
        Err(reason) => (0, 0, Some(reason)),
    };
    let (state, status) = match refused {
        // The backend is not asked.
        Some(_) if redirect.is_some() => ("redirect", None),
        Some(Reason::NoEndpoint) if external => ("external", None),
        Some(reason) => (reason.label(), Some(reason.status().as_u16())),
        None => ("ok", None),
    };
    let names = table.chain(id).map(|chain| chain.iter().map(|step| step.name.to_string()));
    RouteRow {
        host: route.host_pattern(),
        kind: route.kind_text(),
        path: route.path.to_owned(),
        object: format!("{} {}/{}", route.object.as_str(), route.namespace, route.ingress),
        field: route.field(),
        service: backend.key.to_string(),
        protocol: backend.protocol_text(),
        redirect,
        https_only: table.redirects(id),
        middlewares: names.into_iter().flatten().collect(),
        endpoints,
        ejected,
        state,
        status,
    }
}

fn tcp_route_row(entry: &TcpEntry) -> RouteRow {
    let reason = entry.refusal(|backend| backend.external.is_some());
    let sets = || entry.backends.iter().map(|backend| backend.endpoints());
    RouteRow {
        host: entry.hosts(),
        kind: entry.rule.tls.as_str(),
        path: entry.rule.text.to_string(),
        object: format!("{} {}", Kind::IngressRouteTcp.as_str(), entry.object),
        field: entry.field(),
        service: entry.service_text(),
        protocol: None,
        redirect: None,
        https_only: false,
        middlewares: Vec::new(),
        endpoints: sets().map(|set| set.usable().len()).sum(),
        ejected: sets().map(|set| set.ejected()).sum(),
        state: reason.map_or("ok", Reason::label),
        status: None,
    }
}
