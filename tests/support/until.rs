//! Waiting for what has to happen elsewhere, while the tasks of this thread go on. The test binary says as
//! `PATIENCE` how long.

use crate::PATIENCE;
use std::time::{Duration, Instant};

/// Asks again until something is true. What is asked (a process, a cell, a file) tells nobody when it
/// changes.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
