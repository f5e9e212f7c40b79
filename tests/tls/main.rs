//! TLS at the edge: real handshakes, by rustls, openssl and curl, against the proxy in this process.
//!
//! A test that needs a program which is not installed says so on standard error and passes.

mod annotations;
mod authorities;
mod bodies;
mod break_glass;
mod certificates;
mod client;
mod client_cert;
mod client_certificates;
#[path = "../support/eventually.rs"]
mod eventually;
mod files;
mod handshake;
mod hosts;
mod origin_pulls;
#[path = "../support/program.rs"]
mod program;
mod programs;
mod proxy;
mod resumption;
mod secrets;
#[path = "../support/skipped.rs"]
mod skipped;
mod strangers;
mod strict;
mod tcp;
#[path = "../support/tls_client.rs"]
mod tls_client;

use std::time::Duration;

// What the files of tests/support ask of the root.
use eventually::eventually;
use program::program;
use skipped::skipped;

/// How long a test waits for what has to happen: far more than it takes, on any machine.
const PATIENCE: Duration = Duration::from_secs(30);
