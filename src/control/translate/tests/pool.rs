//! Certificates that no route names: of the configuration, and of Traefik's default TLSStore.

use super::tls::mk_pair;
use super::{BASE, lines, objects, options};
use crate::config::CertificateSecret;
use crate::control::reconcile::build;
use crate::control::translate::Options;
use crate::model::CertificateRole;
use crate::pki::client_certificate::{BreakGlassAccess, Mode};

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

fn mk_option(namespace: &str, name: &str, spec: &str) -> String {
    format!(
        "
apiVersion: traefik.io/v1alpha1
kind: TLSOption
metadata: {{namespace: {namespace}, name: {name}}}
spec: {spec}
---"
    )
}

/// What is asked of the clients of each host, and what is said.
fn asked(yaml: &str) -> (Vec<String>, Vec<String>) {
    let options = Options { taken_classes: vec!["traefik".to_owned()], ..options() };
    let built = build(&objects(&format!("{BASE}{yaml}")), Vec::new(), &options);
    let shown = built.clients.iter().map(|one| format!("{}: {}", one.host, one.demand()));
    (shown.collect(), lines(&built.findings))
}

/// An IngressRoute for a.example with this reference to a TLSOption.
fn mk_route(name: &str, host: &str, option: &str) -> String {
    format!(
        "
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {{name: {name}}}
spec:
  routes: [{{match: 'Host(`{host}`)', services: [{{name: web, port: 80}}]}}]
  tls: {{options: {{name: {option}}}}}
---"
    )
}

#[test]
fn a_tls_option_is_asked_of_the_hosts_of_its_routes_and_of_two_the_stricter() {
    let modern = mk_option("default", "modern", "{minVersion: VersionTLS13}");
    let (all, said) = asked(&format!("{modern}{}", mk_route("r", "a.example", "modern")));
    assert_eq!((all, said), (vec!["a.example: off, TLS 1.3 alone".to_owned()], vec![]));
    let mutual = "{clientAuth: {secretNames: [ca], clientAuthType: RequireAndVerifyClientCert}}";
    let mutual = mk_option("default", "mutual", mutual);
    let both = [
        modern.as_str(),
        &mutual,
        &mk_route("r", "a.example", "modern"),
        &mk_route("s", "a.example", "mutual"),
    ];
    let (all, said) = asked(&both.concat());
    let strict =
        "a.example: require, TLS 1.3 alone, without a known CA: every certificate is refused";
    assert_eq!(all, [strict]);
    assert!(said.iter().any(|line| line.contains("the strictest applies")), "{said:?}");
    let (all, said) = asked(&mk_route("r", "a.example", "gone"));
    assert_eq!(all, [""; 0]);
    assert_eq!(
        said,
        [
            "error: IngressRoute default/r: spec.tls.options: there is no TLSOption \"gone\" in namespace default: its \
          routes answer 503 (fix: create it: NAMESPACE-NAME@kubernetescrd in annotations)"
        ]
    );
}

#[test]
fn break_glass_opens_what_a_tls_option_requires_and_not_one_that_is_not_understood() {
    use BreakGlassAccess::{Closed, Open, Unsaid};
    let mutual = "{clientAuth: {secretNames: [ca], clientAuthType: RequireAndVerifyClientCert}}";
    let own = "ravelin.dev/client-certificate: require, ravelin.dev/client-ca: cloudflare, ";
    for (spec, annotations, expected) in [
        (mutual, "", Unsaid),
        (mutual, "ravelin.dev/break-glass: open", Open),
        (mutual, "ravelin.dev/break-glass: closed", Closed),
        (mutual, &format!("{own}ravelin.dev/break-glass: open"), Open),
        ("{minVersion: TLS13}", "ravelin.dev/break-glass: open", Closed),
        ("{minVersion: TLS13}", &format!("{own}ravelin.dev/break-glass: open"), Closed),
    ] {
        let named = format!("{{name: r, annotations: {{{annotations}}}}}");
        let route = mk_route("r", "a.example", "own").replace("{name: r}", &named);
        let options = "traefik.ingress.kubernetes.io/router.tls.options: default-own@kubernetescrd";
        let ingress = format!(
            "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: i, annotations: {{{options}, {annotations}}}}}
spec:
  ingressClassName: ravelin
  rules: [{{host: a.example, http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: web, port: {{number: 80}}}}}}}}]}}}}]
---"
        );
        for object in [route, ingress] {
            let yaml = format!("{BASE}{}{object}", mk_option("default", "own", spec));
            let taken = vec!["traefik".to_owned()];
            let options = Options { taken_classes: taken, ..super::options() };
            let built = build(&objects(&yaml), Vec::new(), &options);
            let all = built.clients.iter().map(|one| (one.mode, one.break_glass));
            assert_eq!(all.collect::<Vec<_>>(), [(Mode::Require, expected)], "{object}");
        }
    }
}

#[test]
fn the_default_tls_option_is_for_all_other_hosts() {
    let default = mk_option("other", "default", "{minVersion: VersionTLS13, sniStrict: true}");
    let route = mk_route("r", "a.example", "own");
    let own = mk_option("default", "own", "{}");
    let (all, said) = asked(&format!("{default}{own}{route}"));
    assert_eq!(all, ["a.example: off", "*: off, TLS 1.3 alone"]);
    assert_eq!(said, [""; 0]);
    let twice = mk_option("default", "default", "{}");
    let (all, _) = asked(&format!("{default}{twice}{own}{route}"));
    assert_eq!(all, ["a.example: off"]);
}

#[test]
fn a_tls_option_that_is_not_understood_serves_nobody() {
    for spec in [
        "{minVersion: TLS13}",
        "{clientAuth: {clientAuthType: RequireAnyClientCert}}",
        "{clientAuth: {clientAuthType: RequireAndVerifyClientCert}}",
        "{clientAuth: {clientAuthType: Requires}}",
        "{sniStrict: 'yes'}",
    ] {
        let option = mk_option("default", "own", spec);
        let (all, said) = asked(&format!("{option}{}", mk_route("r", "a.example", "own")));
        let nobody = "a.example: require, without a known CA: every certificate is refused";
        assert_eq!(all, [nobody], "{spec}");
        assert!(
            said.iter().any(|line| line.contains("until then no client is served")),
            "{said:?}"
        );
    }
}

#[test]
fn certificates_of_clients_are_never_required_of_hosts_that_are_not_known() {
    let mutual = "{clientAuth: {secretNames: [ca], clientAuthType: RequireAndVerifyClientCert}}";
    let mutual = mk_option("default", "mutual", mutual);
    let route = mk_route("r", "a.example", "mutual");
    let (_, said) =
        asked(&format!("{mutual}{}", route.replace("Host(`a.example`)", "PathPrefix(`/`)")));
    assert!(
        said.iter().any(|line| line.contains("client certificates cannot be required")),
        "{said:?}"
    );
    // An annotation asks without `tls` as well.
    let own = route
        .replace("{name: r}", "{name: r, annotations: {ravelin.dev/client-certificate: require}}");
    let (all, _) = asked(&own.replace("  tls: {options: {name: mutual}}\n", ""));
    assert_eq!(all, ["a.example: require, without a known CA: every certificate is refused"]);
}
