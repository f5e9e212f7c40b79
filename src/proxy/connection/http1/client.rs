//! A client's connection, as the task that serves it and the body of its request share it.

use super::head::{self, RequestHead};
use super::response;
use crate::error::Reason;
use crate::http::{self as stage, ClientSocket};
use crate::net::deadline::Phase;
use crate::net::http1::{
    BadChunk, BodyDecoder, ChunkGrammar, Chunked, Decoded, Input, MessageOutput,
};
use crate::net::memory::HeadCharge;
use crate::net::message::{InterimSink, ResponseParts};
use crate::net::turns::{TurnPlace, Turns};
use crate::proxy::Downstream;
use crate::upstream::body::Piece;
use bytes::{Buf, Bytes};
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// The most bytes of interim responses that wait for a client.
const MOST_INTERIM: usize = 16 * 1024;

/// A connection and what is under way on it.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) downstream: Rc<Downstream>,
    /// What is to be written. By itself, as the body of an answer is read into it, and who reads that may ask for the body of
    /// the request.
    pub(super) output: RefCell<MessageOutput<Piece>>,
    state: RefCell<State>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) socket: ClientSocket,
    pub(super) input: Input,
    /// What is still to come of the body of the request.
    body: BodyDecoder,
    /// The grammar of a chunked body, until its end was read: what is decoded has been checked.
    grammar: Option<ChunkGrammar>,
    /// The connection, or the framing of the body, has failed.
    is_broken: bool,
    /// The number of the request that the body is of.
    request: u32,
    /// 100 is to be sent before the body is waited for.
    owes_continue: bool,
    turns: Turns,
    turn: TurnPlace,
    /// The next read of a body waits for its turn. The first does not: with it, what follows a head leaves with the head.
    takes_turns: bool,
    held: HeadCharge,
    /// Bytes that the client had not acknowledged when its stall was last checked.
    unacknowledged: Option<u64>,
}

/// Why there is no request.
#[derive(Debug)]
pub(super) enum NoRequest {
    /// The client has ended the connection.
    Closed,
    /// It cannot be read. The first line, as far as it is for the log, is that of the input.
    Refused(Reason),
}

impl Client {
    pub(super) fn new(downstream: Rc<Downstream>, socket: ClientSocket) -> Rc<Self> {
        let turns = downstream.worker.body_turns.clone();
        let state = State {
            socket,
            input: Input::empty(),
            body: BodyDecoder::Length(0),
            grammar: None,
            is_broken: false,
            request: 0,
            owes_continue: false,
            turns,
            turn: TurnPlace::default(),
            takes_turns: false,
            held: HeadCharge::new(Arc::clone(&downstream.account)),
            unacknowledged: None,
        };
        let output = RefCell::new(MessageOutput::empty());
        Rc::new(Self { downstream, output, state: RefCell::new(state) })
    }

    /// Does something with its state.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.borrow_mut())
    }

    /// What comes next of the body of the request. An error: it broke off, or breaks its own framing.
    pub(super) fn poll_body(&self, cx: &mut Context<'_>) -> Poll<Result<Decoded, BadChunk>> {
        let polled = self.with(|state| state.poll_body(cx));
        // A client that sends has not waited.
        if self.with(|state| std::mem::take(&mut state.owes_continue)) && polled.is_pending() {
            self.go_on(cx);
        }
        polled
    }

    /// Has the client send its body. Not while an answer is on its way: the socket wakes one writer.
    #[cold]
    fn go_on(&self, cx: &mut Context<'_>) {
        let Ok(mut output) = self.output.try_borrow_mut() else { return };
        if output.is_empty() {
            output.text().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            self.begin_to_write(&mut output, cx);
        }
    }

    /// Writes what is taken at once; the rest leaves with the answer.
    fn begin_to_write(&self, output: &mut MessageOutput<Piece>, cx: &mut Context<'_>) {
        self.with(|state| {
            if output.poll_write(cx, &mut state.socket).is_ready() {
                let _ = Pin::new(&mut state.socket).poll_flush(cx);
            }
        });
    }

    /// The connection, and what was read of it.
    pub(super) fn into_socket(self) -> (ClientSocket, Bytes) {
        let mut state = self.state.into_inner();
        (state.socket, state.input.bytes.split().freeze())
    }
}

impl InterimSink for Client {
    fn pass(&self, mut head: ResponseParts, cx: &mut Context<'_>) {
        let Ok(mut output) = self.output.try_borrow_mut() else { return };
        stage::clean_interim(&mut head.headers);
        if output.waiting() > MOST_INTERIM {
            return;
        }
        response::write_interim(output.text(), &head);
        self.begin_to_write(&mut output, cx);
        // A pod that says that it works on the request is not silent.
        let Downstream { worker, watch, .. } = &*self.downstream;
        watch.prolong(worker.config.timeouts.response_head);
    }
}

impl State {
    /// Reads the next request head.
    pub(super) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        downstream: &Downstream,
    ) -> Poll<Result<RequestHead, NoRequest>> {
        let refused = |reason| Poll::Ready(Err(NoRequest::Refused(reason)));
        let most = downstream.worker.config.limits.header_block;
        loop {
            self.skip_empty_lines();
            while self.input.may_be_whole() {
                match head::read(&mut self.input, most) {
                    Ok(Some(head)) => {
                        self.begin(&head);
                        return Poll::Ready(Ok(head));
                    }
                    Ok(None) => self.input.seen = self.input.bytes.len(),
                    Err(reason) => return refused(reason),
                }
            }
            if self.input.bytes.len() > most {
                return refused(Reason::HeadersTooLarge);
            }
            let read = if self.input.bytes.is_empty() {
                // Most connections are idle most of the time.
                self.poll_first(cx)
            } else {
                begin_head(downstream);
                self.input.poll_read(cx, &mut self.socket, None)
            };
            let Ok(1..) = ready!(read) else { return Poll::Ready(Err(NoRequest::Closed)) };
            begin_head(downstream);
            if !self.held.has_room(self.input.bytes.len()) {
                return refused(Reason::MemoryExhausted);
            }
        }
    }

    /// Drops empty lines before a request, which some clients send behind a body (RFC 9112 section 2.2).
    fn skip_empty_lines(&mut self) {
        let bytes = &mut self.input.bytes;
        while let [b'\r', b'\n', ..] | [b'\n', ..] = bytes[..] {
            bytes.advance(if bytes[0] == b'\r' { 2 } else { 1 });
            self.input.seen = 0;
        }
    }

    fn begin(&mut self, head: &RequestHead) {
        self.held.release();
        self.input.seen = 0;
        self.request = self.request.wrapping_add(1);
        self.owes_continue = head.expects_continue;
        self.takes_turns = false;
        (self.body, self.grammar) = match head.length {
            Some(length) => (BodyDecoder::Length(length), None),
            None => (BodyDecoder::Chunked(Chunked::begin()), Some(ChunkGrammar::begin())),
        };
        self.check(0);
    }

    /// Gives the room for a head back, unless the next one is here.
    pub(super) fn rest(&mut self) {
        if self.input.bytes.is_empty() {
            self.input.rest();
        }
    }

    /// Checks the grammar of what was read of a chunked body, from this byte of the input on.
    fn check(&mut self, from: usize) {
        let Some(grammar) = &mut self.grammar else { return };
        match grammar.read(self.input.bytes.get(from..).unwrap_or_default()) {
            Ok((_, true)) => self.grammar = None,
            Ok((_, false)) => {}
            Err(BadChunk) => self.is_broken = true,
        }
    }

    /// Whether the body of the request has been read to its end.
    pub(super) fn is_read(&self) -> bool {
        self.left() == Some(0)
    }

    /// How much of the body is still to come, if it is known.
    pub(super) fn left(&self) -> Option<u64> {
        self.body.left().filter(|_| !self.is_broken)
    }

    /// The number of the request that is read.
    pub(super) fn request(&self) -> u32 {
        self.request
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<Decoded, BadChunk>> {
        loop {
            match self.decode()? {
                Decoded::More => {}
                decoded => return Poll::Ready(Ok(decoded)),
            }
            if std::mem::replace(&mut self.takes_turns, true) {
                ready!(self.turns.poll(&mut self.turn, cx));
            }
            let before = self.input.bytes.len();
            match ready!(self.poll_more(cx)) {
                Ok(1..) => {}
                Ok(0) | Err(_) => self.is_broken = true,
            }
            self.turns.count();
            self.check(before);
        }
    }

    /// Reads more of a body. A client that is waited for holds no room.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let left = self.left();
        if !self.input.bytes.is_empty() {
            return self.input.poll_read(cx, &mut self.socket, left);
        }
        if !self.input.may_have_more() {
            ready!(self.socket.poll_readable(cx))?;
        }
        let polled = self.input.poll_read(cx, &mut self.socket, left);
        if polled.is_pending() {
            self.input.rest();
        }
        polled
    }

    fn decode(&mut self) -> Result<Decoded, BadChunk> {
        if self.is_broken { Err(BadChunk) } else { self.body.decode(&mut self.input.bytes) }
    }

    /// Reads the first bytes of a request, or the end. Takes room for them only once they are here.
    fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if !self.input.may_have_more() {
            ready!(self.socket.poll_readable(cx))?;
        }
        self.input.begin();
        let polled = self.input.poll_read(cx, &mut self.socket, None);
        if polled.is_pending() {
            self.input.rest();
        }
        polled
    }

    /// Waits for the end of the connection while a request is answered. What comes is kept, as far as one read takes it:
    /// it is the next request.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_read() || !self.input.bytes.is_empty() {
            return Poll::Pending;
        }
        match ready!(self.poll_first(cx)) {
            Ok(0) => Poll::Ready(Ok(())),
            Ok(_) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Whether the client has acknowledged something since it was last asked, or was never asked. The kernel buffers,
    /// which may be seconds of a slow client.
    pub(super) fn acknowledges(&mut self, downstream: &Downstream) -> bool {
        let now = self.socket.unacknowledged();
        let moves = std::mem::replace(&mut self.unacknowledged, now) != now;
        if moves {
            downstream.account.move_on();
        }
        moves
    }

    /// Reads what is here already of a body that nobody wants, up to so many bytes. Ready with whether that was the rest;
    /// pending if its client is sending the rest.
    pub(super) fn drain(&mut self, mut most: usize) -> Poll<bool> {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        // It may send the body anyway, or the next request in its place.
        let waits = std::mem::take(&mut self.owes_continue);
        match self.poll_rest(&mut most, &mut cx) {
            Poll::Pending if waits => Poll::Ready(false),
            polled => polled,
        }
    }

    /// Reads the rest of a body that nobody wants. Ready once it has ended, or with `false`: it is broken, or longer.
    pub(super) fn poll_rest(&mut self, most: &mut usize, cx: &mut Context<'_>) -> Poll<bool> {
        while !self.is_read() {
            match ready!(self.poll_body(cx)) {
                Ok(Decoded::Data(data)) if data.len() <= *most => *most -= data.len(),
                Ok(Decoded::Trailers(_) | Decoded::End) => {}
                _ => return Poll::Ready(false),
            }
        }
        Poll::Ready(true)
    }
}

/// Begins the time that a head has, from its first byte on.
fn begin_head(downstream: &Downstream) {
    let watch = &downstream.watch;
    if watch.phase() == Phase::Idle {
        watch.enter(Phase::Head, downstream.worker.config.timeouts.request_head);
    }
}
