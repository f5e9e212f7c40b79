//! What requests through Cloudflare have to show: the zone of a Worker, and the operator's secret.

use crate::support::{Builder, Client, Message, Upstream, edge_to};
use ravelin::config::Config;
use ravelin::http::client_ip::VisitorPolicy;
use serde_json::Value;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use tempfile::NamedTempFile;

const SECRETS: [&str; 2] = ["old-7c1f63", "new-90ab42"];

/// A proxy behind a balancer on 127.0.0.1, for Cloudflare and for loopback.
fn behind_balancer(upstream: &Upstream) -> Builder {
    edge_to(&[upstream.addr()])
        .set("cloudflare", "refresh", "\"off\"")
        .listener("proxy_protocol_from", "[\"127.0.0.1/32\"]")
        .admit(&["cloudflare", "loopback"])
}

/// Such a proxy that asks for a secret.
fn with_secret(upstream: &Upstream, file: &Path) -> Builder {
    behind_balancer(upstream).set("cloudflare", "secret_header", "\"X-Origin-Secret\"").set(
        "cloudflare",
        "secret_file",
        &format!("{file:?}"),
    )
}

fn secret_file(text: &str) -> NamedTempFile {
    let file = NamedTempFile::new().expect("a temporary file");
    fs::write(file.path(), text).expect("a new file");
    file
}

fn both_secrets() -> NamedTempFile {
    secret_file(&SECRETS.join("\n"))
}

/// The answer to a request with these lines, sent through Cloudflare.
fn through_cloudflare(addr: SocketAddr, lines: &str) -> Message {
    let mut client = Client::connect(addr);
    client.send("PROXY TCP4 104.16.0.1 127.0.0.1 40000 80\r\n");
    client.send(format!(
        "GET /a/../shop?q=1 HTTP/1.1\r\nHost: a.example\r\nCF-Connecting-IP: 203.0.113.7\r\n\
         CF-Ray: 7d0-FRA\r\n{lines}\r\n"
    ));
    client.response()
}

fn assert_refused(response: &Message, line: &Value, reason: &str) {
    assert_eq!(response.status(), 403);
    assert!(response.text().contains(reason), "{}", response.text());
    for (key, value) in [
        ("reason", reason),
        ("host", "a.example"),
        ("path", "/shop"),
        ("client", "203.0.113.7"),
        ("peer", "104.16.0.1:40000"),
        ("cf_ray", "7d0-FRA"),
    ] {
        assert_eq!(line[key], value, "{line}");
    }
    assert_eq!(line["status"], 403, "{line}");
}

#[test]
fn a_worker_of_another_zone_is_refused_and_its_request_logged() {
    let upstream = Upstream::saying("ok");
    let edge =
        behind_balancer(&upstream).set("cloudflare", "worker_zones", "[\"example.com\"]").start();
    let refused = [
        "CF-Worker: evil.example\r\n",
        "CF-Worker: sub.example.com\r\n",
        "CF-Worker: example.com\r\nCF-Worker: evil.example\r\n",
        "CF-Worker: example.com, evil.example\r\n",
        "CF-Worker:\r\n",
        "Connection: cf-worker\r\nCF-Worker: evil.example\r\n",
    ];
    for (number, lines) in refused.into_iter().enumerate() {
        let response = through_cloudflare(edge.addr(), lines);
        assert_refused(&response, &edge.await_log(number + 1)[number], "worker_refused");
    }
    let count = f64::from(u32::try_from(refused.len()).expect("few"));
    edge.await_metric("ravelin_requests_total", &[("reason", "worker_refused")], count);
    assert_eq!(upstream.requests().len(), 0, "none of them reaches the upstream");
    for lines in ["CF-Worker: example.com\r\n", "CF-Worker: Example.COM\r\n", ""] {
        assert_eq!(through_cloudflare(edge.addr(), lines).status(), 200, "{lines}");
    }
}

#[test]
fn without_the_secret_a_request_is_refused_and_logged() {
    let (upstream, file) = (Upstream::saying("ok"), both_secrets());
    let edge = with_secret(&upstream, file.path()).start();
    let refused = [
        String::new(),
        "X-Origin-Secret:\r\n".to_owned(),
        "X-Origin-Secret: guess\r\n".to_owned(),
        format!("X_Origin_Secret: {}\r\n", SECRETS[0]),
        format!("X-Origin-Secret: {}\r\n", SECRETS.join(", ")),
        format!("X-Origin-Secret: {0}\r\nX-Origin-Secret: {0}\r\n", SECRETS[0]),
    ];
    for (number, lines) in refused.iter().enumerate() {
        let response = through_cloudflare(edge.addr(), lines);
        assert_refused(&response, &edge.await_log(number + 1)[number], "secret_missing");
    }
    let count = f64::from(u32::try_from(refused.len()).expect("few"));
    edge.await_metric("ravelin_requests_total", &[("reason", "secret_missing")], count);
    assert_eq!(upstream.requests().len(), 0, "none of them reaches the upstream");
}

#[test]
fn each_secret_of_the_file_is_accepted_and_told_to_nobody() {
    let (upstream, file) = (Upstream::saying("ok"), both_secrets());
    let builder = with_secret(&upstream, file.path()).set("log", "level", "\"trace\"");
    let mut process = builder.spawn(1);
    for secret in SECRETS {
        let lines = format!("x-origin-secret: {secret}\r\n");
        assert_eq!(through_cloudflare(process.addr(), &lines).status(), 200);
        let lines = format!("X-Origin-Secret: {secret}x\r\n");
        assert_eq!(through_cloudflare(process.addr(), &lines).status(), 403);
    }
    let metrics = Client::connect(process.admin()).get("admin", "/metrics");
    process.signal("TERM");
    assert_eq!(process.exit().code(), Some(0));
    let log = process.log_lines();
    assert_eq!(log.len(), 4, "{log:?}");
    let told = [
        format!("{:?}", upstream.requests()),
        metrics.text().to_owned(),
        format!("{log:?}"),
        format!("{:?}", process.said()),
        format!("{:?}", policy(file.path())),
    ];
    assert!(told[0].contains("203.0.113.7") && told[1].contains("secret_missing"), "{told:?}");
    assert!(!told[0].contains("x-origin-secret"), "{}", told[0]);
    for text in &told {
        assert!(SECRETS.iter().all(|secret| !text.contains(secret)), "{text}");
    }
}

/// The policy as the proxy keeps it.
fn policy(file: &Path) -> VisitorPolicy {
    let text = format!(
        "[[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\n\
         [cloudflare]\nsecret_header = \"x-origin-secret\"\nsecret_file = {file:?}\n\
         [source]\nkind = \"directory\"\ndirectory = \"x\"\n"
    );
    let config = Config::parse(&text, "test").expect("a valid configuration");
    let secrets = fs::read_to_string(file).expect("the file");
    VisitorPolicy::new(&config.cloudflare, &secrets).expect("it has secrets")
}

#[test]
fn other_admitted_peers_are_asked_for_nothing() {
    let (upstream, file) = (Upstream::saying("ok"), both_secrets());
    let builder = with_secret(&upstream, file.path());
    let edge = builder.set("cloudflare", "worker_zones", "[]").start();
    let ip = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 5));
    let mut client = Client::connect_from(ip, edge.addr());
    client.send("GET / HTTP/1.1\r\nHost: a\r\nCF-Worker: x.example\r\n\r\n");
    assert_eq!(client.response().status(), 200);
    // A wrong one is dropped as well: no backend is to compare it.
    client.send("GET / HTTP/1.1\r\nHost: a\r\nX-Origin-Secret: guess\r\n\r\n");
    assert_eq!(client.response().status(), 200);
    for request in upstream.requests() {
        assert_eq!(request.field("x-forwarded-for"), Some("127.0.0.5"));
        assert_eq!((request.field("x-origin-secret"), request.field("cf-worker")), (None, None));
    }
}

#[test]
fn a_secret_file_that_is_missing_or_empty_stops_the_start_and_is_named() {
    let upstream = Upstream::saying("ok");
    let (empty, blank) = (secret_file(""), secret_file(" \n\t\n\n"));
    let gone = both_secrets().path().to_owned();
    for (path, problem) in [
        (empty.path(), "it has no line with a value"),
        (blank.path(), "it has no line with a value"),
        (&*gone, "No such file or directory (os error 2)"),
    ] {
        let refusal = with_secret(&upstream, path).refusal();
        let expected = format!(
            "cloudflare.secret_file {path:?}: {problem}; write the accepted values into it, one per line"
        );
        assert_eq!(refusal, expected);
    }
}
