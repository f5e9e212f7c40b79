//! `ravelin.dev/error-pages`: pages of a ConfigMap, from the manifest to what clients see. Calls of gRPC are in
//! tests/protocols/grpc/refusals.rs.

use crate::support::{Conn, Edge, Message, Upstream, edge, ingress, rule};
use serde_json::{Value, json};
use std::net::SocketAddr;

const KEY: &str = "ravelin.dev/error-pages";

fn config_map(data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "ns", "name": "pages"}, "data": data})
}

/// A proxy with pages for the host `h`, whose pod is at this address.
fn paged(pod: SocketAddr, more: &[(&str, &str)]) -> Edge {
    let mut object = ingress("h", &[rule("h", &[("/", "Prefix", "a")])]);
    object["metadata"]["annotations"] = json!({KEY: "pages"});
    for (key, value) in more {
        object["metadata"]["annotations"][*key] = json!(value);
    }
    let pages =
        json!({"404.html": "not here", "5xx.html": "sorry", "403": "<h1>no</h1>", "401": "who"});
    edge()
        .service("a", &[pod])
        .object("pages.json", &config_map(&pages))
        .object("h.json", &object)
        .start()
}

/// Answers with the status that the path names.
fn pod() -> Upstream {
    Upstream::scripted(|conn: &mut Conn| {
        while let Some(request) = conn.request() {
            let status = request.target().trim_start_matches('/').to_owned();
            let body = if request.method() == "HEAD" { "" } else { "of the pod" };
            let lines = "Content-Length: 10\r\nSet-Cookie: a=1\r\nAllow: GET\r\n";
            conn.send(format!("HTTP/1.1 {status} Pod\r\n{lines}\r\n{body}"));
        }
    })
}

/// Status, body and type.
fn shown(message: &Message) -> (u16, &str, Option<&str>) {
    (message.status(), message.text(), message.field("content-type"))
}

const HTML: Option<&str> = Some("text/html; charset=utf-8");

#[test]
fn a_page_takes_the_place_of_the_pods_response() {
    let pod = pod();
    let edge = paged(pod.addr(), &[]);
    let mut client = edge.connect();
    let response = client.get("h", "/404");
    assert_eq!(shown(&response), (404, "not here", HTML));
    assert_eq!(response.field("content-length"), Some("8"));
    assert_eq!(response.field("cache-control"), Some("no-store"));
    assert_eq!((response.field("set-cookie"), response.field("allow")), (None, Some("GET")));
    assert_eq!(shown(&client.get("h", "/500")), (500, "sorry", HTML));
    assert_eq!(shown(&client.get("h", "/403")), (403, "<h1>no</h1>", HTML));
    assert_eq!(client.get("h", "/200").text(), "of the pod");
    assert_eq!(client.get("h", "/410").text(), "of the pod");
    client.ask("HEAD", "h", "/503");
    let response = client.response_to_head();
    assert_eq!((response.status(), response.field("content-length")), (503, Some("5")));
    assert_eq!(client.get("h", "/404").text(), "not here", "the connection is in order");
    assert_eq!(pod.connections(), 1, "so is that to the pod");
    edge.await_metric(
        "ravelin_middleware_requests_total",
        &[("kind", "error-pages"), ("outcome", "answered")],
        5.0,
    );
}

#[test]
fn answers_of_our_own_get_a_page_and_keep_their_reason_and_what_belongs_to_the_status() {
    let nobody = crate::support::Refusing::new();
    let edge = paged(nobody.addr(), &[]);
    assert_eq!(shown(&edge.get("h", "/")), (502, "sorry", HTML));
    edge.ended("connect_failed");
    let refused = paged(nobody.addr(), &[("ravelin.dev/deny", "127.0.0.0/8")]);
    assert_eq!(shown(&refused.get("h", "/")), (403, "<h1>no</h1>", HTML));
    let users = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": "ns", "name": "users"},
        "stringData": {"users": "ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="},
    });
    let asked = paged(nobody.addr(), &[("ravelin.dev/basic-auth-secret", "users")]);
    asked.put("users.json", &users.to_string());
    crate::support::eventually("users", || {
        let response = asked.get("h", "/");
        (shown(&response) == (401, "who", Some("text/plain; charset=utf-8"))
            && response.field("www-authenticate").is_some())
        .then_some(())
    });
}

#[test]
fn a_websocket_that_is_refused_gets_no_page() {
    let pod = pod();
    let edge = paged(pod.addr(), &[]);
    let mut client = edge.connect();
    client
        .send("GET /404 HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(client.response().text(), "of the pod");
}

#[test]
fn an_edit_of_the_config_map_counts_at_once() {
    let pod = pod();
    let edge = paged(pod.addr(), &[]);
    edge.put("pages.json", &config_map(&json!({"404.json": "{}"})).to_string());
    crate::support::eventually("the new page", || {
        (shown(&edge.get("h", "/404")) == (404, "{}", Some("application/json"))).then_some(())
    });
}
