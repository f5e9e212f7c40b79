//! What becomes of objects between two looks.

use super::{Object, Objects, Store, TRAEFIK_KINDS};
use crate::model::{Kind, ObjectRef};
use std::sync::Arc;

/// The present state of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Which object.
    pub identity: ObjectRef,
    /// The object; `None` if it was deleted.
    pub object: Option<Object>,
}

impl Objects {
    /// The object of this identity.
    pub fn get(&self, identity: &ObjectRef) -> Option<Object> {
        let ObjectRef { kind, namespace, name } = identity;
        match kind {
            Kind::Ingress => self.ingresses.get(namespace, name).cloned().map(Object::Ingress),
            Kind::IngressClass => {
                self.classes.get(namespace, name).cloned().map(Object::IngressClass)
            }
            Kind::Service => self.services.get(namespace, name).cloned().map(Object::Service),
            Kind::EndpointSlice => {
                self.slices.get(namespace, name).cloned().map(Object::EndpointSlice)
            }
            Kind::Secret => self.secrets.get(namespace, name).cloned().map(Object::Secret),
            Kind::Node => self.nodes.get(namespace, name).cloned().map(Object::Node),
            Kind::ConfigMap => {
                self.config_maps.get(namespace, name).cloned().map(Object::ConfigMap)
            }
            Kind::File | Kind::Cluster => None,
            traefik => self.traefik(*traefik).get(namespace, name).cloned().map(Object::Traefik),
        }
    }

    /// Applies a change, and returns the previous object.
    pub fn apply(&mut self, change: Change) -> Option<Object> {
        match change.object {
            Some(object) => self.insert_as(&change.identity, object),
            None => self.remove(&change.identity),
        }
    }

    /// What makes these objects out of `old`. Where both have the same pointer nothing is compared.
    pub fn changes_from(&self, old: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        diff(&self.ingresses, &old.ingresses, Kind::Ingress, Object::Ingress, &mut changes);
        diff(&self.classes, &old.classes, Kind::IngressClass, Object::IngressClass, &mut changes);
        diff(&self.services, &old.services, Kind::Service, Object::Service, &mut changes);
        diff(&self.slices, &old.slices, Kind::EndpointSlice, Object::EndpointSlice, &mut changes);
        for (kind, _) in TRAEFIK_KINDS {
            diff(self.traefik(kind), old.traefik(kind), kind, Object::Traefik, &mut changes);
        }
        diff(&self.secrets, &old.secrets, Kind::Secret, Object::Secret, &mut changes);
        diff(&self.nodes, &old.nodes, Kind::Node, Object::Node, &mut changes);
        diff(&self.config_maps, &old.config_maps, Kind::ConfigMap, Object::ConfigMap, &mut changes);
        changes
    }
}

fn diff<T: PartialEq>(
    new: &Store<T>,
    old: &Store<T>,
    kind: Kind,
    object: fn(Arc<T>) -> Object,
    changes: &mut Vec<Change>,
) {
    let identity = |namespace: &Arc<str>, name: &Arc<str>| ObjectRef {
        kind,
        namespace: Arc::clone(namespace),
        name: Arc::clone(name),
    };
    for (namespace, name, value) in new.iter() {
        let known = old.get(namespace, name);
        if known.is_none_or(|known| !Arc::ptr_eq(known, value) && known != value) {
            let object = Some(object(Arc::clone(value)));
            changes.push(Change { identity: identity(namespace, name), object });
        }
    }
    for (namespace, name, _) in old.iter() {
        if new.get(namespace, name).is_none() {
            changes.push(Change { identity: identity(namespace, name), object: None });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Service;

    fn mk_service(name: &str, kind: &str) -> Object {
        let mut service = Service::default();
        service.metadata.name = Some(name.to_owned());
        service.spec = Some(k8s_openapi::api::core::v1::ServiceSpec {
            type_: Some(kind.to_owned()),
            ..Default::default()
        });
        service.into()
    }

    #[test]
    fn the_changes_between_two_states_lead_from_one_to_the_other() {
        let mut old = Objects::default();
        for name in ["same", "equal", "other", "gone"] {
            old.insert(mk_service(name, "ClusterIP"));
        }
        let mut new = old.clone();
        new.insert(mk_service("equal", "ClusterIP"));
        new.insert(mk_service("other", "NodePort"));
        new.insert(mk_service("new", "ClusterIP"));
        new.remove(&ObjectRef::new(Kind::Service, "default", "gone"));
        let changes = new.changes_from(&old);
        let names: Vec<_> = changes.iter().map(|change| &*change.identity.name).collect();
        assert_eq!(names, ["new", "other", "gone"]);
        for change in changes {
            assert_eq!(new.get(&change.identity), change.object);
            old.apply(change);
        }
        assert_eq!(old, new);
    }
}
