//! The body of a request, read from its connection as it is asked for.

use super::client::{Client, State};
use crate::net::http1::Decoded;
use crate::upstream::body::{BodySource, ClientBody, ClientBodyError};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::fmt;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, ready};

/// The body of one request. It does not keep the connection open.
pub(super) struct RequestSource {
    client: Weak<Client>,
    /// The number of the request.
    request: u32,
}

impl RequestSource {
    /// The body of the request that was read last.
    pub(super) fn of(client: &Rc<Client>) -> ClientBody {
        match client.with(|state| (!state.is_read()).then(|| state.request())) {
            None => ClientBody::Empty,
            Some(request) => {
                ClientBody::Read(Box::new(Self { client: Rc::downgrade(client), request }))
            }
        }
    }

    /// The connection, unless it has ended or another request has been read from it.
    fn current(&self) -> Option<Rc<Client>> {
        let client = self.client.upgrade()?;
        client.with(|state| state.request() == self.request).then_some(client)
    }

    /// Does something with it.
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> Option<T> {
        Some(self.current()?.with(act))
    }
}

impl BodySource for RequestSource {}

impl Body for RequestSource {
    type Data = Bytes;
    type Error = ClientBodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientBodyError>>> {
        let Some(client) = self.current() else {
            return Poll::Ready(Some(Err(ClientBodyError::Broken)));
        };
        Poll::Ready(match ready!(client.poll_body(cx)) {
            Ok(Decoded::Data(data)) => Some(Ok(Frame::data(data))),
            Ok(Decoded::Trailers(trailers)) => Some(Ok(Frame::trailers(trailers))),
            Ok(Decoded::End | Decoded::More) => None,
            Err(_) => Some(Err(ClientBodyError::Broken)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.with(|state| state.is_read()).unwrap_or(true)
    }

    fn size_hint(&self) -> SizeHint {
        match self.with(|state| state.left()).flatten() {
            Some(left) => SizeHint::with_exact(left),
            None => SizeHint::default(),
        }
    }
}

impl fmt::Debug for RequestSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestSource").field("request", &self.request).finish_non_exhaustive()
    }
}
