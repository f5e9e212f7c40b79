//! A pod's body on its way through the compressor of `compress`.
//!
//! A slice is compressed when the client's connection can take more: the first by the worker, which does something
//! else after it, the others by threads for that. Where the pod pauses, what the compressor keeps is sent, so that no stream is held up.

use super::response_body::Truncated;
use crate::proxy::middleware::{BodyEncoder, SLICE, Then, Waiting};
use crate::upstream::ReplyBody;
use crate::upstream::body::clean_trailers;
use bytes::Bytes;
use http_body::{Body, Frame};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A body and its compressor.
#[derive(Debug)]
pub(super) struct EncodedBody {
    source: ReplyBody,
    encoder: Box<BodyEncoder>,
    waiting: Waiting,
    trailers: Option<Frame<Bytes>>,
    /// Whether the compressor has something to give out.
    is_busy: bool,
    /// Whether that is the last of it.
    is_last: bool,
    /// Bytes that this worker has compressed since it last did something else.
    worked: usize,
    /// Whether the compressed body is at its end; trailers may be left.
    ended: bool,
}

type Polled = Poll<Option<Result<Frame<Bytes>, Truncated>>>;

impl EncodedBody {
    pub(super) fn new(source: ReplyBody, encoder: Box<BodyEncoder>) -> Self {
        let waiting = Waiting::none(encoder.account());
        let (is_busy, is_last, ended) = (false, false, false);
        Self { source, encoder, waiting, trailers: None, is_busy, is_last, worked: 0, ended }
    }

    /// Whether there is nothing left to send.
    pub(super) fn is_through(&self) -> bool {
        self.ended && self.trailers.is_none()
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled {
        loop {
            if self.is_busy {
                let output = ready!(self.encoder.poll_output(cx));
                self.is_busy = false;
                self.ended = self.is_last;
                match output {
                    Ok(output) if output.is_empty() => {}
                    output => return sent(output),
                }
            }
            if self.ended {
                return Poll::Ready(self.trailers.take().map(Ok));
            }
            if self.worked >= SLICE {
                self.worked = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if let Some(slice) = self.waiting.next_slice() {
                let is_last = self.waiting.is_empty() && self.source.is_end_stream();
                self.begin(slice, if is_last { Then::Finish } else { Then::GoOn });
                continue;
            }
            let Poll::Ready(frame) = Pin::new(&mut self.source).poll_frame(cx) else {
                self.worked = 0;
                if !self.encoder.keeps() {
                    return Poll::Pending;
                }
                self.begin(Bytes::new(), Then::Flush);
                continue;
            };
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => self.waiting.put(data),
                Some(Ok(Err(frame))) => {
                    self.trailers = clean_trailers(frame);
                    self.begin(Bytes::new(), Then::Finish);
                }
                // Without its end the client sees that something is missing.
                Some(Err(_)) => return Poll::Ready(Some(Err(Truncated))),
                None => self.begin(Bytes::new(), Then::Finish),
            }
        }
    }

    fn begin(&mut self, slice: Bytes, then: Then) {
        let bytes = slice.len();
        self.encoder.begin_slice(slice, then);
        self.is_busy = true;
        self.is_last = then == Then::Finish;
        if !self.encoder.is_away() {
            self.worked += bytes;
        }
    }
}

fn sent(output: std::io::Result<Vec<u8>>) -> Polled {
    let frame = output.map(|output| Frame::data(Bytes::from(output)));
    Poll::Ready(Some(frame.map_err(|_| Truncated)))
}
