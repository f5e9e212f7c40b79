//! What is kept of an object: what a translation reads, and its identity. The rest is most of the
//! memory, and its changes would pass for news.

use crate::control::objects::TraefikObject;
use k8s_openapi::api::core::v1::{
    ConfigMap, Node, Secret, Service, ServicePort, ServiceSpec, ServiceStatus,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeMap;

use crate::control::objects::{SERVICE_NAME_LABEL, SOLVER_LABEL};
use crate::control::translate::is_of_controller;
use crate::control::write_back::IngressRef;

/// The types of Secrets that may hold a certificate, CAs of clients or pods, or users of a Middleware.
const SECRET_TYPES: [&str; 4] = ["", "Opaque", "kubernetes.io/tls", "kubernetes.io/basic-auth"];

/// A kind that ravelin watches.
pub(super) trait Trim {
    /// Its `metadata`.
    fn metadata(&mut self) -> &mut ObjectMeta;

    /// Drops unused fields.
    fn trim(&mut self);

    /// What its status says, if that is written by us. Asked before it is trimmed.
    fn standing(&self) -> Option<IngressRef> {
        None
    }
}

/// The annotations of Ingresses, IngressClasses and Services that are read, now or by what carries on from a
/// state that was kept.
const ANNOTATIONS: [&str; 3] =
    ["kubernetes.io/ingress.", "ingressclass.kubernetes.io/", "ravelin.dev/"];

/// Whether an annotation is read. Those of other controllers are: what restricts must not be overlooked.
fn is_read(name: &str) -> bool {
    ANNOTATIONS.iter().any(|read| name.starts_with(read)) || is_of_controller(name)
}

/// Keeps names, times and, if asked for, annotations that are read. The resourceVersion is not
/// kept, so that a change of nothing else is none.
fn keep(metadata: &mut ObjectMeta, annotations: bool) {
    let full = std::mem::take(metadata);
    let mut notes = full.annotations.filter(|_| annotations).unwrap_or_default();
    notes.retain(|key, _| is_read(key));
    *metadata = ObjectMeta {
        name: full.name,
        namespace: full.namespace,
        uid: full.uid,
        creation_timestamp: full.creation_timestamp,
        annotations: (!notes.is_empty()).then_some(notes),
        ..ObjectMeta::default()
    };
}

macro_rules! trims {
    ($($kind:ident: $this:ident => $trim:expr;)*) => {$(
        impl Trim for $kind {
            fn metadata(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }

            fn trim(&mut self) {
                let $this = self;
                $trim
            }
        }
    )*};
}

trims! {
    IngressClass: this => keep(&mut this.metadata, true);
    Service: this => service(this);
    EndpointSlice: this => slice(this);
    TraefikObject: this => keep(&mut this.metadata, true);
    Secret: this => secret(this);
    // `Object::from` keeps the name, the zone, the addresses, and whether it is not ready.
    Node: _this => {};
    ConfigMap: this => keep(&mut this.metadata, false);
}

impl Trim for Ingress {
    fn metadata(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }

    fn trim(&mut self) {
        ingress(self);
    }

    fn standing(&self) -> Option<IngressRef> {
        Some(IngressRef::of(self, false))
    }
}

fn ingress(ingress: &mut Ingress) {
    let labels = ingress.metadata.labels.take();
    keep(&mut ingress.metadata, true);
    ingress.metadata.labels = labels.and_then(|mut labels| {
        labels.retain(|key, _| key == SOLVER_LABEL);
        (!labels.is_empty()).then_some(labels)
    });
    ingress.status = None;
}

fn service(service: &mut Service) {
    keep(&mut service.metadata, true);
    let is_balanced =
        service.spec.as_ref().is_some_and(|spec| spec.type_.as_deref() == Some("LoadBalancer"));
    // Whose addresses a balancer has: see `translate::guidance`.
    let status = service.status.take().filter(|_| is_balanced);
    service.status = status.map(|ServiceStatus { load_balancer, .. }| ServiceStatus {
        load_balancer,
        ..ServiceStatus::default()
    });
    service.spec = service.spec.take().map(|full| ServiceSpec {
        type_: full.type_,
        load_balancer_class: full.load_balancer_class,
        external_name: full.external_name,
        ip_families: full.ip_families,
        traffic_distribution: full.traffic_distribution,
        ports: full.ports.map(|ports| ports.into_iter().map(port).collect()),
        ..ServiceSpec::default()
    });
}

fn port(full: ServicePort) -> ServicePort {
    let ServicePort { app_protocol, name, node_port: _, port, protocol, target_port: _ } = full;
    ServicePort { app_protocol, name, port, protocol, ..ServicePort::default() }
}

fn slice(slice: &mut EndpointSlice) {
    let mut labels = slice.metadata.labels.take().unwrap_or_default();
    keep(&mut slice.metadata, false);
    labels.retain(|key, _| key == SERVICE_NAME_LABEL);
    slice.metadata.labels = Some(labels);
    for endpoint in &mut slice.endpoints {
        endpoint.deprecated_topology = None;
        endpoint.hostname = None;
        endpoint.target_ref = None;
    }
}

/// Keeps `data`, if only empty: a Secret without it is an unreferenced one. Which of its keys are kept is for
/// those who refer to it.
fn secret(secret: &mut Secret) {
    keep(&mut secret.metadata, false);
    let mut data: BTreeMap<_, _> = secret.data.take().unwrap_or_default();
    let able = SECRET_TYPES.contains(&secret.type_.as_deref().unwrap_or_default());
    data.retain(|_, _| able);
    secret.data = Some(data);
    secret.string_data = None;
    secret.immutable = None;
}
