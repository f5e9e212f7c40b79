//! Who may connect, seen from the network: ravelin in a network namespace of its own, with peers
//! around it that have Cloudflare's addresses, a balancer's, and a stranger's.
//!
//! The namespaces are joined to each other and to nothing else, so no packet leaves the machine and
//! any address can be had. They belong to processes, have no names, and end with them. Nothing is
//! needed but `ip`, and the right to make namespaces: root, or a kernel that lets users have them.
//! Where that is missing the tests say so on standard error and pass.

mod agent;
mod break_glass;
mod changes;
mod edge;
#[path = "../support/eventually.rs"]
mod eventually;
mod host;
mod lab;
mod lists;
mod modes;
mod orders;
mod probes;
mod raw;
#[path = "../support/skipped.rs"]
mod skipped;
mod sources;
#[path = "../support/unsupported.rs"]
mod unsupported;

use eventually::eventually;
use std::time::Duration;

/// How long a test waits for what has to happen: far more than it takes, on any machine.
const PATIENCE: Duration = Duration::from_secs(20);
