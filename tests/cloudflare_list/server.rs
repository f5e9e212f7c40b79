//! A TLS server that plays Cloudflare's API, well or badly.

use crate::server_config::server_config;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::spawn_local;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// What the server does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Play {
    /// Sends these bytes and ends the connection.
    Answer(Vec<u8>),
    /// Sends 304 if this `ETag` is asked for, and else 200 with it and this body.
    ByEtag(&'static str, String),
    /// Sends this head, and bytes without end.
    Endless(&'static str),
    /// Sends a byte now and then.
    Trickle,
    /// Ends the connection instead of an answer.
    Close,
    /// Accepts the connection and says nothing, not even for TLS.
    Silent,
    /// Accepts the connection and ends it before TLS.
    Refuse,
}

/// What is wrong with the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Certificate {
    Good,
    OtherName,
    Expired,
    OtherAuthority,
}

/// A running server; it runs until the test's process ends.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    /// The authority that clients are told to believe.
    pub(crate) ca_file: PathBuf,
    play: Arc<Mutex<Play>>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) fn start(directory: &Path, certificate: Certificate, play: Play) -> Self {
        let (config, ca) = identity(certificate);
        let ca_file = directory.join("ca.pem");
        std::fs::write(&ca_file, ca).expect("written");
        let (play, heads) = (Arc::new(Mutex::new(play)), Arc::default());
        let (told, addr) = mpsc::channel();
        let (plays, seen) = (Arc::clone(&play), Arc::clone(&heads));
        std::thread::spawn(move || {
            let runtime =
                Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
            runtime.expect("a runtime").block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
                told.send(listener.local_addr().expect("an address")).expect("a test");
                let acceptor = TlsAcceptor::from(Arc::new(config));
                while let Ok((socket, _)) = listener.accept().await {
                    let play = plays.lock().expect("whole").clone();
                    spawn_local(serve(acceptor.clone(), socket, play, Arc::clone(&seen)));
                }
            });
        });
        Self { addr: addr.recv().expect("a server"), ca_file, play, heads }
    }

    pub(crate) fn plays(&self, play: Play) {
        *self.play.lock().expect("whole") = play;
    }

    /// The heads of the requests so far; for connections without one, what was played.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("whole").clone()
    }
}

/// An HTTP answer.
pub(crate) fn answer(status: &str, fields: &str, body: &str) -> Play {
    let length = body.len();
    Play::Answer(
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{fields}\r\n{body}").into(),
    )
}

async fn serve(
    acceptor: TlsAcceptor,
    socket: TcpStream,
    play: Play,
    heads: Arc<Mutex<Vec<String>>>,
) {
    if let Play::Silent | Play::Refuse = play {
        heads.lock().expect("whole").push(format!("{play:?}"));
        if let Play::Silent = play {
            let _ = wait_for_end(socket).await;
        }
        return;
    }
    // What fails here fails because the client gave up, which is what is being tested.
    let Ok(mut stream) = acceptor.accept(socket).await else { return };
    let Ok(head) = head(&mut stream).await else { return };
    heads.lock().expect("whole").push(head.clone());
    let _ = perform(&mut stream, play, &head).await;
}

async fn wait_for_end(mut socket: TcpStream) -> std::io::Result<()> {
    let mut sink = [0; 1024];
    while socket.read(&mut sink).await? > 0 {}
    Ok(())
}

async fn head(stream: &mut TlsStream<TcpStream>) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).to_ascii_lowercase())
}

async fn perform(stream: &mut TlsStream<TcpStream>, play: Play, head: &str) -> std::io::Result<()> {
    match play {
        Play::Answer(bytes) => stream.write_all(&bytes).await?,
        Play::ByEtag(etag, _) if head.contains(&format!("\r\nif-none-match: {etag}\r\n")) => {
            stream.write_all(b"HTTP/1.1 304 Not Modified\r\n\r\n").await?;
        }
        Play::ByEtag(etag, body) => {
            let Play::Answer(bytes) = answer("200 OK", &format!("etag: {etag}\r\n"), &body) else {
                return Ok(());
            };
            stream.write_all(&bytes).await?;
        }
        Play::Endless(head) => {
            stream.write_all(head.as_bytes()).await?;
            loop {
                stream.write_all(&[b' '; 16 * 1024]).await?;
            }
        }
        Play::Trickle => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10000\r\n\r\n").await?;
            loop {
                stream.write_all(b" ").await?;
                stream.flush().await?;
                // The pace of the server: a byte now and then, for ever.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Play::Close | Play::Silent | Play::Refuse => {}
    }
    stream.flush().await?;
    stream.shutdown().await
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    let key = KeyPair::generate().expect("a key");
    CertifiedIssuer::self_signed(params, key).expect("an authority")
}

/// The server's side, and the authority that the client believes, as PEM.
fn identity(certificate: Certificate) -> (ServerConfig, String) {
    let believed = authority("believed");
    let other = authority("other");
    let issuer = if certificate == Certificate::OtherAuthority { &other } else { &believed };
    let names = match certificate {
        Certificate::OtherName => vec!["other.example".to_owned()],
        _ => vec!["127.0.0.1".to_owned(), "localhost".to_owned()],
    };
    let mut params = CertificateParams::new(names).expect("names");
    if certificate == Certificate::Expired {
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
    }
    let key = KeyPair::generate().expect("a key");
    let leaf = params.signed_by(&key, issuer).expect("a certificate");
    (server_config(&leaf, &key), believed.pem())
}
