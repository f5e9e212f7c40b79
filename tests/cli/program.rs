//! The program, run in the root of the package.

use std::io::Write;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::{NamedTempFile, TempDir};

/// How long anything may take before the test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) fn command(line: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ravelin"));
    command.args(line).current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
    command
}

/// Runs a verb that ends by itself.
pub(crate) fn ravelin(line: &[&str]) -> Ran {
    let output = command(line).output().expect("the program runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let code = output.status.code().expect("no signal ended it");
    Ran { code, out: text(output.stdout), err: text(output.stderr) }
}

/// Manifests in a file of their own.
pub(crate) fn manifests(text: &str) -> (TempDir, String) {
    let folder = TempDir::new().expect("a temporary directory");
    let file = folder.path().join("manifests.yaml");
    std::fs::write(&file, text).expect("a file of ours");
    (folder, file.to_str().expect("UTF-8").to_owned())
}

/// A configuration in a file of its own.
pub(crate) fn config(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(text.as_bytes()).expect("a file of ours");
    file
}

/// Waits for the end of a process; kills it when it does not come.
pub(crate) fn await_end(child: &mut Child) -> ExitStatus {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("it is our child") {
            return status;
        }
        if started.elapsed() > PATIENCE {
            child.kill().expect("it is our child");
            panic!("the process does not end");
        }
        thread::park_timeout(Duration::from_millis(5));
    }
}
