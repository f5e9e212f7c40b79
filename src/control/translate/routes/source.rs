//! An object whose routes are served.

use crate::control::objects::{Objects, TraefikObject};
use crate::control::translate::class::NamedClass;
use crate::model::{Kind, ObjectRef};
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// An object whose routes are served.
#[derive(Clone, Copy)]
pub(super) enum Source<'o> {
    Ingress(&'o Ingress),
    IngressRoute(&'o TraefikObject),
}

impl<'o> Source<'o> {
    /// The object of this name, if it is there.
    pub(super) fn of(objects: &'o Objects, object: &ObjectRef) -> Option<Self> {
        let ObjectRef { kind, namespace, name } = object;
        match kind {
            Kind::Ingress => {
                objects.ingresses().get(namespace, name).map(|source| Self::Ingress(source))
            }
            kind => {
                let source = objects.traefik(*kind).get(namespace, name);
                source.map(|source| Self::IngressRoute(source))
            }
        }
    }

    pub(super) fn metadata(self) -> &'o ObjectMeta {
        match self {
            Self::Ingress(source) => &source.metadata,
            Self::IngressRoute(source) => &source.metadata,
        }
    }

    /// The class that it names.
    pub(super) fn class(self) -> NamedClass<'o> {
        match self {
            Self::Ingress(source) => NamedClass::of_ingress(source),
            Self::IngressRoute(source) => NamedClass::of_ingress_route(source),
        }
    }
}
