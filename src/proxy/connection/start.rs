//! With what a connection begins that may be one with TLS.

use crate::net::postgres::{AGREED, SSL_REQUEST};
use crate::telemetry::HandshakeFailure;
use crate::tls::Unmet;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The first byte of a TLS record with a ClientHello (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 22;

/// With what a connection begins.
#[derive(Debug)]
pub(super) enum Start {
    /// TLS, of which nothing has been read.
    Tls,
    /// A client of PostgreSQL has asked for TLS, and was told to go on with it.
    Postgres,
    /// Something else, of which this has been read.
    Other(Vec<u8>),
}

/// With what a connection begins, as Traefik finds it (`pkg/server/router/tcp/router.go`, ServeTCP).
pub(super) async fn of(socket: &mut TcpStream) -> Result<Start, Unmet> {
    let mut first = [0];
    match socket.peek(&mut first).await {
        Ok(1..) => {}
        Ok(0) | Err(_) => return Err(Unmet::Silent),
    }
    match first[0] {
        HANDSHAKE => Ok(Start::Tls),
        first if first == SSL_REQUEST[0] => request(socket).await,
        _ => Ok(Start::Other(Vec::new())),
    }
}

/// Reads what may be a request of PostgreSQL, and no byte further than it is one.
async fn request(socket: &mut TcpStream) -> Result<Start, Unmet> {
    let failed = |_| Unmet::Failed(HandshakeFailure::Closed);
    let mut read = Vec::with_capacity(SSL_REQUEST.len());
    while SSL_REQUEST.starts_with(&read) {
        let left = SSL_REQUEST.len() - read.len();
        if left == 0 {
            socket.write_all(&[AGREED]).await.map_err(failed)?;
            return Ok(Start::Postgres);
        }
        if (&mut *socket).take(left as u64).read_buf(&mut read).await.map_err(failed)? == 0 {
            break;
        }
    }
    Ok(Start::Other(read))
}
