//! Objects of a cluster as they are written, also of kinds that ravelin does not serve: for `migrate`, which asks what
//! hangs on a Traefik. Listed once; no right to them is needed to run.

use super::client::Api;
use super::others::{Resources, get, pages, unread};
use crate::model::Diagnostic;
use serde_json::Value;

/// Group and version, and the kinds of it; without kinds all of them.
const WANTED: [(&str, &[&str]); 13] = [
    ("v1", &["Service"]),
    ("apps/v1", &["Deployment", "DaemonSet", "StatefulSet"]),
    ("networking.k8s.io/v1", &["Ingress", "IngressClass", "NetworkPolicy"]),
    ("apiextensions.k8s.io/v1", &["CustomResourceDefinition"]),
    ("traefik.io/v1alpha1", &[]),
    ("traefik.containo.us/v1alpha1", &[]),
    ("helm.cattle.io/v1", &["HelmChart", "HelmChartConfig"]),
    ("cert-manager.io/v1", &["Issuer", "ClusterIssuer"]),
    ("helm.toolkit.fluxcd.io/v2", &["HelmRelease"]),
    ("argoproj.io/v1alpha1", &["Application"]),
    ("monitoring.coreos.com/v1", &["PrometheusRule"]),
    ("operator.victoriametrics.com/v1beta1", &["VMRule"]),
    ("gateway.networking.k8s.io/v1", &["HTTPRoute", "GRPCRoute", "TLSRoute"]),
];

/// What was found.
#[derive(Debug, Default)]
pub struct RawDocuments {
    /// Each with `apiVersion` and `kind`.
    pub objects: Vec<Value>,
    /// Kinds that could not be listed.
    pub findings: Vec<Diagnostic>,
}

/// Lists them, in all namespaces. A group that the server does not have is nothing to be told.
pub(super) async fn list(api: &Api) -> RawDocuments {
    let mut found = RawDocuments::default();
    for (version, kinds) in WANTED {
        let base = if version.contains('/') { "/apis" } else { "/api" };
        let base = format!("{base}/{version}");
        let Ok(Resources { resources }) = get::<Resources>(api, &base).await else { continue };
        for resource in resources {
            let is_wanted = kinds.is_empty() || kinds.contains(&resource.kind.as_str());
            let is_listed = resource.verbs.iter().any(|verb| verb == "list");
            if !is_wanted || !is_listed || resource.name.contains('/') {
                continue;
            }
            match pages(api, &format!("{base}/{}", resource.name)).await {
                Ok(items) => {
                    let named = |item| with_kind(item, version, &resource.kind);
                    found.objects.extend(items.into_iter().map(named));
                }
                Err(failure) => found.findings.push(unread(&resource.name, version, &failure)),
            }
        }
    }
    found
}

/// Items of a list do not repeat what they are.
fn with_kind(mut item: Value, version: &str, kind: &str) -> Value {
    if let Some(object) = item.as_object_mut() {
        object.insert("apiVersion".to_owned(), version.into());
        object.insert("kind".to_owned(), kind.into());
        // The schema of a CRD is most of it.
        if kind == "CustomResourceDefinition"
            && let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut)
        {
            spec.retain(|key, _| key == "group" || key == "names");
        }
    }
    item
}
