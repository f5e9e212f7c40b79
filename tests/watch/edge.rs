//! The proxy under test, in this process, with the scripted API server as its source.

use crate::api::Api;
use crate::{PATIENCE, eventually};
use ravelin::app::{App, Prepared, Wakeup};
use ravelin::config::Config;
use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use tempfile::TempDir;

/// A proxy that waits for its cluster; stopped when dropped.
pub(crate) struct Edge {
    admin: SocketAddr,
    stop: Arc<AtomicBool>,
    wakeup: Wakeup,
    starting: Option<JoinHandle<Option<App>>>,
    app: Option<App>,
    folder: TempDir,
}

impl Edge {
    /// Begins to follow the API server. `keys` are further lines of `[source]`.
    pub(crate) fn of(api: &Api, keys: &str) -> Self {
        Self::as_user(api, keys, |_| String::from("{}"))
    }

    /// The same as a user with these credentials, as a kubeconfig has them. They may name files of the
    /// folder.
    pub(crate) fn as_user(api: &Api, keys: &str, user: impl FnOnce(&Path) -> String) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let text = config(api, folder.path(), keys);
        write_kubeconfig(api, folder.path(), &user(folder.path()));
        let config = Config::parse(&text, "test").unwrap_or_else(|errors| panic!("{errors:?}"));
        let prepared = App::prepare(config).expect("it can be prepared");
        let (stop, wakeup) = (Arc::<AtomicBool>::default(), prepared.wakeup().clone());
        let (admin, asked) = (prepared.admin(), Arc::clone(&stop));
        let start = |prepared: Prepared| {
            prepared.start(move || asked.load(Ordering::SeqCst)).expect("it can start")
        };
        let starting = Some(thread::spawn(move || start(prepared)));
        Self { admin, stop, wakeup, starting, app: None, folder }
    }

    /// Gives it other credentials.
    pub(crate) fn set_user(&self, api: &Api, user: &str) {
        write_kubeconfig(api, self.folder.path(), user);
    }

    /// Where its files are.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Waits until it serves.
    pub(crate) fn ready(mut self) -> Self {
        eventually("ready", || (self.readyz().0 == 200).then_some(()));
        let starting = self.starting.take().expect("joined once");
        self.app = starting.join().expect("no panic");
        self
    }

    /// Asks it to give up the wait, and says whether it did.
    pub(crate) fn interrupt(&mut self) -> bool {
        self.stop.store(true, Ordering::SeqCst);
        self.wakeup.notify();
        let starting = self.starting.take().expect("joined once");
        self.app = starting.join().expect("no panic");
        self.app.is_none()
    }

    /// Status and body of `/readyz`.
    pub(crate) fn readyz(&self) -> (u16, String) {
        get(self.admin, "admin", "/readyz")
    }

    /// The status that a host gets: 503 if there is a rule for it, else 404.
    pub(crate) fn status(&self, host: &str) -> u16 {
        let app = self.app.as_ref().expect("it is ready");
        get(app.listeners()[0], host, "/").0
    }

    /// Whether a connection ends without an answer.
    pub(crate) fn closes(&self) -> bool {
        let app = self.app.as_ref().expect("it is ready");
        let mut socket = TcpStream::connect(app.listeners()[0]).expect("it listens");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time");
        // It may be closed already.
        let _ = socket.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
        match socket.read(&mut [0]) {
            Ok(count) => count == 0,
            // Time that is over is no end.
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }

    /// The body that a host gets.
    pub(crate) fn page(&self, host: &str) -> String {
        let app = self.app.as_ref().expect("it is ready");
        get(app.listeners()[0], host, "/").1
    }

    /// Waits until a host gets this status.
    pub(crate) fn await_status(&self, host: &str, status: u16) {
        eventually(&format!("{host} answers {status}"), || {
            (self.status(host) == status).then_some(())
        });
    }

    /// Generation of the table in force.
    pub(crate) fn generation(&self) -> u64 {
        self.app.as_ref().expect("it is ready").table().generation()
    }

    /// A metric of one kind, by the text of its series. 0 without one.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let (_, page) = get(self.admin, "admin", "/metrics");
        let line = page.lines().find_map(|line| line.strip_prefix(series));
        line.map_or(0.0, |value| value.trim().parse().expect("a number"))
    }

    /// Waits until a failure of a kind has been counted.
    pub(crate) fn await_failure(&self, kind: &str, reason: &str) {
        let series = format!("ravelin_watch_errors_total{{kind=\"{kind}\",reason=\"{reason}\"}}");
        eventually(&series, || (self.metric(&series) > 0.5).then_some(()));
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        if self.starting.is_some() {
            self.interrupt();
        }
        if let Some(app) = self.app.take() {
            app.stop();
        }
    }
}

/// A configuration that follows the API server. `keys` are further lines of `[source]`; what else it
/// names is in `folder`.
pub(crate) fn config(api: &Api, folder: &Path, keys: &str) -> String {
    let kubeconfig = write_kubeconfig(api, folder, "{}");
    format!(
        "workers = 1\n[[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\n\
         admit = [\"loopback\"]\n[admin]\naddress = \"127.0.0.1:0\"\n\
         [cloudflare]\nrefresh = \"off\"\n[log]\naccess = \"off\"\n\
         [timeouts]\ndrain = \"1s\"\ndrain_idle = \"20ms\"\n\
         [source]\nkind = \"kubernetes\"\nwrite_back = false\n\
         kubeconfig = {kubeconfig:?}\n{keys}\n"
    )
}

fn write_kubeconfig(api: &Api, folder: &Path, user: &str) -> PathBuf {
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
         clusters: [{{name: c, cluster: {{server: \"http://{}\"}}}}]\n\
         contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
         users: [{{name: u, user: {user}}}]\n",
        api.addr()
    );
    let (file, next) = (folder.join("kubeconfig"), folder.join("kubeconfig.next"));
    fs::write(&next, text).expect("a folder of ours");
    fs::rename(next, &file).expect("a folder of ours");
    file
}

pub(crate) fn get(addr: SocketAddr, host: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect_timeout(&addr, PATIENCE).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time");
    // Of HTTP/1.0, so that pages have no chunks.
    let request = format!("GET {path} HTTP/1.0\r\nhost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer in UTF-8");
    let status = text.get(9..12).and_then(|code| code.parse().ok()).expect("a status");
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, body.to_owned())
}
