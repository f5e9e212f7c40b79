//! Entry points of Traefik that are for connections alone: what names them says so, and no value of the chart does.

use super::sources::named;
use crate::cli::migrate::documents::Documents;
use serde_json::Value;
use std::collections::BTreeMap;

/// API group of Traefik.
const TRAEFIK: &str = "traefik.io";

const ENTRY_POINTS: &str = "traefik.ingress.kubernetes.io/router.entrypoints";

/// The entry points that routes of connections name and those of HTTP do not, each with an object that does.
pub(super) fn of(documents: &Documents) -> BTreeMap<String, String> {
    let of_kind = |kind: &'static str| {
        documents.of(kind, TRAEFIK).flat_map(|document| {
            let names = document.list("/spec/entryPoints").iter().filter_map(Value::as_str);
            names.map(|name| (name.to_lowercase(), named(document))).collect::<Vec<_>>()
        })
    };
    let mut all: BTreeMap<String, String> = of_kind("IngressRouteTCP").collect();
    for (name, _) in of_kind("IngressRoute") {
        all.remove(&name);
    }
    for ingress in documents.of("Ingress", "networking.k8s.io") {
        let names = ingress.annotation(ENTRY_POINTS).unwrap_or_default().split(',');
        names.for_each(|name| drop(all.remove(&name.trim().to_lowercase())));
    }
    // Those of the chart are for HTTP, whatever else is there.
    all.retain(|name, _| !["web", "websecure"].contains(&name.as_str()));
    all
}
