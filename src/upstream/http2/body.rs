//! A response body on its stream.
//!
//! A stream that is reset is truncated, whatever the code. The one exception is RFC 9113 section
//! 8.1: a server that has sent all of its response and wants no more of the request says so by a
//! reset with NO_ERROR. It counts as that only while the request is still under way (a stream that
//! is through on both sides takes no reset) and no announced length is missed.

use super::resets::{GivenUp, Resets};
use super::upload::Sent;
use crate::net::fields::Fields;
use crate::net::http2::ReceivedBody;
use bytes::Bytes;
use h2::{Error, Reason, RecvStream};
use http::header;
use http_body::{Frame, SizeHint};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

/// The body of a response in HTTP/2.
#[derive(Debug)]
pub struct Http2Body {
    /// Taken when it is dropped.
    body: Option<ReceivedBody>,
    sent: Rc<Sent>,
    resets: Rc<Resets>,
    ended: bool,
}

impl Http2Body {
    pub(super) fn new(
        recv: RecvStream,
        headers: &impl Fields,
        sent: Rc<Sent>,
        resets: Rc<Resets>,
    ) -> Self {
        let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        let left = length.and_then(|length| length.parse().ok());
        Self { body: Some(ReceivedBody::new(recv, left)), sent, resets, ended: false }
    }

    pub(in crate::upstream) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Some(body) = self.body.as_mut().filter(|_| !self.ended) else {
            return Poll::Ready(None);
        };
        Poll::Ready(match ready!(body.poll_frame(cx)) {
            Some(Err(error)) => self.broken(error),
            frame => {
                self.ended |= !matches!(&frame, Some(Ok(frame)) if frame.is_data());
                frame
            }
        })
    }

    pub(in crate::upstream) fn is_end_stream(&self) -> bool {
        self.ended || self.body.as_ref().is_none_or(ReceivedBody::is_end_stream)
    }

    pub(in crate::upstream) fn size_hint(&self) -> SizeHint {
        match self.left() {
            _ if self.is_end_stream() => SizeHint::with_exact(0),
            Some(left) => SizeHint::with_exact(left),
            None => SizeHint::default(),
        }
    }

    fn left(&self) -> Option<u64> {
        self.body.as_ref().and_then(ReceivedBody::left)
    }

    fn broken(&mut self, error: Error) -> Option<Result<Frame<Bytes>, Error>> {
        self.ended = true;
        let is_no_error = error.is_reset() && error.reason() == Some(Reason::NO_ERROR);
        let is_early = !self.sent.ended.get() && self.left().is_none_or(|left| left == 0);
        if is_no_error && error.is_remote() && is_early { None } else { Some(Err(error)) }
    }
}

impl Drop for Http2Body {
    fn drop(&mut self) {
        if self.is_end_stream() {
            return;
        }
        if let Some(body) = self.body.take() {
            self.resets.give_up(GivenUp::Answer(body.into_stream()), Instant::now());
        }
    }
}
