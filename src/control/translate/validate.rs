//! What the API server refuses when a manifest is applied, and what needs no other object to see.
//!
//! A directory of manifests has no API server in front of it. The readers of each kind check while
//! they read; [`validate`] runs them for their complaints alone, so nothing is written twice. The
//! rules are those of pkg/apis/networking/validation and pkg/apis/discovery/validation in
//! Kubernetes.

use super::entry_points::EntryPointTable;
use super::near::Here;
use super::report::{Problem, Report};
use super::{
    endpoint_slice, ingress, ingress_route, middleware, secret, servers_transport, service,
    tcp_route, tls_option,
};
use crate::control::objects::Object;
use crate::model::{Diagnostic, Https, Kind, Why};

/// Lists what is structurally wrong with one object, sorted. What is valid and not supported is not
/// among it, nor are loopback addresses in slices, because a manifest in a directory may have them.
pub fn validate(object: &Object) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    let identity = object.identity();
    let mut report = Report::new(&identity, &mut findings);
    match object {
        Object::Ingress(object) => {
            ingress::read(object, &Https::default(), &EntryPointTable::default(), &mut report);
        }
        Object::IngressClass(object) => {
            let controller = object.spec.as_ref().and_then(|spec| spec.controller.as_deref());
            if controller.unwrap_or_default().is_empty() {
                let fix = format!("add `controller: {}`", super::CONTROLLER);
                report.add("spec.controller", Problem::invalid("", "is missing", fix));
            }
        }
        Object::Service(object) => service::check(object, &mut report),
        Object::EndpointSlice(object) => {
            let here = Here { loopback: true, ..Here::default() };
            endpoint_slice::read(object, &here, &mut report);
        }
        Object::Traefik(object) => match object.kind {
            Kind::Middleware => middleware::check(object, &mut report),
            Kind::IngressRoute => ingress_route::check(object, &mut report),
            Kind::IngressRouteTcp => tcp_route::check(object, &mut report),
            Kind::MiddlewareTcp | Kind::ServersTransportTcp => {
                tcp_route::check_other(object, &mut report);
            }
            Kind::ServersTransport => servers_transport::check(object, &mut report),
            Kind::TlsOption => tls_option::check(object, &mut report),
            _ => {}
        },
        Object::Secret(object) => {
            if let Err(problem) = secret::check_own_type(object) {
                report.add_below("", problem);
            }
        }
        // Nodes are printed by a cluster, not written, and most ConfigMaps are for others: what is
        // wrong with one must not hold back the file that it is in.
        Object::Node(_) | Object::ConfigMap(_) => {}
    }
    findings.retain(|finding| !is_valid(finding.why));
    findings.sort();
    findings.dedup();
    findings
}

/// Whether a cause leaves an object valid. A file that begins to restrict what it serves must not be kept
/// out for that, with its open version served on.
fn is_valid(why: Why) -> bool {
    matches!(
        why,
        Why::Unsupported
            | Why::RestrictionUnsupported
            | Why::AnnotationUnsupported
            | Why::AnnotationIgnored
    )
}
