//! What one protocol tolerates, and what the other end gets of it: clients of HTTP/1.1 and HTTP/2 times
//! pods of HTTP/1.1 and h2c, with raw peers on the odd side and strict ones on the other.

mod answers;
mod pod;
mod requests;

use crate::secured::secured;
use crate::support::{Builder, Edge, edge, ingress, rule, service, slice};
use serde_json::json;
use std::net::SocketAddr;

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spoken {
    Http1,
    Http2,
}

const BOTH: [Spoken; 2] = [Spoken::Http1, Spoken::Http2];

/// A proxy for clients of one protocol, plain or within TLS, in front of a pod of one.
fn between(client: Spoken, pod: Spoken, addr: SocketAddr) -> Edge {
    let builder: Builder = match client {
        Spoken::Http1 => edge()
            .object("web-0.json", &slice("web-0", "web", "http", addr))
            .object("ingress.json", &ingress("all", &[rule("", &[("/", "Prefix", "web")])])),
        Spoken::Http2 => secured(addr),
    };
    let mut web = service("web", "http", 80);
    if pod == Spoken::Http2 {
        web["metadata"]["annotations"] = json!({"ravelin.dev/upstream-protocol": "h2c"});
    }
    builder.object("web.json", &web).timeout("response_head", "5s").start()
}
