//! Node as a backend: its HTTP/2 is nghttp2's, and its TLS is OpenSSL's.

use super::certificates::{Authority, Pair};
use crate::support::{Builder, edge, ingress, program, rule, service, slice};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A running backend; killed when dropped.
pub(super) struct Peer {
    child: Child,
    addr: SocketAddr,
    _folder: TempDir,
}

impl Peer {
    /// HTTP/2 without TLS, or says that Node is not installed.
    pub(super) fn h2c() -> Option<Self> {
        Self::start(&[], None, None)
    }

    /// The same, with so many streams at a time on one connection.
    pub(super) fn h2c_with_streams(streams: usize) -> Option<Self> {
        Self::start(&[("PEER_STREAMS", &streams.to_string())], None, None)
    }

    /// TLS with this certificate, and this protocol in ALPN.
    pub(super) fn tls(pair: &Pair, alpn: &str) -> Option<Self> {
        Self::start(&[("PEER_ALPN", alpn)], Some(pair), None)
    }

    /// TLS up to this version, which asks for a certificate by this authority.
    pub(super) fn asking(pair: &Pair, clients: &Authority, version: &str) -> Option<Self> {
        let settings = [("PEER_ALPN", "h2"), ("PEER_TLS_MOST", version), ("PEER_CLIENTS", "1")];
        Self::start(&settings, Some(pair), Some(clients))
    }

    fn start(
        settings: &[(&str, &str)],
        tls: Option<&Pair>,
        clients: Option<&Authority>,
    ) -> Option<Self> {
        let node = program("node")?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/upstream_protocols/peer.js");
        let mut command = Command::new(node);
        command.arg(script).envs(settings.iter().copied());
        if let Some(pair) = tls {
            fs::write(folder.path().join("cert.pem"), &pair.certificate).expect("a new file");
            fs::write(folder.path().join("key.pem"), &pair.key).expect("a new file");
            command.env("PEER_TLS", folder.path());
        }
        if let Some(clients) = clients {
            fs::write(folder.path().join("clients.pem"), &clients.certificate).expect("a new file");
        }
        // Its standard input ends with this process, and it with that.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().expect("it can be run");
        let mut line = String::new();
        let output = child.stdout.as_mut().expect("piped");
        BufReader::new(output).read_line(&mut line).expect("a line");
        let port = line.trim().parse().expect("the port that it took");
        Some(Self { child, addr: ([127, 0, 0, 1], port).into(), _folder: folder })
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The Service `web` with these annotations.
pub(super) fn annotated(annotations: &Value) -> Value {
    let mut service = service("web", "http", 80);
    service["metadata"]["annotations"] = annotations.clone();
    service
}

/// A proxy that sends everything to one endpoint of the Service `web`, which has these annotations.
pub(super) fn edge_as(annotations: &Value, endpoint: SocketAddr) -> Builder {
    edge()
        .object("web.json", &annotated(annotations))
        .object("web-0.json", &slice("web-0", "web", "http", endpoint))
        .object("web-ingress.json", &ingress("all", &[rule("", &[("/", "Prefix", "web")])]))
}

/// The same with HTTP/2 without TLS.
pub(super) fn h2c_edge(endpoint: SocketAddr) -> Builder {
    edge_as(&json!({"ravelin.dev/upstream-protocol": "h2c"}), endpoint)
}
