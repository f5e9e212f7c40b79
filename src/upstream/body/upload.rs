//! Where an upload stands, and who reads it.

use super::inbound::Inbound;
use super::kept::Kept;
use super::piece::Flow;
use crate::net::deadline::{Phase, Watch};
use crate::net::memory::Moved;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// An upload: shared by the request, which waits, and by the reader of its body, which moves from
/// connection to connection.
#[derive(Debug)]
pub struct Upload<B: Body = Inbound> {
    watch: Rc<Watch>,
    /// Data that the upstream has not taken.
    flow: Arc<Flow>,
    limits: Cell<UploadLimits>,
    /// The most bytes that it may have.
    most: Cell<u64>,
    bytes: Cell<u64>,
    state: Cell<UploadState>,
    source: RefCell<Source<B>>,
    /// The number of the reader that may read: the last one.
    reader: Cell<u32>,
    /// Whether that one is still there.
    is_read: Cell<bool>,
    /// No attempt will read it from its beginning again.
    settled: Cell<bool>,
}

#[derive(Debug)]
struct Source<B> {
    /// As hyper reads it. Nothing once it is not wanted any more.
    incoming: Option<B>,
    /// It has been read to its end.
    ended: bool,
    /// How much of it was unread when it was not wanted any more, if that was known.
    rest: Option<u64>,
    kept: Kept,
}

impl<B: Body> Source<B> {
    /// How much of it has not been read, if that is known.
    fn rest(&self) -> Option<u64> {
        match &self.incoming {
            _ if self.ended => Some(0),
            Some(incoming) => incoming.size_hint().exact(),
            None => self.rest,
        }
    }
}

/// How long an upload may stall, and how long the upstream may take to respond afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadLimits {
    /// Between two pieces of the body.
    pub progress: Duration,
    /// From the end of the body to the response head.
    pub response_head: Duration,
}

/// Which side has to make progress next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadState {
    /// The upstream, which takes no more.
    AwaitsUpstream,
    /// The client, which sends no more.
    AwaitsClient,
    /// Nobody: the body is through.
    Done,
    /// The client broke off or broke the framing.
    Failed,
    /// Nobody: the client has sent more than it may.
    TooLarge,
}

impl<B: Body> Upload<B> {
    /// An upload that has not begun.
    pub fn new(watch: Rc<Watch>, flow: Arc<Flow>, limits: UploadLimits, incoming: B) -> Rc<Self> {
        let kept = Kept::new(Arc::clone(flow.account()));
        let source = Source { incoming: Some(incoming), ended: false, rest: None, kept };
        Rc::new(Self {
            watch,
            flow,
            limits: Cell::new(limits),
            most: Cell::new(u64::MAX),
            bytes: Cell::new(0),
            state: Cell::new(UploadState::AwaitsUpstream),
            source: RefCell::new(source),
            reader: Cell::new(0),
            is_read: Cell::new(false),
            settled: Cell::new(false),
        })
    }

    /// How much of it has not been read, if that is known: 0 at its end.
    pub fn rest(&self) -> Option<u64> {
        self.source.borrow().rest()
    }

    /// The part of it that is on its way upstream.
    pub fn flow(&self) -> &Arc<Flow> {
        &self.flow
    }

    /// Where it is noted that something of it has left.
    pub fn moved(&self) -> &Arc<Moved> {
        self.watch.moved()
    }

    /// Body bytes that were received and passed on so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// Which side has to make progress next.
    pub fn state(&self) -> UploadState {
        self.state.get()
    }

    /// Its limits.
    pub fn limits(&self) -> UploadLimits {
        self.limits.get()
    }

    /// Sets other limits, for what moves from now on.
    pub fn set_limits(&self, limits: UploadLimits) {
        self.limits.set(limits);
    }

    /// Bounds it to so many bytes. Whether it is not known to have more.
    pub fn may_have(&self, most: u64) -> bool {
        self.most.set(most);
        self.rest().is_none_or(|rest| self.bytes() + rest <= most)
    }

    /// The most bytes that it may have.
    pub fn most(&self) -> u64 {
        self.most.get()
    }

    /// Keeps so many bytes of it, if that is more than usual and there is memory for them, so that it can be read
    /// again.
    pub fn keep(&self, most: usize) {
        self.source.borrow_mut().kept.allow(most);
    }

    /// All of it, if it has been read to its end and is kept.
    pub fn whole(&self) -> Option<Bytes> {
        let source = self.source.borrow();
        (source.ended && !source.kept.is_closed()).then(|| source.kept.whole())
    }

    fn has_no_room_for(&self, frame: &Frame<Bytes>) -> bool {
        frame.data_ref().is_some_and(|data| data.len() as u64 > self.most.get() - self.bytes.get())
    }

    /// Notes that it has more than it may, which ends the exchange.
    fn exceed(&self) {
        self.state.set(UploadState::TooLarge);
        self.watch.expire();
    }

    /// Reads it from its beginning; `None` if that is not there any more. A reader of before reads
    /// nothing from now on.
    pub fn read(self: &Rc<Self>) -> Option<Reader<B>> {
        let source = self.source.borrow();
        if source.kept.is_closed() || self.settled.get() {
            return None;
        }
        self.state.set(UploadState::AwaitsUpstream);
        self.reader.set(self.reader.get().wrapping_add(1));
        self.is_read.set(true);
        Some(Reader { upload: Rc::clone(self), number: self.reader.get(), at: 0 })
    }

    /// Notes that it will not be read from its beginning again: the request has its answer. What
    /// nobody reads any more is dropped, as the client's connection then knows that it is not wanted.
    pub fn settle(&self) {
        self.settled.set(true);
        self.source.borrow_mut().kept.close();
        if !self.is_read.get() {
            self.forget();
        }
    }

    /// Notes that what was read of it is still to be sent.
    pub(super) fn restart(&self) {
        self.state.set(UploadState::AwaitsUpstream);
    }

    /// Notes that what was read of it has been sent.
    pub(super) fn finish(&self) {
        self.progress(0, true);
    }

    fn forget(&self) {
        let incoming = {
            let mut source = self.source.borrow_mut();
            source.kept.clear();
            source.rest = source.rest();
            source.incoming.take()
        };
        // Not while it is borrowed: the connection may look at what becomes of it.
        drop(incoming);
    }

    fn progress(&self, bytes: usize, ended: bool) {
        self.bytes.set(self.bytes.get() + bytes as u64);
        let limits = self.limits.get();
        let limit = if ended { limits.response_head } else { limits.progress };
        if ended {
            self.state.set(UploadState::Done);
        }
        match self.watch.phase() {
            Phase::Exchange => self.watch.enter(Phase::Exchange, limit),
            // The response has begun before the request ended: movement either way keeps both.
            Phase::Response => self.watch.enter(Phase::Response, limits.progress),
            Phase::Handshake | Phase::Idle | Phase::Head | Phase::Tunnel => {}
        }
    }
}

/// Reads an upload from its start: the kept part, then what arrives from the client.
#[derive(Debug)]
pub struct Reader<B: Body = Inbound> {
    upload: Rc<Upload<B>>,
    number: u32,
    /// The byte that comes next.
    at: usize,
}

impl<B: Body> Reader<B> {
    /// The upload that it reads.
    pub fn upload(&self) -> &Rc<Upload<B>> {
        &self.upload
    }

    /// Whether no other reader has begun since.
    fn is_last(&self) -> bool {
        self.number == self.upload.reader.get()
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Reader<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        if !this.is_last() || this.upload.state() == UploadState::TooLarge {
            // Its connection has failed, or is no longer wanted, and is about to be dropped.
            return Poll::Pending;
        }
        let upload = &*this.upload;
        let source = &mut *upload.source.borrow_mut();
        // Otherwise the upstream's buffer would fill with what it does not take.
        ready!(upload.flow.poll_room(cx));
        if let Some(piece) = source.kept.from(this.at) {
            this.at += piece.len();
            upload.progress(0, source.ended && this.at == source.kept.len());
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        let Some(incoming) = source.incoming.as_mut().filter(|_| !source.ended) else {
            upload.progress(0, true);
            return Poll::Ready(None);
        };
        upload.state.set(UploadState::AwaitsClient);
        let frame = ready!(Pin::new(&mut *incoming).poll_frame(cx));
        upload.state.set(UploadState::AwaitsUpstream);
        match &frame {
            Some(Ok(frame)) if upload.has_no_room_for(frame) => {
                source.kept.close();
                upload.exceed();
                return Poll::Pending;
            }
            Some(Ok(frame)) => {
                source.ended = incoming.is_end_stream() || frame.is_trailers();
                match frame.data_ref() {
                    Some(data) => source.kept.push(data),
                    // Trailers would have to be kept as well, and hardly any request has them.
                    None => source.kept.close(),
                }
                this.at = source.kept.len();
                upload.progress(frame.data_ref().map_or(0, Bytes::len), source.ended);
            }
            None => {
                source.ended = true;
                upload.progress(0, true);
            }
            Some(Err(_)) => {
                source.kept.close();
                upload.state.set(UploadState::Failed);
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        let source = self.upload.source.borrow();
        let incoming = || source.incoming.as_ref().is_none_or(B::is_end_stream);
        self.is_last() && self.at >= source.kept.len() && (source.ended || incoming())
    }

    fn size_hint(&self) -> SizeHint {
        let source = self.upload.source.borrow();
        let kept = source.kept.len().saturating_sub(self.at) as u64;
        let rest = match &source.incoming {
            Some(incoming) if !source.ended => incoming.size_hint(),
            _ => SizeHint::with_exact(0),
        };
        let mut whole = SizeHint::new();
        whole.set_lower(rest.lower() + kept);
        if let Some(upper) = rest.upper() {
            whole.set_upper(upper + kept);
        }
        whole
    }
}

impl<B: Body> Drop for Reader<B> {
    fn drop(&mut self) {
        if self.is_last() {
            self.upload.is_read.set(false);
            if self.upload.settled.get() {
                self.upload.forget();
            }
        }
    }
}
