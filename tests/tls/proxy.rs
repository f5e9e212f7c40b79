//! The proxy under test: one https listener, certificates in files, everything sent to one backend.

use crate::certificates::Issued;
use crate::eventually;
use ravelin::app::App;
use ravelin::config::Config;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use tempfile::TempDir;

/// A proxy that is not started yet.
pub(crate) struct Builder {
    folder: TempDir,
    certificates: String,
    count: usize,
    /// The set that its listener admits.
    admits: &'static str,
    listener: String,
    sections: String,
    cloudflare: String,
}

/// Begins with one that has no certificate.
pub(crate) fn proxy() -> Builder {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(folder.path().join("manifests")).expect("a new folder");
    let (certificates, listener, sections) = (String::new(), String::new(), String::new());
    let cloudflare = String::new();
    let admits = "loopback";
    Builder { folder, certificates, count: 0, admits, listener, sections, cloudflare }
}

/// Writes a pair into a folder, in one step for each file.
pub(crate) fn write_pair(folder: &Path, name: &str, issued: &Issued) {
    for (ending, text) in [("key", &issued.key), ("crt", &issued.chain)] {
        let aside = folder.join("aside");
        fs::write(&aside, text).expect("a writable folder");
        fs::rename(&aside, folder.join(format!("{name}.{ending}"))).expect("the same file system");
    }
}

impl Builder {
    /// Adds a certificate, in files of the name `cert-0` and so on.
    pub(crate) fn certificate(self, issued: &Issued) -> Self {
        self.add(issued, "")
    }

    /// Adds the default one.
    pub(crate) fn default(self, issued: &Issued) -> Self {
        self.add(issued, "default = true\n")
    }

    fn add(mut self, issued: &Issued, more: &str) -> Self {
        let name = format!("cert-{}", self.count);
        self.count += 1;
        write_pair(self.folder.path(), &name, issued);
        let file = |ending: &str| self.folder.path().join(format!("{name}.{ending}"));
        let (cert, key) = (file("crt"), file("key"));
        let table = format!("[[certificate]]\ncert_file = {cert:?}\nkey_file = {key:?}\n{more}");
        self.certificates.push_str(&table);
        self
    }

    /// Admits another set than loopback.
    pub(crate) fn admitting(mut self, set: &'static str) -> Self {
        self.admits = set;
        self
    }

    /// Further lines of the listener.
    pub(crate) fn listener(mut self, lines: &str) -> Self {
        self.listener.push_str(lines);
        self
    }

    /// Further sections, whole.
    pub(crate) fn sections(mut self, lines: &str) -> Self {
        self.sections.push_str(lines);
        self
    }

    /// Further lines of `[cloudflare]`.
    pub(crate) fn cloudflare(mut self, lines: &str) -> Self {
        self.cloudflare.push_str(lines);
        self
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The configuration, in the folder; everything goes to `backend`.
    pub(crate) fn write(&self, address: &str, backend: SocketAddr) -> PathBuf {
        let folder = self.folder.path();
        fs::write(folder.join("manifests/all.json"), manifests(backend)).expect("a folder of ours");
        let mut text = format!(
            "workers = 1\n[[listener]]\nname = \"tls\"\naddress = {address:?}\n\
             protocol = \"https\"\nadmit = [{:?}]\n{}{}{}",
            self.admits, self.listener, self.certificates, self.sections,
        );
        write!(
            text,
            "[source]\nkind = \"directory\"\ndirectory = {:?}\n\
             [admin]\naddress = \"127.0.0.1:0\"\n[cloudflare]\nrefresh = \"off\"\n{}\
             [log]\naccess = {:?}\n",
            folder.join("manifests"),
            self.cloudflare,
            folder.join("access.log"),
        )
        .expect("a String");
        let file = folder.join("ravelin.toml");
        fs::write(&file, text).expect("a folder of ours");
        file
    }

    fn config(&self, backend: SocketAddr) -> Config {
        let file = self.write("127.0.0.1:0", backend);
        Config::load(&file).unwrap_or_else(|errors| panic!("{errors:?}"))
    }

    /// Starts it, with one worker and a backend that answers with what it was told of the client.
    pub(crate) fn start(self) -> Proxy {
        let config = self.config(backend());
        let app = App::start(config).expect("it can start");
        Proxy { app: Some(app), folder: self.folder }
    }

    /// Why it does not start.
    pub(crate) fn refusal(self) -> String {
        let config = self.config(backend());
        App::start(config).map(App::stop).expect_err("it must not start").to_string()
    }
}

fn manifests(backend: SocketAddr) -> String {
    let path = json!({"path": "/", "pathType": "Prefix",
        "backend": {"service": {"name": "all", "port": {"name": "http"}}}});
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
         "metadata": {"name": "ravelin"},
         "spec": {"controller": "ravelin.dev/ingress-controller"}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "ns", "name": "all"},
         "spec": {"ports": [{"name": "http", "port": 80}]}},
        {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
         "metadata": {"namespace": "ns", "name": "all",
                      "labels": {"kubernetes.io/service-name": "all"}},
         "addressType": "IPv4",
         "endpoints": [{"addresses": [backend.ip().to_string()], "conditions": {"ready": true}}],
         "ports": [{"name": "http", "port": backend.port(), "protocol": "TCP"}]},
        {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
         "metadata": {"namespace": "ns", "name": "all"},
         "spec": {"ingressClassName": "ravelin", "rules": [{"http": {"paths": [path]}}]}},
    ]})
    .to_string()
}

/// A running proxy; stopped when dropped.
pub(crate) struct Proxy {
    app: Option<App>,
    folder: TempDir,
}

impl Proxy {
    fn app(&self) -> &App {
        self.app.as_ref().expect("taken in drop only")
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.app().listeners()[0]
    }

    /// Where the listener of this position is.
    pub(crate) fn listener(&self, position: usize) -> SocketAddr {
        self.app().listeners()[position]
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The value of a series, by the text in front of it; 0 if it is not there.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let mut socket = TcpStream::connect(self.app().admin()).expect("the admin port");
        let request = b"GET /metrics HTTP/1.0\r\n\r\n";
        socket.write_all(request).expect("it reads");
        let mut page = String::new();
        socket.read_to_string(&mut page).expect("UTF-8");
        let value = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().expect("a number"))
    }

    /// Waits for a series to have a value.
    pub(crate) fn await_metric(&self, series: &str, value: f64) {
        eventually(&format!("{series} {value}"), || {
            ((self.metric(series) - value).abs() < f64::EPSILON).then_some(())
        });
    }

    /// Waits for clients that were asked for a certificate.
    pub(crate) fn await_verdict(&self, policy: &str, result: &str, count: f64) {
        self.await_metric(&crate::origin_pulls::verdict("tls", policy, result), count);
    }

    /// The status of an answer of the second listener, which has no TLS.
    pub(crate) fn plain(&self, host: &str) -> String {
        let mut socket = TcpStream::connect(self.app().listeners()[1]).expect("it listens");
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("UTF-8");
        answer[9..12].to_owned()
    }

    /// Waits for failed handshakes.
    pub(crate) fn await_failures(&self, reason: &str, count: f64) {
        let labels = format!("listener=\"tls\",reason=\"{reason}\"");
        self.await_metric(&format!("ravelin_tls_handshake_failures_total{{{labels}}}"), count);
    }

    /// Waits for so many requests in the access log.
    pub(crate) fn await_log(&self, count: usize) -> Vec<Value> {
        eventually("lines in the access log", || {
            let text = fs::read_to_string(self.folder().join("access.log")).unwrap_or_default();
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            let lines = whole.lines().map(|line| serde_json::from_str(line).expect("JSON"));
            let lines: Vec<Value> = lines.collect();
            (lines.len() >= count).then_some(lines)
        })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(app) = self.app.take() {
            app.stop();
        }
    }
}

/// A backend that answers each request with its head, and its body after it; ends with the process.
pub(crate) fn backend() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || serve(&socket));
        }
    });
    address
}

fn serve(socket: &TcpStream) {
    let mut reader = BufReader::with_capacity(64 * 1024, socket);
    let mut writer = socket;
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if matches!(reader.read_line(&mut head), Ok(0) | Err(_)) {
                return;
            }
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: u64 = length.map_or(0, |length| length.parse().expect("a number"));
        let total = head.len() as u64 + length;
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {total}\r\n\r\n{head}");
        if writer.write_all(answer.as_bytes()).is_err() {
            return;
        }
        if std::io::copy(&mut (&mut reader).take(length), &mut writer).is_err() {
            return;
        }
    }
}
