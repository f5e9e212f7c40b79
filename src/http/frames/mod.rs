//! Framing of a client's HTTP/2 socket: parses frame headers in both directions, and only those.
//!
//! h2 delivers a complete head only. A head in many small pieces, or without its last CONTINUATION frame
//! (RFC 9113 section 6.10), would wait as long as the connection has other streams, so heads have a
//! deadline here. h2 does not expose how many bytes of request bodies it buffers either: [`Inflow`] counts
//! them from received DATA frames and from the RST_STREAM and WINDOW_UPDATE frames that we send.

mod scan;
mod sent;

use super::head_turns::{PIECE, Turn};
use super::socket::ClientSocket;
use super::streams::Streams;
use crate::net::deadline::{Phase, Watch};
use crate::net::memory::{Account, HolderKind, Inflow};
use scan::Scanner;
use sent::Sent;
use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};
use tokio::time::{Sleep, sleep};

/// Length of the client's connection preface (RFC 9113 section 3.4), in bytes.
const PREFACE: usize = 24;

/// Frame types (section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

/// The flag by which a request or an answer ends (sections 6.1 and 6.2).
const END_STREAM: u8 = 1;

/// The flag by which a field block ends (section 6.2).
const END_HEADERS: u8 = 4;

/// Where in its frames a client is.
#[derive(Debug)]
struct Received {
    scanner: Scanner,
    /// Whether a field block continues in the next frame.
    in_block: bool,
}

impl Received {
    fn new() -> Self {
        Self { scanner: Scanner::new(PREFACE), in_block: false }
    }

    /// Records bytes read from the socket. Returns how many heads have begun.
    fn read(&mut self, mut bytes: &[u8], inflow: &Inflow) -> u32 {
        let mut heads = 0;
        while let Some((header, rest)) = self.scanner.next(bytes) {
            bytes = rest;
            match header.kind {
                DATA => inflow.received(header.stream, header.len),
                HEADERS | CONTINUATION => self.in_block = header.flags & END_HEADERS == 0,
                // The client takes what it is sent.
                WINDOW_UPDATE => inflow.account().move_on(),
                _ => {}
            }
            heads += u32::from(header.kind == HEADERS);
            if header.kind == HEADERS && header.flags & END_STREAM == 0 {
                inflow.announced();
            }
            let may_end = matches!(header.kind, DATA | HEADERS);
            if header.kind == RST_STREAM || (may_end && header.flags & END_STREAM != 0) {
                inflow.ended(header.stream);
            }
        }
        heads
    }

    /// Whether something has begun that is of no use until its end. Of data each stream has a
    /// deadline of its own.
    fn is_amid(&self) -> bool {
        let is_data = |header: Option<scan::Header>| header.is_some_and(|it| it.kind == DATA);
        let in_frame = self.scanner.current().is_some_and(|header| !is_data(header));
        (1..PREFACE).contains(&self.scanner.preface) || in_frame || self.in_block
    }
}

/// What h2 holds of a field block that has begun and not ended, at most: what it has decoded, which
/// `limits.header_block` bounds, and what it could not decode yet.
const BLOCK: usize = 192 * 1024;

/// The charge for a block in several frames.
#[derive(Debug)]
struct Block {
    account: Arc<Account>,
    is_open: bool,
}

impl Block {
    fn set(&mut self, is_open: bool) {
        match (self.is_open, is_open) {
            (false, true) => self.account.charge(HolderKind::Requests, BLOCK),
            (true, false) => self.account.release(HolderKind::Requests, BLOCK),
            _ => {}
        }
        self.is_open = is_open;
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.set(false);
    }
}

/// How often a connection that has its share of memory looks whether that has grown.
const LOOK: Duration = Duration::from_millis(250);

/// The deadline for a request head, or another frame without data, from its first byte to its last.
#[derive(Debug)]
pub struct HeadDeadline {
    /// Expires when a head takes longer.
    pub watch: Rc<Watch>,
    /// How long one may take.
    pub limit: Duration,
}

impl HeadDeadline {
    fn change(&self, was_amid: bool, is_amid: bool) {
        match (was_amid, is_amid) {
            (false, true) => self.watch.enter(Phase::Head, self.limit),
            (true, false) => self.watch.pause(),
            _ => {}
        }
    }
}

/// The way back of a socket that h2 reads and writes, and does not return itself.
#[derive(Debug)]
pub struct LentSocket(Rc<RefCell<Take<ClientSocket>>>);

impl LentSocket {
    /// The socket, once its [`FollowedFrames`] are gone.
    pub fn take_back(self) -> Option<ClientSocket> {
        Rc::into_inner(self.0).map(|socket| socket.into_inner().into_inner())
    }
}

/// A client's connection whose HTTP/2 frames are parsed.
#[derive(Debug)]
pub struct FollowedFrames {
    socket: Rc<RefCell<Take<ClientSocket>>>,
    /// Of those that read many heads.
    turn: Turn,
    received: Received,
    sent: Sent,
    block: Block,
    head: HeadDeadline,
    streams: Rc<Streams>,
    /// Bytes that the client had not acknowledged when the kernel was last asked.
    unacknowledged: Option<u64>,
    /// When it looks again whether it may be read.
    look: Option<Pin<Box<Sleep>>>,
}

impl FollowedFrames {
    /// Follows `socket` from its first byte. The deadline is paused until a head begins.
    pub fn new(
        socket: ClientSocket,
        head: HeadDeadline,
        turn: Turn,
        streams: &Rc<Streams>,
    ) -> Self {
        head.watch.pause();
        Self {
            socket: Rc::new(RefCell::new(socket.take(0))),
            turn,
            received: Received::new(),
            sent: Sent::new(),
            block: Block { account: Arc::clone(streams.inflow().account()), is_open: false },
            head,
            streams: Rc::clone(streams),
            unacknowledged: None,
            look: None,
        }
    }

    /// The way back of the socket.
    pub fn lent(&self) -> LentSocket {
        LentSocket(Rc::clone(&self.socket))
    }

    fn note(&mut self, read: &[u8]) {
        let was_amid = self.received.is_amid();
        let inflow = self.streams.inflow();
        let heads = self.received.read(read, inflow);
        self.turn.count(heads);
        self.block.set(self.received.in_block);
        self.head.change(was_amid, self.received.is_amid());
    }

    /// Notes whether the kernel takes nothing more. What waits behind that moves for as long as the client
    /// acknowledges something: the kernel takes on what may be on its way to a slow client for seconds.
    fn written<T>(&mut self, written: Poll<T>) -> Poll<T> {
        let (account, is_blocked) = (self.streams.inflow().account(), written.is_pending());
        account.set_blocked(is_blocked);
        let asked = self.streams.asked();
        if asked.is_empty() {
            return written;
        }
        let now = self.socket.borrow().get_ref().unacknowledged();
        let moves = std::mem::replace(&mut self.unacknowledged, now) != now || !is_blocked;
        if moves {
            account.drain();
        }
        for watch in asked {
            if moves { watch.spare() } else { watch.judge() }
        }
        written
    }

    /// Waits until the connection holds less than its share.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.streams.inflow().poll_room(cx).is_pending() {
            self.streams.overdraw();
            let look = self.look.get_or_insert_with(|| Box::pin(sleep(LOOK)));
            ready!(look.as_mut().poll(cx));
            self.look = None;
        }
        self.look = None;
        Poll::Ready(())
    }
}

impl AsyncRead for FollowedFrames {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.turn.poll(cx));
        ready!(self.poll_room(cx));
        let before = buf.filled().len();
        // With the header behind it.
        let most = (self.received.scanner.left() + scan::HEADER).max(PIECE);
        let mut socket = self.socket.borrow_mut();
        socket.set_limit(most as u64);
        let read = Pin::new(&mut *socket).poll_read(cx, buf);
        drop(socket);
        if read.is_pending() {
            self.turn.pass();
        }
        ready!(read)?;
        self.note(&buf.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for FollowedFrames {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(self.socket.borrow_mut().get_mut()).poll_write(cx, buf);
        let written = ready!(self.written(written))?;
        let Self { sent, streams, .. } = &mut *self;
        sent.wrote(&buf[..written], streams.inflow());
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(self.socket.borrow_mut().get_mut()).poll_write_vectored(cx, bufs);
        let written = ready!(self.written(written))?;
        let Self { sent, streams, .. } = &mut *self;
        let mut left = written;
        for buf in bufs {
            let len = buf.len().min(left);
            sent.wrote(&buf[..len], streams.inflow());
            left -= len;
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.borrow().get_ref().is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(self.socket.borrow_mut().get_mut()).poll_flush(cx);
        self.written(flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.socket.borrow_mut().get_mut()).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::memory::{Budget, Ledger};

    fn mk_inflow() -> Rc<Inflow> {
        let ledger = Ledger::new(Budget::new(1 << 30), Arc::default());
        Inflow::new(Account::open(&ledger), 65_535)
    }

    fn frame(kind: u8, flags: u8, len: usize) -> Vec<u8> {
        let [_, a, b, c] = u32::try_from(len).expect("short").to_be_bytes();
        let mut frame = vec![a, b, c, kind, flags, 0, 0, 0, 1];
        frame.resize(scan::HEADER + len, b'x');
        frame
    }

    #[test]
    fn a_head_is_amid_until_the_frame_that_ends_it_is_whole_however_it_is_cut() {
        let mut bytes = vec![b'P'; PREFACE];
        let mut amid = vec![true; PREFACE - 1];
        amid.push(false);
        for (frame, ends) in [
            (frame(4, 0, 12), true),
            (frame(HEADERS, 0, 5), false),
            (frame(CONTINUATION, 0, 0), false),
            (frame(CONTINUATION, END_HEADERS, 3), true),
            (frame(8, 0, 4), true),
        ] {
            amid.extend(vec![true; frame.len() - 1]);
            amid.push(!ends);
            bytes.extend(frame);
        }
        for size in 1..bytes.len() {
            let mut frames = Received::new();
            let mut read = 0;
            for piece in bytes.chunks(size) {
                frames.read(piece, &mk_inflow());
                read += piece.len();
                assert_eq!(frames.is_amid(), amid[read - 1], "{read} bytes, in pieces of {size}");
            }
        }
    }

    #[test]
    fn data_that_is_on_its_way_is_for_its_stream_to_watch() {
        let mut frames = Received::new();
        frames.read(&[b'P'; PREFACE], &mk_inflow());
        let data = frame(DATA, 0, 100);
        frames.read(&data[..50], &mk_inflow());
        assert!(!frames.is_amid());
        frames.read(&data[50..], &mk_inflow());
        frames.read(&frame(HEADERS, END_HEADERS, 100)[..50], &mk_inflow());
        assert!(frames.is_amid());
    }

    #[test]
    fn resets_and_windows_that_we_send_are_seen_however_they_are_cut() {
        let mut bytes = frame(WINDOW_UPDATE, 0, 0);
        bytes[2] = 4;
        bytes[8] = 0;
        bytes.extend(1000_u32.to_be_bytes());
        bytes.extend(frame(DATA, 0, 30));
        let mut reset = frame(RST_STREAM, 0, 4);
        reset[8] = 3;
        bytes.extend(reset);
        for size in 1..=bytes.len() {
            let inflow = mk_inflow();
            inflow.received(1, 1000);
            let mut sent = Sent::new();
            for piece in bytes.chunks(size) {
                sent.wrote(piece, &inflow);
            }
            assert_eq!(inflow.held(), 0, "pieces of {size}");
            inflow.received(3, 10);
            assert_eq!(inflow.held(), 0, "pieces of {size}");
        }
    }
}
