//! The client's socket, as hyper reads and writes it.
//!
//! Two things are added to the bytes. The first byte of a request moves the connection from waiting
//! to [`Phase::Head`]. And where hyper answers an unreadable request by itself, with a bare status,
//! our own answer with its reason goes out instead.

use super::respond;
use super::socket::ClientSocket;
use crate::deadline::{Phase, Watch};
use crate::error::Reason;
use bytes::{Buf, Bytes};
use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A client connection with its deadline.
#[derive(Debug)]
pub struct ClientStream {
    socket: ClientSocket,
    watch: Rc<Watch>,
    head_limit: Duration,
    /// What was read already.
    unread: Bytes,
    /// The rest of an answer of ours that took the place of hyper's.
    substitute: Bytes,
    notes: Rc<Notes>,
}

/// What the stream and whoever serves its requests have to tell each other.
#[derive(Debug, Default)]
pub struct Notes {
    /// Set for each request that is read, unset when its answer has left to the last byte. What
    /// hyper writes while it is unset can only be its own answer to bytes that are no request.
    pub requested: Cell<bool>,
    /// Why hyper could not read a request, if so.
    pub refused: Cell<Option<Reason>>,
}

impl ClientStream {
    /// Wraps an accepted socket. `head_limit` is how long a request head may take from its first
    /// byte to its last.
    pub fn new(
        socket: ClientSocket,
        watch: Rc<Watch>,
        head_limit: Duration,
        notes: Rc<Notes>,
    ) -> Self {
        Self { socket, watch, head_limit, unread: Bytes::new(), substitute: Bytes::new(), notes }
    }

    /// Takes back what hyper has read of a request and not looked at.
    pub fn put_back(&mut self, unread: Bytes) {
        if !unread.is_empty() {
            self.watch.enter(Phase::Head, self.head_limit);
        }
        self.unread = unread;
    }

    /// Waits until there is something to read, or the end.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unread.is_empty() { self.socket.poll_readable(cx) } else { Poll::Ready(Ok(())) }
    }

    /// The socket, for another protocol.
    pub fn into_socket(self) -> ClientSocket {
        self.socket
    }

    /// Sends our answer for `reason`, as far as the socket takes it at once: for a connection that
    /// is given up.
    pub fn try_answer(&mut self, reason: Reason) {
        self.socket.try_end(&respond::raw(reason));
    }

    /// Ends a connection that is between two requests.
    pub fn try_close(&mut self) {
        self.socket.try_end(&[]);
    }

    fn between_requests(&self) -> bool {
        matches!(self.watch.phase(), Phase::Idle | Phase::Head)
    }

    /// Takes note of hyper's own answer, if this is one, and of ours to send instead.
    fn intercept(&mut self, first: &[u8]) -> bool {
        // The phase does not tell: hyper takes the last byte of a short answer, and with it ends the
        // exchange, before it writes the first.
        if self.notes.requested.get() {
            return false;
        }
        let reason = match first.get(..12) {
            Some(b"HTTP/1.1 400") => Reason::MalformedRequest,
            Some(b"HTTP/1.1 414") => Reason::TargetTooLong,
            Some(b"HTTP/1.1 431") => Reason::HeadersTooLarge,
            _ => return false,
        };
        self.notes.refused.set(Some(reason));
        self.substitute = respond::raw(reason);
        true
    }

    fn poll_substitute(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.substitute.has_remaining() {
            let written = ready!(Pin::new(&mut self.socket).poll_write(cx, &self.substitute))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.substitute.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.unread.is_empty() {
            let len = self.unread.len().min(buf.remaining());
            buf.put_slice(&self.unread.split_to(len));
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let result = ready!(Pin::new(&mut self.socket).poll_read(cx, buf));
        if self.watch.phase() == Phase::Idle && buf.filled().len() > before {
            self.watch.enter(Phase::Head, self.head_limit);
        }
        Poll::Ready(result)
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.intercept(buf) {
            return Poll::Ready(Ok(buf.len()));
        }
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(first) = bufs.iter().find(|buf| !buf.is_empty())
            && self.intercept(first)
        {
            return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
        }
        Pin::new(&mut self.socket).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_substitute(cx))?;
        // hyper flushes the socket when its own buffer is empty.
        if self.between_requests() {
            self.notes.requested.set(false);
        }
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_substitute(cx))?;
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
