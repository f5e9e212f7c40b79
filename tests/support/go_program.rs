//! Programs in Go that tests drive, which `tests/support/go_program` builds once.

use crate::skipped;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The program of a folder. `None`: it is not built, which is said.
pub(crate) fn go_program(folder: &str) -> Option<PathBuf> {
    let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/go_program");
    let found = Command::new(build).args([folder, "--find"]).output().expect("bash");
    if !found.status.success() {
        skipped(&format!("{folder} is not built (tests/run builds it)"));
        return None;
    }
    let path = String::from_utf8(found.stdout).expect("a path in UTF-8");
    Some(path.trim_end().into())
}
