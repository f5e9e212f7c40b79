//! A message on its way into a socket.

use super::write_field;
use crate::net::fields::TrailerMap;
use bytes::Buf;
use std::cell::RefCell;
use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// Pieces of a body up to this many bytes are copied behind each other, and leave in one send; longer ones are sent as
/// they are.
const SMALL: usize = 4 * 1024;

/// Buffers kept by a worker for the next messages, and the most bytes of one.
const SPARE: usize = 16;
const MOST_SPARE: usize = 16 * 1024;

thread_local! {
    static SPARES: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// What is to be written of a message: its head, and its body as it is framed.
#[derive(Debug)]
pub struct MessageOutput<B> {
    /// Head, chunk sizes and small pieces.
    text: Vec<u8>,
    /// How much of the text was written.
    at: usize,
    /// A piece behind the text, and the line end behind that if it is a chunk.
    piece: Option<B>,
    line_end: &'static [u8],
    /// A piece behind that one, which leaves in the same send: only behind a head.
    second: Option<B>,
}

impl<B: Buf> MessageOutput<B> {
    /// Nothing.
    pub fn empty() -> Self {
        Self { text: Vec::new(), at: 0, piece: None, line_end: b"", second: None }
    }

    /// Whether nothing is left to write.
    pub fn is_empty(&self) -> bool {
        self.at == self.text.len() && self.piece.is_none()
    }

    /// Whether a further piece of the body may leave with what there is.
    pub fn takes_more(&self) -> bool {
        match &self.piece {
            None => self.waiting() < SMALL,
            // What came with a head is as short as the room for heads. What follows it is often here, and a receiver that is
            // woken for the first part alone is woken again.
            Some(_) => self.second.is_none() && self.line_end.is_empty() && self.is_unsent(),
        }
    }

    /// Whether there is text of which nothing was written.
    fn is_unsent(&self) -> bool {
        self.at == 0 && !self.text.is_empty()
    }

    /// How many bytes of the text wait.
    pub fn waiting(&self) -> usize {
        self.text.len() - self.at
    }

    /// The text, to add to it.
    pub fn text(&mut self) -> &mut Vec<u8> {
        if self.text.capacity() == 0 {
            self.text = SPARES.with_borrow_mut(Vec::pop).unwrap_or_default();
        } else if self.at == self.text.len() {
            self.text.clear();
            self.at = 0;
        }
        &mut self.text
    }

    /// Adds a piece of the body.
    pub fn push(&mut self, piece: B) {
        self.push_piece(piece, b"");
    }

    /// Adds a piece of the body as a chunk.
    pub fn push_chunk(&mut self, piece: B) {
        // A vector takes all that is written.
        let _ = write!(self.text(), "{:x}\r\n", piece.remaining());
        self.push_piece(piece, b"\r\n");
    }

    /// Adds the end of a chunked body.
    pub fn push_last_chunk(&mut self, trailers: Option<&TrailerMap>) {
        let text = self.text();
        text.extend_from_slice(b"0\r\n");
        for (name, value) in trailers.into_iter().flatten() {
            write_field(text, name.as_str().as_bytes(), value.as_bytes());
        }
        text.extend_from_slice(b"\r\n");
    }

    fn push_piece(&mut self, mut piece: B, line_end: &'static [u8]) {
        if self.piece.is_some() {
            self.second = Some(piece);
            return;
        }
        if piece.remaining() > SMALL {
            self.line_end = line_end;
            self.piece = Some(piece);
            return;
        }
        let text = self.text();
        while piece.has_remaining() {
            let bytes = piece.chunk().len();
            text.extend_from_slice(piece.chunk());
            piece.advance(bytes);
        }
        text.extend_from_slice(line_end);
    }

    /// Writes all that there is.
    ///
    /// # Errors
    /// The error of the stream, or that it takes nothing.
    pub fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let written = ready!(self.poll_send(cx, Pin::new(stream)))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_send<S: AsyncWrite>(
        &self,
        cx: &mut Context<'_>,
        stream: Pin<&mut S>,
    ) -> Poll<io::Result<usize>> {
        let text = self.text.get(self.at..).unwrap_or_default();
        match &self.piece {
            None => stream.poll_write(cx, text),
            Some(piece) if text.is_empty() && self.line_end.is_empty() => {
                stream.poll_write(cx, piece.chunk())
            }
            Some(piece) => {
                let last = self.second.as_ref().map_or(self.line_end, B::chunk);
                let slices = [text, piece.chunk(), last].map(IoSlice::new);
                stream.poll_write_vectored(cx, &slices)
            }
        }
    }

    /// Notes that so many bytes were written.
    fn advance(&mut self, written: usize) {
        let of_text = written.min(self.text.len() - self.at);
        self.at += of_text;
        let rest = written - of_text;
        let Some(piece) = &mut self.piece else { return };
        let of_piece = rest.min(piece.remaining());
        piece.advance(of_piece);
        if piece.has_remaining() {
            return;
        }
        let behind = rest - of_piece;
        self.piece = self.second.take();
        if let Some(second) = &mut self.piece {
            second.advance(behind);
            self.piece = self.piece.take().filter(B::has_remaining);
            return;
        }
        let line_end = self.line_end.get(behind..).unwrap_or_default();
        self.text().extend_from_slice(line_end);
    }

    /// Gives the buffer back, if nothing is left in it.
    pub fn rest(&mut self) {
        if !self.is_empty() {
            return;
        }
        let mut text = std::mem::take(&mut self.text);
        self.at = 0;
        if (1..=MOST_SPARE).contains(&text.capacity()) {
            text.clear();
            SPARES.with_borrow_mut(|spares| {
                if spares.len() < SPARE {
                    spares.push(text);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::task::Waker;

    /// Takes so many bytes at a time.
    struct Sink(Vec<u8>, usize);

    impl AsyncWrite for Sink {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let now = bytes.len().min(self.1);
            self.0.extend_from_slice(&bytes[..now]);
            Poll::Ready(Ok(now))
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let all: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
            let now = all.len().min(self.1);
            self.0.extend_from_slice(&all[..now]);
            Poll::Ready(Ok(now))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn what_is_written_is_the_same_however_little_is_taken_at_once() {
        let long = Bytes::from(vec![b'x'; SMALL + 1]);
        for size in [1, 2, 3, 7, SMALL, SMALL + 3, 1 << 20] {
            let mut output = MessageOutput::empty();
            let mut sink = Sink(Vec::new(), size);
            let mut cx = Context::from_waker(Waker::noop());
            output.text().extend_from_slice(b"head\r\n\r\n");
            output.push(long.clone());
            assert!(output.takes_more(), "behind a head");
            output.push(Bytes::from_static(b"second"));
            assert!(!output.takes_more());
            assert!(output.poll_write(&mut cx, &mut sink).is_ready() && output.is_empty());
            for piece in [Bytes::from_static(b"abc"), long.clone(), Bytes::from_static(b"d")] {
                output.push_chunk(piece);
                if !output.takes_more() {
                    assert!(output.poll_write(&mut cx, &mut sink).is_ready());
                }
            }
            output.push(long.clone());
            assert!(output.poll_write(&mut cx, &mut sink).is_ready());
            output.push_last_chunk(None);
            assert!(output.poll_write(&mut cx, &mut sink).is_ready() && output.is_empty());
            output.rest();
            let xs = "x".repeat(SMALL + 1);
            let expected = format!(
                "head\r\n\r\n{xs}second3\r\nabc\r\n1001\r\n{xs}\r\n1\r\nd\r\n{xs}0\r\n\r\n"
            );
            assert!(sink.0 == expected.as_bytes(), "{size} at once");
        }
    }
}
