//! The status page of the admin port, its JSON, and what a browser makes of it.

mod browser;
mod certificates;
mod failures;
mod page;
mod readers;

use crate::support::{Builder, Client, Edge, Upstream, edge, eventually, ingress, rule};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What a hostile name would like a browser to run.
const SCRIPT: &str = "<script>document.title='taken'</script>";
const IMAGE: &str = "<img src=x onerror=document.title='taken'>";

/// A password that a Middleware adds to requests, and that no answer may have.
const PASSWORD: &str = "c2VjcmV0LXBhc3N3b3Jk";

/// The answer to a question, with its status.
fn ask(edge: &Edge, target: &str) -> (u16, Value) {
    let answer = Client::connect(edge.admin()).get("127.0.0.1", &format!("/api/v1/{target}"));
    let json = serde_json::from_str(answer.text());
    (answer.status(), json.unwrap_or_else(|error| panic!("{error}: {}", answer.text())))
}

/// The answer to a question that has one.
fn told(edge: &Edge, target: &str) -> Value {
    let (status, answer) = ask(edge, target);
    assert_eq!(status, 200, "{target}: {answer}");
    answer
}

/// Values of one field of all items.
fn of_items<'a>(answer: &'a Value, field: &str) -> Vec<&'a Value> {
    let items = answer["items"].as_array().unwrap_or_else(|| panic!("{answer}"));
    items.iter().map(|item| &item[field]).collect()
}

/// A site with TLS, a middleware with a password, a Service without pods, and objects with hostile texts.
fn site(pod: &Upstream) -> Builder {
    let key =
        rcgen::generate_simple_self_signed(["shop.example".to_owned()]).expect("a certificate");
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"namespace": "ns", "name": "shop-tls"},
        "stringData": {"tls.crt": key.cert.pem(), "tls.key": key.signing_key.serialize_pem()},
    });
    let middleware = json!({
        "apiVersion": "traefik.io/v1alpha1", "kind": "Middleware",
        "metadata": {"namespace": "ns", "name": "pass"},
        "spec": {"headers": {"customRequestHeaders": {"Authorization": format!("Basic {PASSWORD}")}}},
    });
    let mut shop = ingress(
        "shop",
        &[rule("shop.example", &[("/", "Prefix", "web"), ("/api", "Exact", "none")])],
    );
    shop["spec"]["tls"] = json!([{"hosts": ["shop.example"], "secretName": "shop-tls"}]);
    shop["metadata"]["annotations"] = json!({
        "traefik.ingress.kubernetes.io/router.middlewares": "ns-pass@kubernetescrd",
    });
    let hostile = [
        rule(SCRIPT, &[("/", "Prefix", "web")]),
        rule("x.example", &[("/y", "Exact", IMAGE), (IMAGE, "Exact", "web")]),
    ];
    edge()
        .tables("[[listener]]\nname = \"tls\"\naddress = \"127.0.0.1:0\"\nprotocol = \"https\"\nadmit = [\"loopback\"]")
        .service("web", &[pod.addr()])
        .service("none", &[])
        .object("secret.json", &secret)
        .object("middleware.json", &middleware)
        .object("shop.json", &shop)
        .object("name.json", &ingress(IMAGE, &[]))
        .object("hostile.json", &ingress("hostile", &hostile))
}

#[test]
fn the_json_says_what_the_process_serves() {
    let pod = Upstream::saying("ok");
    let edge = site(&pod).start();
    assert_eq!(edge.get("shop.example", "/").status(), 200);
    let status = told(&edge, "status");
    assert_eq!((&status["ready"], &status["not_ready"]), (&json!(true), &Value::Null));
    assert!(status["findings"]["error"].as_u64() > Some(0), "{status}");

    let routes = told(&edge, "routes?q=shop.example");
    assert_eq!(of_items(&routes, "path"), ["/", "/api"]);
    assert_eq!(of_items(&routes, "state"), ["ok", "no_endpoint"]);
    assert_eq!(of_items(&routes, "service"), ["ns/web:http", "ns/none:http"]);
    assert_eq!(of_items(&routes, "object")[0], "Ingress ns/shop");
    assert_eq!(routes["items"][0]["middlewares"], json!(["ns/pass"]));

    let certificates = told(&edge, "certificates?q=shop");
    let of_shop = &certificates["items"][0];
    assert_eq!(
        (&of_shop["host"], &of_shop["verdict"]),
        (&json!("shop.example"), &json!("self_signed"))
    );
    assert!(of_shop["days_left"].as_i64() > Some(100), "{certificates}");

    let gate = told(&edge, "gate");
    let ports = gate["ports"].as_array().expect("ports");
    let names: Vec<_> = ports.iter().map(|port| port["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["web", "tls", "admin"]);
    assert_eq!(ports[0]["accepted"], 1);
    assert_eq!(ports[0]["sets"][0]["name"], "loopback");

    edge.await_metric("ravelin_requests_total", &[("status", "2xx")], 1.0);
    let requests = told(&edge, "requests");
    assert_eq!(requests["items"][0]["statuses"], json!({"2xx": 1}));
    assert_eq!(requests["items"][0]["route"], "ns/shop");

    let pods = told(&edge, "pods?q=ns/web");
    let endpoint = &pods["items"][0]["endpoints"][0];
    assert_eq!(endpoint["address"], pod.addr().to_string());
    assert_eq!((&endpoint["state"], &endpoint["failing"]), (&json!("ready"), &json!(false)));
    // The first answers of a process may be too quick to change the estimate.
    eventually("a latency", || {
        edge.get("shop.example", "/");
        told(&edge, "pods?q=ns/web")["items"][0]["endpoints"][0]["latency_ms"].as_f64()
    });

    let findings = told(&edge, "findings");
    let fixes = of_items(&findings, "fix");
    assert!(fixes.iter().all(|fix| fix.as_str() != Some("")), "{findings}");
}

#[test]
fn no_answer_has_a_key_or_a_password() {
    let pod = Upstream::saying("ok");
    let edge = site(&pod).start();
    let targets =
        ["status", "routes", "certificates", "gate", "pods", "findings", "requests", "failures"];
    for target in targets {
        let answer = told(&edge, target).to_string();
        assert!(!answer.contains(PASSWORD) && !answer.contains("PRIVATE KEY"), "{answer}");
    }
    let answer = told(&edge, "explain?host=shop.example&scheme=http&from=127.0.0.1");
    assert_eq!(answer["middlewares"][0]["effect"], "sets authorization");
    assert!(!answer.to_string().contains(PASSWORD), "{answer}");
}

#[test]
fn parts_of_a_long_list_are_the_whole_of_it() {
    let hosts: Vec<Value> = (0..60)
        .map(|n| rule(&format!("h{n}.example"), &[("/", "Prefix", "web"), ("/a", "Exact", "web")]))
        .collect();
    let pod = Upstream::saying("ok");
    let edge =
        edge().service("web", &[pod.addr()]).object("all.json", &ingress("all", &hosts)).start();
    let (mut seen, mut parts, mut after) = (Vec::new(), 0, Some(0));
    while let Some(start) = after {
        let part = told(&edge, &format!("routes?limit=7&after={start}"));
        assert_eq!(part["total"], 120);
        let rows = part["items"].as_array().expect("items");
        seen.extend(rows.iter().map(|row| (row["host"].to_string(), row["path"].to_string())));
        parts += 1;
        after = part["next"].as_u64();
    }
    assert_eq!((parts, seen.len()), (18, 120));
    assert!(seen.is_sorted(), "{seen:?}");
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 120);
    assert_eq!(told(&edge, "routes")["items"].as_array().map(Vec::len), Some(100), "by default");
    assert_eq!(told(&edge, "routes?after=1000")["items"], json!([]));
}

#[test]
fn explain_says_where_a_request_would_go_now() {
    let pod = Upstream::saying("ok");
    let edge = site(&pod).start();
    for (query, answer) in [
        ("host=shop.example&path=/x%3Fa=b", "forwarded"),
        ("host=shop.example&path=/api&scheme=http", "503 no_endpoint"),
        ("host=other.example&scheme=http", "404 no_route"),
        ("host=other.example&scheme=https", "refused"),
        ("host=shop.example&listener=web&from=127.0.0.1", "forwarded"),
        ("host=shop.example&path=/%252e%252e/a%2500", "400 bad_target"),
        ("host=shop.example&method=CONNECT", "501 connect_refused"),
    ] {
        let told = told(&edge, &format!("explain?{query}"));
        assert_eq!(told["answer"], answer, "{query}: {told}");
    }
    let forwarded = told(&edge, "explain?host=shop.example&from=127.0.0.1");
    assert_eq!(forwarded["endpoints"], json!([pod.addr().to_string()]));
    assert_eq!(forwarded["admission"], "admitted: in the set loopback");
    assert_eq!(forwarded["full_strict"], "self_signed");
    assert_eq!(forwarded["proofs"][0]["kind"], "address");
    let stranger = told(&edge, "explain?host=shop.example&from=192.0.2.1");
    assert!(matches!(stranger["answer"].as_str(), Some("none" | "reset")), "{stranger}");
    assert_eq!(pod.connections(), 0, "nothing is sent");
}

#[test]
fn mistakes_name_the_parameter_and_other_methods_are_refused() {
    let edge = edge().start();
    for (target, status, text) in [
        ("nothing", 404, "not found; /api/v1/ has status"),
        ("routes?limit=1000", 400, "limit is \"1000\": give a number from 1 to 500"),
        ("routes?page=1", 400, "unknown parameter \"page\""),
        ("explain", 400, "host is missing"),
        ("explain?host=a&listener=b", 400, "listener is \"b\": give one of web"),
        ("explain?host=a&scheme=https", 400, "no listener speaks https"),
    ] {
        let (got, answer) = ask(&edge, target);
        assert_eq!(got, status, "{target}");
        assert!(answer["error"].as_str().is_some_and(|error| error.starts_with(text)), "{answer}");
    }
    for path in ["/page", "/page.js", "/api/v1/routes"] {
        let mut client = Client::connect(edge.admin());
        client.ask("POST", "127.0.0.1", path);
        let answer = client.response();
        assert_eq!((answer.status(), answer.field("allow")), (405, Some("GET, HEAD")), "{path}");
        client.ask("HEAD", "127.0.0.1", path);
        assert_eq!(client.response_to_head().status(), 200, "{path}");
    }
}

#[test]
fn answers_are_guarded_against_other_sites() {
    let edge = edge().start();
    for path in ["/page", "/page.js", "/page.css", "/page.svg", "/api/v1/gate", "/api/v1/nothing"] {
        let answer = Client::connect(edge.admin()).get("localhost", path);
        let policy = answer.field("content-security-policy").expect("a policy");
        assert!(
            policy.starts_with("default-src 'none';") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        for (field, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("cache-control", "no-store"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.field(field), Some(value), "{path}");
        }
        // A site whose own name leads here (DNS rebinding).
        let rebound = Client::connect(edge.admin()).get("evil.example", path);
        assert_eq!(rebound.status(), 421, "{path}");
    }
    // Scrapers come by any name.
    assert_eq!(Client::connect(edge.admin()).get("node.example", "/metrics").status(), 200);
}

#[test]
fn the_root_is_a_page_for_browsers_and_a_list_for_others() {
    let edge = edge().start();
    let mut client = Client::connect(edge.admin());
    assert!(client.get("localhost", "/").text().contains("/api/v1/status\n"));
    client.send("GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/html,*/*\r\n\r\n");
    assert!(client.response().text().starts_with("<!doctype html>"));
}
