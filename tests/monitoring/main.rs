//! `deploy/monitoring`: dashboards and alert rules, held against the metrics that there are, a real Prometheus, a real
//! VictoriaMetrics, and a ravelin under load or in trouble. Programs that are missing are named on standard error.

mod alerts;
#[path = "../watch/api/mod.rs"]
#[allow(dead_code, reason = "tests/watch plays faults that these tests do not need")]
mod api;
mod causes;
mod dashboards;
mod edge;
#[path = "../support/eventually.rs"]
mod eventually;
mod expression;
mod pages;
mod panels;
#[path = "../support/program.rs"]
mod program;
mod reference;
mod scraper;
#[path = "../cloudflare_list/server.rs"]
#[allow(dead_code, reason = "tests/cloudflare_list plays more faults")]
mod server;
#[path = "../support/server_config.rs"]
mod server_config;
#[path = "../support/skipped.rs"]
mod skipped;
#[path = "../support/tls_client.rs"]
#[allow(dead_code, reason = "tests/tls looks at more of a handshake")]
mod tls_client;
#[path = "../support/unsupported.rs"]
mod unsupported;

use eventually::eventually;
use program::program;
use skipped::skipped;
use std::path::{Path, PathBuf};
use std::time::Duration;
use unsupported::unsupported;

/// How long a test waits for what has to happen: far more than it takes, on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// `deploy/`, or something in it.
fn deploy(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(relative)
}
