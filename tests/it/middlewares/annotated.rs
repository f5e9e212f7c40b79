//! Annotations that ask for steps by themselves, from an Ingress to what client and pod see.

use super::send;
use crate::support::{Builder, Conn, Edge, Upstream, edge, ingress, rule};
use serde_json::{Map, Value, json};

const NGINX: &str = "nginx.ingress.kubernetes.io";
const OWN: &str = "ravelin.dev";

/// `ann:secret`, in `auth` as nginx has it.
const USERS: &str = "ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=";

/// A proxy whose host `h` has these annotations below a prefix.
fn annotated(prefix: &str, annotations: &[(&str, &str)], path: &str) -> (Edge, Upstream) {
    let upstream = Upstream::saying("a");
    (in_front_of(&upstream, prefix, annotations, path).start(), upstream)
}

/// The same in front of this pod, before it starts.
fn in_front_of(
    upstream: &Upstream,
    prefix: &str,
    annotations: &[(&str, &str)],
    path: &str,
) -> Builder {
    let mut object = ingress("h", &[rule("h", &[(path, "ImplementationSpecific", "a")])]);
    let pairs = annotations.iter().map(|(key, value)| (format!("{prefix}/{key}"), json!(value)));
    object["metadata"]["annotations"] = Value::Object(pairs.collect::<Map<_, _>>());
    let users = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"namespace": "ns", "name": "users"},
        "stringData": {"auth": USERS},
    });
    edge().service("a", &[upstream.addr()]).object("users.json", &users).object("h.json", &object)
}

fn config_map(data: &Value) -> Value {
    let metadata = json!({"namespace": "ns", "name": "fields"});
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
}

/// Lets those pass who have the cookie `good`, and says that they are Ann.
fn judge() -> Upstream {
    Upstream::scripted(|conn: &mut Conn| {
        while let Some(request) = conn.request() {
            let answer = match request.field("cookie") {
                Some("good") => {
                    "HTTP/1.1 200 OK\r\nX-User: ann\r\nX-Other: o\r\nContent-Length: 0\r\n\r\n"
                }
                _ => "HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nwho?",
            };
            if !conn.send(answer) {
                return;
            }
        }
    })
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

#[test]
fn an_auth_server_that_an_annotation_names_decides() {
    const ADDRESS: &str = "http://auth.ns.svc.cluster.local:80/verify";
    let of_nginx = [
        ("auth-url", ADDRESS),
        ("auth-method", "POST"),
        ("auth-proxy-set-headers", "fields"),
        ("auth-response-headers", "X-User"),
        ("auth-signin", "https://login.example/"),
    ];
    let own = [("forward-auth", ADDRESS), ("forward-auth-headers", "X-User")];
    for (prefix, annotations) in [(NGINX, &of_nginx[..]), (OWN, &own)] {
        let (pod, auth) = (Upstream::saying("a"), judge());
        let edge = in_front_of(&pod, prefix, annotations, "/")
            .service("auth", &[auth.addr()])
            .object("fields.json", &config_map(&json!({"X-Zone": "eu"})))
            .start();
        let refused = send(&edge, "GET /x?y", "X-User: mallory\r\n");
        let (status, location) = match prefix {
            NGINX => (302, Some("https://login.example/?rd=http://h%2Fx%3Fy")),
            _ => (401, None),
        };
        assert_eq!((refused.status(), refused.field("location")), (status, location), "{prefix}");
        assert_eq!(pod.requests().len(), 0);
        let passed = send(&edge, "GET /x", "Cookie: good\r\nX-User: mallory\r\n");
        assert_eq!((passed.status(), passed.text()), (200, "a"));
        let got = pod.only_request();
        assert_eq!((got.field("x-user"), got.field("x-other")), (Some("ann"), None));
        let asked = auth.requests();
        let (method, zone) = if prefix == NGINX { ("POST", Some("eu")) } else { ("GET", None) };
        for asked in &asked {
            assert_eq!((asked.method(), asked.target()), (method, "/verify"));
            assert_eq!(asked.field("x-zone"), zone);
        }
    }
}

#[test]
fn pages_of_a_default_backend_take_the_place_of_errors() {
    let pod = Upstream::scripted(|conn: &mut Conn| {
        while let Some(request) = conn.request() {
            let status = request.target().trim_start_matches('/').to_owned();
            conn.send(format!("HTTP/1.1 {status} Pod\r\nContent-Length: 3\r\n\r\npod"));
        }
    });
    let pages = Upstream::saying("page");
    let annotations = [("custom-http-errors", "404,503"), ("default-backend", "pages")];
    let edge =
        in_front_of(&pod, NGINX, &annotations, "/").service("pages", &[pages.addr()]).start();
    for (path, body) in [("/404", "page"), ("/503", "page"), ("/500", "pod"), ("/200", "pod")] {
        let response = edge.get("h", path);
        assert_eq!((response.status().to_string(), response.text()), (path[1..].to_owned(), body));
    }
    let codes: Vec<_> = pages.requests();
    let codes: Vec<_> = codes.iter().map(|asked| asked.field("x-code")).collect();
    assert_eq!(codes, [Some("404"), Some("503")]);
}

#[test]
fn responses_get_the_fields_of_a_config_map() {
    let pod = Upstream::saying("a");
    let edge = in_front_of(&pod, NGINX, &[("custom-headers", "ns/fields")], "/")
        .object("fields.json", &config_map(&json!({"X-Frame-Options": "DENY"})))
        .start();
    assert_eq!(edge.get("h", "/").field("x-frame-options"), Some("DENY"));
}
