//! One IngressRouteTCP (`traefik.io/v1alpha1`), read and checked by itself; the objects it refers to are looked up
//! elsewhere.
//!
//! A mistake costs the route that it is in: one whose rule is readable keeps its place, and its connections are
//! refused, so that no other route takes them.

mod middleware;
mod overlap;
mod service;
mod tls;
mod transport;

pub(super) use middleware::read as read_middleware;
pub(super) use overlap::report as report_overlaps;
pub(super) use service::{TcpServiceRead, TcpTarget};
pub(super) use tls::TcpTlsRead;
pub(super) use transport::{TcpTransport, read as read_transport};

use super::annotations::{Annotations, OURS};
use super::entry_points::{EntryPointTable, EntryPointsRead};
use super::ingress_route::rule::Syntax;
use super::ingress_route::{hosts as hosts_of, list, references};
use super::middleware::{Fields, Reference};
use super::report::{Problem, Report};
use crate::control::objects::TraefikObject;
use crate::model::{Broken, Condition, HostPattern, Severity, Why};

/// The priority of ``HostSNI(`*`)``: behind all others (`pkg/muxer/tcp/mux.go`, GetRulePriority).
const CATCH_ALL_PRIORITY: i64 = -1;

/// One of `spec.routes` whose rule can be read.
pub(super) struct TcpRouteRead<'o> {
    /// Position in `spec.routes`.
    pub(super) position: usize,
    /// `match`, as it is written.
    pub(super) text: &'o str,
    pub(super) condition: Condition,
    pub(super) priority: i64,
    /// Whether it is ``HostSNI(`*`)`` and nothing else.
    pub(super) is_catch_all: bool,
    /// The names that it is for, sorted; [`HostPattern::Any`] alone where it may be for any.
    pub(super) hosts: Vec<HostPattern>,
    /// Its MiddlewareTCPs, in their order.
    pub(super) middlewares: Vec<Reference<'o>>,
    pub(super) services: Vec<TcpServiceRead<'o>>,
    /// Why its connections are refused.
    pub(super) broken: Option<Broken>,
}

/// What of an IngressRouteTCP can be served.
pub(super) struct IngressRouteTcpRead<'o> {
    pub(super) routes: Vec<TcpRouteRead<'o>>,
    pub(super) entry_points: EntryPointsRead,
    pub(super) tls: Option<TcpTlsRead<'o>>,
    /// Why no connection of it is served.
    pub(super) broken: Option<Broken>,
}

/// Reads an IngressRouteTCP and reports what cannot be served. `points` are those that it may name.
pub(super) fn read<'o>(
    source: &'o TraefikObject,
    points: &EntryPointTable,
    report: &mut Report<'_>,
) -> IngressRouteTcpRead<'o> {
    let mut fields = Fields::of_connections("spec", &source.spec, report);
    fields.know(&["routes", "entryPoints", "tls", "ingressClassName"]);
    fields.refuse_misspelt("tls");
    let names = fields.texts("entryPoints");
    let has_tls = fields.get("tls").is_some();
    let read = |position, route: &mut Fields<'o, '_, '_>| read_route(position, route, has_tls);
    let routes = list::routes(&mut fields, read, |route| (route.text, route.position));
    let mut broken = fields.is_broken().then_some(Broken::Altered);
    let entry_points = points.of_tcp_route(&names, has_tls, report);
    let tls = tls::read(&source.spec, &routes, report);
    if tls.as_ref().is_some_and(|tls| tls.is_broken) {
        broken = broken.or(Some(Broken::Restricted));
    }
    broken = broken.or(entry_points.broken).or(annotated(source, report));
    IngressRouteTcpRead { routes, entry_points, tls, broken }
}

/// Refuses annotations of ours: each of them asks something of requests, and some protect.
fn annotated(source: &TraefikObject, report: &mut Report<'_>) -> Option<Broken> {
    let name = Annotations::of(&source.metadata).first_with(OURS)?;
    let reason = "is not for IngressRouteTCPs, which have no requests: connections are refused";
    let fix = "remove it, and write a MiddlewareTCP or a TLSOption for what it is to protect";
    let problem = Problem::error(Why::RestrictionUnsupported, "", reason, fix);
    report.add(&super::annotations::field(name), problem);
    Some(Broken::Restricted)
}

fn read_route<'o>(
    position: usize,
    fields: &mut Fields<'o, '_, '_>,
    has_tls: bool,
) -> Option<TcpRouteRead<'o>> {
    fields.know(&["match", "priority", "syntax", "services", "middlewares"]);
    fields.refuse_misspelt("middlewares");
    let (text, condition) = list::rule(fields, Syntax::Tcp, Syntax::TcpV2)?;
    if !has_tls && first_host(&condition).is_some_and(|host| *host != HostPattern::Any) {
        let reason = "asks for a name, and without `tls` nobody names one: the route does not exist, as in Traefik";
        let fix = "add `tls: {}` or `tls: {passthrough: true}`, or write HostSNI(`*`)";
        fields.say("match", Severity::Error, Why::Invalid, reason, fix);
        return None;
    }
    let is_catch_all = condition == Condition::Host(HostPattern::Any);
    let length = i64::try_from(text.len()).unwrap_or(i64::MAX);
    let default = if is_catch_all { CATCH_ALL_PRIORITY } else { length };
    let priority = list::priority(fields);
    let hosts = placed(&condition);
    let middlewares = references(fields);
    let services = service::read(fields);
    let broken = fields.is_broken().then_some(Broken::Altered);
    let priority = priority.unwrap_or(default);
    Some(TcpRouteRead {
        position,
        text,
        condition,
        priority,
        is_catch_all,
        hosts,
        middlewares,
        services,
        broken,
    })
}

/// The names under which a rule is looked up.
fn placed(condition: &Condition) -> Vec<HostPattern> {
    let mut hosts = hosts_of(condition).unwrap_or_else(|| vec![HostPattern::Any]);
    hosts.sort_unstable();
    hosts.dedup();
    match hosts.contains(&HostPattern::Any) {
        true => vec![HostPattern::Any],
        false => hosts,
    }
}

/// The first name that a rule has, in whatever place.
fn first_host(condition: &Condition) -> Option<&HostPattern> {
    match condition {
        Condition::Host(host) => Some(host),
        Condition::All(all) | Condition::Any(all) => all.iter().find_map(first_host),
        Condition::Not(not) => first_host(not),
        _ => None,
    }
}

/// Reads an IngressRouteTCP for what is wrong with it alone.
pub(super) fn check(source: &TraefikObject, report: &mut Report<'_>) {
    read(source, &EntryPointTable::default(), report);
}

/// Reads a MiddlewareTCP or ServersTransportTCP for what is wrong with it alone.
pub(super) fn check_other(source: &TraefikObject, report: &mut Report<'_>) {
    match source.kind {
        crate::model::Kind::MiddlewareTcp => drop(middleware::content(source, report)),
        _ => drop(transport::content(source, None, report)),
    }
}
