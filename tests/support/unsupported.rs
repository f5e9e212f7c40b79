//! Tests that this machine's kernel cannot do, whatever is installed: no failure anywhere.

use std::io::Write;

/// Says that the kernel lacks what a test is about, past the capture of test output.
pub(crate) fn unsupported(why: &str) {
    // Nothing to be done about a standard error that is closed.
    let _ = writeln!(std::io::stderr(), "not supported here: {why}");
}
