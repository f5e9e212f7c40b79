//! Where the programs of the control plane are: by the rule of `tests/cluster/assets/build`, which
//! is asked, so that it stands in one place.

use crate::plane::namespace::skipped;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The variable of the envtest convention: a folder with the programs.
pub(crate) const VARIABLE: &str = "KUBEBUILDER_ASSETS";

/// The folder with the programs. `None`: they have not been built, and that has been said.
pub(crate) fn find() -> Option<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/assets/build");
    let mut command = Command::new(script);
    let found = command.arg("--find").stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let found = found.ok().filter(|output| output.status.success());
    let Some(found) = found else {
        return skipped("no programs: tests/cluster/assets/build builds them, once");
    };
    let path = String::from_utf8(found.stdout).expect("a path in UTF-8");
    Some(PathBuf::from(path.trim_end()))
}
