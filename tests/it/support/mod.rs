//! Both ends of a proxy under test, and the proxy itself in this process or in one of its own.

mod client;
mod edge;
mod gate;
mod manifest;
mod message;
mod metrics;
mod nginx;
mod process;
mod upstream;

pub(crate) use client::Client;
pub(crate) use edge::{Builder, Edge, edge, edge_to};
pub(crate) use gate::Gate;
pub(crate) use manifest::{ingress, rule, service, slice};
pub(crate) use message::{Framing, Message, chunked};
pub(crate) use metrics::Metrics;
pub(crate) use nginx::Nginx;
pub(crate) use process::Process;
pub(crate) use upstream::{Conn, Refusing, Upstream};

use std::io::Write;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for what has to happen: far more than it takes, on any machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Asks again until there is an answer.
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "never happened: {what}");
        thread::park_timeout(Duration::from_millis(5));
    }
}

/// Says that a test could not be done, past the capture of test output.
pub(crate) fn skipped(why: &str) {
    // Nothing to be done about a standard error that is closed.
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

/// Finds a program in `PATH` or where Debian keeps servers.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let found = places.map(|place| place.join(name)).find(|file| file.is_file());
    if found.is_none() {
        skipped(&format!("{name} is not installed"));
    }
    found
}
