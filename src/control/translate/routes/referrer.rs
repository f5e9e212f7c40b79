//! What objects of Traefik's kinds name: others by namespace and name, or by an id of the provider.

use super::Name;
use crate::config::MiddlewarePolicy;
use crate::control::objects::Objects;
use crate::control::translate::middleware::{Dependency, Reference, object_id};
use crate::model::{Kind, ObjectRef};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Behind the id of an object of Kubernetes, where an object of any provider is named.
const PROVIDER: &str = "@kubernetescrd";

/// Who names others, and which of them it may name.
#[derive(Clone, Copy)]
pub(super) struct Referrer<'w> {
    pub(super) objects: &'w Objects,
    /// The namespace of what is named without one.
    pub(super) namespace: &'w Arc<str>,
    pub(super) policy: MiddlewarePolicy,
}

impl Referrer<'_> {
    /// Namespace and name of what a reference means, unless that is forbidden.
    pub(super) fn name(self, reference: Reference<'_>) -> Option<Name> {
        let namespace = reference.namespace.map_or_else(|| Arc::clone(self.namespace), Arc::from);
        self.policy.allows(self.namespace, &namespace).then(|| (namespace, reference.name.into()))
    }

    /// The object of a kind that a reference means. Nothing if it is forbidden.
    pub(super) fn object(
        self,
        kind: Kind,
        reference: Reference<'_>,
        dependencies: &mut BTreeSet<Dependency>,
    ) -> Option<ObjectRef> {
        if reference.name.ends_with(PROVIDER) {
            return Some(self.own(kind, reference.name, dependencies));
        }
        let (namespace, name) = self.name(reference)?;
        Some(ObjectRef { kind, namespace, name })
    }

    /// The object of a kind with a name in the own namespace, or the first that may be named of those with an id
    /// (`crd/kubernetes_http.go`, makeServersTransportKey).
    pub(super) fn own(
        self,
        kind: Kind,
        name: &str,
        dependencies: &mut BTreeSet<Dependency>,
    ) -> ObjectRef {
        let own = || ObjectRef { kind, namespace: Arc::clone(self.namespace), name: name.into() };
        let Some(id) = name.strip_suffix(PROVIDER) else { return own() };
        dependencies.insert(Dependency::Object(ObjectRef::new(kind, "", id)));
        let mut all = self.objects.traefik(kind).iter();
        let found = all.find(|(namespace, name, _)| {
            object_id(namespace, name) == id && self.policy.allows(self.namespace, namespace)
        });
        found.map_or_else(own, |(namespace, name, _)| {
            let (namespace, name) = (Arc::clone(namespace), Arc::clone(name));
            ObjectRef { kind, namespace, name }
        })
    }
}
