//! Annotations of other controllers that restrict: their routes answer 503, whatever came before.

use super::{serves, three};
use crate::support::{Edge, ingress, rule};
use serde_json::{Value, json};

/// An Ingress for host `h` with annotations: `/` goes to Service `a`.
fn annotated(name: &str, host: &str, annotations: &Value) -> Value {
    let mut ingress = ingress(name, &[rule(host, &[("/", "Prefix", "a")])]);
    ingress["metadata"]["annotations"] = annotations.clone();
    ingress
}

/// Checks that requests for `h` are refused for this reason, in body, log and metrics.
fn is_refused(edge: &Edge, reason: &str) {
    serves(edge, &[("h", "/", &format!("503 {reason}")), ("h", "/x", &format!("503 {reason}"))]);
    edge.await_metric("ravelin_requests_total", &[("reason", reason)], 2.0);
    let found = [("kind", "Ingress"), ("reason", reason), ("severity", "error")];
    edge.await_metric("ravelin_rejected_objects", &found, 1.0);
    let lines = edge.await_log(2);
    assert!(lines.iter().all(|line| line["reason"] == reason), "{lines:?}");
}

#[test]
fn an_annotation_that_restricts_is_never_served_open() {
    for (annotation, value, reason) in [
        (
            "traefik.ingress.kubernetes.io/router.middlewares",
            "ns-auth@kubernetescrd",
            "middleware_unusable",
        ),
        ("nginx.ingress.kubernetes.io/auth-snippet", "return 401;", "restriction_unsupported"),
        ("nginx.ingress.kubernetes.io/auth-type", "basic", "middleware_unusable"),
        ("haproxy.org/allow-list", "10.0.0.0/8", "restriction_unsupported"),
        ("haproxy-ingress.github.io/oauth", "oauth2_proxy", "restriction_unsupported"),
        ("nginx.ingress.kubernetes.io/ssl-passthrough", "true", "annotation_unsupported"),
        ("nginx.ingress.kubernetes.io/rewrite-target", "/$host", "annotation_unsupported"),
    ] {
        let (builder, upstreams) = three();
        let refused = annotated("i", "h", &json!({annotation: value}));
        // A broader rule does not take its requests.
        let broader = ingress("j", &[rule("", &[("/", "Prefix", "b")])]);
        let edge = builder.object("i.json", &refused).object("j.json", &broader).start();
        is_refused(&edge, reason);
        assert_eq!(upstreams.each_ref().map(|upstream| upstream.requests().len()), [0; 3]);
        serves(&edge, &[("other", "/", "b")]);
    }
}

#[test]
fn a_restriction_that_is_added_counts_at_once_and_is_gone_with_the_annotation() {
    let (builder, _upstreams) = three();
    let open = annotated("i", "h", &json!({}));
    let edge = builder.object("i.json", &open).start();
    let restricted = annotated("i", "h", &json!({"haproxy.org/allow-list": "10.0.0.0/8"}));
    for _ in 0..2 {
        serves(&edge, &[("h", "/", "a")]);
        edge.put("i.json", &restricted.to_string());
        serves(&edge, &[("h", "/", "503 restriction_unsupported")]);
        edge.put("i.json", &open.to_string());
    }
    serves(&edge, &[("h", "/", "a")]);
}

#[test]
fn a_service_that_restricts_is_refused_and_its_ingress_s_other_routes_are_not() {
    let (builder, _upstreams) = three();
    let rules = [rule("h", &[("/", "Prefix", "a"), ("/b", "Prefix", "b")])];
    let edge = builder.object("i.json", &ingress("i", &rules)).start();
    serves(&edge, &[("h", "/", "a"), ("h", "/b", "b")]);
    let mut guarded = crate::support::service("b", "http", 80);
    guarded["metadata"]["annotations"] = json!({"haproxy.org/route-acl": "hdr(x) 1"});
    edge.put("b.json", &guarded.to_string());
    serves(&edge, &[("h", "/", "a"), ("h", "/b", "503 restriction_unsupported")]);
}

/// cert-manager writes a list of everybody on the Ingresses that answer its challenges.
#[test]
fn what_restricts_nobody_is_served() {
    let (builder, _upstreams) = three();
    let solver = json!({
        "nginx.ingress.kubernetes.io/whitelist-source-range": "0.0.0.0/0,::/0",
        "nginx.ingress.kubernetes.io/limit-rps": "0",
        "nginx.ingress.kubernetes.io/auth-type": "",
        "nginx.ingress.kubernetes.io/enable-modsecurity": "false",
        "traefik.ingress.kubernetes.io/router.entrypoints": "web",
    });
    let edge = builder.object("i.json", &annotated("i", "h", &solver)).start();
    serves(&edge, &[("h", "/", "a")]);
}
