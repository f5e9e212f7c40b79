//! A request on its way to a pod.

use super::head::{self, RequestFraming};
use crate::net::fields::FieldMap;
use crate::net::http1::MessageOutput;
use crate::upstream::body::{Piece, RequestBody};
use crate::upstream::connect::EndpointStream;
use http::Request;
use http_body::{Body, Frame};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// A request, and how far it has been written.
#[derive(Debug)]
pub(super) struct RequestOutput {
    output: MessageOutput<Piece>,
    framing: RequestFraming,
    /// The body has come to its end, and all that follows it is in the output.
    is_ended: bool,
}

/// Why a request was not written to its end.
#[derive(Debug)]
pub(super) enum NotSent {
    /// Its body broke off, or is not of the length that its head says.
    Body,
    /// The connection failed.
    Connection,
}

impl RequestOutput {
    /// Nothing.
    pub(super) fn empty() -> Self {
        Self { output: MessageOutput::empty(), framing: RequestFraming::Length(0), is_ended: true }
    }

    /// Begins a request.
    pub(super) fn begin(&mut self, request: &Request<RequestBody>) {
        let body = request.body();
        let length = if body.is_end_stream() { Some(0) } else { body.size_hint().exact() };
        self.framing = head::write(request, length, self.output.text());
        self.is_ended = self.framing == RequestFraming::Length(0);
    }

    /// Writes as much as the pod takes, and reads the body for it. Ready when all of the request has left.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut EndpointStream,
        body: &mut RequestBody,
    ) -> Poll<Result<(), NotSent>> {
        loop {
            self.gather(cx, body)?;
            if self.output.is_empty() {
                ready!(Pin::new(&mut *stream).poll_flush(cx)).map_err(|_| NotSent::Connection)?;
                if !self.is_ended {
                    return Poll::Pending;
                }
                self.output.rest();
                return Poll::Ready(Ok(()));
            }
            ready!(self.output.poll_write(cx, stream)).map_err(|_| NotSent::Connection)?;
        }
    }

    /// Reads what there is of the body, as far as one send takes it.
    fn gather(&mut self, cx: &mut Context<'_>, body: &mut RequestBody) -> Result<(), NotSent> {
        while !self.is_ended && self.output.takes_more() {
            match Pin::new(&mut *body).poll_frame(cx) {
                Poll::Pending => break,
                Poll::Ready(Some(Ok(frame))) => self.push(frame)?,
                Poll::Ready(Some(Err(_))) => return Err(NotSent::Body),
                Poll::Ready(None) => self.end(None)?,
            }
        }
        Ok(())
    }

    fn push(&mut self, frame: Frame<Piece>) -> Result<(), NotSent> {
        let piece = match frame.into_data() {
            Ok(piece) => piece,
            Err(frame) => return self.end(frame.into_trailers().ok().as_ref()),
        };
        match &mut self.framing {
            // A chunk of no bytes would be the last.
            _ if piece.is_empty() => {}
            RequestFraming::Length(left) => {
                *left = left.checked_sub(piece.len() as u64).ok_or(NotSent::Body)?;
                self.is_ended = *left == 0;
                self.output.push(piece);
            }
            RequestFraming::Chunked => self.output.push_chunk(piece),
        }
        Ok(())
    }

    /// Puts the end of the body behind it.
    fn end(&mut self, trailers: Option<&FieldMap>) -> Result<(), NotSent> {
        self.is_ended = true;
        match self.framing {
            RequestFraming::Length(0) => {}
            RequestFraming::Length(_) => return Err(NotSent::Body),
            RequestFraming::Chunked => self.output.push_last_chunk(trailers),
        }
        Ok(())
    }
}
