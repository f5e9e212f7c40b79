//! A `ravelin run` with a socket for its admin side.

use crate::program::command;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use tempfile::TempDir;

/// The process; killed when dropped.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) folder: TempDir,
    log: BufReader<ChildStderr>,
}

/// A folder with a configuration, of which `more` is a part, and an empty one for manifests.
pub(crate) fn folder(more: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir(folder.path().join("manifests")).expect("a new folder");
    let text = format!(
        "workers = 1\n[[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\n\
         admit = [\"loopback\"]\n[admin]\naddress = \"127.0.0.1:0\"\nsocket = {:?}\n\
         [source]\nkind = \"directory\"\ndirectory = {:?}\n\
         [timeouts]\ndrain = \"20s\"\ndrain_idle = \"20s\"\n{more}",
        folder.path().join("admin.sock"),
        folder.path().join("manifests"),
    );
    std::fs::write(folder.path().join("ravelin.toml"), text).expect("a new file");
    folder
}

impl Running {
    /// Starts it without manifests, with `more` in its configuration.
    pub(crate) fn start(more: &str) -> Self {
        Self::begin(folder(more), Stdio::null())
    }

    /// Starts it on a folder.
    pub(crate) fn begin(folder: TempDir, stdout: Stdio) -> Self {
        let file = folder.path().join("ravelin.toml");
        let mut child = command(&["run", "--config", file.to_str().expect("UTF-8")])
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let log = BufReader::new(child.stderr.take().expect("piped"));
        Self { child, folder, log }
    }

    /// A further process for the configuration of one that has ended. Its end is the caller's.
    pub(crate) fn again(config: &str) -> Child {
        let mut command = command(&["run", "--config", config]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program runs")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("admin.sock")
    }

    /// Reads its log up to a message, and returns that line. Ends with the process.
    pub(crate) fn until(&mut self, message: &str) -> String {
        let mut line = String::new();
        while !line.contains(message) {
            line.clear();
            assert_ne!(self.log.read_line(&mut line).expect("UTF-8"), 0, "no {message}");
        }
        line
    }

    /// What is left of its log, up to its end.
    pub(crate) fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).expect("UTF-8");
        rest
    }

    /// Where it listens, as its log says.
    pub(crate) fn listener(&mut self) -> SocketAddr {
        let line = self.until("\"listening\"");
        let line: serde_json::Value = serde_json::from_str(&line).expect("a JSON line");
        line["address"].as_str().expect("one").parse().expect("one")
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().expect("kill").success());
    }

    /// Its metrics; nothing while there is no socket.
    pub(crate) fn metrics(&self) -> Option<String> {
        let mut admin = UnixStream::connect(self.socket()).ok()?;
        admin.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").ok()?;
        let mut page = String::new();
        admin.read_to_string(&mut page).ok()?;
        Some(page)
    }

    /// The sum of the series whose line begins with `start`.
    pub(crate) fn metric(&self, start: &str) -> Option<u64> {
        let page = self.metrics()?;
        let lines = page.lines().filter(|line| line.starts_with(start));
        Some(lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum())
    }
}

/// Has a request answered, on a connection of its own.
pub(crate) fn ask(address: SocketAddr, head: &str) {
    let mut client = TcpStream::connect(address).expect("it listens");
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{head}\r\n");
    client.write_all(request.as_bytes()).expect("it reads");
    client.read_to_end(&mut Vec::new()).expect("it answers");
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
