//! The process group of one control plane, and the guard that ends it.
//!
//! The guard leads the group. It waits for the end of its standard input, which comes when the test
//! lets go of it, and also when the test's process is killed: then it kills the group and removes the
//! folder. No server outlives its test, and no data folder of 120 MB does.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Waits, then has a process outside the group kill the group, so that it can remove the folder.
const GUARD: &str = r#"
cat >/dev/null
setsid sh -c '
    kill -s KILL -- "-$0"
    for round in 1 2 3 4 5 6 7 8 9; do
        kill -s 0 -- "-$0" || break
        sleep 0.1
    done
    rm -rf -- "$1"
' "$$" "$0"
"#;

/// A group of processes. They are killed, and the folder removed, when this is dropped.
pub(crate) struct Group {
    guard: Child,
}

impl Group {
    /// An empty group with its guard.
    pub(crate) fn new(folder: &Path) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", GUARD]).arg(folder).process_group(0).stdin(Stdio::piped());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Self { guard: command.spawn().expect("a shell") }
    }

    /// Its id, for `Command::process_group`.
    pub(crate) fn id(&self) -> i32 {
        i32::try_from(self.guard.id()).expect("ids of processes are positive")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        // It is killed with its group.
        let _ = self.guard.wait();
    }
}
