//! Kubernetes objects to [`Model`] and [`crate::model::ClusterAddresses`].
//!
//! The same objects give the same model and the same findings, in any order of arrival: [`translate`]
//! reads all of them once, and a [`Translator`] is the same code, which takes changes and reads the
//! affected objects again. The smallest broken unit is left out and reported. A path whose backend is not
//! usable keeps its place as [`crate::model::BackendState::Broken`], so that no broader rule takes its
//! traffic.

mod addresses;
mod aliases;
mod annotations;
mod backend_place;
mod balancing;
mod body_size;
mod catalogue;
mod class;
mod clients;
mod endpoint_slice;
mod entry_points;
mod external_name;
mod fields;
mod findings;
mod foreign;
mod guidance;
mod health_check;
mod https;
mod ingress;
mod ingress_route;
mod limits;
mod middleware;
mod names;
mod near;
mod own;
mod pass_host;
mod path_matching;
mod protocol;
mod report;
mod rewrite;
mod routes;
mod secret;
mod servers_transport;
mod service;
mod shadow;
mod snippet;
mod tcp_route;
#[cfg(test)]
mod tests;
mod timeouts;
mod tls_option;
mod traefik_service;
mod translator;
mod validate;
mod wanted;
mod www;

pub(in crate::control) use protocol::authorities_of;

pub use addresses::addresses;
pub use catalogue::{AnnotatedObjects, foreign_annotations, own_annotations};
pub use class::CONTROLLER;
pub use clients::authority_secret;
pub use entry_points::{CarriedTraffic, EntryPointTable, NamedEntryPoint};
pub use foreign::ForeignAnnotation;
pub(in crate::control) use foreign::is_of_controller;
pub use guidance::{Guidance, Obstacle};
pub(in crate::control) use ingress_route::secrets_of as traefik_secrets;
pub(in crate::control) use middleware::{annotated_config_maps, annotated_secrets};
pub use middleware::{go_duration, object_id};
pub(in crate::control) use servers_transport::config_maps_of as traefik_config_maps;
pub use translator::{Effect, FindingList, Translator};
pub use validate::validate;

use super::objects::{Change, Objects};
use crate::config::{
    CertificateSecret, Cloudflare, Config, HostPolicy, ListOrigin, MiddlewarePolicy,
};
use crate::model::{
    ConfigText, Diagnostic, Https, Ingress, Kind, Model, NamedStep, ObjectRef, Prefer,
};
use findings::Findings;
use routes::{Routes, Touched};
use std::sync::Arc;
use std::time::Duration;

/// What a translation depends on besides the objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Name of the IngressClass to serve. Empty: every class whose controller is [`CONTROLLER`].
    pub ingress_class: String,
    /// Classes that are served with any controller.
    pub taken_classes: Vec<String>,
    /// Whether the status of their Ingresses is written.
    pub taken_status: bool,
    /// Whether to serve Ingresses without a class, even if no class of ravelin is the default.
    pub without_class: bool,
    /// Whether the IngressClass object has to exist, as it does in a cluster. A directory may leave
    /// out the one that `ingress_class` names.
    pub strict_class: bool,
    /// How long Ingresses of a deleted class of ravelin are served. The translator has no clock: the caller
    /// ends it. Zero: not at all.
    pub class_grace: Duration,
    /// Whether slices may hold loopback addresses. The API server refuses them; a directory of
    /// manifests, for a demo or a test, may name servers on the same machine. Nodes likewise.
    pub loopback_endpoints: bool,
    /// Whether Services of type ExternalName are served.
    pub external_names: bool,
    /// Whether the set `pods` is in use, so that a Node without pod networks is reported.
    pub admits_pods: bool,
    /// Which namespaces may add paths to a host.
    pub hosts: HostPolicy,
    /// Whose Middlewares an Ingress may name.
    pub middlewares: MiddlewarePolicy,
    /// The default for Ingresses that do not set it.
    pub https: Https,
    /// The entry points that routes may name.
    pub entry_points: EntryPointTable,
    /// Steps of all routes, before all others: what the configuration asks of requests.
    pub first_steps: Vec<Arc<NamedStep>>,
    /// Name of the Node that we run on, if it is known.
    pub node: Option<Arc<str>>,
    /// Which endpoints are preferred, for Services that do not set it.
    pub prefer: Prefer,
    /// Whether to report annotations of other controllers without effect: for `check`, not for a process
    /// that serves.
    pub details: bool,
    /// Secrets whose certificates are presented for all of their names.
    pub certificates: Vec<CertificateSecret>,
    /// Where the texts are that the configuration has in ConfigMaps.
    pub texts: Vec<(ConfigText, ConfigMapKey)>,
    /// Whether to say what is missing while nothing is served: for a whole cluster, and not for some manifests.
    pub guidance: Option<Guidance>,
}

/// A key of a ConfigMap, as the configuration names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigMapKey {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// Key in `data` or `binaryData`.
    pub key: String,
}

impl ConfigMapKey {
    /// The keys that the configuration names, with what each is for.
    pub fn all(config: &Config) -> Vec<(ConfigText, Self)> {
        let Cloudflare { origin, extra, .. } = &config.cloudflare;
        let origins = [
            (ConfigText::CloudflareList, Some(origin)),
            (ConfigText::CloudflareExtra, extra.as_ref()),
            (ConfigText::BreakGlass, config.break_glass.switch.as_ref()),
        ];
        let named = |(text, origin): (ConfigText, Option<&ListOrigin>)| match origin? {
            ListOrigin::ConfigMap { namespace, name, key } => {
                Some((text, Self::new(namespace, name, key)))
            }
            _ => None,
        };
        origins.into_iter().filter_map(named).collect()
    }

    /// The keys alone.
    pub fn watched(texts: &[(ConfigText, Self)]) -> Vec<Self> {
        texts.iter().map(|(_, key)| key.clone()).collect()
    }

    fn new(namespace: &str, name: &str, key: &str) -> Self {
        let [namespace, name, key] = [namespace, name, key].map(str::to_owned);
        Self { namespace, name, key }
    }

    /// The ConfigMap.
    pub fn object(&self) -> ObjectRef {
        ObjectRef::new(Kind::ConfigMap, &self.namespace, &self.name)
    }
}

/// Translates all objects. The findings are sorted and each is there once.
pub fn translate(objects: &Objects, options: &Options) -> (Model, Vec<Diagnostic>) {
    let mut touched = Touched::default();
    for Change { identity, object } in objects.changes_from(&Objects::default()) {
        touched.note(&identity, None, object.as_ref());
    }
    let mut findings = Findings::default();
    let update = Routes::new(options).update(objects, touched, &mut findings);
    let findings = findings.list().iter().map(|finding| Diagnostic::clone(finding)).collect();
    (update.model.map(Arc::unwrap_or_clone).unwrap_or_default(), findings)
}

fn object_ref(ingress: &Ingress) -> ObjectRef {
    let Ingress { kind, namespace, name, .. } = ingress;
    ObjectRef { kind: *kind, namespace: Arc::clone(namespace), name: Arc::clone(name) }
}
