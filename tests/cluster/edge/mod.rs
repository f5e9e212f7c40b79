//! ravelin as a process beside a control plane: the binary that users run, with the service account
//! and the rights that `deploy/base` gives it.

mod account;
mod backend;
mod load;
mod page;
mod site;
mod visitor;

pub(crate) use account::{account, all_rules, cluster_role, lacking, without};
pub(crate) use backend::Backend;
pub(crate) use load::{Failure, Load, Method};
pub(crate) use page::Page;
pub(crate) use site::{Site, class};
pub(crate) use visitor::Visitor;

use crate::eventually;
use crate::plane::{Connection, Plane};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fs, thread};
use tempfile::TempDir;

/// Keys of `[source]` under which everything happens within seconds.
pub(crate) const QUICK: &str =
    "watch_timeout = \"2s\"\nrequest_timeout = \"1s\"\nconsistency_check = \"1s\"";

/// The same, and a second listener, with TLS.
pub(crate) const SECURED: &str = "watch_timeout = \"2s\"\nrequest_timeout = \"1s\"\n\
    consistency_check = \"1s\"\n[[listener]]\nname = \"websecure\"\naddress = \"127.0.0.1:0\"\n\
    protocol = \"https\"\nadmit = [\"loopback\"]";

/// How a ravelin is configured.
pub(crate) struct Setup<'s> {
    pub(crate) kubeconfig: &'s Path,
    /// The IngressClass that it serves.
    pub(crate) class: &'s str,
    /// Further lines of `[source]`, and tables behind them.
    pub(crate) keys: &'s str,
}

/// Which pod a ravelin is taken for. One that is none writes nothing into the cluster.
#[derive(Clone, Copy)]
pub(crate) struct Pod<'p> {
    pub(crate) namespace: &'p str,
    pub(crate) name: &'p str,
}

impl Setup<'_> {
    /// Writes the configuration into a folder.
    pub(crate) fn write(&self, folder: &Path) -> PathBuf {
        write(folder, &self.text(false))
    }

    /// The configuration.
    pub(crate) fn text(&self, write_back: bool) -> String {
        let Setup { kubeconfig, class, keys } = self;
        format!(
            "workers = 1\n[[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\n\
             admit = [\"loopback\"]\n[admin]\naddress = \"127.0.0.1:0\"\n\
             [cloudflare]\nrefresh = \"off\"\n[log]\naccess = \"off\"\n\
             [timeouts]\ndrain = \"1s\"\ndrain_idle = \"20ms\"\n\
             [source]\nkind = \"kubernetes\"\ningress_class = {class:?}\n\
             write_back = {write_back}\nkubeconfig = {kubeconfig:?}\n{keys}\n"
        )
    }
}

/// Writes a configuration into a folder.
fn write(folder: &Path, text: &str) -> PathBuf {
    let config = folder.join("ravelin.toml");
    fs::write(&config, text).expect("a folder of ours");
    config
}

/// A `ravelin run`. It is killed when this is dropped, and with its plane's group in any case.
pub(crate) struct Edge {
    child: Child,
    _folder: TempDir,
    log: Arc<Mutex<Vec<Value>>>,
    admin: SocketAddr,
}

impl Edge {
    /// Starts it, and waits until it answers on its admin port, which it does before it is ready.
    pub(crate) fn start(plane: &Plane, setup: &Setup<'_>) -> Self {
        Self::configured(plane, &setup.text(false), None)
    }

    /// The same as a pod, which takes part in the election of the one that writes.
    pub(crate) fn start_as(plane: &Plane, setup: &Setup<'_>, pod: Pod<'_>) -> Self {
        Self::configured(plane, &setup.text(true), Some(pod))
    }

    /// The same with a whole configuration.
    pub(crate) fn configured(plane: &Plane, text: &str, pod: Option<Pod<'_>>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = write(folder.path(), text);
        let variables = pod.map(|pod| [("POD_NAMESPACE", pod.namespace), ("POD_NAME", pod.name)]);
        let mut child = Command::new(program())
            .args(["run", "--config"])
            .arg(config)
            .envs(variables.into_iter().flatten())
            .process_group(plane.group())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a program");
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let log = Arc::<Mutex<Vec<Value>>>::default();
        let lines = Arc::clone(&log);
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut edge = Self { child, _folder: folder, log, admin: nowhere };
        edge.admin = edge.address("waiting for the first list", "admin", 0);
        edge
    }

    /// The same with the rights of `deploy/base`, waited for until it serves.
    pub(crate) fn ready(plane: &Plane, setup: &Setup<'_>) -> Self {
        let edge = Self::start(plane, setup);
        edge.await_ready();
        edge
    }

    /// Waits until it says that it is ready.
    pub(crate) fn await_ready(&self) {
        eventually("ready", || (self.readyz().0 == 200).then_some(()));
    }

    /// Where it takes requests. It has to be ready.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.address("listening", "address", 0)
    }

    /// Where it takes requests with TLS, under [`SECURED`]. It has to be ready.
    pub(crate) fn secured_addr(&self) -> SocketAddr {
        self.address("listening", "address", 1)
    }

    /// Status and body of `/readyz`.
    pub(crate) fn readyz(&self) -> (u16, String) {
        get(self.admin, "admin", "/readyz")
    }

    /// Where its admin port is.
    pub(crate) fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// What the admin port answers for a path.
    pub(crate) fn admin_page(&self, path: &str) -> (u16, String) {
        get(self.admin, "admin", path)
    }

    /// Its metrics now.
    pub(crate) fn metrics(&self) -> Page {
        Page(get(self.admin, "admin", "/metrics").1)
    }

    /// Status and body that a host gets for a path, on a connection of its own.
    pub(crate) fn get(&self, host: &str, path: &str) -> (u16, String) {
        get(self.addr(), host, path)
    }

    /// Waits until a host gets this status for a path.
    pub(crate) fn await_status(&self, host: &str, path: &str, status: u16) {
        eventually(&format!("{host}{path} answers {status}"), || {
            (self.get(host, path).0 == status).then_some(())
        });
    }

    /// Waits until a host is answered by this backend.
    pub(crate) fn await_answer(&self, host: &str, path: &str, backend: &str) {
        eventually(&format!("{host}{path} is answered by {backend}"), || {
            (self.get(host, path) == (200, backend.to_owned())).then_some(())
        });
    }

    /// Waits until an attempt for a kind has failed for this reason, by the metric.
    pub(crate) fn await_failure(&self, kind: &str, reason: &str) {
        eventually(&format!("{kind}: {reason}"), || {
            let labels = [("kind", kind), ("reason", reason)];
            (self.metrics().sum("ravelin_watch_errors_total", &labels) > 0.5).then_some(())
        });
    }

    /// Whether it has logged a line that is what is looked for.
    pub(crate) fn has_said(&self, is_it: impl FnMut(&Value) -> bool) -> bool {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).iter().any(is_it)
    }

    /// All that it has logged, a line each.
    pub(crate) fn log_text(&self) -> String {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter().map(|line| format!("{line}\n")).collect()
    }

    /// The first line that it has logged and that something is found in.
    pub(crate) fn find_said<T>(&self, find: impl FnMut(&Value) -> Option<T>) -> Option<T> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).iter().find_map(find)
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status().expect("kill(1)");
        assert!(status.success(), "ravelin cannot be sent {name}");
    }

    /// Asks for its end, and waits for it.
    pub(crate) fn end(mut self) -> ExitStatus {
        self.signal("TERM");
        eventually("the end of the process", || self.child.try_wait().expect("our child"))
    }

    /// The address in the line with this message that comes behind `before` others. One that stands
    /// for all of the host's is asked at 127.0.0.1.
    fn address(&self, message: &str, field: &str, before: usize) -> SocketAddr {
        eventually(message, || {
            let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
            let says = |line: &&Value| {
                line["message"].as_str().is_some_and(|said| said.starts_with(message))
            };
            let text = log.iter().filter(says).nth(before)?[field].as_str()?.to_owned();
            let mut addr: SocketAddr = text.parse().expect("an address");
            if addr.ip().is_unspecified() {
                addr.set_ip([127, 0, 0, 1].into());
            }
            Some(addr)
        })
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        if thread::panicking() {
            self.show_log();
        }
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Edge {
    #[expect(clippy::print_stderr, reason = "the output of a test that has failed")]
    fn show_log(&self) {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        eprintln!("--- ravelin:");
        for line in log.iter().rev().take(40).rev() {
            eprintln!("{line}");
        }
    }
}

/// The program under test. `RAVELIN_BIN` names another one, to measure a release.
pub(crate) fn program() -> PathBuf {
    let other = std::env::var_os("RAVELIN_BIN").map(PathBuf::from);
    other.unwrap_or_else(|| env!("CARGO_BIN_EXE_ravelin").into())
}

fn get(addr: SocketAddr, host: &str, path: &str) -> (u16, String) {
    let answer = Connection::open(addr, None).and_then(|mut connection| connection.get(host, path));
    let answer = answer.unwrap_or_else(|error| panic!("{host}{path}: {error}"));
    (answer.status, answer.body)
}
