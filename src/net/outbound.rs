//! Connections of our own to servers that are no pods: DNS lookup, TCP, and TLS that is verified.

use super::beginning::beginning;
use http::Uri;
use http::uri::Scheme;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// The most of an error's text, in bytes: it may repeat what a server has sent.
const MOST_WORDS: usize = 160;

/// The largest head of an answer, in bytes.
pub const HEAD_BYTES: usize = 64 * 1024;

/// Our `User-Agent`.
pub const USER_AGENT: &str = concat!("ravelin/", env!("CARGO_PKG_VERSION"));

/// A stream to a server.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

/// A server, by the name that its certificate must have. Displayed as in `Host`.
#[derive(Clone, Debug)]
pub struct Server {
    is_tls: bool,
    host: String,
    port: u16,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The name has no address.
    #[error("{host} has no address: {what}")]
    Resolve {
        /// The name.
        host: String,
        /// The error of the resolver.
        what: String,
    },
    /// No TCP connection.
    #[error("cannot connect to {addr}: {source}")]
    Connect {
        /// The last address that was tried.
        addr: SocketAddr,
        /// The error of the kernel.
        source: io::Error,
    },
    /// The handshake failed, or the certificate is not trusted.
    #[error("TLS handshake with {addr} failed: {what}")]
    Tls {
        /// The last address that was tried.
        addr: SocketAddr,
        /// The error of rustls.
        what: String,
    },
    /// The deadline passed.
    #[error("the connection took longer than {0:?}")]
    Timeout(Duration),
}

impl Server {
    /// The server of an `http` or `https` URL.
    pub fn of(url: &Uri) -> Self {
        let host = url.host().unwrap_or_default().to_owned();
        let is_tls = url.scheme() != Some(&Scheme::HTTP);
        let port = url.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        Self { is_tls, host, port }
    }

    /// Whether it is asked over TLS.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// Name and port.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Connects to one of its addresses after the other, each for at most `limit`, with TLS if there are settings for it.
    /// Dropping the future ends the attempt.
    ///
    /// # Errors
    /// What went wrong with the last address.
    pub async fn connect(
        &self,
        tls: Option<Arc<ClientConfig>>,
        limit: Duration,
    ) -> Result<Box<dyn ByteStream>, OutboundError> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let unknown = |what: String| OutboundError::Resolve { host: host.to_owned(), what };
        let name = ServerName::try_from(host.to_owned()).map_err(|error| unknown(said(&error)))?;
        let mut last = unknown("the response is empty".to_owned());
        for addr in resolve(host, self.port).await.map_err(unknown)? {
            let attempt = open(addr, name.clone(), tls.clone());
            match timeout(limit, attempt).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error,
                Err(_) => last = OutboundError::Timeout(limit),
            }
        }
        Err(last)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        let usual = if self.is_tls { 443 } else { 80 };
        if self.port == usual { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

async fn open(
    addr: SocketAddr,
    name: ServerName<'static>,
    tls: Option<Arc<ClientConfig>>,
) -> Result<Box<dyn ByteStream>, OutboundError> {
    let socket = TcpStream::connect(addr).await;
    let socket = socket.map_err(|source| OutboundError::Connect { addr, source })?;
    let Some(tls) = tls else { return Ok(Box::new(socket)) };
    let stream = TlsConnector::from(tls).connect(name, socket).await;
    let stream = stream.map_err(|error| OutboundError::Tls { addr, what: said(&error) })?;
    Ok(Box::new(stream))
}

/// Looks a name up in a thread of its own: the resolver cannot be interrupted, and a runtime waits
/// for its blocking threads when it ends, which would hold up the process on its way out.
async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let (reply, answer) = oneshot::channel();
    let host = host.to_owned();
    let look_up = move || {
        let found = (host.as_str(), port).to_socket_addrs().map(Iterator::collect);
        // No receiver is left if the attempt was given up.
        let _ = reply.send(found);
    };
    let started = std::thread::Builder::new().name("resolve".to_owned()).spawn(look_up);
    started.map_err(|error| said(&error))?;
    match answer.await {
        Ok(found) => found.map_err(|error: io::Error| said(&error)),
        Err(_) => Err("the DNS lookup ended without a result".to_owned()),
    }
}

/// The words of an error, which may repeat what a server sent: shortened, on one line.
pub fn said(error: &impl fmt::Display) -> String {
    beginning(&error.to_string(), MOST_WORDS).replace(char::is_control, " ")
}

/// The same of hyper's, with its cause, which says what hyper's own words do not.
pub fn of_hyper(error: &hyper::Error) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    said(&format!("{error}{}", cause.unwrap_or_default()))
}
