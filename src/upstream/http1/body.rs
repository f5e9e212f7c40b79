//! The body of an answer, read from its connection as it is asked for.

use super::connection::{Shared, State};
use super::head::ResponseFraming;
use super::upgraded::Http1Upgraded;
use crate::net::http1::Decoded;
use bytes::{Bytes, BytesMut};
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
    #[error("the chunk framing is not valid (RFC 9112)")]
    BadChunk,
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
        let frame = ready!(shared.with(|state| state.poll_frame(cx, framing)));
        if frame.is_none() || framing.is_ended() {
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
            Some((_, ResponseFraming::Length(left))) => SizeHint::with_exact(*left),
            Some(_) => SizeHint::default(),
        }
    }

    /// The connection, if its pod has agreed to change the protocol.
    pub(in crate::upstream) fn upgrade(&mut self) -> Option<Http1Upgraded> {
        let (shared, ResponseFraming::Upgrade) = self.source.take()? else { return None };
        let (stream, early) = shared.with(State::take_stream)?;
        Some(Http1Upgraded::new(stream, early))
    }
}

impl ResponseFraming {
    /// Whether all of the body has been read.
    fn is_ended(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunked) => chunked.is_ended(),
            Self::UntilClose | Self::Upgrade => false,
        }
    }

    /// What comes next of the body, out of what was read.
    pub(super) fn decode(&mut self, bytes: &mut BytesMut) -> Result<Decoded, Http1BodyError> {
        Ok(match self {
            Self::Length(0) | Self::Upgrade => Decoded::End,
            Self::Chunked(chunked) => {
                let decoded = chunked.decode(bytes).map_err(|_| Http1BodyError::BadChunk)?;
                chunked.try_end(bytes);
                decoded
            }
            Self::Length(_) | Self::UntilClose if bytes.is_empty() => Decoded::More,
            Self::Length(left) => {
                let now = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= now as u64;
                Decoded::Data(bytes.split_to(now).freeze())
            }
            Self::UntilClose => Decoded::Data(bytes.split().freeze()),
        })
    }
}

impl State {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        framing: &mut ResponseFraming,
    ) -> Poll<Option<Result<Frame<Bytes>, Http1BodyError>>> {
        let polled = ready!(self.poll_part(cx, framing));
        if !matches!(polled, Some(Err(_))) && (polled.is_none() || framing.is_ended()) {
            self.is_answered = true;
            self.reader = None;
        }
        Poll::Ready(polled)
    }

    fn poll_part(
        &mut self,
        cx: &mut Context<'_>,
        framing: &mut ResponseFraming,
    ) -> Poll<Option<Result<Frame<Bytes>, Http1BodyError>>> {
        loop {
            match framing.decode(&mut self.input.bytes) {
                Ok(Decoded::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(Decoded::Trailers(map)) => return Poll::Ready(Some(Ok(Frame::trailers(map)))),
                Ok(Decoded::End) => return Poll::Ready(None),
                Ok(Decoded::More) => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
            let known = match framing {
                ResponseFraming::Length(left) => Some(*left),
                _ => None,
            };
            let Some(stream) = &mut self.stream else {
                return Poll::Ready(Some(Err(Http1BodyError::Truncated)));
            };
            let Poll::Ready(read) = self.input.poll_read(cx, stream, known) else {
                if !self.is_sent {
                    // Who sends the rest of the request may close the connection.
                    self.reader = Some(cx.waker().clone());
                }
                return Poll::Pending;
            };
            match (read, &*framing) {
                (Ok(0), ResponseFraming::UntilClose) => {
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
