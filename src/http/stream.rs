//! The client's socket, as hyper reads and writes it.
//!
//! Three things are added to the bytes. The first byte of a request moves the connection from waiting
//! to [`Phase::Head`]. What comes is looked at by [`RawReader`] before hyper gets it. And where hyper
//! answers an unreadable request by itself, with a bare status, our own answer with its reason goes out
//! instead.

use super::notes::Notes;
use super::raw::{self, Passed, RawReader};
use super::respond;
use super::socket::ClientSocket;
use crate::error::Reason;
use crate::net::deadline::{Phase, Watch};
use crate::net::stream::InPieces;
use crate::net::turns::{TurnPlace, Turns};
use bytes::{Buf, Bytes};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A client connection with its deadline.
#[derive(Debug)]
pub struct ClientStream {
    socket: InPieces<ClientSocket>,
    watch: Rc<Watch>,
    head_limit: Duration,
    /// What hyper is to get next, as it is.
    ready: Bytes,
    /// Bytes behind a head that have not been scanned.
    held: Bytes,
    raw: RawReader,
    /// The rest of an answer of ours that took the place of hyper's.
    substitute: Bytes,
    notes: Rc<Notes>,
    turns: Turns,
    turn: TurnPlace,
}

impl ClientStream {
    /// Wraps an accepted socket. `head_limit` is how long a request head may take from its first
    /// byte to its last; `turns` are those of its worker.
    pub fn new(
        socket: ClientSocket,
        watch: Rc<Watch>,
        head_limit: Duration,
        notes: Rc<Notes>,
        turns: Turns,
    ) -> Self {
        let (ready, held, substitute) = (Bytes::new(), Bytes::new(), Bytes::new());
        let socket = InPieces::new(socket);
        let (raw, turn) = (RawReader::new(), TurnPlace::default());
        Self { socket, watch, head_limit, ready, held, raw, substitute, notes, turns, turn }
    }

    /// Puts back what hyper has read of a request but not parsed.
    pub fn put_back(&mut self, unread: Bytes) {
        if !unread.is_empty() {
            self.watch.enter(Phase::Head, self.head_limit);
        }
        // Even an empty one would keep hyper's buffer.
        let unread = if unread.is_empty() { Bytes::new() } else { unread };
        self.ready = joined(unread, std::mem::take(&mut self.ready));
    }

    /// The first line of the rejected request, at most 1 KiB of it; `unread` is what hyper has read but not
    /// parsed.
    pub fn refused_line<'l>(&'l self, unread: &'l [u8]) -> &'l [u8] {
        self.raw.refused_line().unwrap_or_else(|| raw::first_line(unread))
    }

    /// Waits until there is something to read, or the end.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.has_unread() {
            Poll::Ready(Ok(()))
        } else {
            self.socket.get_ref().poll_readable(cx)
        }
    }

    /// Whether a request is here, or a part of it, of which the worker may not have been told yet.
    pub fn has_arrived(&self) -> bool {
        self.has_unread() || self.socket.get_ref().has_arrived()
    }

    /// Whether bytes have arrived that hyper has not read.
    pub fn has_unread(&self) -> bool {
        !(self.ready.is_empty() && self.held.is_empty())
    }

    /// The socket, for another protocol, and the bytes that already arrived for it; `unread` is what hyper
    /// has of them.
    pub fn into_socket(self, unread: Bytes) -> (ClientSocket, Bytes) {
        (self.socket.into_inner(), joined(unread, joined(self.ready, self.held)))
    }

    /// Sends our response for `reason`, as far as the socket takes it at once, before the connection is
    /// closed.
    pub fn try_answer(&mut self, reason: Reason) {
        self.socket.get_mut().try_end(&respond::answer_bytes(reason));
    }

    /// Makes the connection end by a reset; the kernel drops unsent bytes.
    pub fn reset_at_end(&self) {
        self.socket.get_ref().reset_at_end();
    }

    /// Ends a connection that is between two requests.
    pub fn try_close(&mut self) {
        self.socket.get_mut().try_end(&[]);
    }

    /// Gives hyper what it gets of `read`, and keeps the rest.
    fn pass(&mut self, mut read: Bytes, passed: Passed, buf: &mut ReadBuf<'_>) {
        let (count, instead) = match passed {
            Passed::Whole => (read.len(), None),
            Passed::Part(count) => (count, None),
            Passed::Instead(count, instead) => (count, Some(instead)),
        };
        let rest = read.split_off(count);
        self.held = joined(rest, std::mem::take(&mut self.held));
        self.ready = instead.map_or(read, Bytes::from);
        give(&mut self.ready, buf);
    }

    /// Spares an answer that is about to end because nothing of it has left, if its client has
    /// acknowledged something nevertheless.
    fn look(&self) {
        if self.notes.acknowledges(self.socket.get_ref().unacknowledged()) {
            self.watch.spare();
        }
    }

    fn between_requests(&self) -> bool {
        matches!(self.watch.phase(), Phase::Idle | Phase::Head)
    }

    /// Detects hyper's own response and records ours, to send instead.
    fn intercept(&mut self, first: &[u8]) -> bool {
        // The phase is not enough: hyper takes the last byte of a short answer, and with it ends the
        // exchange, before it writes the first.
        if self.notes.requested.get() {
            return false;
        }
        let reason = match first.get(..12) {
            Some(b"HTTP/1.1 400") => self.raw.refused().unwrap_or(Reason::MalformedRequest),
            Some(b"HTTP/1.1 414") => Reason::TargetTooLong,
            Some(b"HTTP/1.1 431") => Reason::HeadersTooLarge,
            _ => return false,
        };
        self.notes.refused.set(Some(reason));
        self.substitute = respond::answer_bytes(reason);
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

/// Gives as many bytes as there is room for.
fn give(bytes: &mut Bytes, buf: &mut ReadBuf<'_>) {
    buf.put_slice(&bytes.split_to(bytes.len().min(buf.remaining())));
    if bytes.is_empty() {
        // The buffer that they are in is not to wait with an idle connection.
        *bytes = Bytes::new();
    }
}

/// One of two pieces.
fn joined(first: Bytes, second: Bytes) -> Bytes {
    match (first.is_empty(), second.is_empty()) {
        (true, _) => second,
        (_, true) => first,
        (false, false) => [first, second].concat().into(),
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        if !this.ready.is_empty() {
            give(&mut this.ready, buf);
        } else if this.held.is_empty() {
            let is_body = this.raw.is_in_body();
            if is_body {
                ready!(this.turns.poll(&mut this.turn, cx));
            }
            ready!(Pin::new(&mut this.socket).poll_read(cx, buf))?;
            let read = &buf.filled()[before..];
            if !read.is_empty() {
                if is_body {
                    this.turns.count();
                }
                let passed =
                    this.raw.read(read, this.notes.framing.take(), this.notes.answered())?;
                if passed != Passed::Whole {
                    let read = Bytes::copy_from_slice(read);
                    buf.set_filled(before);
                    this.pass(read, passed, buf);
                }
            }
        } else {
            let mut read = std::mem::take(&mut this.held);
            this.held = read.split_off(read.len().min(buf.remaining()));
            let passed = this.raw.read(&read, this.notes.framing.take(), this.notes.answered())?;
            this.pass(read, passed, buf);
        }
        let bytes = buf.filled().len() - before;
        if this.watch.phase() == Phase::Idle && bytes > 0 {
            this.watch.enter(Phase::Head, this.head_limit);
        }
        if this.watch.phase() == Phase::Head {
            this.notes.grow(bytes);
        }
        this.notes.head_read.set(this.raw.head());
        Poll::Ready(Ok(()))
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
        let written = Pin::new(&mut self.socket).poll_write(cx, buf);
        if written.is_pending() && self.watch.ends_early() {
            self.look();
        }
        written
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
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        if written.is_pending() && self.watch.ends_early() {
            self.look();
        }
        written
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
        let flushed = Pin::new(&mut self.socket).poll_flush(cx);
        // With TLS, what hyper has written waits within the session.
        if flushed.is_pending() && self.watch.ends_early() {
            self.look();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_substitute(cx))?;
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::deadline::Deadlines;
    use crate::net::memory::{Account, Budget, Ledger};
    use http::{Request, Response};
    use http_body_util::BodyExt;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use std::convert::Infallible;
    use std::sync::Arc;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::runtime::LocalOptions;

    /// What a client gets for these bytes, by a service that reads each body to its end.
    fn converse(bytes: &str) -> String {
        let builder = &mut tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_io().build_local(LocalOptions::default());
        runtime.expect("a runtime").block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let addr = listener.local_addr().expect("bound");
            let mut client = TcpStream::connect(addr).await.expect("it listens");
            let (socket, _) = listener.accept().await.expect("a connection");
            let ledger = Ledger::new(Budget::new(1 << 30), Arc::default());
            let notes = Rc::new(Notes::new(Account::open(&ledger)));
            let limit = Duration::from_secs(60);
            let watch = Deadlines::new().watch(limit);
            watch.enter(Phase::Idle, limit);
            let turns = Turns::new(16);
            let stream = ClientStream::new(
                ClientSocket::Plain(socket),
                watch.clone(),
                limit,
                notes.clone(),
                turns,
            );
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                notes.begin(&request);
                watch.enter(Phase::Exchange, limit);
                let watch = Rc::clone(&watch);
                async move {
                    let _ = request.into_body().collect().await;
                    watch.enter(Phase::Idle, limit);
                    Ok::<_, Infallible>(Response::new(String::new()))
                }
            });
            client.write_all(bytes.as_bytes()).await.expect("it reads");
            let serving = crate::http::server(8192).serve_connection(TokioIo::new(stream), service);
            let mut got = String::new();
            let (_, read) = tokio::join!(serving, client.read_to_string(&mut got));
            read.expect("an end");
            got
        })
    }

    /// [`ClientStream::intercept`] knows hyper's own answers by the first bytes that it writes.
    #[test]
    fn hypers_own_answers_begin_with_their_status_line() {
        for (bytes, reason) in [
            ("GARBAGE\r\n\r\n".to_owned(), "malformed_request"),
            (format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(9000)), "headers_too_large"),
            (format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(101)), "headers_too_large"),
        ] {
            let got = converse(&bytes);
            assert!(got.contains(reason), "{reason}: {got:?}");
            assert_eq!(got.matches("HTTP/1.1").count(), 1, "ours alone: {got:?}");
        }
    }

    /// [`Notes::begin`] says how a body is read before hyper asks for the bytes of it.
    #[test]
    fn hyper_hands_a_request_over_before_it_reads_on() {
        let requests = "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n\"<\
                        GET / HTTP/1.1\r\n\r\n\
                        POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
        let last = "GET / HTTP/1.1\r\nConnection: close\r\n\r\n";
        let got = converse(&(requests.repeat(3) + last));
        assert_eq!(got.matches("HTTP/1.1 200").count(), 10, "{got:?}");
    }
}
