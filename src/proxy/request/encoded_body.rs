//! A pod's body on its way through the compressor of `compress`.
//!
//! A slice is compressed when the client's connection can take more. After each full slice the worker does
//! something else first. Where the pod pauses, what the compressor keeps is sent, so that no stream is held up.

use super::response_body::Truncated;
use crate::proxy::middleware::{BodyEncoder, SLICE, Waiting};
use crate::upstream::ReplyBody;
use crate::upstream::body::clean_trailers;
use bytes::Bytes;
use http_body::{Body, Frame};
use std::pin::Pin;
use std::task::{Context, Poll};

/// A body and its compressor.
#[derive(Debug)]
pub(super) struct EncodedBody {
    source: ReplyBody,
    encoder: Box<BodyEncoder>,
    waiting: Waiting,
    trailers: Option<Frame<Bytes>>,
    /// Bytes that were compressed since the worker last did something else.
    worked: usize,
    /// Whether the compressed body is at its end; trailers may be left.
    ended: bool,
}

type Polled = Poll<Option<Result<Frame<Bytes>, Truncated>>>;

impl EncodedBody {
    pub(super) fn new(source: ReplyBody, encoder: Box<BodyEncoder>) -> Self {
        let waiting = Waiting::none(encoder.account());
        Self { source, encoder, waiting, trailers: None, worked: 0, ended: false }
    }

    /// Whether there is nothing left to send.
    pub(super) fn is_through(&self) -> bool {
        self.ended && self.trailers.is_none()
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled {
        loop {
            if self.ended {
                return Poll::Ready(self.trailers.take().map(Ok));
            }
            if self.worked >= SLICE {
                self.worked = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if let Some(slice) = self.waiting.next_slice() {
                self.worked += slice.len();
                let is_last = self.waiting.is_empty() && self.source.is_end_stream();
                let output = self.encoder.encode(&slice).and_then(|mut output| {
                    if is_last {
                        output.extend(self.encoder.finish()?);
                    }
                    Ok(output)
                });
                self.ended = is_last;
                match output {
                    Ok(output) if output.is_empty() => continue,
                    output => return sent(output),
                }
            }
            let Poll::Ready(frame) = Pin::new(&mut self.source).poll_frame(cx) else {
                self.worked = 0;
                return match self.encoder.keeps() {
                    true => sent(self.encoder.flush()),
                    false => Poll::Pending,
                };
            };
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => self.waiting.put(data),
                Some(Ok(Err(frame))) => {
                    self.trailers = clean_trailers(frame);
                    self.ended = true;
                    return sent(self.encoder.finish());
                }
                // Without its end the client sees that something is missing.
                Some(Err(_)) => return Poll::Ready(Some(Err(Truncated))),
                None => {
                    self.ended = true;
                    return sent(self.encoder.finish());
                }
            }
        }
    }
}

fn sent(output: std::io::Result<Vec<u8>>) -> Polled {
    let frame = output.map(|output| Frame::data(Bytes::from(output)));
    Poll::Ready(Some(frame.map_err(|_| Truncated)))
}
