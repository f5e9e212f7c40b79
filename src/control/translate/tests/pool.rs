//! Certificates that no route names: of the configuration, and of Traefik's default TLSStore.

use super::tls::mk_pair;
use super::{BASE, lines, objects, options};
use crate::config::CertificateSecret;
use crate::control::reconcile::build;
use crate::control::translate::Options;
use crate::model::CertificateRole;

fn mk_secret(namespace: &str, name: &str) -> String {
    let (crt, key) = mk_pair();
    format!(
        "
apiVersion: v1
kind: Secret
metadata: {{namespace: {namespace}, name: {name}}}
type: kubernetes.io/tls
stringData: {{tls.crt: {crt:?}, tls.key: {key:?}}}
---"
    )
}

fn mk_store(namespace: &str, name: &str, spec: &str) -> String {
    format!(
        "
apiVersion: traefik.io/v1alpha1
kind: TLSStore
metadata: {{namespace: {namespace}, name: {name}}}
spec: {spec}
---"
    )
}

/// Name and role of each certificate, and what is said.
fn read(options: &Options, yaml: &str) -> (Vec<(String, CertificateRole, bool)>, Vec<String>) {
    let built = build(&objects(&format!("{BASE}{yaml}")), Vec::new(), options);
    let shown = built.certificates.iter().map(|secret| {
        let name = format!("{}/{}", secret.namespace, secret.name);
        (name, secret.role, secret.certificate.is_some())
    });
    (shown.collect(), lines(&built.findings))
}

#[test]
fn a_secret_of_the_configuration_is_for_all_of_its_names() {
    let certificate =
        CertificateSecret { namespace: "certs".into(), name: "wild".into(), default: true };
    let options = Options { certificates: vec![certificate], ..options() };
    let role = CertificateRole::Operator { is_default: true };
    let (all, said) = read(&options, &mk_secret("certs", "wild"));
    assert_eq!((all, said), (vec![("certs/wild".to_owned(), role, true)], vec![]));
    let (all, said) = read(&options, "");
    assert_eq!(all, [("certs/wild".to_owned(), role, false)]);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("there is no Secret \"wild\" in namespace certs"), "{said:?}");
}

#[test]
fn the_default_store_names_the_default_certificate() {
    let spec = "{defaultCertificate: {secretName: own}, certificates: [{secretName: more}]}";
    let store = mk_store("default", "default", spec);
    let secrets = [mk_secret("default", "own"), mk_secret("default", "more")].concat();
    let role = |is_default| CertificateRole::Store { is_default };
    let (all, said) = read(&options(), &format!("{store}{secrets}"));
    assert_eq!(
        all,
        [
            ("default/own".to_owned(), role(true), true),
            ("default/more".to_owned(), role(false), true)
        ]
    );
    assert_eq!(said, [""; 0]);
    let (all, said) =
        read(&options(), &format!("{store}{secrets}{}", mk_store("web", "default", spec)));
    assert_eq!(all, []);
    assert_eq!(said.len(), 2, "{said:?}");
    let (all, said) = read(&options(), &mk_store("default", "other", spec));
    assert_eq!(all, []);
    assert!(said[0].contains("Traefik uses the default store alone"), "{said:?}");
}
