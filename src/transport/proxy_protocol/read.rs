//! Taking a header off a socket, and not one byte more.

use super::{Header, MAX_HEADER_BYTES, Malformed, Parsed, parse};
use std::io;
use std::time::Duration;
use thiserror::Error;
use tokio::net::TcpStream;

/// Room for the first look: more than version 1 and the addresses of version 2 need, Unix sockets
/// (232 bytes) included. Only long TLVs need more.
const FIRST_LOOK_BYTES: usize = 256;

/// Why no header could be read. The connection is to be closed.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The peer closed or reset before the first byte, as health checks do. Nobody's mistake.
    #[error("the connection was closed before a PROXY header")]
    Closed,
    /// The peer closed or reset within the header.
    #[error("the connection was closed within the PROXY header")]
    Truncated,
    /// The first bytes are not a header.
    #[error("the PROXY header is malformed")]
    Malformed(#[from] Malformed),
    /// The header was not complete in time.
    #[error("the PROXY header was not complete in time")]
    TimedOut,
    /// The socket failed in another way.
    #[error("the PROXY header cannot be read")]
    Io(#[source] io::Error),
}

impl ReadError {
    /// The label in metrics; for a malformed header, that of the broken rule.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Truncated => "truncated",
            Self::Malformed(malformed) => malformed.label(),
            Self::TimedOut => "timed_out",
            Self::Io(_) => "io",
        }
    }
}

/// Reads the header at the beginning of a connection. What is behind it stays in the socket, for
/// the next who reads.
///
/// `limit` is for the whole header: a peer that sends a byte now and then gets no more time by it.
/// No timer is made where the header is there already. If the future is dropped before its end,
/// part of the header may be gone.
///
/// # Errors
///
/// Each way of [`ReadError`]; part of the header may be gone from the socket then.
pub async fn read(socket: &TcpStream, limit: Duration) -> Result<Header, ReadError> {
    tokio::time::timeout(limit, header(socket)).await.unwrap_or(Err(ReadError::TimedOut))
}

async fn header(socket: &TcpStream) -> Result<Header, ReadError> {
    let mut buffer = vec![0; FIRST_LOOK_BYTES];
    let mut taken = 0;
    loop {
        if taken == buffer.len() {
            buffer.resize(MAX_HEADER_BYTES, 0);
        }
        let seen = socket.peek(&mut buffer[taken..]).await.map_err(|error| lost(error, taken))?;
        if seen == 0 {
            return Err(ended(taken));
        }
        let known = taken + seen;
        match parse(&buffer[..known])? {
            // Longer than what has been taken, for that was incomplete.
            Parsed::Complete { header, length } => {
                take(socket, &mut buffer[taken..length]).await?;
                return Ok(header);
            }
            // All of it is header. It has to go, or the next look would see it again at once.
            Parsed::Incomplete => {
                take(socket, &mut buffer[taken..known]).await?;
                taken = known;
            }
        }
    }
}

/// Takes bytes that have been seen.
async fn take(socket: &TcpStream, mut bytes: &mut [u8]) -> Result<(), ReadError> {
    while !bytes.is_empty() {
        match socket.try_read(bytes) {
            Ok(0) => return Err(ReadError::Truncated),
            Ok(count) => bytes = &mut bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                socket.readable().await.map_err(ReadError::Io)?;
            }
            Err(error) => return Err(lost(error, 1)),
        }
    }
    Ok(())
}

/// The end of the stream behind so many bytes of a header.
fn ended(taken: usize) -> ReadError {
    if taken == 0 { ReadError::Closed } else { ReadError::Truncated }
}

/// Health checks end by RST too: nothing is left over, and no port waits.
fn lost(error: io::Error, taken: usize) -> ReadError {
    match error.kind() {
        io::ErrorKind::ConnectionReset => ended(taken),
        _ => ReadError::Io(error),
    }
}
