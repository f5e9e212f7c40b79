//! The raw Kubernetes objects that a translation starts from, by kind and name.
//!
//! A source (the watch or a directory) keeps one [`Objects`] up to date and emits each [`Change`]; the
//! translator keeps another. Both share the same objects.

mod change;
mod left_out;
mod store;
#[cfg(test)]
mod tests;
mod traefik;

pub use change::Change;
pub use left_out::{is_content_left_out, leave_out_content};
pub use store::Store;
pub use traefik::{TRAEFIK_KINDS, TRAEFIK_VERSION, TraefikObject};

use crate::model::{Kind, ObjectRef};
use k8s_openapi::api::core::v1::{
    ConfigMap, Node, NodeCondition, NodeSpec, NodeStatus, Secret, Service,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Namespace of a namespaced object that names none, as in kubectl.
pub const DEFAULT_NAMESPACE: &str = "default";

/// The label by which a Node names its zone (Kubernetes, "Well-Known Labels").
pub const ZONE_LABEL: &str = "topology.kubernetes.io/zone";

/// The label by which an EndpointSlice names its Service (discovery.k8s.io/v1).
pub const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";

/// The label of Ingresses by which cert-manager answers HTTP-01 challenges (cert-manager, `pkg/issuer/acme/http`).
pub const SOLVER_LABEL: &str = "acme.cert-manager.io/http01-solver";

/// An object of a kind that ravelin reads.
///
/// `Debug` shows the identity alone, because a Secret's own would print its data, and a
/// ConfigMap's may as well be one.
#[derive(Clone, PartialEq)]
pub enum Object {
    /// `networking.k8s.io/v1` Ingress.
    Ingress(Arc<Ingress>),
    /// `networking.k8s.io/v1` IngressClass.
    IngressClass(Arc<IngressClass>),
    /// `v1` Service.
    Service(Arc<Service>),
    /// `discovery.k8s.io/v1` EndpointSlice.
    EndpointSlice(Arc<EndpointSlice>),
    /// One of Traefik's, see [`TRAEFIK_KINDS`].
    Traefik(Arc<TraefikObject>),
    /// `v1` Secret.
    Secret(Arc<Secret>),
    /// `v1` Node; from a whole one, the conversion keeps name, zone, addresses, and whether
    /// it is not ready.
    Node(Arc<Node>),
    /// `v1` ConfigMap.
    ConfigMap(Arc<ConfigMap>),
}

impl Object {
    /// What it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Ingress(_) => Kind::Ingress,
            Self::IngressClass(_) => Kind::IngressClass,
            Self::Service(_) => Kind::Service,
            Self::EndpointSlice(_) => Kind::EndpointSlice,
            Self::Traefik(object) => object.kind,
            Self::Secret(_) => Kind::Secret,
            Self::Node(_) => Kind::Node,
            Self::ConfigMap(_) => Kind::ConfigMap,
        }
    }

    /// Its `metadata`.
    pub fn metadata(&self) -> &ObjectMeta {
        match self {
            Self::Ingress(object) => &object.metadata,
            Self::IngressClass(object) => &object.metadata,
            Self::Service(object) => &object.metadata,
            Self::EndpointSlice(object) => &object.metadata,
            Self::Traefik(object) => &object.metadata,
            Self::Secret(object) => &object.metadata,
            Self::Node(object) => &object.metadata,
            Self::ConfigMap(object) => &object.metadata,
        }
    }

    /// Kind, namespace and name. A namespaced object without namespace is in `default`; a
    /// cluster-wide one has none.
    pub fn identity(&self) -> ObjectRef {
        let kind = self.kind();
        let metadata = self.metadata();
        let namespace = if kind.is_namespaced() { namespace(metadata) } else { "" };
        ObjectRef::new(kind, namespace, name(metadata))
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.identity().fmt(f)
    }
}

macro_rules! from_kind {
    ($($kind:ident)*) => {$(
        impl From<$kind> for Object {
            fn from(object: $kind) -> Self {
                Self::$kind(Arc::new(object))
            }
        }
    )*};
}

from_kind!(Ingress IngressClass Service EndpointSlice Secret ConfigMap);

impl From<TraefikObject> for Object {
    fn from(object: TraefikObject) -> Self {
        Self::Traefik(Arc::new(object))
    }
}

/// The condition `Ready`, without its times, where it is not true.
fn not_ready(conditions: Vec<NodeCondition>) -> Option<Vec<NodeCondition>> {
    let mut conditions = conditions.into_iter();
    let ready = conditions.find(|it| it.type_ == "Ready" && it.status != "True")?;
    let NodeCondition { type_, status, .. } = ready;
    Some(vec![NodeCondition { type_, status, ..NodeCondition::default() }])
}

impl From<Node> for Object {
    /// Keeps name, zone, addresses, and whether it is not ready. The rest is most of a Node (a list of images) and changes with
    /// every heartbeat of its kubelet, which would pass for news.
    fn from(node: Node) -> Self {
        let Node { metadata, spec, status } = node;
        let mut labels = metadata.labels.unwrap_or_default();
        labels.retain(|key, _| key == ZONE_LABEL);
        let labels = (!labels.is_empty()).then_some(labels);
        let metadata = ObjectMeta { name: metadata.name, labels, ..ObjectMeta::default() };
        let spec = spec.map(|NodeSpec { pod_cidr, pod_cidrs, .. }| NodeSpec {
            pod_cidr,
            pod_cidrs,
            ..NodeSpec::default()
        });
        let status = status.map(|NodeStatus { addresses, conditions, .. }| {
            let conditions = conditions.and_then(not_ready);
            NodeStatus { addresses, conditions, ..NodeStatus::default() }
        });
        Self::Node(Arc::new(Node { metadata, spec, status }))
    }
}

fn namespace(metadata: &ObjectMeta) -> &str {
    metadata.namespace.as_deref().filter(|name| !name.is_empty()).unwrap_or(DEFAULT_NAMESPACE)
}

fn name(metadata: &ObjectMeta) -> &str {
    metadata.name.as_deref().unwrap_or_default()
}

/// The objects of every kind that ravelin reads.
#[derive(Clone, Default, PartialEq)]
pub struct Objects {
    ingresses: Store<Ingress>,
    classes: Store<IngressClass>,
    services: Store<Service>,
    slices: Store<EndpointSlice>,
    /// By kind; each that has been asked for is there.
    traefik: BTreeMap<Kind, Store<TraefikObject>>,
    secrets: Store<Secret>,
    nodes: Store<Node>,
    config_maps: Store<ConfigMap>,
    /// Slices, sorted by name, under the namespace and name of their Service.
    slices_by_service: BTreeMap<Arc<str>, BTreeMap<Arc<str>, SlicesByName>>,
}

/// Nearly every Service has one or two: the smallest map takes six times the room.
type SlicesByName = Vec<(Arc<str>, Arc<EndpointSlice>)>;

impl Objects {
    /// Inserts an object and returns the one with the same identity that it replaces.
    pub fn insert(&mut self, object: Object) -> Option<Object> {
        self.insert_as(&object.identity(), object)
    }

    /// The same with the known identity of the object, whose names are shared.
    pub fn insert_as(&mut self, identity: &ObjectRef, object: Object) -> Option<Object> {
        let ObjectRef { kind: _, namespace, name } = identity;
        match object {
            Object::Ingress(object) => {
                self.ingresses.insert(namespace, name, object).map(Object::Ingress)
            }
            Object::IngressClass(object) => {
                self.classes.insert(namespace, name, object).map(Object::IngressClass)
            }
            Object::Service(object) => {
                self.services.insert(namespace, name, object).map(Object::Service)
            }
            Object::EndpointSlice(object) => {
                let previous = self.slices.insert(namespace, name, Arc::clone(&object));
                if let Some(previous) = &previous {
                    self.unlink(namespace, name, previous);
                }
                self.link(namespace, name, object);
                previous.map(Object::EndpointSlice)
            }
            Object::Traefik(object) => {
                let of_kind = self.traefik.entry(object.kind).or_default();
                of_kind.insert(namespace, name, object).map(Object::Traefik)
            }
            Object::Secret(object) => {
                self.secrets.insert(namespace, name, object).map(Object::Secret)
            }
            Object::Node(object) => self.nodes.insert(namespace, name, object).map(Object::Node),
            Object::ConfigMap(object) => {
                self.config_maps.insert(namespace, name, object).map(Object::ConfigMap)
            }
        }
    }

    /// Removes an object and returns it.
    pub fn remove(&mut self, identity: &ObjectRef) -> Option<Object> {
        let ObjectRef { kind, namespace, name } = identity;
        match kind {
            Kind::Ingress => self.ingresses.remove(namespace, name).map(Object::Ingress),
            Kind::IngressClass => self.classes.remove(namespace, name).map(Object::IngressClass),
            Kind::Service => self.services.remove(namespace, name).map(Object::Service),
            Kind::EndpointSlice => {
                let removed = self.slices.remove(namespace, name)?;
                self.unlink(namespace, name, &removed);
                Some(Object::EndpointSlice(removed))
            }
            Kind::Secret => self.secrets.remove(namespace, name).map(Object::Secret),
            Kind::Node => self.nodes.remove(namespace, name).map(Object::Node),
            Kind::ConfigMap => self.config_maps.remove(namespace, name).map(Object::ConfigMap),
            Kind::File | Kind::Cluster => None,
            traefik => {
                let of_kind = self.traefik.get_mut(traefik)?;
                let removed = of_kind.remove(namespace, name).map(Object::Traefik);
                if of_kind.is_empty() {
                    self.traefik.remove(traefik);
                }
                removed
            }
        }
    }

    /// The Ingresses.
    pub fn ingresses(&self) -> &Store<Ingress> {
        &self.ingresses
    }

    /// The IngressClasses, in the namespace "".
    pub fn classes(&self) -> &Store<IngressClass> {
        &self.classes
    }

    /// The Services.
    pub fn services(&self) -> &Store<Service> {
        &self.services
    }

    /// The EndpointSlices.
    pub fn slices(&self) -> &Store<EndpointSlice> {
        &self.slices
    }

    /// The objects of one of [`TRAEFIK_KINDS`].
    pub fn traefik(&self, kind: Kind) -> &Store<TraefikObject> {
        static NONE: Store<TraefikObject> = Store::new();
        self.traefik.get(&kind).unwrap_or(&NONE)
    }

    /// The Secrets.
    pub fn secrets(&self) -> &Store<Secret> {
        &self.secrets
    }

    /// The Nodes, in the namespace "".
    pub fn nodes(&self) -> &Store<Node> {
        &self.nodes
    }

    /// The ConfigMaps.
    pub fn config_maps(&self) -> &Store<ConfigMap> {
        &self.config_maps
    }

    /// The EndpointSlices of one Service in the order of their names, from all managers. Costs
    /// two lookups, for any number of slices.
    pub fn slices_of(
        &self,
        namespace: &str,
        service: &str,
    ) -> impl Iterator<Item = (&Arc<str>, &Arc<EndpointSlice>)> {
        let slices = self.slices_by_service.get(namespace).and_then(|all| all.get(service));
        slices.into_iter().flatten().map(|(name, slice)| (name, slice))
    }

    fn link(&mut self, namespace: &Arc<str>, name: &Arc<str>, slice: Arc<EndpointSlice>) {
        let Some(service) = service_of(&slice) else {
            return;
        };
        let services = self.slices_by_service.entry(Arc::clone(namespace)).or_default();
        let slices = services.entry(service.into()).or_default();
        match slices.binary_search_by(|(other, _)| other.cmp(name)) {
            Ok(position) => slices[position].1 = slice,
            Err(position) => {
                slices.reserve_exact(1);
                slices.insert(position, (Arc::clone(name), slice));
            }
        }
    }

    fn unlink(&mut self, namespace: &str, name: &str, slice: &EndpointSlice) {
        let Some(service) = service_of(slice) else {
            return;
        };
        let Some(services) = self.slices_by_service.get_mut(namespace) else {
            return;
        };
        if let Some(slices) = services.get_mut(service) {
            slices.retain(|(other, _)| **other != *name);
            if slices.is_empty() {
                services.remove(service);
            }
        }
        if services.is_empty() {
            self.slices_by_service.remove(namespace);
        }
    }
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Objects")
            .field("ingresses", &self.ingresses.len())
            .field("classes", &self.classes.len())
            .field("services", &self.services.len())
            .field("slices", &self.slices.len())
            .field("traefik", &self.traefik.values().map(Store::len).sum::<usize>())
            .field("secrets", &self.secrets.len())
            .field("nodes", &self.nodes.len())
            .field("config_maps", &self.config_maps.len())
            .finish_non_exhaustive()
    }
}

/// The Service that a slice names.
pub(super) fn service_of(slice: &EndpointSlice) -> Option<&str> {
    slice.metadata.labels.as_ref()?.get(SERVICE_NAME_LABEL).map(String::as_str)
}
