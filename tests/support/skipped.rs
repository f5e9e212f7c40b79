//! Tests that cannot be done here.

use std::io::Write;

/// Says that a test could not be done, past the capture of test output.
pub(crate) fn skipped(why: &str) {
    // Nothing to be done about a standard error that is closed.
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}
