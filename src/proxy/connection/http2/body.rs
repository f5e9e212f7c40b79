//! The body of a request, on its stream.

use super::interim::Interim;
use crate::net::fields::Fields;
use crate::net::http1::{agreed_length, has_option};
use crate::net::http2::ReceivedBody;
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
    body: ReceivedBody,
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
        ClientBody::Read(Box::new(Self { body: ReceivedBody::new(recv, left), owes_continue }))
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
        let polled = self.body.poll_frame(cx);
        // A client that sends has not waited to be told to, and who only looks whether something is here does not want the
        // rest.
        let is_waited_for = polled.is_pending() && !cx.waker().will_wake(Waker::noop());
        if let Some(interim) = self.owes_continue.take().and_then(|interim| interim.upgrade())
            && is_waited_for
        {
            interim.go_on();
        }
        match ready!(polled) {
            Some(Err(error)) => broken(&error),
            Some(Ok(frame)) => Poll::Ready(Some(Ok(frame))),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.left().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
