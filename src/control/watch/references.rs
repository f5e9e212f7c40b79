//! Which Secrets and ConfigMaps an object refers to, and what of the Secrets is kept.

use crate::control::objects::Object;
use crate::control::translate::{
    annotated_config_maps, annotated_secrets, authorities_of, authority_secret,
    traefik_config_maps, traefik_secrets,
};
use crate::model::{Kind, ObjectRef};
use k8s_openapi::api::core::v1::Secret;
use std::sync::Arc;

/// The keys of a Secret with a certificate, or with CAs.
const CERTIFICATE_KEYS: [&str; 3] = ["ca.crt", "tls.crt", "tls.key"];

/// What of a Secret is referred to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The keys of a certificate.
    Certificate,
    /// All keys: of a list of users the key has any name.
    Whole,
}

/// How often a Secret is referred to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct References {
    certificate: usize,
    whole: usize,
}

impl References {
    /// Counts one.
    pub(super) fn add(&mut self, part: Part) {
        *self.count(part) += 1;
    }

    /// Takes one back.
    pub(super) fn remove(&mut self, part: Part) {
        let count = self.count(part);
        *count = count.saturating_sub(1);
    }

    /// Whether there is none.
    pub(super) fn are_none(&self) -> bool {
        self.certificate + self.whole == 0
    }

    /// Whether one of them is to all keys.
    pub(super) fn are_of_all(&self) -> bool {
        self.whole > 0
    }

    fn count(&mut self, part: Part) -> &mut usize {
        match part {
            Part::Certificate => &mut self.certificate,
            Part::Whole => &mut self.whole,
        }
    }
}

/// Drops what of a Secret nobody refers to.
pub(super) fn stripped(object: Object, references: Option<&References>) -> Object {
    let Object::Secret(secret) = object else {
        return object;
    };
    let is_kept = |key: &str| match references {
        None => false,
        Some(references) => references.are_of_all() || CERTIFICATE_KEYS.contains(&key),
    };
    let keys = || secret.data.iter().flatten().map(|(key, _)| key.as_str());
    if keys().all(is_kept) {
        return Object::Secret(secret);
    }
    let Secret { data, metadata, type_, .. } = Arc::unwrap_or_clone(secret);
    let data = references.and(data).map(|mut data| {
        data.retain(|key, _| is_kept(key));
        data
    });
    Object::from(Secret { data, metadata, type_, ..Secret::default() })
}

/// Every Secret that an object refers to.
pub(super) fn references_of<'o>(
    identity: &'o ObjectRef,
    object: &'o Object,
) -> impl Iterator<Item = (ObjectRef, Part)> + use<'o> {
    let (tls, authorities, whole): (_, _, Vec<(Option<&str>, &str)>) = match object {
        Object::Ingress(ingress) => (
            ingress.spec.as_ref().and_then(|spec| spec.tls.as_ref()),
            ingress.metadata.annotations.as_ref().and_then(authority_secret),
            ingress.metadata.annotations.iter().flat_map(annotated_secrets).collect(),
        ),
        Object::Service(service) => (None, authorities_of(&service.metadata), Vec::new()),
        Object::Traefik(object) => {
            let named = traefik_secrets(object).into_iter();
            (None, None, named.map(|name| (None, name)).collect())
        }
        _ => (None, None, Vec::new()),
    };
    let of_tls = tls.into_iter().flatten().filter_map(|tls| tls.secret_name.as_deref());
    let certificates = of_tls.chain(authorities).map(|name| (None, name, Part::Certificate));
    let whole = whole.into_iter().map(|(namespace, name)| (namespace, name, Part::Whole));
    certificates.chain(whole).map(|(namespace, name, part)| {
        let namespace = namespace.map_or_else(|| Arc::clone(&identity.namespace), Arc::from);
        (ObjectRef { kind: Kind::Secret, namespace, name: name.into() }, part)
    })
}

/// Every ConfigMap that an object refers to.
pub(super) fn config_maps_of<'o>(
    identity: &'o ObjectRef,
    object: &'o Object,
) -> impl Iterator<Item = ObjectRef> + use<'o> {
    let (annotations, of_transport) = match object {
        Object::Ingress(ingress) => (ingress.metadata.annotations.as_ref(), Vec::new()),
        Object::Traefik(object) => (None, traefik_config_maps(object)),
        _ => (None, Vec::new()),
    };
    let named = annotations.into_iter().flat_map(annotated_config_maps);
    named.chain(of_transport.into_iter().map(|name| (None, name))).map(|(namespace, name)| {
        let namespace = namespace.map_or_else(|| Arc::clone(&identity.namespace), Arc::from);
        ObjectRef { kind: Kind::ConfigMap, namespace, name: name.into() }
    })
}
