//! The bytes of a client connection, with or without TLS around them.

use crate::gather::poll_write_gathered;
use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// A client's socket.
#[derive(Debug)]
pub enum ClientSocket {
    /// As it is.
    Plain(TcpStream),
    /// Within TLS; the handshake is through. Boxed: it is some twenty times as large.
    Tls(Box<TlsStream<TcpStream>>),
}

impl ClientSocket {
    /// Waits until there is something to read, or the end, without reading it. Only for a connection
    /// of which everything that has come was read.
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => socket.poll_read_ready(cx),
            Self::Tls(stream) => stream.get_ref().0.poll_read_ready(cx),
        }
    }

    /// Sends the last that we have to say, as far as the socket takes it at once. With TLS that ends
    /// with `close_notify`, by which the peer knows that nothing was cut off.
    pub fn try_end(&mut self, last: &[u8]) {
        // Whoever does not read what we have to say has given up as well.
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

/// A socket, as far as it goes without waiting.
struct Now<'s>(&'s TcpStream);

impl Write for Now<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(pieces)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for ClientSocket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for ClientSocket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => poll_write_gathered(socket, cx, bufs),
            // rustls gathers the pieces as it encrypts them: one record for up to 16 KiB, and one
            // send for what it takes at once.
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
