//! A response body as it comes from a pod, whatever is spoken with that.

use super::http1::{Http1Body, Http1BodyError, Http1Upgraded};
use super::http2::Http2Body;
use crate::net::message::Response;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio_util::either::Either;

/// The body of an upstream's response. An error tells that it is not all there.
#[derive(Debug)]
pub enum ReplyBody {
    /// Of HTTP/1.1.
    Http1(Http1Body),
    /// Of HTTP/1.1, by hyper.
    Hyper(Incoming),
    /// Of HTTP/2.
    Http2(Http2Body),
    /// One of which the first frame was read and put back.
    Begun(Box<BegunBody>),
}

/// A body and its first frame.
#[derive(Debug)]
pub struct BegunBody {
    first: Option<Frame<Bytes>>,
    rest: ReplyBody,
}

/// Out of line: a function that calls itself is never in line, and other bodies are asked for each frame.
impl BegunBody {
    #[inline(never)]
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ReplyError>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(first))),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    #[inline(never)]
    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }

    #[inline(never)]
    fn size_hint(&self) -> SizeHint {
        let first = self.first.as_ref().and_then(Frame::data_ref);
        let first = first.map_or(0, |data| data.len() as u64);
        let mut hint = self.rest.size_hint();
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + first);
        }
        hint.set_lower(hint.lower() + first);
        hint
    }
}

impl ReplyBody {
    /// Puts back the first frame, which was read too early.
    pub fn with_first(self, first: Frame<Bytes>) -> Self {
        Self::Begun(Box::new(BegunBody { first: Some(first), rest: self }))
    }
}

/// Why a response body broke off.
#[derive(Debug, thiserror::Error)]
pub enum ReplyError {
    /// In HTTP/1.1.
    #[error(transparent)]
    Http1(#[from] Http1BodyError),
    /// In HTTP/1.1, by hyper.
    #[error(transparent)]
    Hyper(#[from] hyper::Error),
    /// In HTTP/2.
    #[error(transparent)]
    Http2(#[from] h2::Error),
}

/// In line: each asks which body it is and goes on to that one's, for every frame.
impl Body for ReplyBody {
    type Data = Bytes;
    type Error = ReplyError;

    #[inline(always)]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ReplyError>>> {
        match self.get_mut() {
            Self::Http1(body) => body.poll_frame(cx).map(|frame| frame.map(|frame| Ok(frame?))),
            Self::Hyper(body) => {
                Pin::new(body).poll_frame(cx).map(|frame| frame.map(|frame| Ok(frame?)))
            }
            Self::Http2(body) => body.poll_frame(cx).map(|frame| frame.map(|frame| Ok(frame?))),
            Self::Begun(body) => body.poll_frame(cx),
        }
    }

    #[inline(always)]
    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(body) => body.is_end_stream(),
            Self::Hyper(body) => body.is_end_stream(),
            Self::Http2(body) => body.is_end_stream(),
            Self::Begun(body) => body.is_end_stream(),
        }
    }

    #[inline(always)]
    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(body) => body.size_hint(),
            Self::Hyper(body) => body.size_hint(),
            Self::Http2(body) => body.size_hint(),
            Self::Begun(body) => body.size_hint(),
        }
    }
}

/// The connection of a pod that has agreed to change the protocol.
pub type PodUpgraded = Either<Http1Upgraded, TokioIo<Upgraded>>;

/// Takes the connection of a pod that has answered 101. `None` if it has ended, or HTTP/2 is spoken on it.
pub async fn upgraded(response: &mut Response<ReplyBody>) -> Option<PodUpgraded> {
    match response.body_mut() {
        ReplyBody::Http1(body) => body.upgrade().map(Either::Left),
        ReplyBody::Hyper(_) => {
            let upgraded = response.extensions_mut().remove::<OnUpgrade>()?.await.ok()?;
            Some(Either::Right(TokioIo::new(upgraded)))
        }
        ReplyBody::Http2(_) | ReplyBody::Begun(_) => None,
    }
}
