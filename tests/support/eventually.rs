//! Waiting for what has to happen. The test binary says as `PATIENCE` how long.

use crate::PATIENCE;
use std::thread;
use std::time::{Duration, Instant};

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
