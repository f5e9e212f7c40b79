//! Traefik's custom resources in the API server, with schemas that take anything: what their objects mean is
//! for the proxies to say.

use crate::eventually;
use crate::plane::Plane;
use serde_json::{Value, json};

/// All that Traefik's provider lists: it waits for each of them.
const KINDS: [&str; 10] = [
    "IngressRoute",
    "IngressRouteTCP",
    "IngressRouteUDP",
    "Middleware",
    "MiddlewareTCP",
    "ServersTransport",
    "ServersTransportTCP",
    "TLSOption",
    "TLSStore",
    "TraefikService",
];
const GROUP: &str = "traefik.io";

/// Installs them, and waits until objects can be made.
pub(crate) fn install(plane: &Plane) {
    install_again(plane, &KINDS);
}

/// Installs some of them.
pub(crate) fn install_again(plane: &Plane, kinds: &[&str]) {
    const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    for kind in kinds {
        plane.create(CRDS, &definition(kind));
    }
    for kind in kinds {
        let plural = plural(kind);
        eventually(&format!("{plural} can be listed"), || {
            let path = format!("/apis/{GROUP}/v1alpha1/{plural}");
            (plane.get(&path).status == 200).then_some(())
        });
    }
}

fn plural(kind: &str) -> String {
    kind.to_ascii_lowercase() + "s"
}

fn definition(kind: &str) -> Value {
    let plural = plural(kind);
    let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{GROUP}")},
        "spec": {
            "group": GROUP, "scope": "Namespaced",
            "names": {"kind": kind, "listKind": format!("{kind}List"), "plural": plural,
                "singular": kind.to_ascii_lowercase()},
            "versions": [{"name": "v1alpha1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object",
                    "properties": {"spec": anything}}}}],
        },
    })
}
