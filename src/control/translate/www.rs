//! `from-to-www-redirect` of ingress-nginx: a host of an Ingress takes the visitors of the same name with, or without,
//! `www.`. A host that has rules or a default backend of its own is not redirected: `routes::ownership` decides.

use super::annotations::{Annotations, field};
use super::report::{Problem, Report};
use crate::control::quote::quote;
use crate::model::middleware::{Redirect, RedirectStatus, RedirectTarget, Step};
use crate::model::{HostPattern, NamedStep, Severity, Why};
use http::StatusCode;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::sync::Arc;

/// `"true"` or `"false"`.
pub(super) const FROM_TO_WWW: &str = "nginx.ingress.kubernetes.io/from-to-www-redirect";

/// ingress-nginx's `http-redirect-code`, as it is by default.
const STATUS: StatusCode = StatusCode::PERMANENT_REDIRECT;

/// A host that is redirected to one of the Ingress.
pub(super) struct Www {
    pub(super) from: HostPattern,
    /// The host of a rule.
    pub(super) of: HostPattern,
    pub(super) step: Arc<NamedStep>,
}

/// The redirects of an Ingress. `own` are the hosts of its rules, and `aliases` further ones that it serves.
pub(super) fn read(
    metadata: &ObjectMeta,
    own: &[HostPattern],
    aliases: &[HostPattern],
    report: &mut Report<'_>,
) -> Vec<Www> {
    let annotations = Annotations::of(metadata);
    let Some(value) = annotations.get(FROM_TO_WWW).filter(|value| !value.is_empty()) else {
        return Vec::new();
    };
    let is_on = value.eq_ignore_ascii_case("true");
    let mut warn = |reason: String, fix: &str| {
        let problem = Problem::error(Why::AnnotationIgnored, "", reason, fix);
        report.add(&field(FROM_TO_WWW), problem.with(Severity::Warning));
    };
    if !is_on && !value.eq_ignore_ascii_case("false") {
        let reason = format!("{} is neither \"true\" nor \"false\": no redirect", quote(value));
        warn(reason, "write one of them");
    }
    if !is_on || annotations.ignores(FROM_TO_WWW, None, report) {
        return Vec::new();
    }
    let pairs = own.iter().filter_map(|host| Some((other(host)?, host)));
    let pairs: Vec<_> =
        pairs.filter(|(from, _)| !own.contains(from) && !aliases.contains(from)).collect();
    if pairs.is_empty() {
        let reason = "has no effect: no rule has a host whose other name is not served".to_owned();
        let problem = Problem::error(Why::AnnotationIgnored, "", reason, "remove it");
        report.add(&field(FROM_TO_WWW), problem.with(Severity::Warning));
    }
    let name = metadata.name.as_deref().unwrap_or_default();
    let namespace = metadata.namespace.as_deref().unwrap_or("default");
    let name: Arc<str> = format!("{namespace}/{name}: from-to-www-redirect").into();
    let redirect = |(from, of): (HostPattern, &HostPattern)| {
        let target = RedirectTarget::Host(of.to_string().into());
        let redirect = Redirect { target, status: RedirectStatus::Exactly(STATUS) };
        let step = NamedStep { name: Arc::clone(&name), step: Step::Redirect(Box::new(redirect)) };
        Www { from, of: of.clone(), step: Arc::new(step) }
    };
    pairs.into_iter().map(redirect).collect()
}

/// The same name with `www.`, or without, if there is such a host.
fn other(host: &HostPattern) -> Option<HostPattern> {
    let HostPattern::Exact(name) = host else { return None };
    let other = match name.strip_prefix("www.") {
        Some(rest) => rest.to_owned(),
        None => format!("www.{name}"),
    };
    HostPattern::parse(Some(&other)).ok().filter(|host| *host != HostPattern::Any)
}
