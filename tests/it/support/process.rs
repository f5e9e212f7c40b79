//! The proxy as its own process: the binary that users run.

use super::edge::log_lines;
use super::{Client, PATIENCE, eventually};
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use tempfile::TempDir;

/// A `ravelin run`; killed when dropped.
pub(crate) struct Process {
    child: Child,
    folder: TempDir,
    /// Lines of its log.
    log: Receiver<Value>,
    addr: SocketAddr,
    admin: SocketAddr,
}

/// Keeps an address, or a free one, for processes of ours as long as the socket lives, which does not listen: who
/// connects while none of them does is refused, and meets no other test.
pub(crate) fn reserve(addr: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).expect("a socket");
    socket.set_reuse_port(true).and_then(|()| socket.set_reuse_address(true)).expect("Linux");
    socket.bind(&addr.into()).expect("free, or taken by a process of the same user");
    socket
}

impl Process {
    /// `without`: what the kernel refuses it (tests/support/without.py).
    pub(super) fn command(config: &Path, without: Option<&str>) -> Command {
        let launcher = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/without.py");
        let launcher = without.map(|what| [launcher, what]);
        let binary = [env!("CARGO_BIN_EXE_ravelin"), "run", "--config"];
        let mut words = launcher.iter().flatten().copied().chain(binary);
        let mut command = Command::new(words.next().expect("a program"));
        command.args(words).arg(config).stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// `without` as in [`Process::command`].
    pub(super) fn start(folder: TempDir, config: &Path, without: Option<&str>) -> Self {
        let mut command = Self::command(config, without);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("cargo has built it");
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let (sender, log) = channel();
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if sender.send(value).is_err() {
                    return;
                }
            }
        });
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut process = Self { child, folder, log, addr: nowhere, admin: nowhere };
        let address = |line: &Value| line["address"].as_str().and_then(|text| text.parse().ok());
        process.addr = address(&process.await_message("listening")).expect("an address");
        process.admin = address(&process.await_message("admin port")).expect("an address");
        process
    }

    /// Waits for a message in its log.
    pub(crate) fn await_message(&self, start: &str) -> Value {
        loop {
            let line = self.log.recv_timeout(PATIENCE).expect("the message comes");
            if line["message"].as_str().is_some_and(|message| message.starts_with(start)) {
                return line;
            }
        }
    }

    /// What it has logged and nobody has read yet; after its end, all that is left.
    pub(crate) fn said(&self) -> Vec<Value> {
        self.log.try_iter().collect()
    }

    /// Files and sockets that it has open.
    pub(crate) fn open_files(&self) -> usize {
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.child.id()));
        files.expect("it runs").count()
    }

    /// Its number in the system.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.addr)
    }

    pub(crate) fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status().expect("kill exists");
        assert!(status.success());
    }

    /// Changes its configuration and tells it to read that, by SIGHUP. Addresses are those that it has.
    pub(crate) fn reload(&self, edit: impl FnOnce(String) -> String) {
        let file = self.folder().join("ravelin.toml");
        let mut text = std::fs::read_to_string(&file).expect("it was written");
        for address in [self.addr, self.admin] {
            if !text.contains(&address.to_string()) {
                text = text.replacen("127.0.0.1:0", &address.to_string(), 1);
            }
        }
        std::fs::write(&file, edit(text)).expect("a file of ours");
        self.signal("HUP");
    }

    /// What belongs to it.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Waits for its end.
    pub(crate) fn exit(&mut self) -> ExitStatus {
        eventually("the end of the process", || self.child.try_wait().expect("our child"))
    }

    /// The access log now.
    pub(crate) fn log_lines(&self) -> Vec<Value> {
        log_lines(self.folder.path())
    }

    /// Memory in use (resident set), in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("Linux");
        let kib = line.split_whitespace().nth(1).expect("a number");
        kib.parse::<u64>().expect("a number") * 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
