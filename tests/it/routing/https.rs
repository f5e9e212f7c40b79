//! Visitors without TLS are sent to it, if their Ingress asks for that; those with it may be told to
//! keep to it.

use crate::support::{Builder, Edge, Message, Upstream, edge, ingress, rule};
use serde_json::json;

/// A proxy that believes in the schemes that its clients name, with an Ingress that redirects.
fn redirecting(upstream: &Upstream) -> Builder {
    let mut secured = ingress("secured", &[rule("a.example", &[("/", "Prefix", "web")])]);
    secured["metadata"]["annotations"] = json!({
        "ravelin.dev/https-redirect": "true",
        "ravelin.dev/hsts": "max-age=60",
    });
    edge()
        .listener("trusted_proxies", "[\"127.0.0.1/32\"]")
        .service("web", &[upstream.addr()])
        .object("secured.json", &secured)
}

fn get(edge: &Edge, host: &str, target: &str, scheme: &str) -> Message {
    let mut client = edge.connect();
    client.send(format!(
        "GET {target} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Proto: {scheme}\r\n\
         X-Forwarded-For: 203.0.113.9\r\n\r\n"
    ));
    client.response()
}

#[test]
fn a_visitor_without_tls_is_sent_to_the_same_address_with_it() {
    let upstream = Upstream::saying("ok");
    let edge = redirecting(&upstream).start();
    for (host, target, location) in [
        ("a.example", "/", "https://a.example/"),
        ("A.Example:80", "/shop/./x?q=1&r=%20", "https://a.example/shop/x?q=1&r=%20"),
        ("a.example:8080", "/%7euser", "https://a.example/~user"),
    ] {
        let response = get(&edge, host, target, "http");
        assert_eq!((response.status(), response.field("location")), (308, Some(location)));
        assert_eq!(response.field("strict-transport-security"), None, "not without TLS");
    }
    for line in edge.await_log(3) {
        assert_eq!((&line["reason"], &line["status"]), (&json!("https_redirect"), &json!(308)));
    }
    assert_eq!(edge.get("b.example", "/").status(), 404, "nobody asked for it there");
}

#[test]
fn a_visitor_who_has_tls_in_front_of_cloudflare_is_served_and_does_not_loop() {
    let upstream = Upstream::saying("ok");
    let edge = redirecting(&upstream).start();
    let response = get(&edge, "a.example", "/", "https");
    assert_eq!((response.status(), response.text()), (200, "ok"));
    assert_eq!(response.field("strict-transport-security"), Some("max-age=60"));
}

#[test]
fn a_backend_that_speaks_of_hsts_itself_has_its_say() {
    let upstream = Upstream::scripted(|conn| {
        let field = "Strict-Transport-Security: max-age=1";
        while conn.request().is_some() {
            conn.send(format!("HTTP/1.1 200 OK\r\n{field}\r\nContent-Length: 2\r\n\r\nok"));
        }
    });
    let edge = redirecting(&upstream).start();
    let response = get(&edge, "a.example", "/", "https");
    assert_eq!(response.field("strict-transport-security"), Some("max-age=1"));
}

#[test]
fn a_challenge_with_a_rule_of_its_own_is_answered_without_tls() {
    let upstream = Upstream::saying("ok");
    let path = "/.well-known/acme-challenge/token";
    let edge = redirecting(&upstream).set("https", "redirect", "true").start();
    assert_eq!(get(&edge, "a.example", path, "http").status(), 308, "only the rule / is for it");
    let solver = ingress("solver", &[rule("a.example", &[(path, "Exact", "web")])]);
    edge.put("solver.json", &solver.to_string());
    assert_eq!(get(&edge, "a.example", path, "http").status(), 200);
    assert_eq!(get(&edge, "a.example", "/other", "http").status(), 308);
}

#[test]
fn what_is_configured_is_for_ingresses_that_do_not_say() {
    let upstream = Upstream::saying("ok");
    let mut open = ingress("open", &[rule("open.example", &[("/", "Prefix", "web")])]);
    open["metadata"]["annotations"] = json!({"ravelin.dev/https-redirect": "false"});
    let silent = ingress("silent", &[rule("silent.example", &[("/", "Prefix", "web")])]);
    let edge = redirecting(&upstream)
        .object("open.json", &open)
        .object("silent.json", &silent)
        .set("https", "redirect", "true")
        .start();
    assert_eq!(get(&edge, "open.example", "/", "http").status(), 200);
    assert_eq!(get(&edge, "silent.example", "/", "http").status(), 308);
}
