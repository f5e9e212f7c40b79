//! A TLS server and its clients, none of them ours: `openssl s_server`, curl, rustls.

use crate::{PATIENCE, program};
use rustls::pki_types::{CertificateDer, ServerName};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use tempfile::TempDir;

const NAME: &str = "edge.example";

/// A running server that answers every request with a page; killed when dropped.
pub(crate) struct TlsServer {
    child: Child,
    addr: SocketAddr,
    certificate: CertificateDer<'static>,
    folder: TempDir,
}

impl TlsServer {
    /// Starts it with a certificate of its own, or says that it is not installed.
    pub(crate) fn start() -> Option<Self> {
        let binary = program("openssl")?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a valid name");
        let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        fs::write(&certificate, made.cert.pem()).expect("a new file");
        fs::write(&key, made.signing_key.serialize_pem()).expect("a new file");
        let mut child = Command::new(binary)
            .args(["s_server", "-www", "-accept", "127.0.0.1:0", "-cert"])
            .arg(&certificate)
            .arg("-key")
            .arg(&key)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it can be run");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, ready) = channel();
        // Reads on to the end: the server must never wait for us.
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if let Some(addr) = line.strip_prefix("ACCEPT ") {
                    let _ = sender.send(addr.parse().expect("an address"));
                }
            }
        });
        let addr = ready.recv_timeout(PATIENCE).expect("the server says where it listens");
        Some(Self { child, addr, certificate: made.cert.der().clone(), folder })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Gets the page through a balancer and returns curl's own address, `None` without curl.
    pub(crate) fn curl(&self, balancer: SocketAddr) -> Option<SocketAddr> {
        let port = balancer.port();
        let place = match balancer {
            SocketAddr::V4(v4) => v4.ip().to_string(),
            SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
        };
        let resolved = format!("{NAME}:{port}:{place}");
        let printed = self.run_curl(&["--resolve".into(), resolved.into()], port)?;
        let (ip, port) = printed.split_once(' ').expect("address and port");
        let ip = ip.parse().expect("an address");
        Some(SocketAddr::new(ip, port.parse().expect("a port")))
    }

    /// Gets the page through a balancer's Unix socket; `None` without curl.
    pub(crate) fn curl_through(&self, socket: &Path) -> Option<()> {
        self.run_curl(&["--unix-socket".into(), socket.into()], 443).map(|_| ())
    }

    /// What curl says of its own end.
    fn run_curl(&self, way: &[PathBuf], port: u16) -> Option<String> {
        let output = Command::new(program("curl")?)
            .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "20", "--cacert"])
            .arg(self.folder.path().join("cert.pem"))
            .args(["--write-out", "\n%{http_code} %{local_ip} %{local_port}"])
            .args(way)
            .arg(format!("https://{NAME}:{port}/"))
            .output()
            .expect("it can be run");
        let text = String::from_utf8_lossy(&output.stdout);
        let last = text.lines().last().unwrap_or_default();
        let own = last.strip_prefix("200 ");
        Some(own.unwrap_or_else(|| panic!("{way:?}: {output:?}")).to_owned())
    }

    /// A handshake, a request and its answer; `before` goes out in one write with the first bytes
    /// of the handshake.
    pub(crate) fn converse(&self, mut socket: TcpStream, before: Vec<u8>) -> String {
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("a certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(NAME).expect("a valid name");
        let mut tls = rustls::ClientConnection::new(Arc::new(config), name).expect("a client");
        let mut first = before;
        let header = first.len();
        tls.write_tls(&mut first).expect("a vector takes all");
        assert!(first.len() > header, "a ClientHello");
        socket.write_all(&first).expect("an open connection");
        let mut stream = rustls::Stream::new(&mut tls, &mut socket);
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("a handshake");
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).expect("an answer");
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
