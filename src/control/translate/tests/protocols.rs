//! The protocol to the pods of a Service port, and which CAs TLS trusts.

use super::{BASE, lines, mk_backend, mk_ingress, objects, options, run};
use crate::control::objects::{Object, leave_out_content};
use crate::control::source::Changes;
use crate::control::translate::{Translator, translate};
use crate::model::{BackendSpec, BackendState, Broken, Model, Protocol, Severity};
use crate::pki::endpoint_tls::Trust;
use crate::routing::Table;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::sync::Arc;

/// A Service `pods` with these annotations and this port, and a rule that leads there.
fn mk_service(annotations: &str, port: &str) -> String {
    let service = format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: pods, annotations: {{{annotations}}}}}\n\
         spec: {{ports: [{{{port}}}]}}\n---\n"
    );
    let number = port.split("port: ").nth(1).expect("a port").split(',').next().expect("a number");
    let backend = format!("{{service: {{name: pods, port: {{number: {number}}}}}}}");
    service + &mk_ingress(&mk_backend(&backend))
}

fn mk_authorities(name: &str, content: &str) -> String {
    let metadata = format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}");
    format!("{metadata}\nstringData: {{ca.crt: {content:?}}}\n---\n")
}

fn protocol(model: &Model) -> String {
    let backend = model.backends.iter().find(|backend| &*backend.key.service == "pods");
    let backend = backend.expect("a rule names it");
    match &backend.state {
        BackendState::Broken(broken) => format!("{broken:?}"),
        BackendState::Resolved(_) | BackendState::Named(_) => backend.protocol.to_string(),
    }
}

const PUBLIC: &str = "https (pods.default.svc, public CAs)";
const GRPCS: &str = "https (HTTP/2, pods.default.svc, public CAs)";
const WSS: &str = "https (HTTP/1.1, pods.default.svc, public CAs)";

#[test]
fn the_first_that_says_something_says_what_is_spoken() {
    let ours = |word: &str| format!("ravelin.dev/upstream-protocol: {word}");
    let traefiks =
        |word: &str| format!("traefik.ingress.kubernetes.io/service.serversscheme: {word}");
    for (annotations, port, expected) in [
        (String::new(), "port: 80", "http"),
        (ours("http"), "port: 443", "http"),
        (ours("h2c"), "port: 80", "h2c"),
        (ours("grpc"), "port: 80", "grpc (h2c)"),
        (ours("https"), "port: 80", PUBLIC),
        (ours("grpcs"), "port: 80", GRPCS),
        (traefiks("h2c"), "port: 80", "h2c"),
        (traefiks("https"), "port: 80", PUBLIC),
        (traefiks("http"), "port: 443, name: https", "http"),
        (format!("{}, {}", ours("h2c"), traefiks("https")), "port: 80", "h2c"),
        (String::new(), "port: 80, appProtocol: kubernetes.io/h2c", "h2c"),
        (String::new(), "port: 80, appProtocol: grpc", "grpc (h2c)"),
        (String::new(), "port: 80, appProtocol: https", PUBLIC),
        (String::new(), "port: 80, appProtocol: kubernetes.io/wss", WSS),
        (String::new(), "port: 443, appProtocol: http", "http"),
        (String::new(), "port: 443, appProtocol: kubernetes.io/ws", "http"),
        (String::new(), "port: 443, appProtocol: example.com/own", PUBLIC),
        (traefiks("http"), "port: 80, appProtocol: https", "http"),
        (String::new(), "port: 443", PUBLIC),
        (String::new(), "port: 8443, name: https-api", PUBLIC),
        (String::new(), "port: 8443, name: api-https", "http"),
        (String::new(), "port: 80, name: grpc", "http"),
    ] {
        let (model, findings) = run(&mk_service(&annotations, port));
        assert_eq!(protocol(&model), expected, "{annotations} {port}");
        let expected = usize::from(expected.contains("public"));
        assert_eq!(findings.len(), expected, "{:?}", lines(&findings));
    }
}

#[test]
fn a_mistake_leaves_the_port_without_a_protocol_and_says_so() {
    let https = "ravelin.dev/upstream-protocol: https";
    for (annotations, field, reason) in [
        (
            "ravelin.dev/upstream-protocol: h2".to_owned(),
            "ravelin.dev/upstream-protocol",
            "\"h2\" is not one of \"http\", \"h2c\", \"https\", \"grpc\", \"grpcs\"",
        ),
        (
            "traefik.ingress.kubernetes.io/service.serversscheme: ftp".to_owned(),
            "traefik.ingress.kubernetes.io/service.serversscheme",
            "\"ftp\" is not one of \"http\", \"h2c\", \"https\"",
        ),
        (
            format!("{https}, ravelin.dev/upstream-tls-insecure: 'yes'"),
            "ravelin.dev/upstream-tls-insecure",
            "\"yes\" is not one of \"true\", \"false\"",
        ),
        (
            format!("{https}, ravelin.dev/upstream-server-name: a b"),
            "ravelin.dev/upstream-server-name",
            "\"a b\" is not a host name or an address",
        ),
    ] {
        let (model, findings) = run(&mk_service(&annotations, "port: 80"));
        assert_eq!(protocol(&model), "ProtocolUnusable", "{annotations}");
        let found = findings.iter().find(|found| found.reason == reason);
        let found = found.unwrap_or_else(|| panic!("{:?}", lines(&findings)));
        assert_eq!(found.field, format!("metadata.annotations[{field}]"));
        assert!(found.fix.ends_with("until then requests get 503"), "{}", found.fix);
    }
}

#[test]
fn who_is_believed_is_said_by_the_service_and_not_to_verify_is_told() {
    let authorities = mk_authorities("ca", &super::tls::mk_pair().0);
    let https = "ravelin.dev/upstream-protocol: https";
    let (insecure, ca) =
        ("ravelin.dev/upstream-tls-insecure: 'true'", "ravelin.dev/upstream-ca: ca");
    let name = "ravelin.dev/upstream-server-name: a.example";
    for (annotations, expected, told) in [
        (
            format!("{https}, {insecure}"),
            "https (pods.default.svc, not verified)",
            &["is \"true\": the certificates of the endpoints are not verified"][..],
        ),
        (format!("{https}, {ca}"), "https (pods.default.svc, CA of Secret ca)", &[]),
        (format!("{https}, {ca}, {name}"), "https (a.example, CA of Secret ca)", &[]),
        (format!("{https}, {name}"), "https (a.example, public CAs)", &[]),
        (
            format!("{https}, {ca}, {insecure}"),
            "https (pods.default.svc, CA of Secret ca)",
            &["has no effect together with ravelin.dev/upstream-ca"],
        ),
        // Of no port with TLS there is nothing to say.
        (format!("{insecure}, {ca}"), "http", &[]),
    ] {
        let (model, findings) = run(&(authorities.clone() + &mk_service(&annotations, "port: 80")));
        assert_eq!(protocol(&model), expected);
        let reasons: Vec<_> = findings.iter().map(|finding| finding.reason.as_str()).collect();
        assert_eq!(reasons, told, "{annotations}");
    }
}

#[test]
fn authorities_that_cannot_be_read_are_an_error_and_nobody_is_believed() {
    let annotations = "ravelin.dev/upstream-protocol: https, ravelin.dev/upstream-ca: ca";
    for (secret, reason) in [
        (String::new(), "there is no Secret \"ca\" in namespace default"),
        (mk_authorities("ca", "hunter2"), "data[ca.crt] of Secret \"ca\" contains no certificate"),
        (
            mk_authorities("ca", "x").replace("ca.crt", "tls.crt"),
            "data[ca.crt] of Secret \"ca\" is missing",
        ),
        (
            mk_authorities("ca", "x").replace("stringData", "type: other\nstringData"),
            "type of Secret \"ca\" is \"other\"",
        ),
    ] {
        let (model, findings) = run(&(secret + &mk_service(annotations, "port: 80")));
        let found = findings.iter().find(|finding| finding.reason == reason);
        let found = found.unwrap_or_else(|| panic!("{:?}", lines(&findings)));
        assert_eq!(found.field, "metadata.annotations[ravelin.dev/upstream-ca]");
        assert!(!format!("{findings:?}").contains("hunter2"));
        let Protocol::Https(settings) = &model.backends[0].protocol else { panic!("{model:?}") };
        assert!(matches!(settings.trust, Trust::Secret { authorities: None, .. }));
        let table = crate::routing::compile(&model, None);
        assert_eq!(table.backends().next().expect("one").broken, Some(Broken::ProtocolUnusable));
    }
}

#[test]
fn authorities_of_a_last_good_state_count_though_the_keys_beside_them_were_left_out() {
    let annotations = "ravelin.dev/upstream-protocol: https, ravelin.dev/upstream-ca: ca";
    let pem = include_str!("../../../pki/client_certificate/cloudflare.pem");
    for (key, expected) in [("ca.crt", None), ("other.crt", Some("is not in the last-good state"))]
    {
        let whole = Secret {
            metadata: ObjectMeta {
                namespace: Some("default".to_owned()),
                name: Some("ca".to_owned()),
                ..ObjectMeta::default()
            },
            data: Some([(key.to_owned(), ByteString(pem.into()))].into()),
            ..Secret::default()
        };
        let mut objects = objects(&format!("{BASE}{}", mk_service(annotations, "port: 80")));
        objects.insert(Object::from(leave_out_content(&whole)));
        let (model, findings) = translate(&objects, &options());
        let Protocol::Https(settings) = &model.backends[0].protocol else { panic!("{model:?}") };
        let Trust::Secret { authorities, .. } = &settings.trust else { panic!("{settings:?}") };
        assert_eq!(authorities.is_some(), expected.is_none());
        let told = findings.iter().find(|found| found.severity == Severity::Warning);
        let told = told.map(|found| found.reason.as_str());
        assert!(expected.is_none_or(|words| told.is_some_and(|said| said.ends_with(words))));
        assert_eq!(told.is_some(), expected.is_some(), "{:?}", lines(&findings));
    }
}

#[test]
fn annotations_of_our_own_that_nobody_reads_are_told() {
    let (_, findings) = run(&mk_service("ravelin.dev/upstream-protcol: h2c", "port: 80"));
    assert_eq!(
        lines(&findings),
        ["warning: Service default/pods: metadata.annotations[ravelin.dev/upstream-protcol]: is \
                unknown, and has no effect (fix: did you mean ravelin.dev/upstream-protocol?)"]
    );
}

#[test]
fn a_change_of_an_endpoint_keeps_the_tls_and_its_sessions_and_one_of_the_secret_does_not() {
    let pairs = [super::tls::mk_pair().0, super::tls::mk_pair().0];
    let annotations = "ravelin.dev/upstream-protocol: https, ravelin.dev/upstream-ca: ca";
    let service = mk_service(annotations, "port: 80, name: x");
    let all = |pem: &str, address: &str| {
        let slice = format!(
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: pods-1, labels: \
             {{kubernetes.io/service-name: pods}}}}\naddressType: IPv4\nports: [{{name: x, port: 1}}]\n\
             endpoints: [{{addresses: [{address}]}}]\n---\n"
        );
        let secret = mk_authorities("ca", pem);
        objects(&format!("{BASE}{secret}{slice}{service}"))
    };
    let mut translator = Translator::new(options());
    let mut known = crate::control::objects::Objects::default();
    let mut go_on = |now: crate::control::objects::Objects| {
        let objects = now.changes_from(&known);
        known = now;
        translator.apply(Changes { objects, findings: None })
    };
    let tls = |backend: &BackendSpec| match &backend.protocol {
        Protocol::Https(settings) => Arc::clone(settings),
        other => panic!("{other}"),
    };
    let compile = crate::routing::compile;
    let first = go_on(all(&pairs[0], "10.0.0.1")).model.expect("the first model");
    let second = go_on(all(&pairs[0], "10.0.0.2"));
    assert!(second.model.is_none(), "only endpoints are other ones");
    assert!(Arc::ptr_eq(&tls(&second.endpoints[0].1), &tls(&first.backends[0])));
    let third = go_on(all(&pairs[1], "10.0.0.2")).model.expect("other CAs");
    assert_ne!(tls(&third.backends[0]), tls(&first.backends[0]));
    let table = compile(&first, None);
    let id = |table: &Table| table.backends().next().expect("one").protocol.id();
    assert_eq!(id(&compile(&first, Some(&table))), id(&table));
    assert_ne!(id(&compile(&third, Some(&table))), id(&table));
}
