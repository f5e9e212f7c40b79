//! The watch of a cluster against a scripted API server that plays every fault: each test ends with
//! the right table served.

mod api;
mod credentials;
mod edge;
#[path = "../support/eventually.rs"]
mod eventually;
mod faults;
mod last_good;
mod middlewares;
mod named;
mod preflight;
mod process;
mod readiness;
mod silence;

use eventually::eventually;
use std::time::Duration;

/// How long a test waits for what has to happen: far more than it takes, on any machine.
const PATIENCE: Duration = Duration::from_secs(30);
