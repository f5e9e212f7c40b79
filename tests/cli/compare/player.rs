//! A proxy, played: answers each request as a function says, and keeps what it was asked.

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A request, as far as it is looked at.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) host: String,
    pub(super) target: String,
    pub(super) head: String,
    /// How many requests came before.
    pub(super) number: usize,
}

impl Asked {
    pub(super) fn line(&self) -> String {
        format!("{} {}{}", self.method, self.host, self.target)
    }
}

/// An answer: status, fields as lines, body.
#[derive(Clone, Debug, Default)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) fields: String,
    pub(super) body: String,
    /// Whether the body goes on without end.
    pub(super) is_endless: bool,
}

pub(super) fn reply(status: u16, fields: &[&str], body: &str) -> Reply {
    let fields = fields.iter().map(|field| format!("{field}\r\n")).collect();
    Reply { status, fields, body: body.to_owned(), is_endless: false }
}

type Plays = dyn Fn(&Asked) -> Reply + Send + Sync;

/// It plays until the test ends.
pub(super) struct Player {
    pub(super) addr: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Player {
    pub(super) fn start(plays: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::begin(None, Arc::new(plays))
    }

    /// With TLS, and a certificate for these names.
    pub(super) fn secure(
        names: &[&str],
        plays: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a pair");
        Self::begin(Some(Arc::new(config)), Arc::new(plays))
    }

    fn begin(tls: Option<Arc<ServerConfig>>, plays: Arc<Plays>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("bound");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (tls, plays, all) = (tls.clone(), Arc::clone(&plays), Arc::clone(&all));
                thread::spawn(move || match tls {
                    None => play(stream, &*plays, &all),
                    Some(config) => {
                        let session = ServerConnection::new(config).expect("a session");
                        play(StreamOwned::new(session, stream), &*plays, &all);
                    }
                });
            }
        });
        Self { addr, asked }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub(super) fn https(&self) -> String {
        format!("https://{}", self.addr)
    }

    /// All requests so far, as `METHOD HOST/PATH`, in order.
    pub(super) fn lines(&self) -> Vec<String> {
        let asked = self.asked.lock().expect("whole");
        let mut lines: Vec<String> = asked.iter().map(Asked::line).collect();
        lines.sort();
        lines
    }

    pub(super) fn heads(&self) -> Vec<String> {
        self.asked.lock().expect("whole").iter().map(|asked| asked.head.clone()).collect()
    }
}

fn play(mut stream: impl Read + Write, plays: &Plays, all: &Mutex<Vec<Asked>>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) if head.is_empty() && !byte[0].is_ascii_alphabetic() => {
                // As servers answer who speaks TLS to them; the client may have gone.
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
                return;
            }
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).to_lowercase().replace("\r\n", "\n");
    let line = head.lines().next().unwrap_or_default().to_owned();
    let mut words = line.split(' ');
    let host = head.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    let mut asked = Asked {
        method: words.next().unwrap_or_default().to_uppercase(),
        host: host.to_owned(),
        target: words.next().unwrap_or_default().to_owned(),
        head: head.clone(),
        number: 0,
    };
    {
        let mut all = all.lock().expect("whole");
        asked.number = all.len();
        all.push(asked.clone());
    }
    let Reply { status, fields, body, is_endless } = plays(&asked);
    let length = match is_endless {
        true => body.len() + 1000,
        false => body.len(),
    };
    let date = format!("date: {}", asked.number);
    let mut text =
        format!("HTTP/1.1 {status} Said\r\n{date}\r\n{fields}content-length: {length}\r\n\r\n");
    if asked.method != "HEAD" {
        text.push_str(&body);
    }
    // The client may have gone.
    let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
    if is_endless {
        // Until the client goes.
        let _ = stream.read(&mut byte);
    }
}

/// A port where connections are accepted and reset, as by a listener that does not admit us.
pub(super) fn resetting() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            reset(stream);
        }
    });
    format!("http://{addr}")
}

fn reset(stream: TcpStream) {
    let socket = socket2::Socket::from(stream);
    socket.set_linger(Some(std::time::Duration::ZERO)).expect("an option");
}
