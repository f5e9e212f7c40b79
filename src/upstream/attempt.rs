//! One attempt: a request on one connection, and what is kept of it for another attempt.

use super::http2::Http2Lease;
use super::pool::Http1Lease;
use super::report::Unanswered;
use super::{Kind, Lease, ReplyBody, Upstream};
use crate::error::Reason;
use crate::telemetry::Retry;
use crate::upstream::body::RequestBody;
use http::{Request, Response, header};

/// A request that an upstream may have carried out is sent once more, and not twice.
#[derive(Clone, Copy, Default)]
pub(super) struct Once {
    used: bool,
}

impl Once {
    fn may_repeat(self, request: &Request<RequestBody>) -> bool {
        !self.used && request.method().is_idempotent()
    }

    pub(super) fn note(&mut self, why: Retry) {
        self.used |= matches!(why, Retry::Closed | Retry::ReusedClosed);
    }
}

impl Upstream {
    /// Sends on one connection. If it fails, a request that may be sent again is put back, and the
    /// connection is closed.
    pub(super) async fn send_on(
        &self,
        lease: &mut Option<Lease>,
        slot: &mut Option<Request<RequestBody>>,
        once: Once,
    ) -> Result<Response<ReplyBody>, Unanswered> {
        let result = match lease {
            Some(Lease(Kind::Http1(lease))) => self.send_http1(lease, slot, once).await,
            // Boxed, as its size would be that of every request.
            Some(Lease(Kind::Http2(lease))) => Box::pin(self.send_http2(lease, slot, once)).await,
            None => Err(Unanswered::of(Reason::Internal)),
        };
        if result.is_err() {
            *lease = None;
        }
        result
    }

    async fn send_http1(
        &self,
        lease: &mut Http1Lease,
        slot: &mut Option<Request<RequestBody>>,
        once: Once,
    ) -> Result<Response<ReplyBody>, Unanswered> {
        let Some(mut request) = slot.take() else {
            return Err(Unanswered::of(Reason::Internal));
        };
        if lease.is_negotiated() {
            // It is for HTTP/2; here it would be a field of the connection.
            request.headers_mut().remove(header::TE);
        }
        let (is_idempotent, may_repeat) =
            (request.method().is_idempotent(), once.may_repeat(&request));
        let kept = self.replays.keep(&request);
        let result = lease.send(request).await.map_err(|mut error| {
            *slot = error.take_message();
            let mut failed = Unanswered::of(reason(error.error()));
            failed.unread = slot.is_some();
            if slot.is_none() && failed.reason == Reason::UpstreamClosed {
                failed.unread = lease.was_unread();
                *slot = (failed.unread || may_repeat).then(|| kept.request()).flatten();
                failed.doubt(is_idempotent);
            }
            failed
        });
        self.replays.forget(kept);
        if let Ok(response) = &result {
            lease.answered(response.headers());
        }
        result.map(|response| response.map(ReplyBody::Http1))
    }

    /// As [`Upstream::send_http1`]. What the upstream has refused is put back too, whatever its
    /// method.
    async fn send_http2(
        &self,
        lease: &mut Http2Lease,
        slot: &mut Option<Request<RequestBody>>,
        once: Once,
    ) -> Result<Response<ReplyBody>, Unanswered> {
        if lease.ready().await.is_err() {
            return Err(Unanswered::of(Reason::UpstreamClosed));
        }
        let Some(request) = slot.take() else {
            return Err(Unanswered::of(Reason::Internal));
        };
        let (is_idempotent, may_repeat) =
            (request.method().is_idempotent(), once.may_repeat(&request));
        let kept = self.replays.keep(&request);
        let result = lease.send(request).await.map_err(|mut failed| {
            let closed = failed.reason == Reason::UpstreamClosed;
            failed.unread = closed && lease.was_unread();
            let again = failed.refused || failed.unread || (may_repeat && closed);
            *slot = again.then(|| kept.request()).flatten();
            failed.doubt(is_idempotent);
            failed
        });
        self.replays.forget(kept);
        result
    }
}

/// What a failed exchange says about the upstream, or about the body that we were given.
fn reason(error: &hyper::Error) -> Reason {
    if error.is_parse() {
        Reason::UpstreamMalformed
    } else if error.is_user() {
        Reason::MalformedBody
    } else {
        Reason::UpstreamClosed
    }
}
