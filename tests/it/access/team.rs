//! A server of TLS that plays a team's `/cdn-cgi/access/certs`.

use super::tokens::{Signer, key_set};
use crate::support::server_config;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

/// What the server does with a request.
#[derive(Clone)]
enum Play {
    /// 200 with this body.
    Keys(String),
    /// Closes the connection before TLS.
    Nothing,
    /// 200 with something else.
    Html,
}

/// The server of one team; it runs until the test's process ends.
pub(super) struct TeamServer {
    addr: SocketAddr,
    play: Arc<Mutex<Play>>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl TeamServer {
    /// With these keys. Writes the authority that has to be trusted to `ca.pem`.
    pub(super) fn start(folder: &Path, signers: &[&Signer]) -> Self {
        let (config, ca) = identity();
        std::fs::write(folder.join("ca.pem"), ca).expect("a folder of ours");
        let play = Arc::new(Mutex::new(Play::Keys(key_set(signers))));
        let heads = Arc::default();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("an address");
        let (plays, seen, config) = (Arc::clone(&play), Arc::clone(&heads), Arc::new(config));
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let play = plays.lock().expect("whole").clone();
                // What fails here fails because the client gave up.
                let _ = serve(socket, &config, &play, &seen);
            }
        });
        Self { addr, play, heads }
    }

    /// The table of the configuration that leads to it.
    pub(super) fn table(&self, folder: &Path) -> String {
        let ca = folder.join("ca.pem");
        format!(
            "[[access]]\nteam = \"example\"\ncerts_url = \"https://{}/cdn-cgi/access/certs\"\n\
             ca_file = {ca:?}\n",
            self.addr
        )
    }

    pub(super) fn publish(&self, signers: &[&Signer]) {
        *self.play.lock().expect("whole") = Play::Keys(key_set(signers));
    }

    pub(super) fn go_away(&self) {
        *self.play.lock().expect("whole") = Play::Nothing;
    }

    pub(super) fn answer_html(&self) {
        *self.play.lock().expect("whole") = Play::Html;
    }

    /// The heads of the requests so far.
    pub(super) fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("whole").clone()
    }
}

fn serve(
    socket: TcpStream,
    config: &Arc<ServerConfig>,
    play: &Play,
    heads: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let body = match play {
        Play::Nothing => return Ok(()),
        Play::Html => "<html>",
        Play::Keys(keys) => keys,
    };
    let connection = ServerConnection::new(Arc::clone(config)).map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(connection, socket);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend_from_slice(&byte);
    }
    heads.lock().expect("whole").push(String::from_utf8_lossy(&head).into_owned());
    let length = body.len();
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}")?;
    stream.flush()?;
    stream.conn.send_close_notify();
    stream.flush()
}

/// The server's side, and its authority as PEM.
fn identity() -> (ServerConfig, String) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(params, key).expect("an authority");
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
    let key = KeyPair::generate().expect("a key");
    let leaf = params.signed_by(&key, &authority).expect("a certificate");
    (server_config(&leaf, &key), authority.pem())
}
