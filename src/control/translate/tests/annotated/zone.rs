//! What a request has to show of the way that it came: what is read of the annotations, and what is said of mistakes.

use super::{OWN, mk_annotated, of_first};
use crate::control::translate::Options;
use crate::control::translate::tests::{lines, options, run, run_with};
use crate::model::middleware::{CertificateHeaders, SecretRule, SecretSource, Step};
use crate::model::{BackendState, Broken, Diagnostic, Model};

const SECRETS: &str = "
apiVersion: v1
kind: Secret
metadata: {name: auth}
stringData: {now: '0123456789abcdef', next: 'fedcba9876543210'}
---
apiVersion: v1
kind: Secret
metadata: {name: lines}
data: {values: MDEyMzQ1Njc4OWFiY2RlZgpmZWRjYmE5ODc2NTQzMjEwCg==}
---
apiVersion: v1
kind: Secret
metadata: {name: empty}
data: {}
---
apiVersion: v1
kind: Secret
metadata: {name: short}
stringData: {now: '0123456789abcdef', next: 'hunter2-hunter2'}
---
apiVersion: v1
kind: Secret
metadata: {name: auth, namespace: other}
stringData: {now: '0123456789abcdef'}
---";

fn of(annotations: &str) -> (Model, Vec<Diagnostic>) {
    let text = mk_annotated(OWN, annotations, &[("Prefix", "/")]).replace("\"EMPTY\"", "\"\"");
    run(&format!("{SECRETS}{text}"))
}

fn steps(annotations: &str) -> Vec<Step> {
    let (model, found) = of(annotations);
    assert_eq!(lines(&found), [""; 0], "{annotations}");
    of_first(&model)
}

fn secret(name: &str) -> SecretRule {
    let annotations = format!("secret-header: X-Origin-Auth\nsecret-header-secret: {name}");
    let [Step::SecretHeader(rule)] = &steps(&annotations)[..] else { panic!("one step: {name}") };
    (**rule).clone()
}

fn refused(annotations: &str) -> String {
    let (model, found) = of(annotations);
    let mut states = model.backends.iter().map(|backend| &backend.state);
    assert!(states.any(|state| matches!(state, BackendState::Broken(_))), "{annotations}");
    assert!(model.rules[0].middlewares.is_none(), "{annotations}");
    lines(&found).join("\n")
}

#[test]
fn every_line_of_every_key_of_the_secret_is_a_value() {
    for (name, has_next) in [("auth", true), ("lines", true), ("other/auth", false)] {
        let rule = secret(name);
        assert_eq!((rule.name.as_str(), rule.hosts.len()), ("x-origin-auth", 0));
        let SecretSource::Values(values) = &rule.source else { panic!("of a Secret") };
        let known = ["0123456789abcdef", "fedcba9876543210", "0123456789abcdeF", ""];
        assert_eq!(known.map(|sent| values.have(sent.as_bytes())), [true, has_next, false, false]);
        assert!(!format!("{rule:?}").contains("0123456789abcdef"));
    }
}

#[test]
fn workers_passes_and_fields_of_certificates_are_read() {
    let zones = |value: &str| match &steps(&format!("worker-zones: {value}"))[..] {
        [Step::WorkerZones(rule)] => Some(rule.zones.iter().map(ToString::to_string).collect()),
        [] => None,
        other => panic!("{value}: {other:?}"),
    };
    assert_eq!(zones("none"), Some(vec![]));
    assert_eq!(zones("any"), None);
    let two = vec!["example.com".to_owned(), "a-b.workers.dev".to_owned()];
    assert_eq!(zones("Example.com, a-b.workers.dev,"), Some(two));
    let [Step::CdnPasses(rule)] = &steps("max-cdn-passes: 2")[..] else { panic!("one step") };
    assert_eq!(rule.most.get(), 2);
    for (value, headers) in [
        ("Client-Cert", CertificateHeaders::Certificate),
        ("client-cert-chain, CLIENT-CERT", CertificateHeaders::Chain),
    ] {
        let steps = steps(&format!("client-certificate-headers: {value}"));
        let [Step::ClientCertificate(fields)] = &steps[..] else { panic!("one step: {value}") };
        assert_eq!((fields.standard, fields.pem, fields.info.len()), (Some(headers), false, 0));
    }
}

#[test]
fn they_come_before_all_other_steps() {
    let all = "redirect: https://a.example\nallow: 192.0.2.1\naccess: example/0a\n\
               client-certificate-headers: Client-Cert\nmax-cdn-passes: 1\nworker-zones: none\n\
               secret-header-secret: auth\nsecret-header: X-Origin-Auth";
    let steps = steps(all);
    let kinds: Vec<_> = steps.iter().map(Step::kind).collect();
    let first = ["secret-header", "worker-zones", "max-cdn-passes", "client-certificate-headers"];
    assert_eq!(kinds[..4], first);
    assert_eq!(kinds[4..], ["redirectRegex", "ipAllowList", "access"]);
}

#[test]
fn a_mistake_is_told_with_its_fix_and_lets_nobody_in() {
    let with = |secret: &str| format!("secret-header: x-a\nsecret-header-secret: {secret}");
    let named = |name: &str| format!("secret-header: {name}\nsecret-header-secret: auth");
    for (annotations, reason, fix) in [
        ("secret-header: x-a".to_owned(), "no values", "ravelin.dev/secret-header-secret"),
        ("secret-header-secret: auth".to_owned(), "no effect without", "name the field"),
        (with("nowhere"), "there is no Secret \"nowhere\"", "create it"),
        (with("empty"), "has no line with a value", "openssl rand"),
        (with("short"), "fewer than 16 characters", "openssl rand"),
        (named("Authorization"), "is not a custom header name", "begins with x-"),
        (named("x a"), "is not a header name", "begins with x-"),
        ("worker-zones: ,".to_owned(), "names no zone", "example.workers.dev"),
        ("worker-zones: none, example.com".to_owned(), "\"none\" is not a zone", "with commas"),
        ("worker-zones: https://example.com".to_owned(), "is not a zone", "with commas"),
        ("worker-zones: '*.example.com'".to_owned(), "is not a zone", "with commas"),
        ("max-cdn-passes: 0".to_owned(), "from 1 to 100", "such as \"1\""),
        ("max-cdn-passes: once".to_owned(), "from 1 to 100", "such as \"1\""),
        ("client-certificate-headers: X-Cert".to_owned(), "another header", "\"Client-Cert\""),
        (
            "client-certificate-headers: Client-Cert-Chain".to_owned(),
            "without Client-Cert",
            "\"Client-Cert, Client-Cert-Chain\"",
        ),
        ("client-certificate-headers: ,".to_owned(), "names no header", "\"Client-Cert\""),
    ] {
        let said = refused(&annotations);
        assert!(said.starts_with("error: Ingress default/x: metadata.annotations["), "{said}");
        let has = [reason, fix, "answer 503"].map(|text| said.contains(text));
        assert_eq!(has, [true; 3], "{annotations}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn an_empty_value_lets_nobody_in() {
    for name in ["secret-header", "worker-zones", "max-cdn-passes", "client-certificate-headers"] {
        refused(&format!("{name}: EMPTY"));
    }
    refused("secret-header: EMPTY\nsecret-header-secret: auth");
    refused("secret-header: x-a\nsecret-header-secret: EMPTY");
}

#[test]
fn on_an_ingress_route_they_let_nobody_in_and_say_where_to_write_it() {
    let route = "
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {name: r, annotations: {ANNOTATION: value}}
spec: {routes: [{match: 'Host(`a.example`)', kind: Rule, services: [{name: web, port: 80}]}]}
---";
    let options = Options { taken_classes: vec!["traefik".to_owned()], ..options() };
    for name in ["secret-header", "worker-zones", "max-cdn-passes", "access", "allow"] {
        let yaml = route.replace("ANNOTATION", &format!("ravelin.dev/{name}"));
        let (model, found) = run_with(&options, &yaml);
        let state = &model.backends[&model.rules[0].backend].state;
        assert_eq!(state, &BackendState::Broken(Broken::Restricted), "{name}");
        let said = lines(&found).join("\n");
        assert!(said.contains("is for Ingresses") && said.contains("[[zone]]"), "{said}");
    }
    let ignored = route.replace(
        "ANNOTATION: value",
        "ravelin.dev/access: x, ravelin.dev/ignore-annotations: ravelin.dev/access",
    );
    let (model, _) = run_with(&options, &ignored);
    let state = &model.backends[&model.rules[0].backend].state;
    assert!(!matches!(state, BackendState::Broken(Broken::Restricted)), "{state:?}");
}
