//! The watch of a cluster against a scripted API server that plays every fault: each test ends with
//! the right table served.

mod api;
mod edge;
mod faults;
mod readiness;
mod silence;

use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for what has to happen: far more than it takes, on any machine.
const PATIENCE: Duration = Duration::from_secs(30);

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
