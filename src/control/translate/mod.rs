//! Kubernetes objects to [`Model`] and [`crate::model::ClusterAddresses`]: pure functions.
//!
//! The same objects give the same model and the same findings, in whatever order they arrived. The
//! smallest broken unit is left out and reported. What has a host and a path but no usable backend
//! keeps its place as [`crate::model::BackendState::Broken`], so that no broader rule takes its
//! traffic.

mod addresses;
mod class;
mod endpoint_slice;
mod ingress;
mod report;
mod secret;
mod service;
mod shadow;
#[cfg(test)]
mod tests;
mod validate;

pub use addresses::addresses;
pub use class::CONTROLLER;
pub use validate::validate;

use super::objects::Objects;
use crate::config::ListOrigin;
use crate::model::{DefaultBackend, Ingress, Kind, Model, ObjectRef, Rejected, Rule};
use ingress::{BackendRead, Place};
use report::Report;
use service::Backends;
use std::sync::Arc;

/// What a translation depends on besides the objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Name of the IngressClass to serve. Empty: every class whose controller is [`CONTROLLER`].
    pub ingress_class: String,
    /// Whether to take Ingresses that name no class, although no class of ours is the default one.
    pub without_class: bool,
    /// Whether the IngressClass object has to exist, as it does in a cluster. A directory may leave
    /// out the one that `ingress_class` names.
    pub strict_class: bool,
    /// Whether slices may hold loopback addresses. The API server refuses them; a directory of
    /// manifests, for a demo or a test, may name servers on the same machine. Nodes likewise.
    pub loopback_endpoints: bool,
    /// Whether the set `pods` admits somebody, so that a Node which does not say where its pods are
    /// is worth a word.
    pub admits_pods: bool,
    /// Where the list that stands in for Cloudflare's is; `None` if it is in no ConfigMap.
    pub cloudflare_list: Option<ConfigMapKey>,
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
    /// The key that the configuration names, if the list is in a ConfigMap.
    pub fn of(origin: &ListOrigin) -> Option<Self> {
        let ListOrigin::ConfigMap { namespace, name, key } = origin else {
            return None;
        };
        Some(Self { namespace: namespace.clone(), name: name.clone(), key: key.clone() })
    }

    /// The ConfigMap.
    pub fn object(&self) -> ObjectRef {
        ObjectRef::new(Kind::ConfigMap, &self.namespace, &self.name)
    }
}

/// Translates all objects. The findings are sorted and each is there once.
pub fn translate(objects: &Objects, options: &Options) -> (Model, Vec<Rejected>) {
    let mut findings = Vec::new();
    let ours = ours(objects, options, &mut findings);
    let mut translation = Translation {
        objects,
        model: Model::default(),
        backends: Backends::new(objects, options.loopback_endpoints),
        findings,
    };
    for (ingress, source) in ours {
        translation.ingress(ingress, source);
    }
    translation.finish()
}

type Source<'o> = &'o k8s_openapi::api::networking::v1::Ingress;

/// The Ingresses of our class, the winner of ties first.
fn ours<'o>(
    objects: &'o Objects,
    options: &Options,
    findings: &mut Vec<Rejected>,
) -> Vec<(Ingress, Source<'o>)> {
    let classes = class::Classes::new(objects, options);
    let mut ours = Vec::new();
    for (namespace, name, source) in objects.ingresses().iter() {
        if let Err(flaw) = classes.claim(source) {
            let object = ObjectRef {
                kind: Kind::Ingress,
                namespace: Arc::clone(namespace),
                name: Arc::clone(name),
            };
            Report::new(&object, findings).add(flaw.field, flaw);
            continue;
        }
        let created = source.metadata.creation_timestamp.as_ref();
        let created = created.map_or(i64::MAX, |time| time.0.as_second());
        let ingress = Ingress { namespace: Arc::clone(namespace), name: Arc::clone(name), created };
        ours.push((ingress, &**source));
    }
    // The store is sorted by namespace and name already, and this sort keeps that.
    ours.sort_by_key(|(ingress, _)| ingress.created);
    ours
}

struct Translation<'o> {
    objects: &'o Objects,
    model: Model,
    backends: Backends<'o>,
    findings: Vec<Rejected>,
}

impl<'o> Translation<'o> {
    fn ingress(&mut self, ingress: Ingress, source: Source<'o>) {
        let index = self.model.ingresses.len();
        let object = object_ref(&ingress);
        let namespace = Arc::clone(&ingress.namespace);
        self.model.ingresses.push(ingress);
        let read = ingress::read(source, &mut Report::new(&object, &mut self.findings));
        for ingress::RuleRead { rule, host, paths } in read.rules {
            for ingress::PathRead { position, pattern, backend } in paths {
                let place = Place::Path { rule, position };
                let backend = self.backend(&object, &namespace, &backend, place);
                self.model.rules.push(Rule {
                    host: host.clone(),
                    path: pattern,
                    backend,
                    ingress: index,
                    rule,
                    position,
                });
            }
        }
        if let Some((backend, hosts)) = read.default {
            let backend = self.backend(&object, &namespace, &backend, Place::Default);
            self.model.defaults.push(DefaultBackend { backend, ingress: index, hosts });
        }
        for ingress::TlsRead { position, secret_name } in read.tls {
            let secret = self.objects.secrets().get(&namespace, secret_name);
            let secret = secret.map(|secret| &**secret);
            if let Err(flaw) = secret::check_reference(&namespace, secret_name, secret) {
                let field = format!("spec.tls[{position}].secretName");
                Report::new(&object, &mut self.findings).add(&field, flaw);
            }
        }
    }

    /// Index of the backend, which exists even if it is broken.
    fn backend(
        &mut self,
        object: &ObjectRef,
        namespace: &Arc<str>,
        backend: &BackendRead<'_>,
        place: Place,
    ) -> usize {
        match backend {
            BackendRead::Service { name, port } => {
                let (index, flaw) = self.backends.resolve(namespace, name, port);
                if let Some(flaw) = flaw {
                    let field = place.field(flaw.field);
                    Report::new(object, &mut self.findings).add(&field, flaw.clone());
                }
                index
            }
            BackendRead::Broken { service, broken } => {
                self.backends.broken(namespace, service, *broken)
            }
        }
    }

    fn finish(mut self) -> (Model, Vec<Rejected>) {
        let (backends, slice_findings) = self.backends.finish();
        self.model.backends = backends;
        self.findings.extend(slice_findings);
        shadow::report(&self.model, &mut self.findings);
        self.findings.sort();
        self.findings.dedup();
        (self.model, self.findings)
    }
}

fn object_ref(ingress: &Ingress) -> ObjectRef {
    let Ingress { namespace, name, created: _ } = ingress;
    ObjectRef { kind: Kind::Ingress, namespace: Arc::clone(namespace), name: Arc::clone(name) }
}
