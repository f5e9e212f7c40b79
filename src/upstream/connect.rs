//! A new connection to an endpoint: TCP, TLS if the Service has it, and what is spoken inside.

use super::socket::{AfterFailure, PodSocket, Record};
use crate::error::Reason;
use crate::net::addr::EndpointAddr;
use crate::net::stream::TcpOrTls;
use crate::pki::endpoint_tls::{Alpn, EndpointTls};
use crate::routing::EndpointProtocol;
use http::uri::Scheme;
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Largest response head, in bytes: what nginx takes with its largest usual settings, and twice what
/// Cloudflare passes on.
pub(super) const RESPONSE_HEAD_BYTES: u32 = 256 * 1024;

/// Most fields of a response. HAProxy takes 101, nginx as many as fit its buffer; some backends send a
/// hundred of `Link` or `Set-Cookie` alone.
pub const MOST_ANSWER_FIELDS: usize = 256;

/// How long a shared connection may be quiet before the kernel asks whether the host is there; what
/// stays unacknowledged or unanswered for as long again closes it.
const QUIET: Duration = Duration::from_secs(15);

/// A pod's socket, within TLS or without.
pub(super) type EndpointStream = TcpOrTls<TlsStream<PodSocket>, PodSocket>;

impl EndpointStream {
    /// The record of its socket.
    pub(super) fn record(&self) -> Arc<Record> {
        match self {
            Self::Plain(socket) => Arc::clone(socket.record()),
            Self::Tls(stream) => Arc::clone(stream.get_ref().0.record()),
        }
    }

    fn after_failure(&mut self, then: AfterFailure) {
        match self {
            Self::Plain(socket) => socket.after_failure(then),
            Self::Tls(stream) => stream.get_mut().0.after_failure(then),
        }
    }
}

/// The scheme of requests on it.
pub(super) fn scheme(stream: &EndpointStream) -> Scheme {
    match stream {
        EndpointStream::Plain(_) => Scheme::HTTP,
        EndpointStream::Tls(_) => Scheme::HTTPS,
    }
}

/// A connection on which nothing has been said yet, by what is to be spoken on it.
pub(super) enum Opened {
    Http1(EndpointStream),
    Http2(EndpointStream),
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) reason: Reason,
    /// This node has no file, port or memory left for it: nothing is wrong with the endpoint.
    pub(super) is_ours: bool,
}

impl Failure {
    /// The endpoint's, or the network's.
    fn of(reason: Reason) -> Self {
        Self { reason, is_ours: false }
    }
}

/// Connects within `limit`, the TLS handshake included.
pub(super) async fn connect(
    addr: EndpointAddr,
    protocol: &EndpointProtocol,
    limit: Duration,
) -> Result<Opened, Failure> {
    let connecting = open(addr, protocol);
    let connected = tokio::time::timeout(limit, connecting).await;
    connected.unwrap_or(Err(Failure::of(Reason::ConnectTimeout)))
}

/// The bytes of a body that the kernel buffers beyond what it may send at once. Its default is 4 MiB, and it takes
/// no more until a third of that has left: a pod that is slow would seem to stall for seconds.
const UNSENT: u32 = 128 * 1024;

async fn open(addr: EndpointAddr, protocol: &EndpointProtocol) -> Result<Opened, Failure> {
    let socket = TcpStream::connect(addr.socket_addr()).await.map_err(|error| {
        tracing::debug!(%addr, %error, "connecting to an endpoint failed");
        Failure { reason: Reason::ConnectFailed, is_ours: is_ours(&error) }
    })?;
    // A small request must not wait for the acknowledgement of another. Without it all still works.
    let _ = socket.set_nodelay(true);
    let _ = SockRef::from(&socket).set_tcp_notsent_lowat(UNSENT);
    if protocol.may_be_http2() {
        notice_silence(&socket);
    }
    let socket = PodSocket::new(socket);
    let (mut stream, is_http2) = match protocol {
        EndpointProtocol::Http => (EndpointStream::Plain(socket), false),
        EndpointProtocol::H2c | EndpointProtocol::Grpc => (EndpointStream::Plain(socket), true),
        EndpointProtocol::Https(tls) => handshake(addr, tls, socket).await.map_err(Failure::of)?,
    };
    if is_http2 {
        stream.after_failure(AfterFailure::Drop);
        return Ok(Opened::Http2(stream));
    }
    stream.after_failure(AfterFailure::Wait);
    Ok(Opened::Http1(stream))
}

/// Whether a connection failed for lack of a resource on this node (`connect(2)`, `socket(2)`).
pub(super) fn is_ours(error: &io::Error) -> bool {
    use libc::{EADDRNOTAVAIL, EMFILE, ENFILE, ENOBUFS, ENOMEM};
    let code = error.raw_os_error();
    code.is_some_and(|code| matches!(code, EADDRNOTAVAIL | EMFILE | ENFILE | ENOBUFS | ENOMEM))
}

/// Makes the kernel detect a host that disappeared without a FIN or RST: many requests may wait on one
/// connection. A periodic PING would do the same, but see `http2::connection`.
fn notice_silence(socket: &TcpStream) {
    let socket = SockRef::from(socket);
    let keepalive = TcpKeepalive::new().with_time(QUIET).with_interval(QUIET / 3).with_retries(3);
    // Without them it takes longer, and each request has its own deadline.
    let _ = socket.set_tcp_keepalive(&keepalive);
    let _ = socket.set_tcp_user_timeout(Some(2 * QUIET));
}

/// The stream, and whether HTTP/2 is spoken on it.
async fn handshake(
    addr: EndpointAddr,
    tls: &EndpointTls,
    socket: PodSocket,
) -> Result<(EndpointStream, bool), Reason> {
    // A backend whose CAs are missing is broken, and no request gets here.
    let config = tls.config().ok_or(Reason::ProtocolUnusable)?;
    let name = tls.settings().server_name.clone();
    let connecting = TlsConnector::from(Arc::clone(config)).connect(name, socket);
    let stream = connecting.await.map_err(|error| {
        tracing::debug!(%addr, %error, "TLS handshake with an endpoint failed");
        reason(&error)
    })?;
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    if !is_http2 && tls.settings().alpn == Alpn::Http2 {
        tracing::debug!(%addr, "the endpoint did not negotiate HTTP/2 (ALPN)");
        return Err(Reason::UpstreamTlsFailed);
    }
    Ok((EndpointStream::Tls(Box::new(stream)), is_http2))
}

pub(super) fn reason(error: &io::Error) -> Reason {
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::InvalidCertificate(_)) => Reason::UpstreamUntrusted,
        _ => Reason::UpstreamTlsFailed,
    }
}
