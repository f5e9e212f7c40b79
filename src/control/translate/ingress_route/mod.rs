//! One IngressRoute (`traefik.io/v1alpha1`), read and checked by itself; the objects it refers to are looked up
//! elsewhere.
//!
//! A mistake costs the route that it is in, as in Traefik: one whose rule is readable keeps its place and answers 503,
//! so that no broader route takes its requests.

mod health_check;
pub(super) mod list;
mod place;
pub(super) mod rule;
mod service;
mod sticky;
mod tls;

pub(super) use place::Placed;
pub(super) use place::hosts;
pub(super) use service::{
    Asked, ServiceRead, Target, list as services_of, missing, one as service, port,
    read as services, service_with,
};
pub(super) use service::{middlewares as references, reference};
pub(super) use sticky::sticky;
pub(in crate::control) use tls::secrets_of;
pub(super) use tls::{RouteTls, content as tls_content};

use super::annotations::Annotations;
use super::entry_points::{EntryPointTable, EntryPointsRead};
use super::foreign::refuse_steps;
use super::https;
use super::ingress::IngressRead;
use super::middleware::{Fields, Reference};
use super::report::{Problem, Report};
use crate::control::objects::TraefikObject;
use crate::control::quote::quote;
use crate::model::{Broken, HostPattern, Https, RuleHash, Severity, Why};
use aws_lc_rs::digest::{SHA256, digest};
use rule::Syntax;

/// One of `spec.routes` whose rule can be read.
pub(super) struct RouteRead<'o> {
    /// Position in `spec.routes`.
    pub(super) position: usize,
    /// `match`, as it is written.
    text: &'o str,
    /// Where it stands in the table.
    pub(super) places: Vec<Placed>,
    /// Its Middlewares, in their order.
    pub(super) middlewares: Vec<Reference<'o>>,
    pub(super) services: Vec<ServiceRead<'o>>,
    /// Why it is not served, though it has its places.
    pub(super) broken: Option<Broken>,
}

impl RouteRead<'_> {
    /// By which Traefik names it.
    pub(super) fn hash(&self) -> RuleHash {
        let whole = digest(&SHA256, self.text.as_bytes());
        std::array::from_fn(|place| whole.as_ref()[place])
    }
}

/// What of an IngressRoute can be served.
pub(super) struct IngressRouteRead<'o> {
    pub(super) routes: Vec<RouteRead<'o>>,
    pub(super) entry_points: EntryPointsRead,
    pub(super) tls: Option<RouteTls<'o>>,
    /// The hosts that its rules and `tls.domains` name, sorted, each once. [`HostPattern::Any`] is not among them.
    pub(super) hosts: Vec<HostPattern>,
    /// Whether a rule of it may be for hosts that it does not name.
    pub(super) is_for_any_host: bool,
    /// What it asks of all of its routes, by annotations of ours.
    pub(super) asks: IngressRead<'o>,
}

/// Reads an IngressRoute and reports what cannot be served. `https` is for one that does not say, and `points` are
/// those that it may name.
pub(super) fn read<'o>(
    source: &'o TraefikObject,
    https: &Https,
    points: &EntryPointTable,
    report: &mut Report<'_>,
) -> IngressRouteRead<'o> {
    let annotations = Annotations::of(&source.metadata);
    let has_tls = source.spec.get("tls").is_some_and(|tls| !tls.is_null());
    let mut fields = Fields::of_routes("spec", &source.spec, report);
    fields.know(&["routes", "entryPoints", "tls", "parentRefs", "ingressClassName"]);
    let names = fields.texts("entryPoints");
    if fields.get("parentRefs").is_some() {
        let reason = "is not supported: routers of several layers are not served";
        fields.refuse_for(Why::Unsupported, "parentRefs", reason, "write the whole rule in each");
    }
    let is_broken = fields.is_broken();
    let routes = list::routes(&mut fields, read_route, |route| (route.text, route.position));
    let entry_points = points.of_route(&names, has_tls, report);
    let https = https::read(annotations, has_tls, entry_points.is_secure, https, report);
    let refused = is_broken.then_some(Broken::Altered).or(entry_points.broken);
    let refused = refuse_steps(annotations, report).or(refused);
    let mut asks = IngressRead::asking(annotations, https, refused, report);
    let mut hosts = tls::hosts(&routes);
    let tls = tls::read(&source.spec, &mut hosts, report);
    if tls.as_ref().is_some_and(|tls| tls.is_broken) {
        asks.refused = asks.refused.or(Some(Broken::Restricted));
        asks.https.redirect = false;
    }
    let mut places = routes.iter().flat_map(|route| &route.places);
    let is_for_any_host = places.any(|placed| placed.host == HostPattern::Any);
    IngressRouteRead { routes, entry_points, tls, hosts, is_for_any_host, asks }
}

fn read_route<'o>(position: usize, fields: &mut Fields<'o, '_, '_>) -> Option<RouteRead<'o>> {
    fields.know(&[
        "match",
        "kind",
        "priority",
        "syntax",
        "services",
        "middlewares",
        "observability",
    ]);
    fields.refuse_misspelt("middlewares");
    match fields.text("kind") {
        None | Some("Rule") => {}
        Some(other) => {
            let reason = format!("is {}, and Traefik passes the route over", quote(other));
            fields.say("kind", Severity::Error, Why::Invalid, reason, "write `kind: Rule`");
            return None;
        }
    }
    let (text, condition) = list::rule(fields, Syntax::V3, Syntax::V2)?;
    let priority = list::priority(fields);
    let places = place::places(condition, priority, text.len());
    let middlewares = service::middlewares(fields);
    let services = service::read(fields);
    let broken = fields.is_broken().then_some(Broken::Altered);
    Some(RouteRead { position, text, places, middlewares, services, broken })
}

/// Reads an IngressRoute for what is wrong with it alone.
pub(super) fn check(source: &TraefikObject, report: &mut Report<'_>) {
    read(source, &Https::default(), &EntryPointTable::default(), report);
}

/// What is wrong with a reference to another namespace, where those are forbidden, and what comes of it.
pub(super) fn forbidden(what: &str, then: &str) -> Problem {
    let reason = format!("names {what} of another namespace, which is forbidden: {then}");
    let fix = "move it here, or set source.middlewares = \"any-namespace\"";
    Problem::error(Why::Unsupported, "", reason, fix)
}
