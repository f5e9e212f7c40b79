//! What one list and its watch cover: a kind, in all namespaces or in one.

use crate::config::Kubernetes;
use crate::control::objects::TRAEFIK_KINDS;
use crate::control::translate::ConfigMapKey;
use crate::model::{Kind, ObjectRef};
use kube::api::{ListParams, WatchParams};
use kube::core::Request;

/// Objects of a page. Etcd's and the API server's own default for chunked lists (client-go).
const PAGE: u32 = 500;

/// Secrets of a page: each may have 1 MiB.
const PAGE_OF_SECRETS: u32 = 100;

/// Types of Secrets that are never asked for. Neither can hold a certificate, and the releases of
/// Helm are most of what a cluster's Secrets weigh.
const OTHER_SECRETS: &str = "type!=helm.sh/release.v1,type!=kubernetes.io/service-account-token";

/// A kind in one place. Ordered as they are listed: Ingresses before Secrets, because they say
/// which Secrets are kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope {
    /// The kind.
    pub kind: Kind,
    /// `None`: all namespaces, or a kind without.
    pub namespace: Option<String>,
    /// The single object that is watched.
    pub name: Option<String>,
}

/// Everything that has to be listed before anything can be served, Ingresses first.
pub(super) fn scopes(source: &Kubernetes, config_maps: &[ConfigMapKey]) -> Vec<Scope> {
    let mut scopes = Vec::new();
    let before =
        [Kind::Ingress, Kind::IngressClass, Kind::Service, Kind::EndpointSlice, Kind::Node];
    let of_traefik = TRAEFIK_KINDS.into_iter().map(|(kind, _)| kind);
    for kind in before.into_iter().chain(of_traefik).chain([Kind::Secret]) {
        if kind.is_namespaced() && !source.namespaces.is_empty() {
            scopes.extend(source.namespaces.iter().map(|namespace| Scope {
                kind,
                namespace: Some(namespace.clone()),
                name: None,
            }));
        } else {
            scopes.push(Scope { kind, namespace: None, name: None });
        }
    }
    for key in config_maps {
        let scope = Scope::of(&key.object());
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    scopes
}

impl Scope {
    /// The scope of one object.
    pub(super) fn of(object: &ObjectRef) -> Self {
        let namespace = (!object.namespace.is_empty()).then(|| object.namespace.to_string());
        Self { kind: object.kind, namespace, name: Some(object.name.to_string()) }
    }

    /// Whether an object of this identity is in it.
    pub fn covers(&self, namespace: &str, name: &str) -> bool {
        self.namespace.as_deref().is_none_or(|own| own == namespace)
            && self.name.as_deref().is_none_or(|own| own == name)
    }

    /// Whether an API server need not know the kind, because it is of a CustomResourceDefinition.
    pub(super) fn is_optional(&self) -> bool {
        TRAEFIK_KINDS.into_iter().any(|(kind, _)| kind == self.kind)
    }

    /// Whether all that is in `other` is in it too.
    pub fn includes(&self, other: &Self) -> bool {
        let within = |own: &Option<String>, other: &Option<String>| own.is_none() || own == other;
        self.kind == other.kind
            && within(&self.namespace, &other.namespace)
            && within(&self.name, &other.name)
    }

    /// The request for one page: of the whole list, or its first object alone. The
    /// resourceVersion is left out, which asks for a consistent read.
    pub(super) fn page(&self, limit: Limit, next: Option<&str>) -> http::Request<Vec<u8>> {
        let limit = match (limit, self.kind) {
            (Limit::One, _) => 1,
            (Limit::Page, Kind::Secret) => PAGE_OF_SECRETS,
            (Limit::Page, _) => PAGE,
        };
        let params = ListParams {
            limit: Some(limit),
            continue_token: next.map(str::to_owned),
            field_selector: self.fields(),
            ..ListParams::default()
        };
        let request = Request::new(self.path()).list(&params);
        request.expect("a path of names and a selector make a valid request")
    }

    /// The request for the CustomResourceDefinition of the kind.
    pub(super) fn definition(&self) -> http::Request<Vec<u8>> {
        let (_, plural) = resource(self.kind);
        let request = http::Request::get(definition_path(plural));
        request.body(Vec::new()).expect("a path of names makes a valid request")
    }

    /// The request for what happens from `version` on, for so many seconds.
    pub(super) fn watch(&self, version: &str, seconds: u32) -> http::Request<Vec<u8>> {
        let params = WatchParams {
            label_selector: None,
            field_selector: self.fields(),
            timeout: Some(seconds),
            bookmarks: true,
            send_initial_events: false,
        };
        let request = Request::new(self.path()).watch(&params, version);
        request.expect("a path of names and a selector make a valid request")
    }

    /// The text for logs: `secrets in namespace web`.
    pub fn words(&self) -> String {
        let mut words = resource(self.kind).1.to_owned();
        if let Some(name) = &self.name {
            words = format!("{words} {name}");
        }
        if let Some(namespace) = &self.namespace {
            words = format!("{words} in namespace {namespace}");
        }
        words
    }

    fn path(&self) -> String {
        let (group, plural) = resource(self.kind);
        match &self.namespace {
            Some(namespace) => format!("{group}/namespaces/{namespace}/{plural}"),
            None => format!("{group}/{plural}"),
        }
    }

    fn fields(&self) -> Option<String> {
        match (&self.name, self.kind) {
            (Some(name), _) => Some(format!("metadata.name={name}")),
            (None, Kind::Secret) => Some(OTHER_SECRETS.to_owned()),
            (None, _) => None,
        }
    }
}

/// How much of a list is asked for at a time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Limit {
    /// The first object, to learn the resourceVersion and the number of objects.
    One,
    Page,
}

/// Path of the group and version, and the plural.
fn resource(kind: Kind) -> (&'static str, &'static str) {
    const CORE: &str = "/api/v1";
    const NETWORKING: &str = "/apis/networking.k8s.io/v1";
    match kind {
        Kind::Ingress => (NETWORKING, "ingresses"),
        Kind::IngressClass => (NETWORKING, "ingressclasses"),
        Kind::Service => (CORE, "services"),
        Kind::EndpointSlice => ("/apis/discovery.k8s.io/v1", "endpointslices"),
        Kind::Secret => (CORE, "secrets"),
        Kind::Node => (CORE, "nodes"),
        // Files are in no cluster, and in no scope.
        Kind::ConfigMap | Kind::File | Kind::Cluster => (CORE, "configmaps"),
        traefik => {
            let of_kind = TRAEFIK_KINDS.into_iter().find(|(kind, _)| *kind == traefik);
            ("/apis/traefik.io/v1alpha1", of_kind.map_or("", |(_, plural)| plural))
        }
    }
}

/// Where the CustomResourceDefinition of a kind of Traefik is.
pub(super) fn definition_path(plural: &str) -> String {
    format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.traefik.io")
}
