//! A request body as a client's connection gives it, whatever reads that.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::fmt::Debug;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The body of a client's request.
#[derive(Debug)]
pub enum ClientBody {
    /// None.
    Empty,
    /// From a connection that hyper reads.
    Hyper(Incoming),
    /// From one that is read here. Boxed: few requests have one, and each is moved.
    Read(Box<dyn BodySource>),
}

/// A body on a connection that is read here.
pub trait BodySource: Body<Data = Bytes, Error = ClientBodyError> + Debug + Unpin {}

/// Why a request body is not all there.
#[derive(Debug, thiserror::Error)]
pub enum ClientBodyError {
    /// On a connection that hyper reads.
    #[error(transparent)]
    Hyper(#[from] hyper::Error),
    /// The connection ended before it, or it breaks its own framing.
    #[error("the request body broke off")]
    Broken,
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = ClientBodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientBodyError>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Hyper(body) => {
                Pin::new(body).poll_frame(cx).map(|frame| frame.map(|frame| Ok(frame?)))
            }
            Self::Read(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Hyper(body) => body.is_end_stream(),
            Self::Read(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Hyper(body) => body.size_hint(),
            Self::Read(body) => body.size_hint(),
        }
    }
}
