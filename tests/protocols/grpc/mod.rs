//! gRPC through the proxy, with tonic on both sides: a client of TLS, and a server behind h2c or TLS.

mod calls;
mod client;
mod codec;
mod crowd;
mod ends;
mod goaway;
mod refusals;
mod server;
mod web;

use crate::certificates::{Authority, ECDSA};
use crate::secured::{HOST, secured_by};
use crate::support::{Builder, ingress, rule, service, slice};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// Certificates are valid until the year 2096, in seconds since the Unix epoch.
const VALIDITY: (u64, u64) = (0, 4_000_000_000);

/// A proxy that sends calls of `/t.Calls` to this address with h2c, and the authority of its
/// certificate as PEM. No other calls have a route.
fn in_front_of(server: SocketAddr) -> (Builder, String) {
    let authority = Authority::root("edge", &ECDSA);
    let issued = authority.issue(&[HOST], &ECDSA, VALIDITY);
    let builder = secured_by(&issued, server)
        .object("web.json", &h2c("web"))
        .object("ingress.json", &routed(&[("/t.Calls", "Prefix", "web")]));
    (builder, authority.pem())
}

/// An Ingress with the certificate of the listener.
fn routed(paths: &[(&str, &str, &str)]) -> Value {
    let mut everything = ingress("all", &[rule("", paths)]);
    everything["spec"]["tls"] = json!([{"secretName": "own"}]);
    everything
}

/// A Service whose pods speak HTTP/2 without TLS.
fn h2c(name: &str) -> Value {
    let mut service = service(name, "http", 80);
    service["spec"]["ports"][0]["appProtocol"] = json!("kubernetes.io/h2c");
    service
}

/// The EndpointSlice of a Service.
fn endpoint(service: &str, addr: SocketAddr) -> Value {
    slice(&format!("{service}-0"), service, "http", addr)
}
