//! The response body on its way to the client.
//!
//! Nothing is buffered: the connection polls the body when the client's connection can take more, and only
//! then is more read from the upstream. An upstream that breaks off becomes an error here, and with
//! it a visibly broken response: no last chunk, or fewer bytes than announced.

use super::encoded_body::EncodedBody;
use super::exchange::Exchange;
use super::part_body::PartBody;
use crate::error::Reason;
use crate::proxy::middleware::{BodyEncoder, WebBody};
use crate::upstream::ReplyBody;
use crate::upstream::body::{Piece, clean_trailers};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A response body as it is sent to the client.
#[derive(Debug)]
pub struct ResponseBody {
    source: Source,
    /// Present until the last byte is through.
    exchange: Option<Exchange>,
}

#[derive(Debug)]
enum Source {
    Upstream(ReplyBody),
    /// The same for a client of gRPC-Web.
    Web(Box<WebBody>),
    /// The same, compressed here.
    Encoded(Box<EncodedBody>),
    /// A part of a length that is not the source's.
    Part(Box<PartBody>),
    /// What is left of an answer of ours.
    Ours(Bytes),
}

/// The upstream's answer ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the upstream broke off its response")]
pub struct Truncated;

impl ResponseBody {
    /// No body, of nobody's.
    pub(super) fn none() -> Self {
        Self { source: Source::Ours(Bytes::new()), exchange: None }
    }

    pub(super) fn of_upstream(incoming: ReplyBody, exchange: Exchange) -> Self {
        Self::new(Source::Upstream(incoming), exchange)
    }

    /// As one of gRPC-Web, in base64 or not.
    pub(super) fn of_web(incoming: ReplyBody, is_text: bool, exchange: Exchange) -> Self {
        Self::new(Source::Web(Box::new(WebBody::new(incoming, is_text))), exchange)
    }

    /// The upstream's, through a compressor.
    pub(super) fn encoded(
        incoming: ReplyBody,
        encoder: Box<BodyEncoder>,
        exchange: Exchange,
    ) -> Self {
        Self::new(Source::Encoded(Box::new(EncodedBody::new(incoming, encoder))), exchange)
    }

    /// A part of this length, which the pod has not told by itself.
    pub(super) fn of_part(incoming: ReplyBody, length: u64, exchange: Exchange) -> Self {
        Self::new(Source::Part(Box::new(PartBody::new(incoming, length))), exchange)
    }

    pub(super) fn of_ours(text: Bytes, exchange: Exchange) -> Self {
        Self::new(Source::Ours(text), exchange)
    }

    /// No body of an answer that has none, whatever the upstream sends (RFC 9110 section 6.4.1).
    pub(super) fn empty(exchange: Exchange) -> Self {
        Self::new(Source::Ours(Bytes::new()), exchange)
    }

    /// In line, where its callers know which source it is.
    #[inline(always)]
    fn new(source: Source, exchange: Exchange) -> Self {
        let mut body = Self { source, exchange: Some(exchange) };
        if body.source.is_empty() {
            body.complete();
        }
        body
    }

    fn complete(&mut self) {
        if let Some(mut exchange) = self.exchange.take() {
            exchange.complete();
        }
    }

    /// Records what the source returned.
    fn note(&mut self, frame: Option<&Result<Frame<Piece>, Truncated>>) {
        match frame {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Piece::len);
                if let Some(exchange) = &mut self.exchange {
                    exchange.passed(bytes);
                }
                if frame.is_trailers() || self.source.is_empty() {
                    self.complete();
                }
            }
            Some(Err(Truncated)) => {
                if let Some(mut exchange) = self.exchange.take() {
                    exchange.broke_off(Reason::UpstreamTruncated);
                }
            }
            None => self.complete(),
        }
    }
}

impl Source {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Truncated>>> {
        match self {
            Self::Upstream(incoming) => Pin::new(incoming).poll_frame(cx).map(|frame| {
                frame.and_then(|frame| match frame {
                    Ok(frame) => clean_trailers(frame).map(Ok),
                    Err(_) => Some(Err(Truncated)),
                })
            }),
            Self::Web(body) => body
                .poll_piece(cx)
                .map(|piece| piece.map(|piece| piece.map(Frame::data).map_err(|_| Truncated))),
            Self::Encoded(body) => body.poll_frame(cx),
            Self::Part(body) => body.poll_frame(cx),
            Self::Ours(rest) => {
                let rest = std::mem::take(rest);
                Poll::Ready((!rest.is_empty()).then_some(Ok(Frame::data(rest))))
            }
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Upstream(incoming) => incoming.is_end_stream(),
            Self::Web(body) => body.is_end_stream(),
            Self::Encoded(body) => body.is_through(),
            Self::Part(body) => body.is_through(),
            Self::Ours(rest) => rest.is_empty(),
        }
    }
}

impl Body for ResponseBody {
    type Data = Piece;
    type Error = Truncated;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, Truncated>>> {
        let this = self.get_mut();
        if let Some(exchange) = &this.exchange {
            // Bytes that the client does not take are not read from the pod.
            ready!(exchange.downstream().flow.poll_room(cx));
        }
        let Poll::Ready(frame) = this.source.poll_frame(cx) else {
            if let Some(exchange) = &mut this.exchange {
                exchange.starved();
            }
            return Poll::Pending;
        };
        let piece = |bytes| match &this.exchange {
            Some(exchange) => exchange.downstream().flow.send(bytes, exchange.watch().moved()),
            None => Piece::of_ours(bytes),
        };
        let frame = frame.map(|frame| frame.map(|frame| frame.map_data(piece)));
        this.note(frame.as_ref());
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.source.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Upstream(incoming) => incoming.size_hint(),
            Source::Web(_) => SizeHint::default(),
            Source::Encoded(_) => SizeHint::default(),
            Source::Part(body) => SizeHint::with_exact(body.left()),
            Source::Ours(rest) => SizeHint::with_exact(rest.len() as u64),
        }
    }
}
