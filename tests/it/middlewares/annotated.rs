//! Annotations that ask for steps by themselves, from an Ingress to what client and pod see.

use super::send;
use crate::support::{Edge, Upstream, edge, ingress, rule};
use serde_json::{Map, Value, json};

const NGINX: &str = "nginx.ingress.kubernetes.io";
const OWN: &str = "ravelin.dev";

/// `ann:secret`, in `auth` as nginx has it.
const USERS: &str = "ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=";

/// A proxy whose host `h` has these annotations below a prefix.
fn annotated(prefix: &str, annotations: &[(&str, &str)], path: &str) -> (Edge, Upstream) {
    let upstream = Upstream::saying("a");
    let mut object = ingress("h", &[rule("h", &[(path, "ImplementationSpecific", "a")])]);
    let pairs = annotations.iter().map(|(key, value)| (format!("{prefix}/{key}"), json!(value)));
    object["metadata"]["annotations"] = Value::Object(pairs.collect::<Map<_, _>>());
    let users = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"namespace": "ns", "name": "users"},
        "stringData": {"auth": USERS},
    });
    let edge = edge()
        .service("a", &[upstream.addr()])
        .object("users.json", &users)
        .object("h.json", &object)
        .start();
    (edge, upstream)
}

#[test]
fn paths_that_are_expressions_are_matched_and_rewritten() {
    let annotations = [("use-regex", "true"), ("rewrite-target", "/$2")];
    let (edge, upstream) = annotated(NGINX, &annotations, "/api(/|$)(.*)");
    assert_eq!(send(&edge, "GET /api/x/y?q=1", "").status(), 200);
    assert_eq!(send(&edge, "GET /api", "").status(), 200);
    assert_eq!(send(&edge, "GET /apix", "").status(), 404);
    let targets: Vec<_> =
        upstream.requests().iter().map(|request| request.target().to_owned()).collect();
    assert_eq!(targets, ["/x/y?q=1", "/"]);
    let annotations = [("rewrite-target", "/users/$1")];
    let (edge, upstream) = annotated(NGINX, &annotations, "/u-([0-9]+)");
    assert_eq!(send(&edge, "GET /u-7/x", "").status(), 200);
    assert_eq!(send(&edge, "GET /u-x", "").status(), 404);
    assert_eq!(upstream.only_request().target(), "/users/7");
}

#[test]
fn who_may_ask_is_asked_of_every_request() {
    for (prefix, key) in [(NGINX, "whitelist-source-range"), (OWN, "allow")] {
        let (edge, upstream) = annotated(prefix, &[(key, "192.0.2.0/24")], "/");
        assert_eq!(send(&edge, "GET /", "").status(), 403);
        assert_eq!(upstream.requests().len(), 0);
        let (edge, _upstream) = annotated(prefix, &[(key, "127.0.0.0/8")], "/");
        assert_eq!(send(&edge, "GET /", "").status(), 200);
    }
    for (prefix, annotations) in [
        (NGINX, &[("auth-type", "basic"), ("auth-secret", "users")][..]),
        (OWN, &[("basic-auth-secret", "users")]),
    ] {
        let (edge, upstream) = annotated(prefix, annotations, "/");
        let refused = send(&edge, "GET /", "");
        assert_eq!(refused.status(), 401);
        assert!(refused.field("www-authenticate").is_some_and(|field| field.starts_with("Basic")));
        // ann:secret
        let right = "Authorization: Basic YW5uOnNlY3JldA==\r\n";
        assert_eq!(send(&edge, "GET /", right).status(), 200);
        assert_eq!(upstream.requests().len(), 1);
    }
    let (edge, upstream) = annotated(NGINX, &[("auth-type", "basic")], "/");
    let refused = send(&edge, "GET /", "");
    assert_eq!((refused.status(), upstream.requests().len()), (503, 0));
    assert!(refused.text().contains("middleware_unusable"), "{}", refused.text());
}

#[test]
fn a_limit_of_nginx_answers_503_and_one_of_ours_429() {
    for (prefix, annotations, status) in [
        (NGINX, &[("limit-rpm", "1"), ("limit-burst-multiplier", "1")][..], 503),
        (OWN, &[("rate-limit", "2/m")], 429),
    ] {
        let (edge, _upstream) = annotated(prefix, annotations, "/");
        let statuses: Vec<u16> = (0..3).map(|_| send(&edge, "GET /", "").status()).collect();
        assert_eq!(statuses, [200, 200, status]);
    }
    for (network, last) in [("127.0.0.0/8", 200), ("192.0.2.0/24", 503)] {
        let limit = [("limit-rpm", "1"), ("limit-burst-multiplier", "1")];
        let annotations = [limit[0], limit[1], ("limit-whitelist", network)];
        let (edge, _upstream) = annotated(NGINX, &annotations, "/");
        let statuses: Vec<u16> = (0..3).map(|_| send(&edge, "GET /", "").status()).collect();
        assert_eq!(statuses, [200, 200, last]);
    }
}

#[test]
fn redirects_and_cors_come_before_who_may_ask() {
    let users = [("auth-type", "basic"), ("auth-secret", "users")];
    let with = |more: &[(&str, &str)]| {
        let all: Vec<_> = users.iter().chain(more).copied().collect();
        annotated(NGINX, &all, "/")
    };
    let (edge, _upstream) = with(&[("app-root", "/app")]);
    let response = send(&edge, "GET /", "");
    assert_eq!((response.status(), response.field("location")), (302, Some("http://h/app")));
    assert_eq!(send(&edge, "GET /x", "").status(), 401);
    let (edge, _upstream) = with(&[("permanent-redirect", "https://b.example$request_uri")]);
    let response = send(&edge, "GET /x?y", "");
    assert_eq!(response.status(), 301);
    assert_eq!(response.field("location"), Some("https://b.example/x?y"));
    let (edge, _upstream) = with(&[("enable-cors", "true")]);
    let lines = "Origin: https://a.example\r\nAccess-Control-Request-Method: PUT\r\n";
    let preflight = send(&edge, "OPTIONS /", lines);
    assert_eq!(preflight.status(), 204);
    assert_eq!(preflight.field("access-control-allow-origin"), Some("*"));
    let refused = send(&edge, "GET /", "Origin: https://a.example\r\n");
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.field("access-control-allow-origin"), Some("*"));
}

#[test]
fn fields_are_set_by_annotations() {
    let annotations = [("upstream-vhost", "pod.example"), ("x-forwarded-prefix", "/app")];
    let (edge, upstream) = annotated(NGINX, &annotations, "/");
    send(&edge, "GET /", "");
    let request = upstream.only_request();
    assert_eq!(request.field("host"), Some("pod.example"));
    assert_eq!(request.field("x-forwarded-prefix"), Some("/app"));
    let annotations = [
        ("request-headers", "X-A: 1\nX-B:"),
        ("response-headers", "X-Frame-Options: DENY"),
        ("strip-prefix", "/app"),
        ("add-prefix", "/v1"),
    ];
    let (edge, upstream) = annotated(OWN, &annotations, "/");
    let response = send(&edge, "GET /app/x", "X-B: 2\r\n");
    assert_eq!(response.field("x-frame-options"), Some("DENY"));
    let request = upstream.only_request();
    assert_eq!((request.field("x-a"), request.field("x-b")), (Some("1"), None));
    assert_eq!(request.target(), "/v1/x");
}

#[test]
fn an_alias_is_served_with_the_steps_of_its_ingress() {
    let annotations = [("server-alias", "b.example"), ("x-forwarded-prefix", "/app")];
    let (edge, upstream) = annotated(NGINX, &annotations, "/");
    assert_eq!(edge.get("b.example", "/x").status(), 200);
    assert_eq!(edge.get("c.example", "/x").status(), 404);
    assert_eq!(upstream.only_request().field("x-forwarded-prefix"), Some("/app"));
}

#[test]
fn the_other_name_of_a_host_is_redirected_whoever_may_ask_there_and_whether_pods_are_up() {
    let annotations = [
        ("from-to-www-redirect", "true"),
        ("whitelist-source-range", "192.0.2.0/24"),
        ("force-ssl-redirect", "true"),
    ];
    let (served, upstream) = annotated(NGINX, &annotations, "/");
    let response = served.get("www.h:8080", "/a/./b?c");
    assert_eq!(response.status(), 308);
    assert_eq!(response.field("location"), Some("http://h:8080/a/b?c"));
    assert_eq!(served.get("h", "/").field("location"), Some("https://h/"));
    assert_eq!(upstream.requests().len(), 0);
    assert_eq!(served.await_log(2)[0]["reason"], "redirected");
    let mut lonely = ingress("h", &[rule("h", &[("/", "Prefix", "gone")])]);
    lonely["metadata"]["annotations"] = json!({(format!("{NGINX}/from-to-www-redirect")): "true"});
    let lonely = edge().object("h.json", &lonely).start();
    assert_eq!(lonely.get("www.h", "/").status(), 308);
    assert_eq!(lonely.get("h", "/").status(), 503);
}
