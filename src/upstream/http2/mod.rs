//! HTTP/2 to the pods: one connection for many requests of a worker.
//!
//! It uses h2 directly. hyper's client reports a response that the peer cancelled as complete, and
//! exposes neither the peer's stream limit nor refused requests. A cancelled request resets its own
//! stream. A connection closes when the peer closes it, when it is idle for too long, or when the peer no
//! longer responds.

mod body;
mod connection;
mod pool;
mod request;
mod resets;
mod upload;

pub use body::Http2Body;
pub(super) use pool::{Begun, Http2Pool};
pub(super) use request::convert;

use super::reply::ReplyBody;
use super::retry::Unanswered;
use crate::error::Reason;
use crate::net::message::{Request, Response, pass_interim};
use crate::upstream::body::RequestBody;
use connection::Shared;
use h2::client::ResponseFuture;
use resets::GivenUp;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::Poll;
use std::time::Instant;
use tokio::task::{AbortHandle, spawn_local};
use upload::Sent;

/// A stream of a shared connection, in use or about to be. Dropping it gives up what is still on
/// the stream, and never the connection.
#[derive(Debug)]
pub(super) struct Http2Lease {
    shared: Rc<Shared>,
    pool: Weak<Http2Pool>,
    upload: Option<AbortHandle>,
    /// The response, while it is awaited.
    response: Option<ResponseFuture>,
    /// How often the connection had read when the request was sent; `None` before, and after an answer.
    waiting_since: Option<u64>,
    /// Where on the connection its request may begin.
    mark: u64,
}

impl Http2Lease {
    fn new(shared: Rc<Shared>, pool: Weak<Http2Pool>) -> Self {
        shared.begin();
        Self { shared, pool, upload: None, response: None, waiting_since: None, mark: 0 }
    }

    /// Waits until a stream can be opened. Nothing has been sent before that.
    pub(super) async fn ready(&self) -> Result<(), h2::Error> {
        self.shared.sender().ready().await.map(drop)
    }

    /// Sends a request in the shape of HTTP/1.1. Its body is sent beside, for as long as this lease
    /// lives.
    pub(super) async fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<ReplyBody>, Unanswered> {
        let sent = Rc::new(Sent::default());
        let sink = request.head().interim.clone();
        let (head, body) = convert(request, self.shared.scheme());
        let bodyless = http_body::Body::is_end_stream(&body);
        self.mark = self.shared.record().mark();
        let (response, stream) =
            self.shared.sender().send_request(head, bodyless).map_err(|error| {
                let unanswered = unanswered(&error, &sent);
                // Nothing of it was written: the connection was closed, or going away.
                Unanswered { refused: error.is_io() || error.is_go_away(), ..unanswered }
            })?;
        sent.ended.set(bodyless);
        self.waiting_since = Some(self.shared.read_count());
        if !bodyless {
            let sent = Rc::clone(&sent);
            let task = spawn_local(async move { upload::send(body, stream, &sent).await });
            self.upload = Some(task.abort_handle());
        }
        self.response = Some(response);
        let response = poll_fn(|cx| match &mut self.response {
            Some(response) => {
                while let Poll::Ready(Some(Ok(interim))) = response.poll_informational(cx) {
                    pass_interim(sink.as_ref(), Response::from(interim).into_parts().0, cx);
                }
                Pin::new(response).poll(cx).map(Some)
            }
            None => Poll::Ready(None),
        })
        .await;
        self.response = None;
        let Some(response) = response else { return Err(Unanswered::of(Reason::Internal)) };
        let response = response.map_err(|error| unanswered(&error, &sent))?;
        self.waiting_since = None;
        let (head, recv) = Response::from(response).into_parts();
        let body = Http2Body::new(recv, &head.headers, sent, Rc::clone(self.shared.resets()));
        Ok(Response::from_parts(head, ReplyBody::Http2(body)))
    }
}

impl Http2Lease {
    /// Whether the pod has read nothing of the request, which has failed with its connection.
    pub(super) fn was_unread(&self) -> bool {
        self.shared.record().is_unread_since(self.mark, false)
    }
}

impl Drop for Http2Lease {
    fn drop(&mut self) {
        // Without it the rest of the client's body would go on being read.
        if let Some(upload) = &self.upload {
            if self.response.is_none() && !upload.is_finished() {
                // An answer that came before the end of the request: the rest is reset.
                self.shared.resets().take(Instant::now());
            }
            upload.abort();
        }
        if let Some(response) = self.response.take() {
            self.shared.resets().give_up(GivenUp::Unanswered(response), Instant::now());
        }
        if self.waiting_since == Some(self.shared.read_count()) {
            // Given up, and not a byte came meanwhile: check whether the peer is alive.
            self.shared.probe();
        }
        // Without a pool the worker is leaving.
        if let Some(pool) = self.pool.upgrade() {
            self.shared.end(pool.now_ms());
            pool.ended(&self.shared);
        }
    }
}

/// The reason of a failed exchange: the upstream's fault, or that of the client's body.
fn unanswered(error: &h2::Error, sent: &Sent) -> Unanswered {
    let reset = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    let refused = error.is_remote() && (reset || error.is_go_away());
    let reason = if sent.failed.get() {
        Reason::MalformedBody
    } else if error.is_library() || (error.is_reset() && !error.is_remote()) {
        Reason::UpstreamMalformed
    } else {
        Reason::UpstreamClosed
    };
    Unanswered { refused, ..Unanswered::of(reason) }
}
