//! The request body on its way upstream: streamed, counted, and watched for progress.
//!
//! Nothing is buffered: the upstream connection polls the body when it can write, and only then is
//! more read from the client.

use crate::client_ip::is_claim;
use crate::deadline::{Phase, Watch};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, header};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Where an upload stands; shared by the body, which moves, and the request, which waits.
#[derive(Debug)]
pub struct Upload {
    watch: Rc<Watch>,
    limits: UploadLimits,
    bytes: Cell<u64>,
    state: Cell<UploadState>,
}

/// How long an upload may stand still, and the upstream think afterwards.
#[derive(Clone, Copy, Debug)]
pub struct UploadLimits {
    /// Between two pieces of the body.
    pub progress: Duration,
    /// From the end of the body to the response head.
    pub response_head: Duration,
}

/// Who has to move next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadState {
    /// The upstream, which takes no more.
    AwaitsUpstream,
    /// The client, which sends no more.
    AwaitsClient,
    /// Nobody: the body is through.
    Done,
    /// The client broke off or broke the framing.
    Failed,
}

impl Upload {
    /// An upload that has not begun.
    pub fn new(watch: Rc<Watch>, limits: UploadLimits) -> Rc<Self> {
        let state = Cell::new(UploadState::AwaitsUpstream);
        Rc::new(Self { watch, limits, bytes: Cell::new(0), state })
    }

    /// Body bytes passed on so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// Who has to move next.
    pub fn state(&self) -> UploadState {
        self.state.get()
    }

    fn progress(&self, bytes: usize, ended: bool) {
        self.bytes.set(self.bytes.get() + bytes as u64);
        let limit = if ended { self.limits.response_head } else { self.limits.progress };
        if ended {
            self.state.set(UploadState::Done);
        }
        match self.watch.phase() {
            Phase::Exchange => self.watch.enter(Phase::Exchange, limit),
            // The response has begun before the request ended: movement either way keeps both.
            Phase::Response => self.watch.enter(Phase::Response, self.limits.progress),
            Phase::Handshake | Phase::Idle | Phase::Head | Phase::Tunnel => {}
        }
    }
}

/// A request body as upstream connections take it.
#[derive(Debug)]
pub enum RequestBody {
    /// No body.
    Empty,
    /// The client's, frame by frame.
    Streaming {
        /// As hyper reads it.
        incoming: Incoming,
        /// Where it stands.
        upload: Rc<Upload>,
    },
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Self::Streaming { incoming, upload } = self.get_mut() else {
            return Poll::Ready(None);
        };
        upload.state.set(UploadState::AwaitsClient);
        let frame = ready!(Pin::new(&mut *incoming).poll_frame(cx));
        upload.state.set(UploadState::AwaitsUpstream);
        match &frame {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                upload.progress(bytes, incoming.is_end_stream() || frame.is_trailers());
            }
            None => upload.progress(0, true),
            Some(Err(_)) => upload.state.set(UploadState::Failed),
        }
        Poll::Ready(frame.map(|frame| frame.map(clean_trailers)))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Streaming { incoming, .. } => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Streaming { incoming, .. } => incoming.size_hint(),
        }
    }
}

/// Removes from trailers what only a header section may carry (RFC 9110 section 6.5.1), and what a
/// backend might merge into the fields that we vouch for.
pub fn clean_trailers(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            remove_forbidden(&mut trailers);
            Frame::trailers(trailers)
        }
        Err(frame) => frame,
    }
}

fn remove_forbidden(trailers: &mut HeaderMap) {
    let names: Vec<HeaderName> = trailers.keys().filter(|n| is_forbidden(n)).cloned().collect();
    for name in names {
        trailers.remove(name);
    }
}

/// Framing, routing, authentication and content fields, and everything that names the client.
fn is_forbidden(name: &HeaderName) -> bool {
    const NAMES: [HeaderName; 16] = [
        header::AUTHORIZATION,
        header::CONNECTION,
        header::CONTENT_ENCODING,
        header::CONTENT_LENGTH,
        header::CONTENT_RANGE,
        header::CONTENT_TYPE,
        header::COOKIE,
        header::EXPECT,
        header::HOST,
        header::PROXY_AUTHORIZATION,
        header::SET_COOKIE,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::VIA,
    ];
    NAMES.contains(name) || is_claim(name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_lose_framing_and_identity_and_keep_the_rest() {
        let mut trailers = HeaderMap::new();
        for name in [
            "content-length",
            "transfer-encoding",
            "host",
            "authorization",
            "x-forwarded-for",
            "x_forwarded_for",
            "x-real-ip",
            "cf-connecting-ip",
            "cf_connecting_ip",
            "forwarded",
            "grpc-status",
            "x-checksum",
        ] {
            trailers.insert(HeaderName::from_static(name), "1".parse().expect("value"));
        }
        remove_forbidden(&mut trailers);
        let mut left: Vec<_> = trailers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["grpc-status", "x-checksum"]);
    }
}
