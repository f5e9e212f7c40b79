//! What the usual mistakes are told.

use super::{lines, mk_backend, mk_ingress, mk_paths, run};
use crate::control::manifest;
use crate::control::translate::validate;

/// The one line about an Ingress with this spec.
fn line(spec: &str) -> String {
    let (_, findings) = run(&mk_ingress(spec));
    let lines = lines(&findings);
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines[0].clone()
}

const PATH: &str = "error: Ingress default/x: spec.rules[0].http.paths[0]";

#[test]
fn services_and_ports() {
    for (backend, expected) in [
        (
            "{service: {name: wbe, port: {number: 80}}}",
            ".backend.service.name: there is no Service \"wbe\" in namespace default (fix: did you \
                mean \"web\"? Until then requests get 503)",
        ),
        (
            "{service: {name: payments, port: {number: 80}}}",
            ".backend.service.name: there is no Service \"payments\" in namespace default (fix: \
                create it; until then requests get 503)",
        ),
        (
            "{service: {name: web, port: {number: 8080}}}",
            ".backend.service.port.number: Service \"web\" has no port \"8080\" (fix: it has 80 \
                (http); until then requests get 503)",
        ),
        (
            "{service: {name: web, port: {name: '80'}}}",
            ".backend.service.port.name: Service \"web\" has no port \"80\" \
             (fix: write `number: 80` for a port by number; it has 80 (http))",
        ),
        (
            "{service: {name: web, port: {number: 0}}}",
            ".backend.service.port.number: 0 is not a port number (fix: use a number from 1 to 65535)",
        ),
        (
            "{service: {name: web, port: {name: http, number: 80}}}",
            ".backend.service.port: has both `name` and `number` (fix: remove one of the two)",
        ),
        (
            "{service: {name: web}}",
            ".backend.service.port: is missing (fix: add `number` or `name` of a port of the Service)",
        ),
        (
            "{resource: {kind: Bucket, name: static}}",
            ".backend.resource: \"Bucket/static\" is not a Service (fix: use `service`; until then \
                requests get 503)",
        ),
        ("{}", ".backend: names no Service (fix: add `service.name` and `service.port.number`)"),
    ] {
        assert_eq!(line(&mk_backend(backend)), format!("{PATH}{expected}"));
    }
}

#[test]
fn paths_and_path_types() {
    for (kind, path, expected) in [
        ("Prefix", "api", "path: \"api\" does not begin with a slash (fix: write \"/api\")"),
        ("Prefix", "", "path: is missing (fix: write `/` for all paths)"),
        ("Exact", "/a//b", "path: \"/a//b\" must not contain `//` (fix: write the resolved path)"),
        (
            "Prefix",
            "/a%",
            "path: \"/a%\" cannot match any request: path has a percent sign without two hexadecimal \
                digits (fix: write the path as in a URL)",
        ),
        ("prefix", "/", "pathType: \"prefix\" is not a path type (fix: did you mean `Prefix`?)"),
        ("''", "/", "pathType: is missing (fix: add `pathType: Prefix`)"),
        (
            "Regex",
            "/",
            "pathType: \"Regex\" is not a path type (fix: use one of Exact, Prefix, ImplementationSpecific)",
        ),
    ] {
        assert_eq!(line(&mk_paths(&[(kind, path)])), format!("{PATH}.{expected}"));
    }
}

#[test]
fn a_regular_expression_is_served_as_a_prefix_with_a_warning() {
    let warning = line(&mk_paths(&[("ImplementationSpecific", "/api(/|$)(.*)")]));
    assert_eq!(
        warning,
        "warning: Ingress default/x: spec.rules[0].http.paths[0].path: \"/api(/|$)(.*)\" looks like \
            a regular expression, but is matched as a plain prefix (fix: write the part before the \
            expression; paths are compared element by element)"
    );
}

#[test]
fn hosts() {
    let fix = "(fix: write a DNS name, or `*.` before one, or leave it out to mean every host)";
    for (host, expected) in [
        ("a.example:8080", "\"a.example:8080\" must not contain a port"),
        ("10.0.0.1", "\"10.0.0.1\" is an IP address, not a DNS name"),
        ("*", "\"*\" may have `*` only as its whole first label"),
    ] {
        let spec =
            mk_paths(&[("Prefix", "/")]).replace("host: a.example", &format!("host: '{host}'"));
        let expected = format!("error: Ingress default/x: spec.rules[0].host: {expected} {fix}");
        assert_eq!(line(&spec), expected);
    }
}

#[test]
fn a_missing_secret_comes_with_the_command_that_makes_it() {
    let spec = format!("tls: [{{secretName: cert}}], {}", mk_paths(&[("Prefix", "/")]));
    assert_eq!(
        line(&spec),
        "error: Ingress default/x: spec.tls[0].secretName: there is no Secret \"cert\" in namespace \
         default (fix: kubectl create secret tls cert -n default --cert=tls.crt --key=tls.key; a Secret of \
         another namespace cannot be named)"
    );
}

/// What `validate` says about the one object of a manifest.
fn validated(yaml: &str) -> Vec<String> {
    let parsed = manifest::parse("test.yaml", yaml);
    assert_eq!((parsed.objects.len(), parsed.findings), (1, vec![]));
    lines(&validate(&parsed.objects[0]))
}

#[test]
fn objects_are_validated_by_themselves_in_the_same_words() {
    let spec = mk_paths(&[("Prefix", "api")]);
    let yaml = mk_ingress(&spec);
    assert_eq!(validated(yaml.trim_end_matches("---")), [line(&spec)]);
    let service = "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {ports: \
                   [{port: 0}, {name: a, port: 1, protocol: HTTP}, {name: a, port: 2}]}}";
    assert_eq!(
        validated(service),
        [
            "error: Service default/s: spec.ports[0].name: is missing (fix: a Service with several \
                ports must name each of them)",
            "error: Service default/s: spec.ports[0].port: 0 is not a port number (fix: use a number \
             from 1 to 65535)",
            "error: Service default/s: spec.ports[1].protocol: \"HTTP\" is not a protocol (fix: use \
             TCP, UDP or SCTP)",
            "error: Service default/s: spec.ports[2].name: \"a\" is already the name of another \
                port (fix: give each port a name of its own)",
        ]
    );
    let class = "{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: r}}";
    assert_eq!(
        validated(class),
        ["error: IngressClass r: spec.controller: is missing (fix: add `controller: \
          ravelin.dev/ingress-controller`)"]
    );
    let secret = "{apiVersion: v1, kind: Secret, metadata: {name: s}, type: kubernetes.io/tls}";
    assert_eq!(
        validated(secret),
        ["error: Secret default/s: data[tls.crt]: is missing (fix: make it a Secret of type \
          kubernetes.io/tls with PEM in tls.crt and tls.key)"]
    );
}

#[test]
fn valid_but_unsupported_objects_pass_validation() {
    let slice = "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: s}, \
                 addressType: FQDN, endpoints: [{addresses: [a.example]}]}";
    assert_eq!(validated(slice), [""; 0]);
    let yaml = mk_ingress(&mk_backend("{resource: {kind: Bucket, name: static}}"));
    assert_eq!(validated(yaml.trim_end_matches("---")), [""; 0]);
    let local = slice.replace("FQDN", "IPv4").replace("a.example", "127.0.0.1");
    assert_eq!(validated(&local), [""; 0]);
}
