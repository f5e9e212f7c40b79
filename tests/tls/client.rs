//! A client of rustls, that takes whatever certificate it is shown and remembers it.

use crate::PATIENCE;
use crate::tls_client::{AnyCertificate, handshake};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, SignatureScheme, StreamOwned, SupportedProtocolVersion,
};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

/// What a client offers.
pub(crate) struct Offer {
    pub(crate) versions: Vec<&'static SupportedProtocolVersion>,
    pub(crate) schemes: Vec<SignatureScheme>,
    pub(crate) provider: CryptoProvider,
    pub(crate) alpn: Vec<Vec<u8>>,
}

impl Default for Offer {
    fn default() -> Self {
        let provider = aws_lc_rs::default_provider();
        Self {
            versions: vec![&rustls::version::TLS13, &rustls::version::TLS12],
            schemes: provider.signature_verification_algorithms.supported_schemes(),
            provider,
            alpn: vec![b"http/1.1".to_vec()],
        }
    }
}

impl Offer {
    /// Only this version.
    pub(crate) fn version(version: &'static SupportedProtocolVersion) -> Self {
        Self { versions: vec![version], ..Self::default() }
    }

    /// Settings for several connections, with the tickets of earlier ones.
    pub(crate) fn config(self) -> Arc<ClientConfig> {
        let mut config = ClientConfig::builder_with_provider(Arc::new(self.provider))
            .with_protocol_versions(&self.versions)
            .expect("versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(self.schemes)))
            .with_no_client_auth();
        config.alpn_protocols = self.alpn;
        Arc::new(config)
    }
}

/// A connection whose handshake is through.
pub(crate) struct Client {
    pub(crate) stream: StreamOwned<ClientConnection, TcpStream>,
    unread: Vec<u8>,
}

/// A response.
pub(crate) struct Response {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn status(&self) -> &str {
        &self.head[9..12]
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    /// Shakes hands for a name, with the common offer.
    pub(crate) fn connect(addr: SocketAddr, name: &str) -> Self {
        Self::offer(addr, name, &Offer::default().config()).expect("a handshake")
    }

    /// The same where there may be no certificate.
    pub(crate) fn try_connect(addr: SocketAddr, name: &str) -> Option<Self> {
        Self::offer(addr, name, &Offer::default().config()).ok()
    }

    /// Shakes hands; an IP address as the name sends none.
    pub(crate) fn offer(
        addr: SocketAddr,
        name: &str,
        config: &Arc<ClientConfig>,
    ) -> io::Result<Self> {
        let socket = TcpStream::connect(addr)?;
        Self::over(socket, name, config)
    }

    /// The same, over a socket that has said something before.
    pub(crate) fn over(
        socket: TcpStream,
        name: &str,
        config: &Arc<ClientConfig>,
    ) -> io::Result<Self> {
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream: handshake(socket, config, name)?, unread: Vec::new() })
    }

    /// What it was shown.
    pub(crate) fn shown(&self) -> CertificateDer<'static> {
        let chain = self.stream.conn.peer_certificates().expect("a certificate");
        chain[0].clone().into_owned()
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the proxy reads");
        self.stream.flush().expect("the proxy reads");
    }

    pub(crate) fn get(&mut self, host: &str) -> Response {
        self.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        self.response()
    }

    /// The status of the answer; an error where the proxy ends the connection instead.
    pub(crate) fn try_get(&mut self, host: &str) -> io::Result<String> {
        self.stream.write_all(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())?;
        self.stream.flush()?;
        // The first byte says whether there is an answer; `unread` is empty between answers.
        let mut first = [0];
        self.stream.read_exact(&mut first)?;
        self.unread.extend(first);
        Ok(self.response().status().to_owned())
    }

    /// Shakes hands with the ClientHello in segments of so many bytes, each a record of its own.
    pub(crate) fn in_pieces(
        addr: SocketAddr,
        name: &str,
        config: &Arc<ClientConfig>,
        pieces: usize,
    ) -> io::Result<Self> {
        let mut socket = TcpStream::connect(addr)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let mut conn = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        let mut hello = Vec::new();
        conn.write_tls(&mut hello)?;
        // Behind the header of the one record that it is (RFC 8446 section 5.1).
        for piece in hello[5..].chunks(pieces) {
            let length = u16::try_from(piece.len()).expect("a record").to_be_bytes();
            socket.write_all(&[&[0x16, 3, 1], &length[..], piece].concat())?;
        }
        let mut stream = StreamOwned::new(conn, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self { stream, unread: Vec::new() })
    }

    /// The next response, whole.
    pub(crate) fn response(&mut self) -> Response {
        let end = loop {
            if let Some(end) = self.unread.windows(4).position(|part| part == b"\r\n\r\n") {
                break end + 4;
            }
            self.fill();
        };
        let head: Vec<u8> = self.unread.drain(..end).collect();
        let head = String::from_utf8(head).expect("UTF-8").to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.expect("a length").parse().expect("a number");
        while self.unread.len() < length {
            self.fill();
        }
        let body = self.unread.drain(..length).collect();
        Response { head, body }
    }

    fn fill(&mut self) {
        let held = self.unread.len();
        self.unread.resize(held + 64 * 1024, 0);
        let read = self.stream.read(&mut self.unread[held..]).expect("an answer");
        assert!(read > 0, "the proxy has closed: {:?}", String::from_utf8_lossy(&self.unread));
        self.unread.truncate(held + read);
    }

    /// Whether the proxy ends the connection, by `close_notify` and not merely by its socket.
    pub(crate) fn ends_properly(&mut self) -> bool {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).is_ok_and(|count| count == 0)
    }
}
