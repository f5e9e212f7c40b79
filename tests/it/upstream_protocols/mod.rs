//! HTTP/2 and TLS towards the pods, against Node, and against a backend
//! of our own for what Node cannot be made to do.

mod certificates;
mod connections;
mod grpc;
mod odd_certificates;
mod peer;
mod resetting;
mod streams;
mod tls;
mod transports;

use crate::support::Message;
use serde_json::Value;

/// The answer of the peer's `/info`, and of others that tell the same.
fn told(response: &Message) -> Value {
    assert_eq!(response.status(), 200, "{response:?}");
    serde_json::from_slice(&response.body).expect("JSON")
}
