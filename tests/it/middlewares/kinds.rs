//! What each kind does, with the fields of Traefik.

use super::{send, with};
use serde_json::json;

#[test]
fn headers_are_set_and_removed_on_both_ways() {
    let (edge, upstream) = with(&[json!({"headers": {
        "customRequestHeaders": {"X-Set": "1", "X-Gone": ""},
        "customResponseHeaders": {"X-Own": "2"},
        "frameDeny": true,
        "contentTypeNosniff": true,
    }})]);
    let response = send(&edge, "GET /", "X-Gone: 1\r\n");
    assert_eq!((response.status(), response.text()), (200, "a"));
    assert_eq!(response.field("x-own"), Some("2"));
    assert_eq!(response.field("x-frame-options"), Some("DENY"));
    assert_eq!(response.field("x-content-type-options"), Some("nosniff"));
    let request = upstream.only_request();
    assert_eq!((request.field("x-set"), request.field("x-gone")), (Some("1"), None));
}

#[test]
fn a_preflight_is_answered_and_never_reaches_the_pod() {
    let (edge, upstream) = with(&[json!({"headers": {
        "accessControlAllowMethods": ["GET", "PUT"],
        "accessControlAllowOriginList": ["https://a.example"],
        "accessControlMaxAge": 100,
    }})]);
    let lines = "Origin: https://a.example\r\nAccess-Control-Request-Method: PUT\r\n";
    let response = send(&edge, "OPTIONS /", lines);
    assert_eq!(response.status(), 200);
    assert_eq!(response.field("access-control-allow-origin"), Some("https://a.example"));
    assert_eq!(response.field("access-control-allow-methods"), Some("GET,PUT"));
    assert_eq!(response.field("access-control-max-age"), Some("100"));
    assert_eq!(upstream.requests().len(), 0);
}

#[test]
fn redirects_lead_to_another_scheme_or_address() {
    let (edge, upstream) =
        with(&[json!({"redirectScheme": {"scheme": "https", "permanent": true}})]);
    let response = send(&edge, "GET /a?b=c", "");
    assert_eq!(response.status(), 301);
    assert_eq!(response.field("location"), Some("https://h/a?b=c"));
    assert_eq!(upstream.requests().len(), 0);
    let (edge, _upstream) = with(&[json!({"redirectRegex": {
        "regex": "^http://h/(.*)", "replacement": "https://other.example/${1}x",
    }})]);
    let response = send(&edge, "GET /a", "");
    assert_eq!(response.status(), 302);
    assert_eq!(response.field("location"), Some("https://other.example/ax"));
}

#[test]
fn allow_lists_compare_the_peer() {
    for kind in ["ipAllowList", "ipWhiteList"] {
        let (edge, _upstream) = with(&[json!({kind: {"sourceRange": ["127.0.0.0/8", "::1"]}})]);
        assert_eq!(send(&edge, "GET /", "").status(), 200, "{kind}");
        let (edge, upstream) = with(&[json!({kind: {"sourceRange": ["192.0.2.0/24"]}})]);
        assert_eq!(send(&edge, "GET /", "").status(), 403, "{kind}");
        assert_eq!(upstream.requests().len(), 0, "{kind}");
    }
    let (edge, _upstream) = with(&[json!({"ipAllowList": {
        "sourceRange": ["192.0.2.0/24"], "rejectStatusCode": 404,
    }})]);
    assert_eq!(send(&edge, "GET /", "").status(), 404);
}

#[test]
fn paths_are_rewritten() {
    for (spec, path, expected) in [
        (json!({"stripPrefix": {"prefixes": ["/api"]}}), "/api/v1?q", "/v1?q"),
        (json!({"stripPrefixRegex": {"regex": ["/v[0-9]+"]}}), "/v12/x", "/x"),
        (json!({"addPrefix": {"prefix": "/base"}}), "/x?q", "/base/x?q"),
        (json!({"replacePath": {"path": "/fixed"}}), "/x", "/fixed"),
        (
            json!({"replacePathRegex": {"regex": "^/a/(.*)$", "replacement": "/b/$1"}}),
            "/a/c",
            "/b/c",
        ),
    ] {
        let (edge, upstream) = with(std::slice::from_ref(&spec));
        assert_eq!(send(&edge, &format!("GET {path}"), "").status(), 200, "{spec}");
        assert_eq!(upstream.only_request().target(), expected, "{spec}");
    }
}

#[test]
fn a_body_that_is_too_large_is_refused() {
    let (edge, upstream) = with(&[json!({"buffering": {"maxRequestBodyBytes": 4}})]);
    let response = send(&edge, "POST /", "Content-Length: 5\r\n");
    assert_eq!(response.status(), 413);
    assert_eq!(upstream.requests().len(), 0);
}

