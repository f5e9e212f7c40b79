//! The last failures: what is kept, what is told of it, and what is not.

use super::{of_items, told};
use crate::support::{Client, Edge, Refusing, Upstream, edge, eventually, ingress, rule};
use serde_json::{Value, json};

/// An edge behind a balancer, with a pod that answers with 500, one that closes at once, an address that refuses, and a
/// Service without pods.
fn failing() -> (Edge, Upstream, Upstream, Refusing) {
    let broken = Upstream::scripted(|conn| {
        while conn.request().is_some() {
            conn.send("HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\n\r\nno");
        }
    });
    let closing = Upstream::scripted(|conn| {
        conn.request();
    });
    let refusing = Refusing::new();
    let paths = [
        ("/broken", "Prefix", "broken"),
        ("/closing", "Prefix", "closing"),
        ("/refusing", "Prefix", "refusing"),
        ("/none", "Prefix", "none"),
    ];
    let edge = edge()
        .listener("proxy_protocol_from", "[\"127.0.0.1/32\"]")
        .admit(&["cloudflare"])
        .service("broken", &[broken.addr()])
        .service("closing", &[closing.addr()])
        .service("refusing", &[refusing.addr()])
        .service("none", &[])
        .object("shop.json", &ingress("shop", &[rule("shop.example", &paths)]))
        .start();
    (edge, broken, closing, refusing)
}

fn from_cloudflare(edge: &Edge) -> Client {
    let mut client = Client::connect(edge.addr());
    client.send("PROXY TCP4 104.16.0.1 127.0.0.1 40000 80\r\n");
    client
}

/// Asks for a path with a ray of its own; the query is a secret.
fn fail(edge: &Edge, path: &str, ray: &str) -> u16 {
    let mut client = from_cloudflare(edge);
    client.send(format!(
        "GET {path}?token=SESAME HTTP/1.1\r\nHost: shop.example\r\nCF-Ray: {ray}-FRA\r\nCF-Connecting-IP: 203.0.113.7\r\n\
         Authorization: Bearer SESAME\r\nConnection: close\r\n\r\n"
    ));
    client.response().status()
}

/// The failure of one ray, once it is there.
fn of_ray(edge: &Edge, ray: &str) -> Value {
    eventually(ray, || {
        let answer = told(edge, &format!("failures?ray={ray}"));
        answer["items"].as_array().and_then(|items| items.first()).cloned()
    })
}

#[test]
fn a_ray_leads_to_the_reason_the_route_and_the_pod() {
    let (edge, broken, closing, _refusing) = failing();
    for (path, ray, status, reason, attempts) in [
        ("/broken/a", "8f00000000000001", 500, Value::Null, 1),
        ("/closing/a", "8f00000000000002", 502, json!("upstream_closed"), 1),
        ("/refusing/a", "8f00000000000003", 502, json!("connect_failed"), 1),
        ("/none/a", "8f00000000000004", 503, json!("no_endpoint"), 0),
        ("/nowhere", "8f00000000000005", 404, json!("no_route"), 0),
    ] {
        assert_eq!(fail(&edge, path, ray), status, "{path}");
        let failure = of_ray(&edge, ray);
        assert_eq!(
            (&failure["status"], &failure["reason"]),
            (&json!(status), &reason),
            "{failure}"
        );
        assert_eq!(failure["ray"], format!("{ray}-FRA"));
        assert_eq!((&failure["host"], &failure["path"]), (&json!("shop.example"), &json!(path)));
        assert!(failure["attempts"].as_u64() >= Some(attempts), "{failure}");
        assert_eq!(failure["attempts"] == 0, attempts == 0, "{failure}");
        let route = if status == 404 { "" } else { "ns/shop" };
        assert_eq!(failure["route"], route);
        assert!(failure["fix"].as_str().is_some_and(|fix| fix.len() > 10), "{failure}");
    }
    let pod = |ray| of_ray(&edge, ray)["endpoint"].clone();
    assert_eq!(pod("8f00000000000001"), broken.addr().to_string());
    assert_eq!(pod("8F00000000000002-FRA"), closing.addr().to_string());
    let all = told(&edge, "failures");
    assert_eq!(of_items(&all, "path")[0], "/nowhere", "the newest first");
    assert_eq!(all["total"], 5);
    assert_eq!(told(&edge, "failures?q=connect_failed")["total"], 1);
    assert_eq!(told(&edge, "failures?ray=8f")["total"], 0, "a ray is a whole one");
    assert!(!all.to_string().contains("SESAME"), "{all}");
}

#[test]
fn bytes_that_are_no_request_are_kept_too_and_redirects_are_not() {
    let (edge, _broken, _closing, _refusing) = failing();
    let mut client = from_cloudflare(&edge);
    client.send("GET /a?token=SESAME HTTP/1.1 x\r\n\r\n");
    assert_eq!(client.response().status(), 400);
    let kept = eventually("a failure", || {
        let all = told(&edge, "failures");
        (all["total"] == 1).then_some(all)
    });
    assert_eq!(kept["items"][0]["reason"], "malformed_request");
    assert!(!kept.to_string().contains("SESAME"), "{kept}");
}
