//! The body of an answer, read from its connection as it is asked for.

use super::connection::{Shared, State};
use super::head::ResponseFraming;
use super::upgraded::Http1Upgraded;
use crate::net::http1::{BadChunk, BodyDecoder, Decoded};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// The body of a response in HTTP/1.1.
#[derive(Debug)]
pub struct Http1Body {
    /// Until its end.
    source: Option<(Rc<Shared>, ResponseFraming)>,
    /// It has broken off, which is told in the next turn: who takes it sends what came before first.
    failed: Option<Http1BodyError>,
}

/// Why a body is not all there.
#[derive(Debug, thiserror::Error)]
pub enum Http1BodyError {
    /// The connection failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The connection ended before it.
    #[error("the connection ended before the end of the body")]
    Truncated,
    /// It breaks its own framing.
    #[error(transparent)]
    BadChunk(#[from] BadChunk),
}

impl Http1Body {
    pub(super) fn new(shared: Rc<Shared>, framing: ResponseFraming) -> Self {
        Self { source: Some((shared, framing)), failed: None }
    }

    /// No body.
    pub(super) fn none() -> Self {
        Self { source: None, failed: None }
    }

    pub(in crate::upstream) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Http1BodyError>>> {
        let Some((shared, framing)) = &mut self.source else {
            return Poll::Ready(self.failed.take().map(Err));
        };
        // Another protocol is no body, and its connection no other request's.
        let ResponseFraming::Body(body) = framing else { return Poll::Ready(None) };
        let frame = ready!(shared.with(|state| state.poll_frame(cx, body)));
        if frame.is_none() || body.is_ended() {
            // Another request may be on it from now on.
            self.source = None;
        }
        if let Some(Err(error)) = frame {
            return self.fail(cx, error);
        }
        Poll::Ready(frame)
    }

    #[cold]
    fn fail<T>(&mut self, cx: &Context<'_>, error: Http1BodyError) -> Poll<T> {
        self.source = None;
        self.failed = Some(error);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    pub(in crate::upstream) fn is_end_stream(&self) -> bool {
        self.source.is_none() && self.failed.is_none()
    }

    pub(in crate::upstream) fn size_hint(&self) -> SizeHint {
        match &self.source {
            None if self.failed.is_some() => SizeHint::default(),
            None => SizeHint::with_exact(0),
            Some((_, ResponseFraming::Body(body))) => {
                body.left().map_or_else(SizeHint::default, SizeHint::with_exact)
            }
            Some((_, ResponseFraming::Upgrade)) => SizeHint::default(),
        }
    }

    /// The connection, if its pod has agreed to change the protocol.
    pub(in crate::upstream) fn upgrade(&mut self) -> Option<Http1Upgraded> {
        let (shared, ResponseFraming::Upgrade) = self.source.take()? else { return None };
        let (stream, early) = shared.with(State::take_stream)?;
        Some(Http1Upgraded::new(stream, early))
    }
}

impl State {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut BodyDecoder,
    ) -> Poll<Option<Result<Frame<Bytes>, Http1BodyError>>> {
        let polled = ready!(self.poll_part(cx, body));
        if !matches!(polled, Some(Err(_))) && (polled.is_none() || body.is_ended()) {
            self.is_answered = true;
            self.reader = None;
        }
        Poll::Ready(polled)
    }

    fn poll_part(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut BodyDecoder,
    ) -> Poll<Option<Result<Frame<Bytes>, Http1BodyError>>> {
        loop {
            match body.decode(&mut self.input.bytes) {
                Ok(Decoded::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(Decoded::Trailers(map)) => return Poll::Ready(Some(Ok(Frame::trailers(map)))),
                Ok(Decoded::End) => return Poll::Ready(None),
                Ok(Decoded::More) => {}
                Err(error) => return Poll::Ready(Some(Err(error.into()))),
            }
            let Some(stream) = &mut self.stream else {
                return Poll::Ready(Some(Err(Http1BodyError::Truncated)));
            };
            let Poll::Ready(read) = self.input.poll_read(cx, stream, body.left()) else {
                if !self.is_sent {
                    // Who sends the rest of the request may close the connection.
                    self.reader = Some(cx.waker().clone());
                }
                return Poll::Pending;
            };
            match (read, &*body) {
                (Ok(0), BodyDecoder::UntilClose) => {
                    self.stream = None;
                    return Poll::Ready(None);
                }
                (Ok(0), _) => return Poll::Ready(Some(Err(Http1BodyError::Truncated))),
                (Ok(_), _) => {}
                (Err(error), _) => return Poll::Ready(Some(Err(error.into()))),
            }
        }
    }
}
