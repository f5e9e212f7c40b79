//! Tests that cannot be done for want of a program or a right.

use std::io::Write;

/// If this variable is set, as `.ci/run` does, a test that cannot be done fails: what was never run
/// must not look green.
const STRICT: &str = "RAVELIN_TESTS_STRICT";

/// Says that a test could not be done, past the capture of test output.
///
/// # Panics
/// If `RAVELIN_TESTS_STRICT` is set: tests/run installs what tests need.
pub(crate) fn skipped(why: &str) {
    assert!(
        std::env::var_os(STRICT).is_none(),
        "{STRICT} is set, and this cannot be tested: {why}"
    );
    // Nothing to be done about a standard error that is closed.
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}
