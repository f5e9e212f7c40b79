//! Routes are served on the entry points that their Ingress names, behind the Middlewares of the entry point.

use crate::support::{Client, Edge, Message, Upstream, edge, ingress, rule};
use serde_json::{Value, json};

const ENTRY_POINTS: &str = "traefik.ingress.kubernetes.io/router.entrypoints";

const TABLES: &str = r#"
[[listener]]
name = "lan"
address = "127.0.0.1:0"
admit = ["loopback"]
[[entry_point]]
name = "web"
listeners = ["web"]
[[entry_point]]
name = "internal"
listeners = ["lan"]
default = false
middlewares = ["ns-edge@kubernetescrd"]
"#;

fn named(host: &str, annotations: &Value) -> Value {
    let mut object = ingress(host, &[rule(host, &[("/", "Prefix", "web")])]);
    object["metadata"]["annotations"] = annotations.clone();
    object
}

fn get(edge: &Edge, listener: usize, host: &str) -> Message {
    Client::connect(edge.listener(listener)).get(host, "/x")
}

#[test]
fn a_route_is_served_where_it_says_and_passes_what_the_entry_point_asks() {
    let upstream = Upstream::scripted(|conn| {
        while let Some(request) = conn.request() {
            conn.answer(request.target());
        }
    });
    let middleware = json!({
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "Middleware",
        "metadata": {"namespace": "ns", "name": "edge"},
        "spec": {"addPrefix": {"prefix": "/edge"}},
    });
    let edge = edge()
        .tables(TABLES)
        .service("web", &[upstream.addr()])
        .object("edge.json", &middleware)
        .object("a.json", &named("a.example", &json!({})))
        .object("b.json", &named("b.example", &json!({ENTRY_POINTS: "internal"})))
        .object("c.json", &named("c.example", &json!({ENTRY_POINTS: "web, internal"})))
        .start();
    for (host, of_web, of_lan) in [
        ("a.example", Some("/x"), None),
        ("b.example", None, Some("/edge/x")),
        ("c.example", Some("/x"), Some("/edge/x")),
    ] {
        for (listener, expected) in [(0, of_web), (1, of_lan)] {
            let response = get(&edge, listener, host);
            match expected {
                Some(target) => assert_eq!(response.text(), target, "{host} {listener}"),
                None => assert_eq!(response.status(), 404, "{host} {listener}"),
            }
        }
    }
}

#[test]
fn an_entry_point_whose_middleware_is_missing_serves_nothing() {
    let upstream = Upstream::saying("open");
    let both = named("c.example", &json!({ENTRY_POINTS: "web, internal"}));
    let edge =
        edge().tables(TABLES).service("web", &[upstream.addr()]).object("c.json", &both).start();
    assert_eq!(get(&edge, 0, "c.example").text(), "open");
    let refused = get(&edge, 1, "c.example");
    assert_eq!(refused.status(), 503);
    assert!(refused.text().contains("middleware_unusable"), "{}", refused.text());
}
