//! Which objects of a scope are held, and how many.

use super::scope::Scope;
use crate::control::objects::{Objects, Store};
use crate::model::{Kind, ObjectRef};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The names of the objects in a scope.
pub(super) fn identities(objects: &Objects, scope: &Scope) -> BTreeSet<ObjectRef> {
    let mut all = BTreeSet::new();
    each(objects, scope, &mut |namespace, name| {
        all.insert(ObjectRef {
            kind: scope.kind,
            namespace: Arc::clone(namespace),
            name: Arc::clone(name),
        });
    });
    all
}

/// How many objects are in a scope. Looks at each of its kind.
pub(super) fn count(objects: &Objects, scope: &Scope) -> usize {
    let mut count = 0;
    each(objects, scope, &mut |_, _| count += 1);
    count
}

/// Objects of a kind in all namespaces, without a look at any: asked for with every event.
pub(super) fn count_all(objects: &Objects, kind: Kind) -> usize {
    match kind {
        Kind::Ingress => objects.ingresses().len(),
        Kind::IngressClass => objects.classes().len(),
        Kind::Service => objects.services().len(),
        Kind::EndpointSlice => objects.slices().len(),
        Kind::Secret => objects.secrets().len(),
        Kind::Node => objects.nodes().len(),
        Kind::ConfigMap => objects.config_maps().len(),
        Kind::File | Kind::Cluster => 0,
        traefik => objects.traefik(traefik).len(),
    }
}

fn each(objects: &Objects, scope: &Scope, see: &mut dyn FnMut(&Arc<str>, &Arc<str>)) {
    match scope.kind {
        Kind::Ingress => walk(objects.ingresses(), scope, see),
        Kind::IngressClass => walk(objects.classes(), scope, see),
        Kind::Service => walk(objects.services(), scope, see),
        Kind::EndpointSlice => walk(objects.slices(), scope, see),
        Kind::Secret => walk(objects.secrets(), scope, see),
        Kind::Node => walk(objects.nodes(), scope, see),
        Kind::ConfigMap => walk(objects.config_maps(), scope, see),
        Kind::File | Kind::Cluster => {}
        traefik => walk(objects.traefik(traefik), scope, see),
    }
}

fn walk<T>(store: &Store<T>, scope: &Scope, see: &mut dyn FnMut(&Arc<str>, &Arc<str>)) {
    for (namespace, name, _) in store.iter().filter(|(ns, name, _)| scope.covers(ns, name)) {
        see(namespace, name);
    }
}
