//! The body of a request, on its stream.

use super::interim::Interim;
use crate::net::fields::Fields;
use crate::net::http1::{agreed_length, has_option};
use crate::upstream::body::{BodySource, ClientBody, ClientBodyError};
use bytes::Bytes;
use h2::RecvStream;
use http::header;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker, ready};

/// The body of one request.
#[derive(Debug)]
pub(super) struct StreamSource {
    recv: RecvStream,
    /// Announced and still to come, in bytes.
    left: Option<u64>,
    /// Only trailers are still to come.
    data_ended: bool,
    /// Who says 100 before the body is waited for, if its client expects that (RFC 9110 section 10.1.1).
    owes_continue: Option<Weak<Interim>>,
}

impl StreamSource {
    /// What follows a head with these fields.
    pub(super) fn of(recv: RecvStream, headers: &impl Fields, interim: &Rc<Interim>) -> ClientBody {
        if recv.is_end_stream() {
            return ClientBody::Empty;
        }
        let left = agreed_length(headers.get_all(header::CONTENT_LENGTH));
        let expects = headers.get(header::EXPECT).is_some_and(|it| has_option(it, b"100-continue"));
        let owes_continue = expects.then(|| Rc::downgrade(interim));
        ClientBody::Read(Box::new(Self { recv, left, data_ended: false, owes_continue }))
    }

    /// Waits for data. A client that sends has not waited to be told to, and who only looks whether something is here does
    /// not want the rest.
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, h2::Error>>> {
        let polled = self.recv.poll_data(cx);
        let is_waited_for = polled.is_pending() && !cx.waker().will_wake(Waker::noop());
        if let Some(interim) = self.owes_continue.take().and_then(|interim| interim.upgrade())
            && is_waited_for
        {
            interim.go_on();
        }
        polled
    }

    /// Opens the window again by what is handed on: the pod's connection takes it now.
    fn take(&mut self, data: Bytes) -> Frame<Bytes> {
        // An error: the stream is closed, and needs no window.
        let _ = self.recv.flow_control().release_capacity(data.len());
        self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
        Frame::data(data)
    }
}

/// A body whose framing h2 does not accept is the client's error; all others say that the client has left.
fn broken<T>(error: &h2::Error) -> Poll<Option<Result<T, ClientBodyError>>> {
    match error.is_library() {
        true => Poll::Ready(Some(Err(ClientBodyError::Broken))),
        false => Poll::Pending,
    }
}

impl BodySource for StreamSource {}

impl Body for StreamSource {
    type Data = Bytes;
    type Error = ClientBodyError;

    /// Never ends by a reset, whatever its code: a part must not be taken for the whole. Where the client has left, the
    /// task of the stream ends, and this with it.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientBodyError>>> {
        if !self.data_ended {
            match ready!(self.poll_data(cx)) {
                Some(Ok(data)) => return Poll::Ready(Some(Ok(self.take(data)))),
                Some(Err(error)) => return broken(&error),
                None => self.data_ended = true,
            }
        }
        match ready!(self.recv.poll_trailers(cx)) {
            Ok(trailers) => Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers)))),
            Err(error) => broken(&error),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.recv.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
