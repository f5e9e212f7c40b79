//! One server as a process: started, killed, stopped, started again at the same address.

use crate::eventually;
use crate::plane::group::Group;
use socket2::{Domain, Socket, Type};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard};

/// Lines of a log that are shown when a test fails.
const SHOWN_LINES: usize = 25;

/// A port of all addresses that is kept for one server, whether that runs or not; it is asked at the loopback address.
///
/// The socket is bound and never listens. The kernel gives its port to nobody who asks for any port,
/// and with `SO_REUSEADDR`, which servers in Go set, lets the server bind the same one.
pub(crate) struct Port {
    _held: Socket,
    pub(crate) addr: SocketAddr,
}

impl Port {
    pub(crate) fn reserve() -> Self {
        let reserve = || -> io::Result<Self> {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            socket.set_reuse_address(true)?;
            socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into())?;
            let bound = socket.local_addr()?.as_socket().expect("an IPv4 socket");
            let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, bound.port()));
            Ok(Self { _held: socket, addr })
        };
        reserve().expect("a free port")
    }
}

/// A server of the control plane. It is killed when this is dropped.
pub(crate) struct Server {
    name: &'static str,
    words: Vec<OsString>,
    log: PathBuf,
    group: i32,
    child: Mutex<Option<Child>>,
}

impl Server {
    /// Prepares it, not started; `folder` gets its log.
    pub(crate) fn new(
        name: &'static str,
        programs: &Path,
        folder: &Path,
        group: &Group,
        arguments: Vec<String>,
    ) -> Self {
        let mut words = vec![programs.join(name).into_os_string()];
        words.extend(arguments.into_iter().map(OsString::from));
        let log = folder.join(format!("{name}.log"));
        Self { name, words, log, group: group.id(), child: Mutex::new(None) }
    }

    /// Starts it and waits until it says of itself that it is ready. Kills it first if it runs.
    pub(crate) fn start(&self, mut is_ready: impl FnMut() -> bool) {
        self.kill();
        let log = File::options().create(true).append(true).open(&self.log);
        let log = log.expect("a folder of ours");
        let child = Command::new(&self.words[0])
            .args(&self.words[1..])
            .process_group(self.group)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("an open file"))
            .stderr(log)
            .spawn();
        *self.child() = Some(child.unwrap_or_else(|error| panic!("{}: {error}", self.name)));
        eventually(&format!("{} is ready", self.name), || {
            if let Some(child) = self.child().as_mut()
                && let Some(status) = child.try_wait().expect("our child")
            {
                panic!("{} ended before it was ready: {status}\n{}", self.name, self.last_words());
            }
            is_ready().then_some(())
        });
    }

    /// Ends it with SIGKILL, and returns when it is gone and its port is free.
    pub(crate) fn kill(&self) {
        if let Some(mut child) = self.child().take() {
            // It may have ended by itself.
            let _ = child.kill();
            child.wait().expect("our child");
        }
    }

    /// Sends a signal by its name: `STOP`, `CONT`, `TERM`.
    pub(crate) fn signal(&self, signal: &str) {
        let child = self.child();
        let id = child.as_ref().expect("it runs").id().to_string();
        let status = Command::new("kill").args(["-s", signal, &id]).status().expect("kill(1)");
        assert!(status.success(), "{} cannot be sent {signal}", self.name);
    }

    /// The end of its log.
    pub(crate) fn last_words(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        let from = lines.len().saturating_sub(SHOWN_LINES);
        format!("--- {}, the end of its log:\n{}", self.name, lines[from..].join("\n"))
    }

    /// The file that it writes to.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        // A test that failed while it held this shall still have its servers killed.
        self.child.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
