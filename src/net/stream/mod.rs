//! A TCP connection, plain or within TLS, with the read and write traits of hyper and h2.

mod sys;

pub use sys::unacknowledged;

use crate::net::gather::WriteGathered;
use std::io::{self, IoSlice, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};
use tokio::net::TcpStream;

/// A connection; `T` is TLS at our end of it, and `P` the socket where there is none.
#[derive(Debug)]
pub enum TcpOrTls<T, P = TcpStream> {
    /// As it is. Small messages leave in one send.
    Plain(P),
    /// Within TLS; the handshake is through. Boxed: it is ten times as large and more.
    Tls(Box<T>),
}

/// A socket without waiting: does what is possible at once.
#[derive(Debug)]
pub struct Now<'s>(pub &'s TcpStream);

impl Read for Now<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

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

/// The most that is read at once, in bytes: hyper's buffers grow with what they are given, and a piece of
/// a body is kept whole until the other side has taken it. One less than a power of two, at which hyper
/// would double its buffer and use half.
pub const READ: u64 = 32 * 1024 - 1;

/// As much of the beginning of an answer is read at once where the last one was longer than [`READ`] and not
/// longer than this: 64 KiB with a head are one piece then. What a client costs that stops reading is decided
/// by the pieces behind.
pub const ANSWER: u64 = 72 * 1024;

/// A stream of which at most [`READ`] is read at once.
#[derive(Debug)]
pub struct InPieces<S> {
    stream: Take<S>,
    /// Whether what is read answers what is written.
    answers: bool,
    /// Bytes that were read since something was written.
    came: u64,
    /// How much of them may come at once. Not before it is likely to be used: hyper's buffers grow for it,
    /// and shrink behind it.
    beginning: u64,
}

impl<S: AsyncRead> InPieces<S> {
    /// Reads `stream` so.
    pub fn new(stream: S) -> Self {
        Self { stream: stream.take(READ), answers: false, came: 0, beginning: READ }
    }

    /// Wraps a stream whose reads answer its writes: see [`ANSWER`].
    pub fn of_answers(stream: S) -> Self {
        Self { answers: true, ..Self::new(stream) }
    }

    /// The stream itself.
    pub fn get_ref(&self) -> &S {
        self.stream.get_ref()
    }

    /// The stream itself, to write to it.
    pub fn get_mut(&mut self) -> &mut S {
        self.stream.get_mut()
    }

    /// The stream as it was.
    pub fn into_inner(self) -> S {
        self.stream.into_inner()
    }

    /// The stream, to write on it what may be answered.
    fn writing(&mut self) -> &mut S {
        if self.came > 0 {
            let is_like_it = self.answers && self.came > READ && self.came <= ANSWER;
            self.beginning = if is_like_it { ANSWER } else { READ };
            self.came = 0;
        }
        self.stream.get_mut()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for InPieces<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let polled = if buf.remaining() as u64 <= READ {
            Pin::new(this.stream.get_mut()).poll_read(cx, buf)
        } else {
            // A buffer that has grown: not as much as there is room for.
            this.stream.set_limit(READ.max(this.beginning.saturating_sub(this.came)));
            Pin::new(&mut this.stream).poll_read(cx, buf)
        };
        this.came += (buf.filled().len() - before) as u64;
        polled
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for InPieces<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.writing()).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.writing()).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.get_ref().is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.get_mut()).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.get_mut()).poll_shutdown(cx)
    }
}

impl<T: AsyncRead + Unpin, P: AsyncRead + Unpin> AsyncRead for TcpOrTls<T, P> {
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

impl<T, P> AsyncWrite for TcpOrTls<T, P>
where
    T: AsyncWrite + Unpin,
    P: AsyncWrite + WriteGathered + Unpin,
{
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
            Self::Plain(socket) => socket.poll_write_gathered(cx, bufs),
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    /// There is always something to read.
    struct Source;

    impl AsyncRead for Source {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let room = buf.initialize_unfilled().len();
            buf.advance(room);
            Poll::Ready(Ok(()))
        }
    }

    /// How much is read at once with this room.
    fn read(stream: &mut InPieces<Source>, room: usize) -> u64 {
        let mut bytes = vec![0; room];
        let mut buf = ReadBuf::new(&mut bytes);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(stream).poll_read(&mut cx, &mut buf).is_ready());
        buf.filled().len() as u64
    }

    #[test]
    fn the_beginning_of_an_answer_comes_at_once_where_the_last_was_of_such_a_length() {
        const ROOM: usize = 128 * 1024;
        let mut stream = InPieces::of_answers(Source);
        // 64 KiB in short pieces, and then the like of it.
        assert_eq!([read(&mut stream, ROOM), read(&mut stream, ROOM)], [READ; 2]);
        stream.writing();
        assert_eq!([read(&mut stream, ROOM), read(&mut stream, ROOM)], [ANSWER, READ]);
        // It was a longer one.
        stream.writing();
        assert_eq!([read(&mut stream, ROOM), read(&mut stream, 1)], [READ, 1]);
        stream.writing();
        stream.writing();
        assert_eq!([read(&mut stream, 40_000), read(&mut stream, ROOM)], [40_000, ANSWER - 40_000]);
        let mut other = InPieces::new(Source);
        for _ in 0..2 {
            assert_eq!([read(&mut other, ROOM), read(&mut other, 1)], [READ, 1]);
            other.writing();
        }
    }
}
