//! The bytes of a client connection, with or without TLS around them.

use crate::net::stream::{Now, TcpOrTls, unacknowledged};
use socket2::SockRef;
use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// Bytes that are dropped with one call: on the stack, and never looked at.
const DROPPED_AT_ONCE: usize = 64 * 1024;

/// A client's socket.
pub type ClientSocket = TcpOrTls<TlsStream<TcpStream>>;

impl ClientSocket {
    /// Waits until there is something to read, or the end, without reading it. Only for a connection
    /// of which everything that has come was read.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => socket.poll_read_ready(cx),
            Self::Tls(stream) => stream.get_ref().0.poll_read_ready(cx),
        }
    }

    /// Reads and drops what arrived, without decryption. Returns the number of bytes, 0 at the end.
    ///
    /// # Errors
    /// The error of the socket.
    pub fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut scratch = [MaybeUninit::uninit(); DROPPED_AT_ONCE];
        let mut dropped = ReadBuf::uninit(&mut scratch);
        let socket = match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.get_mut().0,
        };
        ready!(Pin::new(socket).poll_read(cx, &mut dropped))?;
        Poll::Ready(Ok(dropped.filled().len()))
    }

    /// Whether something has come, or the end: what the kernel says now, and not what the worker was last
    /// told.
    pub fn has_arrived(&self) -> bool {
        SockRef::from(self.tcp()).peek(&mut [MaybeUninit::uninit()]).is_ok()
    }

    /// Bytes that the client has not acknowledged, if the kernel says.
    pub fn unacknowledged(&self) -> Option<u64> {
        unacknowledged(self.tcp().as_fd()).ok()
    }

    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }

    /// Makes the connection end by a reset.
    pub fn reset_at_end(&self) {
        // Without a linger time. If that fails, the end is a FIN.
        let _ = SockRef::from(self.tcp()).set_linger(Some(Duration::ZERO));
    }

    /// Sends the end of our data, as far as the socket takes it at once. With TLS that ends with
    /// `close_notify`, so that the peer knows that nothing was truncated.
    pub fn try_end(&mut self, last: &[u8]) {
        // A client that does not read our response has given up as well.
        let _ = match self {
            Self::Plain(_) if last.is_empty() => Ok(()),
            Self::Plain(socket) => socket.try_write(last).map(drop),
            Self::Tls(stream) => {
                let (socket, session) = stream.get_mut();
                let written = session.writer().write_all(last);
                session.send_close_notify();
                written.and_then(|()| session.write_tls(&mut Now(socket)).map(drop))
            }
        };
    }
}
