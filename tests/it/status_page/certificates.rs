//! The two certificates of a host, and what is asked of clients, as the page tells them.

use super::told;
use crate::support::{Edge, Upstream, edge, eventually, ingress, rule};
use rcgen::{CertificateParams, DnType, Issuer, KeyPair};
use serde_json::{Value, json};

/// A Secret with a certificate for a name, by an issuer of this name.
fn secret(name: &str, issuer: &str, host: &str) -> Value {
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, issuer);
    let issuer = Issuer::new(authority, KeyPair::generate().expect("a key"));
    let key = KeyPair::generate().expect("a key");
    let own = CertificateParams::new(vec![host.to_owned()]).expect("a name");
    let own = own.signed_by(&key, &issuer).expect("a certificate");
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"namespace": "ns", "name": name},
        "stringData": {"tls.crt": own.pem(), "tls.key": key.serialize_pem()},
    })
}

fn switch(word: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "ns", "name": "glass"},
        "data": {"switch": word}})
}

/// Two hosts with TLS, of which one requires client certificates, and is open in break-glass.
fn site(pod: &Upstream) -> Edge {
    let hosts = ["app.example.com", "open.example.com"];
    let mut app = ingress("app", &[rule(hosts[0], &[("/", "Prefix", "web")])]);
    app["spec"]["tls"] = json!([{"hosts": [hosts[0]], "secretName": "origin"}]);
    let mut open = ingress("open", &[rule(hosts[1], &[("/", "Prefix", "web")])]);
    open["spec"]["tls"] = json!([{"hosts": ["*.example.com"], "secretName": "wide"}]);
    open["metadata"]["annotations"] = json!({
        "ravelin.dev/client-certificate": "require", "ravelin.dev/client-ca": "cloudflare",
        "ravelin.dev/break-glass": "open",
    });
    let origin_ca = "CloudFlare Origin SSL Certificate Authority";
    edge()
        .admit(&["cloudflare"])
        .tables("[[listener]]\nname = \"tls\"\naddress = \"127.0.0.1:0\"\nprotocol = \"https\"\nadmit = [\"cloudflare\"]")
        .set("break_glass", "config_map", "\"ns/glass/switch\"")
        .service("web", &[pod.addr()])
        .object("glass.json", &switch("on"))
        .object("origin.json", &secret("origin", origin_ca, hosts[0]))
        .object("wide.json", &secret("wide", "Example Trust", "*.example.com"))
        .object("app.json", &app)
        .object("open.json", &open)
        .start()
}

#[test]
fn both_certificates_of_a_host_are_named_and_that_of_the_source_decides() {
    let pod = Upstream::saying("ok");
    let edge = site(&pod);
    let begins = |value: &Value, with: &str| value.as_str().is_some_and(|it| it.starts_with(with));
    let listed = eventually("the certificates", || {
        let listed = told(&edge, "certificates?q=app.example.com");
        listed["items"][0]["verdict"].is_string().then(|| listed["items"][0].clone())
    });
    assert!(begins(&listed["others"], "*.example.com, until "), "{listed}");
    let wide = told(&edge, "certificates?q=open.example.com")["items"][0].clone();
    assert_eq!(wide["others"], Value::Null);

    let explain = |query: &str| told(&edge, &format!("explain?{query}"));
    let app = explain("host=app.example.com");
    assert!(begins(&app["certificate"], "app.example.com, until "), "{app}");
    assert!(begins(&app["certificate_others"], "*.example.com, until "), "{app}");
    assert_eq!(explain("host=open.example.com")["certificate_others"], Value::Null);
    let answer = |scheme: &str, from: &str| {
        explain(&format!("host=open.example.com&scheme={scheme}&from={from}"))["answer"].clone()
    };
    assert_eq!(answer("http", "203.0.113.9"), "forwarded");
    assert_eq!(answer("http", "104.16.0.1"), "403 client_certificate_required");
    edge.put("glass.json", &switch("off").to_string());
    eventually("the switch counts", || {
        (answer("http", "203.0.113.9") != "forwarded").then_some(())
    });
}
