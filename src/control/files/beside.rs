//! What of the surroundings is judged by the objects that are served: definitions that a release takes with it, and what
//! does the work of an IngressRouteUDP.

use super::Surroundings;
use crate::control::manifest::udp_services;
use crate::control::objects::{Objects, TRAEFIK_KINDS};
use crate::model::{Diagnostic, Kind, ObjectRef, Severity, Why};
use serde_json::Value;

/// Adds findings, and completes those about IngressRouteUDPs with the Services to apply in their place.
pub fn judge_beside(
    surroundings: &Surroundings,
    objects: &Objects,
    findings: &mut Vec<Diagnostic>,
) {
    findings.extend(releases(surroundings, objects));
    let services = udp(surroundings, objects);
    let is_about = |finding: &&mut Diagnostic| {
        finding.why == Why::UnservedKind && finding.reason.contains(" IngressRouteUDP")
    };
    if !services.is_empty() {
        for finding in findings.iter_mut().filter(is_about) {
            finding.fix = format!("apply in its place: {}", services.join(" and "));
        }
    }
    findings.sort();
}

/// Definitions of kinds that are served.
fn releases(surroundings: &Surroundings, objects: &Objects) -> Vec<Diagnostic> {
    let count = |kind: &str| {
        let known = TRAEFIK_KINDS.into_iter().find(|(known, _)| known.as_str() == kind);
        known.map_or(0, |(kind, _)| objects.traefik(kind).iter().count())
    };
    let found = surroundings.releases.iter().filter_map(|(release, kinds)| {
        let served: Vec<String> = kinds
            .iter()
            .filter_map(|kind| match count(kind) {
                0 => None,
                number => Some(format!("{kind}: {number}")),
            })
            .collect();
        (!served.is_empty()).then(|| Diagnostic {
            severity: Severity::Warning,
            object: ObjectRef::new(Kind::Cluster, "", ""),
            field: "metadata.annotations".to_owned(),
            why: Why::Vanishing,
            reason: format!(
                "CustomResourceDefinitions of Traefik belong to the release {release}, and all objects of these kinds, from which ravelin \
                 serves, are deleted with it ({}); k3s removes it with `disable: traefik`",
                served.join(", ")
            ),
            fix: "stop Traefik with a HelmChartConfig without pods instead (deploy/swap-from-traefik.md), and save the objects \
                  first"
                .to_owned(),
        })
    });
    found.collect()
}

/// The Services that do the work of all IngressRouteUDPs.
fn udp(surroundings: &Surroundings, objects: &Objects) -> Vec<String> {
    let find = |namespace: &str, name: &str| -> Option<Value> {
        let key = (namespace.to_owned(), name.to_owned());
        if let Some(spec) = surroundings.udp_services.get(&key) {
            return serde_json::from_str(spec).ok();
        }
        let service = objects.services().get(namespace, name)?;
        serde_json::to_value(service.spec.as_ref()?).ok()
    };
    let services = surroundings.udp_routes.iter().flat_map(|((namespace, name), spec)| {
        let spec: Value = serde_json::from_str(spec).unwrap_or_default();
        udp_services(namespace, name, &spec, find)
    });
    services.collect()
}
