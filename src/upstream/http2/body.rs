//! A response body on its stream.
//!
//! A stream that is reset is truncated, whatever the code. The one exception is RFC 9113 section
//! 8.1: a server that has sent all of its response and wants no more of the request says so by a
//! reset with NO_ERROR. It counts as that only while the request is still under way (a stream that
//! is through on both sides takes no reset) and no announced length is missed.

use super::resets::{GivenUp, Resets};
use super::upload::Sent;
use crate::net::fields::Fields;
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
    recv: Option<RecvStream>,
    sent: Rc<Sent>,
    resets: Rc<Resets>,
    /// Announced and yet to come, in bytes.
    left: Option<u64>,
    /// Only trailers are still to come.
    data_ended: bool,
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
        Self { recv: Some(recv), sent, resets, left, data_ended: false, ended: false }
    }

    pub(in crate::upstream) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Some(recv) = self.recv.as_mut().filter(|_| !self.ended) else {
            return Poll::Ready(None);
        };
        if !self.data_ended {
            match ready!(recv.poll_data(cx)) {
                Some(Ok(data)) => return Poll::Ready(Some(Ok(self.take(data)))),
                Some(Err(error)) => return Poll::Ready(self.broken(error)),
                None => self.data_ended = true,
            }
        }
        let trailers = ready!(recv.poll_trailers(cx));
        Poll::Ready(match trailers {
            Ok(trailers) => {
                self.ended = true;
                trailers.map(|trailers| Ok(Frame::trailers(trailers)))
            }
            Err(error) => self.broken(error),
        })
    }

    pub(in crate::upstream) fn is_end_stream(&self) -> bool {
        self.ended || self.recv.as_ref().is_none_or(RecvStream::is_end_stream)
    }

    pub(in crate::upstream) fn size_hint(&self) -> SizeHint {
        match self.left {
            _ if self.is_end_stream() => SizeHint::with_exact(0),
            Some(left) => SizeHint::with_exact(left),
            None => SizeHint::default(),
        }
    }

    /// Opens the window again by what is handed on: the client's connection takes it now.
    fn take(&mut self, data: Bytes) -> Frame<Bytes> {
        // An error: the stream is closed, and needs no window.
        if let Some(recv) = &mut self.recv {
            let _ = recv.flow_control().release_capacity(data.len());
        }
        self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
        Frame::data(data)
    }

    fn broken(&mut self, error: Error) -> Option<Result<Frame<Bytes>, Error>> {
        self.ended = true;
        let is_no_error = error.is_reset() && error.reason() == Some(Reason::NO_ERROR);
        let is_early = !self.sent.ended.get() && self.left.is_none_or(|left| left == 0);
        if is_no_error && error.is_remote() && is_early { None } else { Some(Err(error)) }
    }
}

impl Drop for Http2Body {
    fn drop(&mut self) {
        if self.is_end_stream() {
            return;
        }
        if let Some(recv) = self.recv.take() {
            self.resets.give_up(GivenUp::Answer(recv), Instant::now());
        }
    }
}
