//! HTTP/1.1 as far as the servers of a control plane need it: blocking, kept alive, TLS or not.

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde_json::Value;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// For a connection and its TLS handshake, which a stopped server does not answer.
const CONNECT: Duration = Duration::from_secs(5);
/// For a response: a write takes the API server 34 s to give up while its etcd is away.
const RESPONSE: Duration = Duration::from_secs(60);

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Response {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

trait Stream: Read + Write + Send {}
impl<S: Read + Write + Send> Stream for S {}

/// A connection to a server. After an error it is of no use.
pub(crate) struct Connection {
    stream: BufReader<Box<dyn Stream>>,
    socket: TcpStream,
    host: SocketAddr,
    certificate: Option<Vec<u8>>,
}

impl Connection {
    /// Opens one; with TLS, to the server's address as its name.
    pub(crate) fn open(to: SocketAddr, tls: Option<&Arc<ClientConfig>>) -> io::Result<Self> {
        Self::open_with(to, tls.map(|config| (config, ServerName::from(to.ip()))))
    }

    /// Opens one with TLS to a host.
    pub(crate) fn secured(
        to: SocketAddr,
        host: &str,
        config: &Arc<ClientConfig>,
    ) -> io::Result<Self> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        Self::open_with(to, Some((config, name)))
    }

    fn open_with(
        to: SocketAddr,
        tls: Option<(&Arc<ClientConfig>, ServerName<'static>)>,
    ) -> io::Result<Self> {
        let socket = TcpStream::connect_timeout(&to, CONNECT)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(CONNECT))?;
        let mut certificate = None;
        let mut stream: Box<dyn Stream> = Box::new(socket.try_clone()?);
        if let Some((config, name)) = tls {
            let session = ClientConnection::new(Arc::clone(config), name);
            let mut session = session.map_err(io::Error::other)?;
            let mut below = socket.try_clone()?;
            while session.is_handshaking() {
                session.complete_io(&mut below)?;
            }
            let chain = session.peer_certificates().unwrap_or_default();
            certificate = chain.first().map(|leaf| leaf.to_vec());
            stream = Box::new(StreamOwned::new(session, below));
        }
        socket.set_read_timeout(Some(RESPONSE))?;
        Ok(Self { stream: BufReader::new(stream), socket, host: to, certificate })
    }

    /// The socket, to set its timeouts or to shut it down from another thread.
    pub(crate) fn socket(&self) -> io::Result<TcpStream> {
        self.socket.try_clone()
    }

    /// The server's certificate in DER, if there is TLS.
    pub(crate) fn certificate(&self) -> Option<&[u8]> {
        self.certificate.as_deref()
    }

    /// Sends a request and reads the whole response.
    pub(crate) fn exchange(&mut self, request: &Request<'_>) -> io::Result<Response> {
        let (status, mut body) = self.ask(request)?;
        let mut text = String::new();
        body.read_to_string(&mut text)?;
        Ok(Response { status, body: text })
    }

    /// Gets a page of a host, as a visitor does.
    pub(crate) fn get(&mut self, host: &str, path: &str) -> io::Result<Response> {
        self.whole(&format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n"))
    }

    /// Posts text to a page of a host.
    pub(crate) fn post(&mut self, host: &str, path: &str, text: &str) -> io::Result<Response> {
        let length = text.len();
        self.whole(&format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {length}\r\n\r\n{text}"
        ))
    }

    fn whole(&mut self, message: &str) -> io::Result<Response> {
        let (status, mut body) = self.send(message)?;
        let mut text = String::new();
        body.read_to_string(&mut text)?;
        Ok(Response { status, body: text })
    }

    /// Sends a request and reads the head of the response.
    pub(crate) fn ask(&mut self, request: &Request<'_>) -> io::Result<(u16, Body<'_>)> {
        self.send(&request.message(self.host))
    }

    fn send(&mut self, message: &str) -> io::Result<(u16, Body<'_>)> {
        let stream = self.stream.get_mut();
        stream.write_all(message.as_bytes())?;
        stream.flush()?;
        let status = self.line()?;
        let status = status.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| garbled("status line"))?;
        let mut left = Left::Bytes(0);
        loop {
            let field = self.line()?.to_ascii_lowercase();
            if field.is_empty() {
                return Ok((status, Body { stream: &mut self.stream, left }));
            } else if let Some(length) = field.strip_prefix("content-length:") {
                left = Left::Bytes(length.trim().parse().map_err(|_| garbled("length"))?);
            } else if field.starts_with("transfer-encoding:") {
                left = Left::Chunk(0);
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        line(&mut self.stream)
    }
}

/// A request, always of a client that takes JSON.
pub(crate) struct Request<'r> {
    pub(crate) method: &'r str,
    pub(crate) path: &'r str,
    /// Sent as bearer token.
    pub(crate) token: Option<&'r str>,
    pub(crate) body: Option<String>,
}

impl Request<'_> {
    fn message(&self, host: SocketAddr) -> String {
        let Self { method, path, token, body } = self;
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n");
        head += "accept: application/json\r\n";
        if let Some(token) = token {
            head += &format!("authorization: Bearer {token}\r\n");
        }
        if let Some(body) = body {
            let kind = match *method {
                "PATCH" => "application/strategic-merge-patch+json",
                _ => "application/json",
            };
            head += &format!("content-type: {kind}\r\ncontent-length: {}\r\n", body.len());
        }
        head + "\r\n" + body.as_deref().unwrap_or_default()
    }
}

/// The body of a response while it arrives.
pub(crate) struct Body<'c> {
    stream: &'c mut BufReader<Box<dyn Stream>>,
    left: Left,
}

/// How much of the body is to come.
enum Left {
    /// So many bytes.
    Bytes(usize),
    /// So many bytes of this chunk, then more chunks.
    Chunk(usize),
}

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Left::Chunk(0) = self.left {
            let size = line(self.stream)?;
            let size = usize::from_str_radix(&size, 16).map_err(|_| garbled("chunk"))?;
            self.left = if size == 0 { Left::Bytes(0) } else { Left::Chunk(size) };
            if size == 0 {
                // No trailers are asked for, so none come.
                line(self.stream)?;
            }
        }
        let (Left::Bytes(left) | Left::Chunk(left)) = &mut self.left;
        if *left == 0 {
            return Ok(0);
        }
        let most = buffer.len().min(*left);
        let count = self.stream.read(&mut buffer[..most])?;
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        *left -= count;
        if let Left::Chunk(0) = self.left {
            line(self.stream)?;
        }
        Ok(count)
    }
}

/// A line without its end. The end of the stream is an error.
fn line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(line.to_owned()),
        None => Err(ErrorKind::UnexpectedEof.into()),
    }
}

fn garbled(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("garbled {what}"))
}
