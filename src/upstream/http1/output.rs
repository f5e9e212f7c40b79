//! A request on its way to a pod.

use super::head;
use crate::net::http1::{BodyFramer, BodyFraming, BrokenBody, Gathered, MessageOutput};
use crate::net::message::Request;
use crate::upstream::body::{Piece, RequestBody};
use crate::upstream::connect::EndpointStream;
use http_body::Body;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// A request, and how far it has been written.
#[derive(Debug)]
pub(super) struct RequestOutput {
    output: MessageOutput<Piece>,
    body: BodyFramer,
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
        Self { output: MessageOutput::empty(), body: BodyFramer::begin(BodyFraming::Length(0)) }
    }

    /// Begins a request.
    pub(super) fn begin(&mut self, request: &Request<RequestBody>) {
        let body = request.body();
        let length = if body.is_end_stream() { Some(0) } else { body.size_hint().exact() };
        self.body = BodyFramer::begin(head::write(request, length, self.output.text()));
    }

    /// Writes as much as the pod takes, and reads the body for it. Ready when all of the request has left.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut EndpointStream,
        body: &mut RequestBody,
    ) -> Poll<Result<(), NotSent>> {
        loop {
            let gathered = self.body.gather(cx, body, &mut self.output);
            let gathered = gathered.map_err(|BrokenBody| NotSent::Body)?;
            ready!(self.output.poll_write(cx, stream)).map_err(|_| NotSent::Connection)?;
            if gathered == Gathered::Enough {
                continue;
            }
            ready!(Pin::new(&mut *stream).poll_flush(cx)).map_err(|_| NotSent::Connection)?;
            if gathered == Gathered::SoFar {
                return Poll::Pending;
            }
            self.output.rest();
            return Poll::Ready(Ok(()));
        }
    }
}
