//! Secrets and hosts of `spec.tls`.

use super::{BASE, mk_ingress, mk_paths, objects, options, run};
use crate::control::reconcile::build;
use crate::control::translate::translate;

/// A certificate for a.example and its key, in PEM.
pub(super) fn mk_pair() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).expect("a certificate");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

#[test]
fn the_secret_of_tls_has_to_exist_and_to_hold_a_certificate_with_its_key() {
    let tls = "tls: [{hosts: [a.example], secretName: cert}]";
    let yaml = mk_ingress(&format!("{tls}, {}", mk_paths(&[("Prefix", "/")])));
    let secret = |kind: &str, crt: &str, key: &str| {
        let metadata = "apiVersion: v1\nkind: Secret\nmetadata: {name: cert}";
        format!("{metadata}\ntype: {kind}\nstringData: {{tls.crt: {crt:?}, tls.key: {key:?}}}\n---")
    };
    let (crt, key) = ("-----BEGIN CERTIFICATE-----", "-----BEGIN EC PRIVATE KEY-----");
    let [(own_crt, own_key), (_, other_key)] = [mk_pair(), mk_pair()];
    for (secret, expected) in [
        (String::new(), Some("there is no Secret \"cert\" in namespace default")),
        (secret("kubernetes.io/tls", &own_crt, &own_key), None),
        (secret("Opaque", &own_crt, &own_key), None),
        (secret("''", &own_crt, &own_key), None),
        (
            secret("Opaque", &own_crt, &other_key),
            Some(
                "data[tls.key] of Secret \"cert\" does not match the first certificate of the chain",
            ),
        ),
        (secret("Opaque", crt, key), Some("data[tls.crt] of Secret \"cert\" is not valid PEM")),
        (secret("helm.sh/x", crt, key), Some("type of Secret \"cert\" is \"helm.sh/x\"")),
        (
            secret("Opaque", "hunter2", key),
            Some("data[tls.crt] of Secret \"cert\" is not a PEM certificate"),
        ),
        (
            secret("Opaque", crt, "hunter2"),
            Some("data[tls.key] of Secret \"cert\" is not a PEM private key"),
        ),
        (
            "apiVersion: v1\nkind: Secret\nmetadata: {name: cert}\ntype: Opaque\n---".to_owned(),
            Some("data[tls.crt] of Secret \"cert\" is missing"),
        ),
    ] {
        let (model, findings) = translate(&objects(&format!("{BASE}{secret}{yaml}")), &options());
        assert_eq!(model.rules.len(), 1, "the rule is served anyway");
        let reasons: Vec<_> = findings.iter().map(|finding| finding.reason.as_str()).collect();
        assert_eq!(reasons, expected.into_iter().collect::<Vec<_>>());
        assert!(findings.iter().all(|f| f.field == "spec.tls[0].secretName"));
        assert!(!format!("{findings:?}").contains("hunter2"));
    }
}

#[test]
fn tls_hosts_are_checked_and_no_secret_name_means_the_default_certificate() {
    let tls = "tls: [{hosts: [a.example, '10.0.0.1', '']}]";
    let (_, findings) = run(&mk_ingress(&format!("{tls}, {}", mk_paths(&[("Prefix", "/")]))));
    let fields: Vec<_> = findings.iter().map(|finding| finding.field.as_str()).collect();
    assert_eq!(fields, ["spec.tls[0].hosts[1]", "spec.tls[0].hosts[2]"]);
}

/// A Secret with a pair.
fn mk_secret(name: &str, (chain, key): &(String, String)) -> String {
    format!(
        "{{apiVersion: v1, kind: Secret, type: kubernetes.io/tls, metadata: {{name: {name}}}, \
         stringData: {{tls.crt: {chain:?}, tls.key: {key:?}}}}}"
    )
}

/// What is presented for these objects, as `secret: hosts`; `-` before one that cannot be.
fn shown(yaml: &str) -> Vec<String> {
    let objects = objects(&format!("{BASE}{yaml}"));
    let all = build(&objects, Vec::new(), &options()).certificates;
    let each = all.iter().map(|secret| {
        let hosts: Vec<_> = secret.hosts.iter().map(ToString::to_string).collect();
        let lack = if secret.certificate.is_some() { "" } else { "-" };
        format!("{lack}{}: {}", secret.name, hosts.join(" "))
    });
    each.collect()
}

#[test]
fn a_certificate_is_for_the_hosts_of_its_entries_or_else_of_the_rules_and_the_older_comes_first() {
    let ingress = |name: &str, year: u16, host: &str, tls: &str| {
        format!(
            "{{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {{name: {name}, \
             creationTimestamp: '{year}-01-01T00:00:00Z'}}, spec: {{ingressClassName: ravelin, \
             tls: [{tls}], rules: [{{host: '{host}'}}], defaultBackend: {{service: {{name: web, \
             port: {{name: http}}}}}}}}}}"
        )
    };
    let yaml = [
        ingress("young", 2025, "a.example", "{secretName: two, hosts: [c.example, a.example]}"),
        ingress("old", 2020, "*.b.example", "{secretName: one}"),
        ingress("third", 2026, "d.example", "{secretName: two}, {secretName: none}, {}"),
        mk_secret("one", &mk_pair()),
        mk_secret("two", &mk_pair()),
    ];
    assert_eq!(
        shown(&yaml.join("\n---\n")),
        ["one: *.b.example", "two: a.example c.example d.example", "-none: d.example"]
    );
    assert_eq!(shown(&mk_secret("unused", &mk_pair())), [""; 0]);
}
