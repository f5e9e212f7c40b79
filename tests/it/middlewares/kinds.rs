//! What each kind does, with the fields of Traefik.

use super::{send, with};
use crate::support::{Gate, Stepped, Upstream, chunked};
use ravelin::model::middleware::Step;
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

#[test]
fn a_response_gets_the_type_that_its_body_looks_like_where_that_is_asked_for() {
    let typed = |spec: serde_json::Value| {
        let (edge, _upstream) = with(&[spec]);
        let response = send(&edge, "GET /", "");
        assert_eq!((response.status(), response.text()), (200, "a"));
        response.field("content-type").map(str::to_owned)
    };
    assert_eq!(typed(json!({"contentType": {}})).as_deref(), Some("text/plain; charset=utf-8"));
    assert_eq!(typed(json!({"contentType": {"autoDetect": false}})), None);
    assert_eq!(typed(json!({"compress": {}})), None);
}

#[test]
fn what_is_typed_coded_or_late_gets_no_type_and_comes_whole() {
    let gate = Gate::default();
    let late = gate.clone();
    let pod = Upstream::scripted(move |conn| {
        while let Some(request) = conn.request() {
            match request.target() {
                "/typed" => {
                    conn.send("HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 1\r\n\r\n<")
                }
                "/coded" => conn
                    .send("HTTP/1.1 200 OK\r\nContent-Encoding: x\r\nContent-Length: 1\r\n\r\n<"),
                "/none" => conn.send("HTTP/1.1 204 No Content\r\n\r\n"),
                "/html" => {
                    conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                    conn.send(chunked(&["<p>", "one", " two"]))
                }
                _ => {
                    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
                    late.wait();
                    conn.send("late")
                }
            };
        }
    });
    let edge = Stepped::new(pod.addr()).route("", "/", vec![Step::ContentType(true)]).start();
    let mut client = edge.connect();
    assert_eq!(client.get("h", "/typed").field("content-type"), Some("a/b"));
    assert_eq!(client.get("h", "/coded").field("content-type"), None);
    assert_eq!(client.get("h", "/none").field("content-type"), None);
    let html = client.get("h", "/html");
    assert_eq!(html.field("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(html.text(), "<p>one two");
    client.ask("GET", "h", "/late");
    let mut response = client.head();
    assert_eq!(response.field("content-type"), None);
    gate.open();
    client.wire.body(&mut response).expect("a proper end");
    assert_eq!(response.text(), "late");
}

#[test]
fn a_body_that_breaks_off_while_its_first_byte_is_awaited_is_a_502() {
    let pod = Upstream::scripted(|conn| {
        conn.request();
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
    });
    let edge = Stepped::new(pod.addr()).route("", "/", vec![Step::ContentType(true)]).start();
    let mut client = edge.connect();
    let response = client.get("h", "/");
    assert_eq!(response.status(), 502);
    assert!(response.text().contains("upstream_truncated"), "{}", response.text());
}
