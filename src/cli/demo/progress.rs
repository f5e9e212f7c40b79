//! A line for whatever takes longer than one expects of a demo.

use std::io::{self, Write};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// After this time, it is said what is being waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Does `work`. If that takes over a second, standard error says what it is, and again every second.
pub(super) fn told<T>(what: &'static str, work: impl FnOnce() -> T) -> T {
    let (done, end) = channel::<()>();
    let begun = Instant::now();
    let teller = thread::spawn(move || {
        while end.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            // If standard error is closed, nobody waits for it.
            let _ = writeln!(io::stderr().lock(), "{what} ({} s)", begun.elapsed().as_secs());
        }
    });
    let result = work();
    drop(done);
    // It only writes.
    let _ = teller.join();
    result
}
