//! Mistakes that users make: each finding names object, field, reason and fix.

use crate::program::{manifests, ravelin};
use serde_json::Value;

/// A Service and an Ingress with nothing wrong but that the Service has no endpoint yet.
const RIGHT: &str = "apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop}
spec:
  ingressClassName: ravelin
  tls: [{hosts: [a.example.com]}]
  rules:
    - host: a.example.com
      http:
        paths:
          - {path: /, pathType: Prefix, backend: {service: {name: web, port: {name: http}}}}
";

struct Mistake {
    /// What stands in `RIGHT`, and what the user has written instead.
    instead: (&'static str, &'static str),
    severity: &'static str,
    field: &'static str,
    reason: &'static str,
    fix: &'static str,
    /// Whether the rule still has its place.
    routes: usize,
}

const PATH: &str = "spec.rules[0].http.paths[0]";

const MISTAKES: [Mistake; 11] = [
    Mistake {
        instead: ("service: {name: web", "service: {name: wbe"),
        severity: "error",
        field: "backend.service.name",
        reason: "there is no Service \"wbe\" in namespace default",
        fix: "did you mean \"web\"? Until then requests get 503",
        routes: 1,
    },
    Mistake {
        instead: ("port: {name: http}", "port: {number: 8080}"),
        severity: "error",
        field: "backend.service.port.number",
        reason: "Service \"web\" has no port \"8080\"",
        fix: "it has 80 (http); until then requests get 503",
        routes: 1,
    },
    Mistake {
        instead: ("pathType: Prefix", "pathType: prefix"),
        severity: "error",
        field: "pathType",
        reason: "\"prefix\" is not a path type",
        fix: "did you mean `Prefix`?",
        routes: 0,
    },
    Mistake {
        instead: ("path: /,", "path: api,"),
        severity: "error",
        field: "path",
        reason: "\"api\" does not begin with a slash",
        fix: "write \"/api\"",
        routes: 0,
    },
    Mistake {
        instead: ("host: a.example.com", "host: \"a.example.com:443\""),
        severity: "error",
        field: "spec.rules[0].host",
        reason: "\"a.example.com:443\" must not contain a port",
        fix: "write a DNS name, or `*.` before one, or leave it out to mean every host",
        routes: 0,
    },
    Mistake {
        instead: ("ingressClassName: ravelin", "ingressClassName: ravelinn"),
        severity: "warning",
        field: "spec.ingressClassName",
        reason: "is \"ravelinn\", but no IngressClass has that name",
        fix: "did you mean \"ravelin\"?",
        routes: 0,
    },
    Mistake {
        instead: ("pathType: Prefix", "pathtype: Prefix"),
        severity: "error",
        field: "pathType",
        reason: "is missing",
        fix: "add `pathType: Prefix`",
        routes: 0,
    },
    Mistake {
        instead: ("networking.k8s.io/v1\n", "networking.k8s.io/v1beta1\n"),
        severity: "error",
        field: "apiVersion",
        reason: "networking.k8s.io/v1beta1 is no longer served by Kubernetes",
        fix: "migrate the manifest to networking.k8s.io/v1",
        routes: 0,
    },
    Mistake {
        instead: ("[a.example.com]}", "[a.example.com], secretName: cert}"),
        severity: "warning",
        field: "spec.tls[0].secretName",
        reason: "there is no Secret \"cert\" in namespace default among the manifests",
        fix: "none needed, if the cluster has it; otherwise kubectl create secret tls cert -n \
            default --cert=tls.crt --key=tls.key; a Secret of another namespace cannot be named",
        routes: 1,
    },
    Mistake {
        instead: (
            "{service: {name: web, port: {name: http}}}",
            "{serviceName: web, servicePort: 80}",
        ),
        severity: "warning",
        field: "backend.serviceName",
        reason: "is not a field of the API and is ignored",
        fix: "networking.k8s.io/v1 calls it `service.name`",
        routes: 1,
    },
    Mistake {
        instead: (
            "    - host:",
            "    - {host: a.example.com, http: {paths: [{path: /, pathType: Prefix, \
                   backend: {service: {name: web, port: {name: http}}}}]}}\n    - host:",
        ),
        severity: "warning",
        field: "spec.rules[1].http.paths[0].path",
        reason: "Prefix / of host a.example.com is already used by Ingress default/shop \
            (spec.rules[0].http.paths[0].path)",
        fix: "remove one of the two, or give them different paths",
        routes: 1,
    },
];

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    let (_folder, file) = manifests(RIGHT);
    let ran = ravelin(&["check", &file]);
    assert_eq!(ran.code, 0, "{}", ran.out);
    assert!(ran.out.ends_with("\n1 routes, 0 errors, 0 warnings\n"), "{}", ran.out);
}

#[test]
fn each_is_told_with_object_field_reason_and_fix() {
    for Mistake { instead: (right, wrong), severity, field, reason, fix, routes } in MISTAKES {
        assert_eq!(RIGHT.matches(right).count(), 1, "{right}");
        let (_folder, file) = manifests(&RIGHT.replace(right, wrong));
        // Below a path, or by its whole name.
        let full = if field.starts_with("spec") || field.starts_with("api") {
            field.to_owned()
        } else {
            format!("{PATH}.{field}")
        };
        let ran = ravelin(&["check", "--output", "json", &file]);
        let report: Value = serde_json::from_str(&ran.out).expect("JSON");
        let findings = report["findings"].as_array().expect("a list");
        let found = findings.iter().find(|finding| finding["field"] == *full);
        let found = found.unwrap_or_else(|| panic!("{wrong}: nothing about {full}: {report:#}"));
        assert_eq!(found["severity"], severity, "{wrong}");
        assert_eq!(
            (&found["kind"], &found["name"]),
            (&"Ingress".into(), &"shop".into()),
            "{wrong}"
        );
        let said = found["reason"].as_str().expect("a text");
        // Some name their file as well.
        assert!(said == reason || said == format!("{reason}, in {file}"), "{wrong}: {said}");
        assert_eq!(found["fix"], fix, "{wrong}");
        assert_eq!(report["routes"].as_array().map(Vec::len), Some(routes), "{wrong}");
        let errors = report["errors"].as_u64().expect("a number");
        assert_eq!(ran.code, i32::from(errors > 0), "{wrong}");
        let line = format!("{severity}: Ingress default/shop: {full}: {said} (fix: {fix})\n");
        let text = ravelin(&["check", &file]);
        assert!(text.out.contains(&line), "{line} is not in {}", text.out);
        assert_eq!(text.code, ran.code, "{wrong}");
    }
}

#[test]
fn a_file_that_is_no_yaml_is_named_with_the_line() {
    let (_folder, file) = manifests(&RIGHT.replace("  rules:", "\trules:"));
    let ran = ravelin(&["check", &file]);
    assert_eq!(ran.code, 1);
    let start = format!("error: File {file}: is not valid YAML at line 12, column ");
    assert!(ran.out.contains(&start), "{}", ran.out);
}
