//! The program itself, with what it writes into its log.

use crate::eventually;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A running ravelin; killed when dropped.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Runs with this configuration. The log goes into a file of the folder.
    pub(crate) fn run(config: &str, folder: &Path) -> Self {
        let (file, log) = (folder.join("ravelin.toml"), folder.join("log"));
        fs::write(&file, config).expect("a folder of ours");
        let child = Command::new(env!("CARGO_BIN_EXE_ravelin"))
            .args(["run", "--config"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("a new file"))
            .spawn();
        Self { child: child.expect("the program runs"), log }
    }

    /// Waits for a line with this message and returns it.
    pub(crate) fn says(&self, message: &str) -> serde_json::Value {
        eventually(message, || {
            let log = fs::read_to_string(&self.log).expect("it is there");
            let mut lines = log.lines().filter_map(|line| serde_json::from_str(line).ok());
            lines.find(|line: &serde_json::Value| {
                line["message"].as_str().is_some_and(|said| said.contains(message))
            })
        })
    }

    /// Waits until it listens, and says where.
    pub(crate) fn address(&self) -> SocketAddr {
        let line = self.says("listening");
        let address = line["address"].as_str().expect("an address");
        address.parse().expect("an address")
    }

    /// Ends it as a machine that loses its power does.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}
