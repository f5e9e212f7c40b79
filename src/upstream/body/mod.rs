//! The request body on its way upstream: streamed, counted, and watched for progress.
//!
//! Nothing is read ahead: the upstream connection polls the body when it can write, and only then is more
//! read from the client. A short body is kept until the response arrives, so that a request whose
//! connection fails can be retried byte for byte.

mod again;
mod client;
mod inbound;
mod kept;
mod piece;
#[cfg(test)]
mod tests;
mod trailers;
mod upload;
mod whole;

pub use again::BodyAgain;
pub use client::{BodySource, ClientBody, ClientBodyError};
pub use inbound::Inbound;
pub use piece::{Flow, Piece, ROOM};
pub use trailers::clean_trailers;
pub use upload::{Reader, Upload, UploadLimits, UploadState};
pub use whole::{Whole, WholeReader};

use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A request body as upstream connections take it.
#[derive(Debug)]
pub enum RequestBody {
    /// No body.
    Empty,
    /// The client's, frame by frame.
    Streaming(Reader),
    /// One that is here already.
    Whole(WholeReader),
}

impl Body for RequestBody {
    type Data = Piece;
    type Error = ClientBodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, ClientBodyError>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Whole(reader) => {
                let bytes = reader.take();
                Poll::Ready(bytes.map(|bytes| Ok(Frame::data(Piece::of_ours(bytes)))))
            }
            Self::Streaming(reader) => {
                let frame = ready!(Pin::new(&mut *reader).poll_frame(cx));
                let flow = reader.upload().flow();
                let moved = reader.upload().moved();
                let send = |frame: Frame<_>| frame.map_data(|data| flow.send(data, moved));
                Poll::Ready(frame.and_then(|frame| match frame {
                    Ok(frame) => clean_trailers(frame).map(|frame| Ok(send(frame))),
                    Err(error) => Some(Err(error)),
                }))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Streaming(reader) => reader.is_end_stream(),
            Self::Whole(reader) => reader.is_through(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Streaming(reader) => reader.size_hint(),
            Self::Whole(reader) => SizeHint::with_exact(reader.left()),
        }
    }
}
