//! Annotations of other controllers: what `check` and `explain` say of them.

use crate::program::{Ran, manifests, ravelin};
use serde_json::Value;
use std::fmt::Write;

/// Manifests as people have them.
fn case(name: &str) -> String {
    format!("tests/cli/cases/{name}.yaml")
}

fn check(class: &str, file: &str) -> Ran {
    let ran = ravelin(&["check", "--ingress-class", class, file]);
    assert_eq!(ran.err, "");
    ran
}

#[test]
fn a_middleware_is_not_passed_over() {
    let ran = check("traefik", &case("auth"));
    assert_eq!(ran.code, 1, "{}", ran.out);
    for expected in [
        "admin.example.com  Prefix  /     shop/web:80  503 middleware_unusable  shop/admin",
        "error: Ingress shop/admin: metadata.annotations[traefik.ingress.kubernetes.io/router.middlewares]: \
         Middleware shop/auth cannot be used: the routes of this Ingress answer 503 (fix: see the findings about it)",
        "error: Middleware shop/auth: spec.basicAuth",
        "1 routes, 2 errors, 0 warnings",
    ] {
        assert!(ran.out.contains(expected), "{expected}\n{}", ran.out);
    }
}

#[test]
fn annotations_of_ingress_nginx_that_restrict_are_named_each() {
    let ran = check("nginx", &case("nginx"));
    assert_eq!(ran.code, 1, "{}", ran.out);
    for expected in [
        "503 restriction_unsupported",
        "[nginx.ingress.kubernetes.io/auth-snippet]: is configuration of another proxy, which may restrict access, \
            and is not supported: the routes of this Ingress answer 503 (fix: use annotations of ravelin.dev, or do it \
            in the pod;",
        "[nginx.ingress.kubernetes.io/limit-rate]: \"100\" limits requests per client",
        "1 routes, 3 errors, 0 warnings",
    ] {
        assert!(ran.out.contains(expected), "{expected}\n{}", ran.out);
    }
}

#[test]
fn a_regular_expression_is_not_matched_as_text() {
    let ran = check("nginx", &case("regex"));
    assert_eq!(ran.code, 1, "{}", ran.out);
    for expected in [
        "a.example.com  Prefix  /api  shop/web:80  503 annotation_unsupported  shop/api",
        "[nginx.ingress.kubernetes.io/rewrite-target]: \"/$host/$2\" has a variable that is not known: the routes of \
            this Ingress answer 503 (fix: use groups alone, such as /$2)",
    ] {
        assert!(ran.out.contains(expected), "{expected}\n{}", ran.out);
    }
    assert!(!ran.out.contains("(/|$)"), "{}", ran.out);
}

#[test]
fn explain_names_the_annotation_for_which_a_url_is_refused() {
    for (name, class, url, reason, annotation) in [
        (
            "auth",
            "traefik",
            "http://admin.example.com/x",
            "middleware_unusable",
            "traefik.ingress.kubernetes.io/router.middlewares",
        ),
        (
            "nginx",
            "nginx",
            "http://admin.example.com/",
            "restriction_unsupported",
            "nginx.ingress.kubernetes.io/auth-snippet",
        ),
        (
            "regex",
            "nginx",
            "http://a.example.com/api/v1",
            "annotation_unsupported",
            "nginx.ingress.kubernetes.io/rewrite-target",
        ),
    ] {
        let file = case(name);
        let line =
            ["explain", "--output", "json", "--ingress-class", class, "--manifests", &file, url];
        let ran = ravelin(&line);
        assert_eq!((ran.code, ran.err.as_str()), (1, ""));
        let said: Value = serde_json::from_str(&ran.out).expect("JSON");
        assert_eq!(said["answer"], format!("503 {reason}"));
        let note = said["note"].as_str().expect("a text");
        assert!(note.starts_with("Ingress shop/"), "{note}");
        assert!(note.contains(&format!("metadata.annotations[{annotation}]")), "{note}");
        assert!(note.contains("(fix: "), "{note}");
    }
}

/// A repository with 200 Ingresses is not answered with as many lines that change nothing.
#[test]
fn what_makes_no_difference_is_counted_and_listed_on_request_and_in_json() {
    let mut text = "apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}]}
"
    .to_owned();
    for number in 0..200 {
        let _ = write!(
            text,
            "---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: i{number}
  annotations: {{nginx.ingress.kubernetes.io/proxy-buffering: 'off'}}
spec:
  ingressClassName: ravelin
  rules:
    - host: h{number}.example.com
      http:
        paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: web, port: {{number: 80}}}}}}}}]
"
        );
    }
    let (_folder, file) = manifests(&text);
    let lines = |line: &[&str]| {
        let ran = ravelin(line);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
        let about = ran.out.lines().filter(|line| line.contains("proxy-buffering"));
        about.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        lines(&["check", &file]),
        ["info: 200 Ingresses: \
                metadata.annotations[nginx.ingress.kubernetes.io/proxy-buffering]: is not supported: \
                bodies are streamed within ravelin's limits"]
    );
    assert_eq!(lines(&["check", "--verbose", &file]).len(), 200);
    assert_eq!(lines(&["check", "--output", "json", &file]).len(), 200);
}
