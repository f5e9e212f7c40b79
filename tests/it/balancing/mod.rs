//! Which pod takes a request, where that is not by load alone.

mod cookie;
mod hash;
mod near;
mod round_robin;

use crate::support::{Builder, Client, Message, Upstream, edge_to, service};
use serde_json::{Value, json};

/// The Service `web` with these annotations.
fn annotated(annotations: &Value) -> Value {
    let mut service = service("web", "http", 80);
    service["metadata"]["annotations"] = annotations.clone();
    service
}

/// A proxy that sends everything to the Service `web`, which says this, with these pods.
fn web(annotations: &Value, pods: &[&Upstream]) -> Builder {
    let addrs: Vec<_> = pods.iter().map(|pod| pod.addr()).collect();
    edge_to(&addrs)
        .listener("trusted_proxies", "[\"127.0.0.1/32\"]")
        .object("web.json", &annotated(annotations))
}

/// Three pods that say who they are.
fn pods() -> [Upstream; 3] {
    ["a", "b", "c"].map(Upstream::saying)
}

/// The answer to a request of this client with these further fields.
fn ask(client: &mut Client, visitor: &str, fields: &str) -> Message {
    client.send(format!(
        "GET / HTTP/1.1\r\nHost: web.example\r\nX-Forwarded-For: {visitor}\r\n{fields}\r\n"
    ));
    client.response()
}

/// The annotation that chooses.
fn balance(word: &str) -> Value {
    json!({ "ravelin.dev/balance": word })
}
