//! Middlewares, from a manifest to what client and pod see.

mod annotated;
mod beside_nginx;
mod breaker;
mod kinds;
mod lists;
mod retry;

use crate::support::{Builder, Edge, Message, Upstream, edge, ingress, rule};
use serde_json::{Value, json};

const ROUTER: &str = "traefik.ingress.kubernetes.io/router.middlewares";
const OWN: &str = "ravelin.dev/middlewares";

/// A Middleware `ns/NAME`.
fn middleware(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "Middleware",
        "metadata": {"namespace": "ns", "name": name},
        "spec": spec,
    })
}

/// An Ingress for this host, to Service `a`, with an annotation.
fn asking(host: &str, annotation: &str, value: &str) -> Value {
    let mut object = ingress(host, &[rule(host, &[("/", "Prefix", "a")])]);
    object["metadata"]["annotations"] = json!({annotation: value});
    object
}

/// A proxy with Service `a`.
fn one() -> (Builder, Upstream) {
    let upstream = Upstream::saying("a");
    let builder = edge().service("a", &[upstream.addr()]);
    (builder, upstream)
}

/// A proxy whose host `h` has the steps of these Middlewares, in their order.
fn with(specs: &[Value]) -> (Edge, Upstream) {
    let (mut builder, upstream) = one();
    let mut names = Vec::new();
    for (position, spec) in specs.iter().enumerate() {
        let name = format!("m{position}");
        builder = builder.object(&format!("{name}.json"), &middleware(&name, spec));
        names.push(name);
    }
    let edge = builder.object("h.json", &asking("h", OWN, &names.join(", "))).start();
    (edge, upstream)
}

/// Sends a request with these lines behind `Host: h`, and returns the response.
fn send(edge: &Edge, start: &str, lines: &str) -> Message {
    let mut client = edge.connect();
    client.send(format!("{start} HTTP/1.1\r\nHost: h\r\n{lines}\r\n"));
    client.response()
}
