//! The Traefik that tests run.

use crate::skipped::skipped;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The program, as `tests/traefik/build` says. `None`: it is not there, and that has been said.
pub(crate) fn find() -> Option<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traefik/build");
    let found = Command::new(script).arg("--find").stdin(Stdio::null()).output();
    let Some(found) = found.ok().filter(|output| output.status.success()) else {
        skipped("what needs Traefik: tests/traefik/build fetches it, once");
        return None;
    };
    let path = String::from_utf8(found.stdout).expect("a path in UTF-8");
    Some(PathBuf::from(path.trim_end()))
}
