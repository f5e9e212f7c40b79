//! Every protocol that Cloudflare speaks to an origin, with real peers on both sides: HTTP/2 within
//! TLS, WebSocket and other upgrades, server-sent events, trailers, `Expect`.
//!
//! A test that needs a program which is not installed says so on standard error and passes. Clients,
//! backends and the proxy are those of tests/it.

#[path = "../tls/certificates.rs"]
#[expect(dead_code, unused_imports, reason = "tests/tls needs more kinds")]
mod certificates;
#[path = "../tls/client.rs"]
#[expect(dead_code, reason = "tests/tls looks closer at handshakes")]
mod client;
#[path = "../it/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "tests/it uses the rest")]
mod support;
#[path = "../support/tls_client.rs"]
mod tls_client;
#[path = "../support/until.rs"]
mod until;

mod abandoned_streams;
mod bodies;
mod body_size;
mod broken_off;
mod cache;
mod crowded;
mod deadlines;
mod early;
mod events;
mod expect;
mod fields;
mod frames;
mod grpc;
mod h2spec;
mod interim;
mod leaving;
mod multiplexed;
mod oddities;
mod programs;
mod reclaimed;
mod resets;
mod secured;
mod successor;
mod switched;
mod trailers;
mod tunnels;
mod unread_uploads;
mod upgrades;
mod websocket;

// What the files of tests/support ask of the root.
use support::{PATIENCE, program, skipped};
