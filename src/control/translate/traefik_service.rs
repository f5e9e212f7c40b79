//! One TraefikService (`traefik.io/v1alpha1`), read by itself. What it names is looked up elsewhere.

use super::ingress_route::{self, ServiceRead};
use super::middleware::{Fields, status_ranges};
use super::report::Report;
use crate::model::middleware::FailoverErrors;
use crate::model::{Broken, CookieSettings, Diagnostic, ObjectRef, Why};
use serde_json::Value;
use std::sync::Arc;

/// What a TraefikService is.
pub(super) enum TraefikServiceRead<'o> {
    /// One of these by weight, and the cookie that keeps a visitor.
    Weighted(Vec<ServiceRead<'o>>, Option<Arc<CookieSettings>>),
    /// One of these by the client's address.
    Hashed(Vec<ServiceRead<'o>>),
    Failover(Box<FailoverRead<'o>>),
    Mirroring(Box<MirroringRead<'o>>),
}

/// Two services, of which the second stands in for the first.
pub(super) struct FailoverRead<'o> {
    pub(super) main: ServiceRead<'o>,
    pub(super) fallback: ServiceRead<'o>,
    pub(super) errors: Option<FailoverErrors>,
}

/// A service, and those that get copies of its requests.
pub(super) struct MirroringRead<'o> {
    pub(super) main: ServiceRead<'o>,
    /// With how many of a hundred requests each gets.
    pub(super) mirrors: Vec<(ServiceRead<'o>, u8)>,
    pub(super) with_body: bool,
    pub(super) max_body: Option<u64>,
}

/// Reads one.
///
/// # Errors
/// It cannot be used, which was told.
pub(super) fn read<'o>(
    spec: &'o Value,
    object: &ObjectRef,
    problems: &mut Vec<Diagnostic>,
) -> Result<TraefikServiceRead<'o>, Broken> {
    let mut report = Report::new(object, problems);
    let mut fields = Fields::of_routes("spec", spec, &mut report);
    fields.know(&["weighted", "mirroring", "failover", "highestRandomWeight"]);
    // Of several kinds in one object Traefik takes the first of these (`crd/kubernetes_http.go`).
    let weighted = fields.below("weighted", weighted);
    let mirroring = fields.below("mirroring", mirroring).flatten();
    let hashed = fields.below("highestRandomWeight", |hashed| {
        hashed.know(&["services", "healthCheck"]);
        told_health_check(hashed);
        TraefikServiceRead::Hashed(ingress_route::services(hashed))
    });
    let failover = fields.below("failover", failover).flatten();
    match weighted.or(mirroring).or(hashed).or(failover) {
        Some(read) if !fields.is_broken() => Ok(read),
        _ => {
            if !fields.is_broken() {
                let reason = "has neither weighted services, nor mirroring, highestRandomWeight or a failover";
                fields.refuse_for(Why::Unsupported, "", reason, "write one of the four");
            }
            Err(Broken::Unsupported)
        }
    }
}

fn told_health_check(fields: &mut Fields<'_, '_, '_>) {
    fields.tell("healthCheck", "services without a pod that can be used are known without it");
}

fn weighted<'o>(fields: &mut Fields<'o, '_, '_>) -> TraefikServiceRead<'o> {
    fields.know(&["services", "sticky", "healthCheck"]);
    told_health_check(fields);
    let cookie = ingress_route::sticky(fields);
    TraefikServiceRead::Weighted(ingress_route::services(fields), cookie)
}

fn failover<'o>(fields: &mut Fields<'o, '_, '_>) -> Option<TraefikServiceRead<'o>> {
    fields.know(&["service", "fallback", "errors", "healthCheck"]);
    told_health_check(fields);
    for key in ["service", "fallback"] {
        if fields.get(key).is_none() {
            fields.refuse(key, "is missing", "name a Service, with its port");
        }
    }
    let main = fields.below("service", ingress_route::service);
    let fallback = fields.below("fallback", ingress_route::service);
    let errors = fields.below("errors", errors).flatten();
    let read = FailoverRead { main: main?, fallback: fallback?, errors };
    Some(TraefikServiceRead::Failover(Box::new(read)))
}

/// Reads `failover.errors`; without a status it does nothing.
fn errors(fields: &mut Fields<'_, '_, '_>) -> Option<FailoverErrors> {
    fields.know(&["status", "maxRequestBodyBytes"]);
    let statuses = status_ranges(fields);
    let most = fields.number("maxRequestBodyBytes");
    let max_body = most.and_then(|most| u64::try_from(most).ok());
    (!statuses.is_empty()).then_some(FailoverErrors { statuses, max_body })
}

fn mirroring<'o>(fields: &mut Fields<'o, '_, '_>) -> Option<TraefikServiceRead<'o>> {
    let main = ingress_route::service_with(
        fields,
        &["mirrors", "mirrorBody", "maxBodySize", "healthCheck"],
    );
    let with_body = fields.flag_if_any("mirrorBody").unwrap_or(true);
    let most = fields.number("maxBodySize");
    let max_body = most.and_then(|most| u64::try_from(most).ok());
    let fix = "copy requests to fewer Services";
    let mirrors = ingress_route::services_of(fields, "mirrors", fix, |_, one| mirror(one));
    if mirrors.iter().any(Option::is_none) {
        fields.break_off();
    }
    let mirrors = mirrors.into_iter().flatten().collect();
    let read = MirroringRead { main, mirrors, with_body, max_body };
    Some(TraefikServiceRead::Mirroring(Box::new(read)))
}

/// One of `mirrors`. Without `percent` it gets nothing, as in Traefik.
fn mirror<'o>(fields: &mut Fields<'o, '_, '_>) -> Option<(ServiceRead<'o>, u8)> {
    let service = ingress_route::service_with(fields, &["percent"]);
    let percent = fields.number("percent").unwrap_or(0);
    let percent = u8::try_from(percent).ok().filter(|percent| *percent <= 100);
    if percent.is_none() {
        fields.refuse("percent", "is not from 0 to 100", "write how many of a hundred requests");
    }
    if fields.get("percent").is_none() {
        let reason = "is missing: this mirror gets nothing";
        fields.warn("percent", reason, "write 100 for all requests");
    }
    Some((service, percent?))
}
