//! What Ingresses ask of clients, with the authority in a Secret.

use crate::authorities::{Authority, identified};
use crate::certificates::Issued;
use crate::client::Client;
use crate::eventually;
use crate::proxy::{Proxy, proxy};
use rustls::ClientConfig;
use rustls::version::{TLS12, TLS13};
use serde_json::{Value, json};
use std::fs;
use std::sync::Arc;

/// An Ingress of a namespace for a host, with annotations of ours.
fn ingress(namespace: &str, host: &str, annotations: &[(&str, &str)]) -> Value {
    let annotations: serde_json::Map<String, Value> = annotations
        .iter()
        .map(|(name, value)| (format!("ravelin.dev/{name}"), json!(value)))
        .collect();
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"namespace": namespace, "name": host, "annotations": annotations,
                     "creationTimestamp": "2024-01-01T00:00:00Z"},
        "spec": {"ingressClassName": "ravelin", "rules": [{"host": host, "http": {"paths": [
            {"path": "/", "pathType": "Prefix",
             "backend": {"service": {"name": "all", "port": {"name": "http"}}}}]}}]}})
}

fn secret(authority: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"namespace": "ns", "name": "pull-ca"}, "stringData": {"ca.crt": authority}})
}

/// Puts objects in place, in a file of their own.
fn write(proxy: &Proxy, file: &str, objects: &[Value]) {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    let aside = proxy.folder().join("aside");
    fs::write(&aside, list.to_string()).expect("a folder of ours");
    fs::rename(&aside, proxy.folder().join("manifests").join(file)).expect("the same file system");
}

fn status(proxy: &Proxy, host: &str, config: &Arc<ClientConfig>) -> Option<String> {
    Client::offer(proxy.addr(), host, config).ok()?.try_get(host).ok()
}

/// Waits until a client gets this answer, or none.
fn await_status(proxy: &Proxy, config: &Arc<ClientConfig>, expected: Option<&str>) {
    eventually(&format!("{expected:?}"), || {
        (status(proxy, "a.example", config).as_deref() == expected).then_some(())
    });
}

#[test]
fn an_ingress_asks_by_a_secret_that_is_followed_and_a_missing_one_fails_closed() {
    let [first, second] = ["First", "Second"].map(Authority::new);
    let proxy = proxy().certificate(&Issued::new(&["a.example"])).start();
    let stranger = identified(&TLS13, None);
    let [of_first, of_second] = [&first, &second].map(|authority| {
        let identity = authority.issue("pull.example", 4096);
        identified(&TLS13, Some(&identity))
    });
    assert_eq!(status(&proxy, "a.example", &stranger).as_deref(), Some("200"));
    let require = [("client-certificate", "require"), ("client-ca", "pull-ca")];
    // No Secret yet: nobody is served, whatever he shows.
    write(&proxy, "ingress.json", &[ingress("ns", "a.example", &require)]);
    await_status(&proxy, &stranger, None);
    assert_eq!(status(&proxy, "a.example", &of_first), None);
    proxy.await_metric("ravelin_tls_client_authority_failing{counts=\"nothing\"}", 1.0);
    write(&proxy, "secret.json", &[secret(&first.pem())]);
    await_status(&proxy, &of_first, Some("200"));
    for wrong in [&stranger, &of_second] {
        assert_eq!(status(&proxy, "a.example", wrong), None);
    }
    // It breaks, and is then another one.
    write(&proxy, "secret.json", &[secret("no certificate")]);
    proxy.await_metric("ravelin_tls_client_authority_failing{counts=\"last_good\"}", 1.0);
    assert_eq!(status(&proxy, "a.example", &of_first).as_deref(), Some("200"));
    write(&proxy, "secret.json", &[secret(&second.pem())]);
    await_status(&proxy, &of_second, Some("200"));
    assert_eq!(status(&proxy, "a.example", &of_first), None);
}

#[test]
fn a_host_with_tls_1_3_alone_refuses_older_versions_and_others_do_not() {
    let proxy = proxy().certificate(&Issued::new(&["a.example", "b.example"])).start();
    let [old, new] = [&TLS12, &TLS13].map(|version| identified(version, None));
    let mut strict = ingress("ns", "a.example", &[]);
    strict["metadata"]["annotations"] =
        json!({"traefik.ingress.kubernetes.io/router.tls.options": "ns-modern@kubernetescrd"});
    let option = json!({"apiVersion": "traefik.io/v1alpha1", "kind": "TLSOption",
        "metadata": {"namespace": "ns", "name": "modern"}, "spec": {"minVersion": "VersionTLS13"}});
    write(&proxy, "strict.json", &[strict, option]);
    await_status(&proxy, &old, None);
    assert_eq!(status(&proxy, "a.example", &new).as_deref(), Some("200"));
    assert_eq!(status(&proxy, "b.example", &old).as_deref(), Some("200"));
}

#[test]
fn a_policy_counts_for_connections_that_are_open_too() {
    let authority = Authority::new("Right");
    let proxy = proxy().certificate(&Issued::new(&["a.example"])).start();
    let good = identified(&TLS13, Some(&authority.issue("pull.example", 4096)));
    let open = |config| Client::offer(proxy.addr(), "a.example", config).expect("a handshake");
    let mut before = open(&good);
    assert_eq!(before.get("a.example").status(), "200");
    let policy = |mode| {
        let all = [("client-certificate", mode), ("client-ca", "pull-ca")];
        write(&proxy, "p.json", &[ingress("ns", "a.example", &all), secret(&authority.pem())]);
    };
    policy("request");
    eventually("clients are asked", || {
        open(&good).get("a.example");
        let series = crate::origin_pulls::verdict("tls", "request", "valid");
        (proxy.metric(&series) > 0.0).then_some(())
    });
    // Nothing is refused, so what was opened before goes on.
    assert_eq!(before.get("a.example").status(), "200");
    let mut asked = open(&good);
    assert_eq!(asked.get("a.example").status(), "200");
    policy("require");
    await_status(&proxy, &identified(&TLS13, None), None);
    // This one has shown its certificate, and that one never did.
    assert_eq!(asked.get("a.example").status(), "200");
    let answer = before.get("a.example");
    assert_eq!(answer.status(), "421");
    assert!(answer.head.contains("connection: close\r\n"), "{}", answer.head);
    assert!(before.ends_properly());
}

#[test]
fn a_later_ingress_of_another_namespace_weakens_nothing() {
    let authority = Authority::new("Right");
    let proxy = proxy().certificate(&Issued::new(&["a.example", "b.example"])).start();
    let require = [("client-certificate", "require"), ("client-ca", "pull-ca")];
    write(&proxy, "own.json", &[ingress("ns", "a.example", &require), secret(&authority.pem())]);
    let stranger = identified(&TLS13, None);
    await_status(&proxy, &stranger, None);
    let mut foreign = ingress("thief", "a.example", &[("client-certificate", "off")]);
    foreign["metadata"]["creationTimestamp"] = "2025-01-01T00:00:00Z".into();
    write(&proxy, "thief.json", &[foreign]);
    let series = "ravelin_rejected_objects{kind=\"Ingress\",reason=\"invalid\",severity=\"error\"}";
    eventually("it is told", || (proxy.metric(series) > 0.0).then_some(()));
    assert_eq!(status(&proxy, "a.example", &stranger), None);
    let good = identified(&TLS13, Some(&authority.issue("pull.example", 4096)));
    assert_eq!(status(&proxy, "a.example", &good).as_deref(), Some("200"));
}
