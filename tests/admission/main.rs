//! Who may connect, seen from the network: ravelin in a network namespace of its own, with peers
//! around it that have Cloudflare's addresses, a balancer's, and a stranger's.
//!
//! The namespaces are joined to each other and to nothing else, so no packet leaves the machine and
//! any address can be had. They belong to processes, have no names, and end with them. Nothing is
//! needed but `ip`, and the right to make namespaces: root, or a kernel that lets users have them.
//! Where that is missing the tests say so on standard error and pass.

mod agent;
mod changes;
mod edge;
mod host;
mod lab;
mod lists;
mod modes;
mod orders;
mod probes;
mod raw;
mod sources;

use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for what has to happen: far more than it takes, on any machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks again until there is an answer.
fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "never happened: {what}");
        thread::park_timeout(Duration::from_millis(5));
    }
}
