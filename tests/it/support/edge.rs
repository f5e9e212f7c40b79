//! The proxy under test, built from manifests and settings.

use super::{Client, Message, Metrics, Process, eventually, ingress, rule, service, slice};
use ravelin::app::App;
use ravelin::config::Config;
use ravelin::routing::Table;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::env;
use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tempfile::TempDir;

/// Names what speaks HTTP/1.1 (`http1`), for all proxies of a run.
const HTTP1: &str = "RAVELIN_TEST_HTTP1";

/// Whether hyper speaks HTTP/1.1 in this run.
pub(crate) fn is_by_hyper() -> bool {
    env::var_os(HTTP1).is_some_and(|by| by == "hyper")
}

/// A proxy that is not started yet: one worker, one listener for loopback, and an access log.
pub(crate) struct Builder {
    folder: TempDir,
    /// Values by key and section.
    settings: BTreeMap<String, BTreeMap<String, String>>,
    admit: String,
    sets: String,
    /// The listener's address.
    address: String,
    /// Further lines of the listener's table.
    listener: String,
    /// Tables behind it.
    tables: String,
}

/// Begins with a proxy that serves nothing.
pub(crate) fn edge() -> Builder {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(folder.path().join("manifests")).expect("a new folder");
    let builder = Builder {
        folder,
        settings: BTreeMap::new(),
        admit: "[\"loopback\"]".to_owned(),
        sets: String::new(),
        address: "127.0.0.1:0".to_owned(),
        listener: String::new(),
        tables: String::new(),
    };
    let directory = format!("{:?}", builder.manifests());
    let log = format!("{:?}", builder.folder.path().join("access.log"));
    let class = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": "ravelin"},
        "spec": {"controller": "ravelin.dev/ingress-controller"},
    });
    // Stopping waits for no client that a test still holds.
    builder
        .set("timeouts", "drain", "\"1s\"")
        .set("timeouts", "drain_idle", "\"20ms\"")
        .set("admin", "address", "\"127.0.0.1:0\"")
        .set("cloudflare", "refresh", "\"off\"")
        .set("source", "kind", "\"directory\"")
        .set("source", "directory", &directory)
        .set("log", "access", &log)
        .object("class.json", &class)
}

/// A proxy that sends everything to these endpoints.
pub(crate) fn edge_to(endpoints: &[SocketAddr]) -> Builder {
    edge().service("web", endpoints).object("web-ingress.json", &everything_to("web"))
}

/// An Ingress that sends all paths of all hosts to a Service.
fn everything_to(service: &str) -> Value {
    ingress("all", &[rule("", &[("/", "Prefix", service)])])
}

impl Builder {
    /// Sets a key of the configuration, with its value in TOML.
    pub(crate) fn set(mut self, section: &str, key: &str, value: &str) -> Self {
        let section = self.settings.entry(section.to_owned()).or_default();
        section.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Sets a deadline, as `"300ms"`.
    pub(crate) fn timeout(self, key: &str, value: &str) -> Self {
        self.set("timeouts", key, &format!("{value:?}"))
    }

    /// Opens the socket for probes, and says where it is.
    pub(crate) fn probed(self) -> (Self, PathBuf) {
        let socket = self.folder.path().join("admin.sock");
        let value = format!("{socket:?}");
        (self.set("admin", "socket", &value), socket)
    }

    /// Who may connect, and the set of that name: networks with commas in between.
    pub(crate) fn admit_only(mut self, set: &str, networks: &str) -> Self {
        let networks: Vec<&str> = networks.split(", ").collect();
        self.admit = format!("[{set:?}]");
        self.sets = format!("[admit]\n{set} = {networks:?}\n");
        self
    }

    /// Listens at an address, which another process of ours may have as well.
    pub(crate) fn at(mut self, address: SocketAddr) -> Self {
        self.address = address.to_string();
        self
    }

    /// Sets a key of the listener, with its value in TOML.
    pub(crate) fn listener(mut self, key: &str, value: &str) -> Self {
        writeln!(self.listener, "{key} = {value}").expect("a String");
        self
    }

    /// Adds tables to the configuration, such as another `[[listener]]`.
    pub(crate) fn tables(mut self, text: &str) -> Self {
        writeln!(self.tables, "{text}").expect("a String");
        self
    }

    /// Names the sets that the listener admits.
    pub(crate) fn admit(mut self, sets: &[&str]) -> Self {
        self.admit = format!("{sets:?}");
        self
    }

    /// Adds a file with an object.
    pub(crate) fn object(self, file: &str, object: &Value) -> Self {
        write_manifest(self.folder.path(), file, &object.to_string());
        self
    }

    /// Adds a Service with the port `http` and a slice for each endpoint.
    pub(crate) fn service(mut self, name: &str, endpoints: &[SocketAddr]) -> Self {
        self = self.object(&format!("{name}.json"), &service(name, "http", 80));
        for (number, endpoint) in endpoints.iter().enumerate() {
            let slice_name = format!("{name}-{number}");
            let slice = slice(&slice_name, name, "http", *endpoint);
            self = self.object(&format!("{slice_name}.json"), &slice);
        }
        self
    }

    /// The folder of manifests.
    pub(crate) fn manifests(&self) -> PathBuf {
        self.folder.path().join("manifests")
    }

    fn config(&self, workers: usize) -> String {
        let mut text = format!(
            "workers = {workers}\nhttp1 = {:?}\n\
             [[listener]]\nname = \"web\"\naddress = {:?}\nadmit = {}\n{}{}{}",
            env::var(HTTP1).unwrap_or("ravelin".to_owned()),
            self.address,
            self.admit,
            self.listener,
            self.tables,
            self.sets,
        );
        for (section, keys) in &self.settings {
            writeln!(text, "[{section}]").expect("a String");
            for (key, value) in keys {
                writeln!(text, "{key} = {value}").expect("a String");
            }
        }
        text
    }

    /// Starts it in this process, with one worker, so that connections to endpoints are shared.
    pub(crate) fn start(self) -> Edge {
        self.start_with(1)
    }

    /// Starts it in this process.
    pub(crate) fn start_with(self, workers: usize) -> Edge {
        let text = self.config(workers);
        let config = Config::parse(&text, "test").unwrap_or_else(|errors| panic!("{errors:?}"));
        let app = App::start(config).expect("it can start");
        Edge { app: Some(app), folder: self.folder }
    }

    /// Why it does not start.
    pub(crate) fn refusal(self) -> String {
        let config = Config::parse(&self.config(1), "test");
        let config = config.unwrap_or_else(|errors| panic!("{errors:?}"));
        App::start(config).map(App::stop).expect_err("it must not start").to_string()
    }

    /// Starts it in a process of its own.
    pub(crate) fn spawn(self, workers: usize) -> Process {
        let file = self.folder.path().join("ravelin.toml");
        fs::write(&file, self.config(workers)).expect("a new file");
        Process::start(self.folder, &file, None)
    }

    /// The same where the kernel refuses this (tests/support/without.py): `filter`, `unix`, or both.
    pub(crate) fn spawn_without(self, what: &'static str) -> Process {
        let file = self.folder.path().join("ravelin.toml");
        fs::write(&file, self.config(1)).expect("a new file");
        Process::start(self.folder, &file, Some(what))
    }

    /// Begins to start it so, and kills it after some time, however far it is.
    pub(crate) fn begin_without(self, what: &'static str, time: Duration) {
        let file = self.folder.path().join("ravelin.toml");
        fs::write(&file, self.config(1)).expect("a new file");
        let mut child = Process::command(&file, Some(what))
            .stderr(Stdio::null())
            .spawn()
            .expect("cargo has built it");
        // How far it is by then is left to the machine: that is what is tried.
        std::thread::park_timeout(time);
        child.kill().and_then(|()| child.wait()).expect("it runs");
    }
}

/// Puts a manifest in place in one step, as `kubectl` users and editors do.
pub(crate) fn write_manifest(folder: &Path, file: &str, text: &str) {
    let aside = folder.join(file);
    fs::write(&aside, text).expect("a writable folder");
    fs::rename(&aside, folder.join("manifests").join(file)).expect("the same file system");
}

/// The requests in an access log.
pub(crate) fn log_lines(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("access.log")).unwrap_or_default();
    // A line may be half written.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

/// A running proxy; stopped when dropped.
pub(crate) struct Edge {
    app: Option<App>,
    folder: TempDir,
}

impl Edge {
    /// A proxy that sends everything to these endpoints.
    pub(crate) fn to(endpoints: &[SocketAddr]) -> Self {
        edge_to(endpoints).start()
    }

    fn app(&self) -> &App {
        self.app.as_ref().expect("taken in drop only")
    }

    /// Where its listener is.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.app().listeners()[0]
    }

    /// Where the listener of this position is.
    pub(crate) fn listener(&self, position: usize) -> SocketAddr {
        self.app().listeners()[position]
    }

    /// Where its admin port is.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.app().admin()
    }

    /// A new client connection.
    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.addr())
    }

    /// GET on a connection of its own.
    pub(crate) fn get(&self, host: &str, target: &str) -> Message {
        self.connect().get(host, target)
    }

    /// The metrics now.
    pub(crate) fn metrics(&self) -> Metrics {
        Metrics::scrape(self.admin())
    }

    /// Waits for a metric to have this value.
    pub(crate) fn await_metric(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        let what = format!("{name}{labels:?} = {value}");
        eventually(&what, || {
            let now = self.metrics().sum(name, labels);
            ((now - value).abs() < f64::EPSILON).then_some(())
        });
    }

    /// Waits for the access log to have this many lines, and returns them.
    pub(crate) fn await_log(&self, count: usize) -> Vec<Value> {
        eventually(&format!("{count} lines in the access log"), || {
            let lines = log_lines(self.folder.path());
            (lines.len() >= count).then_some(lines)
        })
    }

    /// Checks that the first request ended for this reason, and no other did: in log and metrics.
    pub(crate) fn ended(&self, reason: &str) -> Value {
        let line = self.await_log(1).remove(0);
        assert_eq!(line["reason"], reason, "{line}");
        self.await_metric("ravelin_requests_total", &[("reason", reason)], 1.0);
        line
    }

    /// The table in force, for as long as somebody else holds it.
    pub(crate) fn table(&self) -> Weak<Table> {
        Arc::downgrade(&self.app().table())
    }

    /// Generation of the table in force.
    pub(crate) fn generation(&self) -> u64 {
        self.app().table().generation()
    }

    /// Puts a table in force that is made of the one before and of no manifest.
    pub(crate) fn put_table(&self, make: impl FnOnce(&Table) -> Table) {
        self.app().replace_table(make(&self.app().table()));
    }

    /// Puts a manifest in place, or a text that is none, and waits until it is in force.
    pub(crate) fn put(&self, file: &str, text: &str) {
        self.change(|| write_manifest(self.folder.path(), file, text));
    }

    /// Removes a manifest and waits until it is in force.
    pub(crate) fn remove(&self, file: &str) {
        let path = self.manifests().join(file);
        self.change(|| fs::remove_file(path).expect("it is there"));
    }

    /// Does something to the manifests and waits until it is in force.
    pub(crate) fn change(&self, change: impl FnOnce()) {
        let before = self.changes();
        change();
        eventually("a change in force", || (self.changes() > before).then_some(()));
    }

    /// How often changes have been put in force, with or without a new table.
    fn changes(&self) -> f64 {
        self.metrics().sum("ravelin_object_changes_total", &[])
    }

    /// The folder of manifests.
    pub(crate) fn manifests(&self) -> PathBuf {
        self.folder.path().join("manifests")
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        if let Some(app) = self.app.take() {
            app.stop();
        }
    }
}
