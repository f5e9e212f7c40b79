//! Secrets and hosts of `spec.tls`.

use super::{BASE, mk_ingress, mk_paths, objects, options, run};
use crate::control::translate::translate;

#[test]
fn the_secret_of_tls_has_to_exist_and_look_like_a_certificate() {
    let tls = "tls: [{hosts: [a.example], secretName: cert}]";
    let yaml = mk_ingress(&format!("{tls}, {}", mk_paths(&[("Prefix", "/")])));
    let secret = |kind: &str, crt: &str, key: &str| {
        let metadata = "apiVersion: v1\nkind: Secret\nmetadata: {name: cert}";
        format!("{metadata}\ntype: {kind}\nstringData: {{tls.crt: '{crt}', tls.key: '{key}'}}\n---")
    };
    let (crt, key) = ("-----BEGIN CERTIFICATE-----", "-----BEGIN EC PRIVATE KEY-----");
    for (secret, expected) in [
        (String::new(), Some("there is no Secret \"cert\" in namespace default")),
        (secret("kubernetes.io/tls", crt, key), None),
        (secret("Opaque", crt, key), None),
        (secret("''", crt, key), None),
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
        assert_eq!(model.rules.len(), 1, "the rule is served all the same");
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
