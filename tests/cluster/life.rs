//! The life of an Ingress in the hands of an operator with kubectl, as a visitor sees it.

use crate::edge::{Backend, Edge, QUICK, Setup, Site, account, class};
use crate::eventually;
use crate::plane::Plane;
use serde_json::{Value, json};
use std::fs;

/// Has kubectl change the Ingress, and not only the JSON of a test.
fn patch(plane: &Plane, patch: &Value) {
    let patch = patch.to_string();
    let said =
        plane.kubectl(&["-n", "life", "patch", "ingress", "shop", "--type=merge", "-p", &patch]);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}

/// The one rule of the Ingress.
fn rule(host: &str, path: &str, service: &str) -> Value {
    json!({"spec": {"rules": [{"host": host, "http": {"paths": [{"path": path,
        "pathType": "Prefix",
        "backend": {"service": {"name": service, "port": {"name": "http"}}}}]}}]}})
}

/// Makes a Secret of type TLS of a certificate of its own, with kubectl.
fn certificate(plane: &Plane, name: &str) {
    let made = rcgen::generate_simple_self_signed(["shop.life".to_owned()]).expect("a certificate");
    let folder = tempfile::tempdir().expect("a temporary directory");
    let [cert, key] = ["tls.crt", "tls.key"].map(|name| folder.path().join(name));
    fs::write(&cert, made.cert.pem()).expect("a folder of ours");
    fs::write(&key, made.signing_key.serialize_pem()).expect("a folder of ours");
    let [cert, key] =
        [("cert", cert), ("key", key)].map(|(flag, file)| format!("--{flag}={}", file.display()));
    let said = plane.kubectl(&["-n", "life", "create", "secret", "tls", name, &cert, &key]);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}

/// Waits until so many things of an object are not served as written.
fn findings(edge: &Edge, count: f64) {
    eventually("so many findings", || {
        let labels = [("kind", "Ingress"), ("severity", "error")];
        let found = edge.metrics().sum("ravelin_rejected_objects", &labels);
        ((found - count).abs() < 0.5).then_some(())
    });
}

#[test]
fn every_change_of_an_ingress_is_seen_by_visitors() {
    let Some(plane) = Plane::shared() else { return };
    let kubeconfig = account(&plane, "life");
    class(&plane, "life");
    let backends = ["one", "two"].map(Backend::start);
    for backend in &backends {
        let name = &backend.name;
        let site = Site { namespace: "life", name, class: "life", host: "" };
        plane.create(&site.services(), &site.service());
        plane.create(&site.slices(), &site.slice(&[backend.addr]));
    }
    let keys = format!("namespaces = [\"life\"]\n{QUICK}");
    let setup = Setup { kubeconfig: &kubeconfig, class: "life", keys: &keys };
    let edge = Edge::ready(&plane, &setup);
    assert_eq!(edge.get("shop.life", "/").0, 404);

    let site = Site { namespace: "life", name: "shop", class: "life", host: "shop.life" };
    let mut ingress = site.ingress();
    ingress["spec"]["rules"] = rule("shop.life", "/", "one")["spec"]["rules"].clone();
    plane.apply(&ingress.to_string());
    edge.await_answer("shop.life", "/", "one");

    patch(&plane, &json!({"spec": {"ingressClassName": "somebody-else"}}));
    edge.await_status("shop.life", "/", 404);
    patch(&plane, &json!({"spec": {"ingressClassName": "life"}}));
    edge.await_answer("shop.life", "/", "one");

    patch(&plane, &rule("other.life", "/", "one"));
    edge.await_answer("other.life", "/", "one");
    assert_eq!(edge.get("shop.life", "/").0, 404);
    patch(&plane, &rule("shop.life", "/cart", "one"));
    edge.await_answer("shop.life", "/cart/1", "one");
    assert_eq!(edge.get("shop.life", "/").0, 404);
    patch(&plane, &rule("shop.life", "/cart", "two"));
    edge.await_answer("shop.life", "/cart/1", "two");

    // Plain HTTP is served with or without it; what is wrong with it is reported.
    findings(&edge, 0.0);
    patch(&plane, &json!({"spec": {"tls": [{"hosts": ["shop.life"], "secretName": "shop"}]}}));
    findings(&edge, 1.0);
    certificate(&plane, "shop");
    findings(&edge, 0.0);
    edge.await_answer("shop.life", "/cart/1", "two");

    let said = plane.kubectl(&["-n", "life", "delete", "ingress", "shop"]);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    edge.await_status("shop.life", "/cart/1", 404);
}
