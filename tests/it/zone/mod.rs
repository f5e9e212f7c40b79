//! What requests have to show of the way that they came: `ravelin.dev/secret-header`, `worker-zones`, `max-cdn-passes`,
//! and `[[zone]]`.

mod secret;
mod tables;
mod way;

use crate::support::{Builder, Client, Message, Upstream, edge, ingress, refused, rule};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// What the zone sends, and what it will send next.
const NOW: &str = "now-5d41402abc4b2a76b9719d911017c592";
const NEXT: &str = "next-7d793037a0760186574b0282f2f435e7";

/// An Ingress of one host with annotations.
fn annotated(host: &str, annotations: &[(&str, &str)]) -> Value {
    let mut ingress = ingress(host, &[rule(host, &[("/", "Prefix", "pod")])]);
    let pairs =
        annotations.iter().map(|(name, value)| (format!("ravelin.dev/{name}"), json!(value)));
    ingress["metadata"]["annotations"] = Value::Object(pairs.collect());
    ingress
}

/// A Secret `auth` with a value under each key.
fn secret(values: &[(&str, &str)]) -> Value {
    let values = values.iter().map(|(key, value)| ((*key).to_owned(), json!(value)));
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "auth", "namespace": "ns"},
        "stringData": Value::Object(values.collect()),
    })
}

/// A proxy behind a balancer on 127.0.0.1, for Cloudflare and for loopback.
fn behind_balancer(pod: &Upstream) -> Builder {
    edge()
        .service("pod", &[pod.addr()])
        .listener("proxy_protocol_from", "[\"127.0.0.1/32\"]")
        .admit(&["cloudflare", "loopback"])
}

/// The answer to a request with these lines, sent through Cloudflare.
fn through_cloudflare(addr: SocketAddr, host: &str, lines: &str) -> Message {
    let mut client = Client::connect(addr);
    client.send("PROXY TCP4 104.16.0.1 127.0.0.1 40000 80\r\n");
    client.send(format!(
        "GET / HTTP/1.1\r\nHost: {host}\r\nCF-Connecting-IP: 203.0.113.7\r\n{lines}\r\n"
    ));
    client.response()
}

/// The answer to a request with these lines.
fn ask(addr: SocketAddr, host: &str, lines: &str) -> Message {
    let mut client = Client::connect(addr);
    client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n"));
    client.response()
}
