//! A client of HTTP/1.1 that keeps its connection, from an address of its choice, with TLS or without: as Cloudflare
//! connects to origins.

use crate::tls_client::{AnyCertificate, handshake};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use socket2::{Domain, Socket, TcpKeepalive, Type};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// For an answer. Cloudflare waits for 125 s.
const ANSWER: Duration = Duration::from_secs(20);

/// When a connection is taken for dead: Cloudflare probes after 30 s, then each 15 s, twice. Here a second is enough.
fn probes() -> TcpKeepalive {
    let second = Duration::from_secs(1);
    TcpKeepalive::new().with_time(second).with_interval(second).with_retries(2)
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// In lower case.
    pub(super) head: String,
    pub(super) body: String,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// A connection.
pub(super) struct Line {
    stream: BufReader<Stream>,
}

impl Line {
    /// Connects within a time; with TLS under a name, without a look at the certificate, as Cloudflare's mode Full.
    pub(super) fn open(
        from: Ipv4Addr,
        to: SocketAddr,
        name: Option<&str>,
        within: Duration,
    ) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((from, 0)).into())?;
        socket.connect_timeout(&to.into(), within)?;
        socket.set_tcp_keepalive(&probes())?;
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER))?;
        let Some(name) = name else { return Ok(Self::of(Stream::Plain(stream))) };
        Ok(Self::of(Stream::Tls(Box::new(handshake(stream, &TLS, name)?))))
    }

    fn of(stream: Stream) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    /// The server's certificate.
    pub(super) fn certificate(&self) -> Option<Vec<u8>> {
        let Stream::Tls(tls) = self.stream.get_ref() else { return None };
        Some(tls.conn.peer_certificates()?.first()?.to_vec())
    }

    /// Whether the server has ended it, as far as is known here: what a pool looks at before it takes one.
    pub(super) fn is_closed(&mut self) -> bool {
        self.look().unwrap_or(true)
    }

    fn look(&mut self) -> io::Result<bool> {
        match self.stream.get_mut() {
            Stream::Plain(stream) => {
                stream.set_nonblocking(true)?;
                let seen = stream.peek(&mut [0]);
                stream.set_nonblocking(false)?;
                Ok(!matches!(seen, Err(error) if error.kind() == ErrorKind::WouldBlock))
            }
            Stream::Tls(tls) => {
                tls.sock.set_nonblocking(true)?;
                let mut is_closed = false;
                while !is_closed {
                    match tls.conn.read_tls(&mut tls.sock) {
                        Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                        Ok(read) if read > 0 => {
                            let state = tls.conn.process_new_packets().map_err(io::Error::other)?;
                            is_closed = state.peer_has_closed();
                        }
                        _ => is_closed = true,
                    }
                }
                tls.sock.set_nonblocking(false)?;
                Ok(is_closed)
            }
        }
    }

    /// Sends a message and reads the answer. After an error, or an answer with `Connection: close`, it is of no use.
    pub(super) fn exchange(&mut self, message: &str) -> io::Result<Answer> {
        self.stream.get_mut().write_all(message.as_bytes())?;
        self.stream.get_mut().flush()?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut head)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        let head = head.to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("{head:?}")))?;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let body = match length {
            Some(length) => {
                let mut body = vec![0; length.trim().parse().map_err(io::Error::other)?];
                self.stream.read_exact(&mut body)?;
                body
            }
            None if head.contains("\r\ntransfer-encoding: chunked") => self.chunks()?,
            None => Vec::new(),
        };
        Ok(Answer { status, head, body: String::from_utf8_lossy(&body).into_owned() })
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let mut size = String::new();
            self.stream.read_line(&mut size)?;
            let size = usize::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
            let mut chunk = vec![0; size + 2];
            self.stream.read_exact(&mut chunk)?;
            if size == 0 {
                return Ok(body);
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }
}

impl Answer {
    /// Whether the server ends the connection.
    pub(super) fn closes(&self) -> bool {
        self.head.contains("\r\nconnection: close")
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(buffer),
            Self::Tls(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

static TLS: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions of the provider")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate::default()))
        .with_no_client_auth();
    Arc::new(config)
});
