//! The OpenTelemetry Collector: its OTLP receiver, and what it has read.

use crate::support::eventually;
use crate::support::go_program;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::Value;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use tempfile::TempDir;

/// Each collector has an address of its own, with the usual ports.
static NUMBER: AtomicU16 = AtomicU16::new(0);

/// A collector that runs; killed when dropped.
pub(super) struct Collector {
    child: Child,
    folder: TempDir,
    ip: Ipv4Addr,
}

impl Collector {
    /// `None`: it is not built, which is said. With TLS, if that is asked for.
    pub(super) fn start(tls: bool) -> Option<Self> {
        let program = go_program("tests/it/tracing/collector")?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [.., high, low] = std::process::id().to_be_bytes();
        let own = u8::try_from(NUMBER.fetch_add(1, Ordering::Relaxed) % 128).expect("below 128");
        let ip = Ipv4Addr::new(127, 100 + own, high, low);
        let path = |name: &str| folder.path().join(name);
        let secured = match tls {
            false => String::new(),
            true => {
                identity(ip, &folder);
                let (cert, key) = (path("cert.pem"), path("key.pem"));
                format!(", tls: {{cert_file: {cert:?}, key_file: {key:?}}}")
            }
        };
        let config = format!(
            "receivers:\n  otlp:\n    protocols:\n      \
             http: {{endpoint: \"{ip}:4318\"{secured}}}\n      \
             grpc: {{endpoint: \"{ip}:4317\"{secured}}}\n\
             exporters:\n  lines: {{path: {:?}}}\n\
             service:\n  pipelines:\n    traces: {{receivers: [otlp], exporters: [lines]}}\n",
            path("spans.json")
        );
        fs::write(path("config.yaml"), config).expect("a new file");
        let child = Command::new(program)
            .arg("--config")
            .arg(path("config.yaml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(path("errors")).expect("a new file"))
            .spawn()
            .expect("a program");
        let mut collector = Self { child, folder, ip };
        eventually("the collector listens", || {
            let ended = collector.child.try_wait().expect("our child");
            let errors = || fs::read_to_string(collector.path("errors")).unwrap_or_default();
            assert!(ended.is_none(), "the collector has ended: {}", errors());
            let ports = [4317, 4318];
            let open = |port: &u16| TcpStream::connect(SocketAddr::from((ip, *port))).is_ok();
            ports.iter().all(open).then_some(())
        });
        Some(collector)
    }

    /// A file of it: `ca.pem` is to be trusted.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where it takes spans.
    pub(super) fn endpoint(&self, scheme: &str, protocol: &str) -> String {
        let port = if protocol == "grpc" { 4317 } else { 4318 };
        format!("{scheme}://{}:{port}", self.ip)
    }

    /// What it has taken so far: requests, whole.
    fn taken(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("spans.json")).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// Forgets what it has taken; it writes to the end of its file, wherever that is.
    pub(super) fn forget(&self) {
        let file = fs::File::options().write(true).open(self.path("spans.json"));
        file.and_then(|file| file.set_len(0)).expect("a file of ours");
    }

    /// Waits until it has so many spans, and returns them by the time of their start.
    pub(super) fn await_spans(&self, count: usize) -> Vec<Span> {
        let mut spans = eventually(&format!("{count} spans"), || {
            let spans: Vec<_> = self.taken().iter().flat_map(spans).collect();
            (spans.len() >= count).then_some(spans)
        });
        spans.sort_by_key(|span| span.number("startTimeUnixNano"));
        spans
    }

    /// The attributes of the resource of what was taken first.
    pub(super) fn resource(&self) -> Vec<String> {
        attributes(&self.taken()[0]["resourceSpans"][0]["resource"])
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes an authority, and a certificate of it for an address.
fn identity(ip: Ipv4Addr, folder: &TempDir) {
    let key = || KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, key()).expect("an authority");
    let own = key();
    let params = CertificateParams::new(vec![ip.to_string()]).expect("a name");
    let certificate = params.signed_by(&own, &ca).expect("a certificate");
    for (name, text) in
        [("ca.pem", ca.pem()), ("cert.pem", certificate.pem()), ("key.pem", own.serialize_pem())]
    {
        fs::write(folder.path().join(name), text).expect("a new file");
    }
}

/// A span, as OTLP has it in JSON.
#[derive(Debug)]
pub(super) struct Span(pub(super) Value);

impl Span {
    pub(super) fn text(&self, key: &str) -> &str {
        self.0[key].as_str().unwrap_or_default()
    }

    fn number(&self, key: &str) -> u64 {
        self.text(key).parse().expect("a number")
    }

    /// Whether it is of a server, and not of a client.
    pub(super) fn is_server(&self) -> bool {
        self.0["kind"] == 2
    }

    /// An attribute; empty without it.
    pub(super) fn attribute(&self, key: &str) -> String {
        let all = attributes(&self.0);
        let found = all.iter().find_map(|pair| pair.strip_prefix(&format!("{key}=")));
        found.unwrap_or_default().to_owned()
    }
}

fn spans(request: &Value) -> Vec<Span> {
    let each = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let resources = each(request, "resourceSpans").into_iter();
    let scopes = resources.flat_map(|resource| each(&resource, "scopeSpans"));
    scopes.flat_map(|scope| each(&scope, "spans")).map(Span).collect()
}

fn attributes(of: &Value) -> Vec<String> {
    let shown = |value: &Value| match (&value["stringValue"], &value["intValue"]) {
        (Value::String(text), _) | (_, Value::String(text)) => text.clone(),
        _ => value.to_string(),
    };
    let pairs = of["attributes"].as_array().cloned().unwrap_or_default();
    let pairs = pairs
        .iter()
        .map(|pair| format!("{}={}", pair["key"].as_str().expect("a key"), shown(&pair["value"])));
    pairs.collect()
}
