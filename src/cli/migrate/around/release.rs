//! Objects of the Helm releases of Traefik: they vanish when k3s is told `disable: traefik`.

use super::{Matter, Topic, add as tell};
use crate::cli::migrate::documents::{Document, Documents};
use crate::control::manifest::release;
use std::collections::BTreeMap;

const FIX: &str = "do not begin with `disable: traefik`: scale Traefik to zero with a HelmChartConfig (COMMANDS.md), and save \
                   the objects first";

fn add_crds(documents: &Documents, matters: &mut Vec<Matter>) {
    for crd in documents.of("CustomResourceDefinition", "apiextensions.k8s.io") {
        let group = crd.text("/spec/group").unwrap_or_default();
        let kind = crd.text("/spec/names/kind").unwrap_or_default();
        let Some(release) = release(&crd.value).filter(|_| group == "traefik.io") else {
            continue;
        };
        let number = documents.of(kind, group).count();
        if number == 0 {
            continue;
        }
        let reason = format!(
            "belongs to the release {release}: {number} objects of the kind {kind} vanish with it, and ravelin serves from \
             those it reads"
        );
        tell(matters, Topic::Vanishing, crd.object(), "metadata.annotations", &reason, FIX);
    }
}

/// Everything else that the chart has made: an IngressClass, routes, Middlewares out of its values.
fn add_objects(documents: &Documents, matters: &mut Vec<Matter>) {
    let kinds = ["IngressClass", "Middleware", "IngressRoute", "TLSOption", "TLSStore", "Ingress"];
    for document in documents.all.iter().filter(|it| kinds.contains(&it.kind.as_str())) {
        let release = release(&document.value);
        let Some(release) = release.filter(|release| release.starts_with("traefik")) else {
            continue;
        };
        let reason = format!("belongs to the release {release}, and vanishes with it");
        let fix = match document.kind.as_str() {
            "IngressClass" => {
                "keep it until the Ingresses have another class: scale Traefik to zero instead of removing it"
            }
            _ => "save it, and apply it as your own (without the annotations and labels of Helm)",
        };
        tell(matters, Topic::Vanishing, document.object(), "metadata.annotations", &reason, fix);
    }
}

/// Without the CRDs in the input, k3s' own way of installing Traefik tells.
fn add_packaged(documents: &Documents, matters: &mut Vec<Matter>) {
    let has_crds =
        documents.of("CustomResourceDefinition", "apiextensions.k8s.io").next().is_some();
    let is_packaged = |document: &&Document| {
        document.group == "helm.cattle.io"
            && document.name.starts_with("traefik")
            && document.namespace == "kube-system"
    };
    let Some(chart) = documents.all.iter().find(is_packaged).filter(|_| !has_crds) else { return };
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for document in documents.all.iter().filter(|document| document.group == "traefik.io") {
        *kinds.entry(&document.kind).or_default() += 1;
    }
    if kinds.is_empty() {
        return;
    }
    let all: Vec<String> = kinds.iter().map(|(kind, number)| format!("{kind}: {number}")).collect();
    let reason = format!(
        "this is k3s' packaged Traefik: with `disable: traefik` k3s removes the release traefik-crd as well, and with its CRDs \
         all objects of these kinds vanish ({})",
        all.join(", ")
    );
    tell(matters, Topic::Vanishing, chart.object(), "", &reason, FIX);
}

pub(super) fn add(documents: &Documents, matters: &mut Vec<Matter>) {
    add_crds(documents, matters);
    add_objects(documents, matters);
    add_packaged(documents, matters);
}
