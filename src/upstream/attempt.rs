//! A request that is being sent: its state, and one exchange on the connection that it has.
//!
//! How it gets a connection is in `acquire`, what follows a failure in `retry`.

use super::retry::Unanswered;
use super::{Destination, Kind, Lease, ReplyBody, Upstream, UpstreamState};
use crate::balance::{Endpoint, EndpointSet, Moment};
use crate::error::Reason;
use crate::net::fields::Fields;
use crate::net::message::{Request, Response};
use crate::upstream::body::{BodyAgain, RequestBody};
use http::header;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A request that is being sent, through all of its retries. `R` draws random numbers.
pub(super) struct Attempt<'a, R> {
    pub(super) upstream: &'a Upstream,
    pub(super) destination: Destination<'a>,
    /// Empty while it is on a connection. A failure puts it back if it may be sent again.
    pub(super) request: &'a mut Option<Request<RequestBody>>,
    pub(super) state: &'a mut UpstreamState,
    pub(super) random: R,
    /// Endpoints that are not to be tried again.
    pub(super) tried: Vec<Arc<Endpoint>>,
    /// The endpoints in force, read again after the first failure.
    pub(super) renewed: Option<Arc<EndpointSet>>,
    /// Whether it was repeated after an upstream may have carried it out: once, and not twice.
    pub(super) is_repeated: bool,
    /// Why the last exchange failed.
    pub(super) last: Reason,
}

impl<R: Fn() -> u64> Attempt<'_, R> {
    /// Sends the request until there is an answer or no retry is allowed.
    pub(super) async fn run(mut self) -> Result<Response<ReplyBody>, Reason> {
        // The clock has been read when the request came.
        let mut now = Moment::at(self.state.started);
        let mut first = self.state.endpoint.take();
        self.upstream.budget.request();
        loop {
            let key = self.choose(first.take(), now)?;
            let mut failed = None;
            self.state.lease = self.reuse(key).await;
            if self.state.lease.is_some() {
                self.upstream.cells.upstream.reuses.add(1);
                match self.exchange().await {
                    Ok(response) => return Ok(response),
                    Err(unanswered) if unanswered.given_up => failed = Some(unanswered),
                    Err(failed) => self.after_reused(&failed)?,
                }
            }
            let Some(endpoint) = self.endpoint() else { return Err(self.last) };
            // Its address may be another's by now.
            if failed.is_none() && !endpoint.has_left() {
                // Boxed: it is rare, and its size would be moved with every request.
                match Box::pin(self.exchange_anew(&endpoint)).await {
                    Ok(response) => return Ok(response),
                    Err(unanswered) => failed = Some(unanswered),
                }
            }
            if let Some(pause) = self.after_new(endpoint, failed)? {
                self.pause(pause).await;
            }
            now = Moment::now();
        }
    }

    /// Waits, and looks for the endpoints that there are then.
    async fn pause(&mut self, time: Duration) {
        let began = Instant::now();
        // Its endpoint has nothing to do meanwhile.
        self.state.endpoint = None;
        // Boxed: it is rare, and its size would be moved with every request.
        Box::pin(tokio::time::sleep(time)).await;
        self.state.queued += began.elapsed();
        self.renewed = Some(self.destination.renew());
    }

    /// Sends it on a new connection, and notes what that says of the endpoint.
    async fn exchange_anew(
        &mut self,
        endpoint: &Arc<Endpoint>,
    ) -> Result<Response<ReplyBody>, Unanswered> {
        let acquired = self.open(endpoint).await?;
        self.state.lease = Some(acquired.lease);
        let result = self.exchange().await;
        // A failure of a shared connection is counted once, by the request that opened it.
        if let Err(Unanswered { reason, refused: false, given_up: false, .. }) = result
            && matches!(reason, Reason::UpstreamClosed | Reason::UpstreamInDoubt)
            && acquired.is_own
        {
            self.upstream.note_failure(endpoint, (self.random)());
        }
        result
    }

    /// Sends it on the connection that it has. If that fails, a request that may be sent again is
    /// put back, and the connection is closed.
    async fn exchange(&mut self) -> Result<Response<ReplyBody>, Unanswered> {
        let result = match &self.state.lease {
            Some(Lease(Kind::Http1(_))) => self.exchange_http1().await,
            // Boxed, as its size would be that of every request.
            Some(Lease(Kind::Hyper(_))) => Box::pin(self.exchange_hyper()).await,
            Some(Lease(Kind::Http2(_))) => Box::pin(self.exchange_http2()).await,
            None => Err(Unanswered::of(Reason::Internal)),
        };
        if result.is_err() {
            self.state.lease = None;
        }
        result
    }

    async fn exchange_http1(&mut self) -> Result<Response<ReplyBody>, Unanswered> {
        let (Some(Lease(Kind::Http1(lent))), Some(request)) =
            (&mut self.state.lease, self.request.as_mut())
        else {
            return Err(Unanswered::of(Reason::Internal));
        };
        if lent.is_negotiated() {
            // It is for HTTP/2; here it would be a field of the connection.
            request.headers_mut().remove(header::TE);
        }
        let is_idempotent = request.method().is_idempotent();
        let may_repeat = is_idempotent && !self.is_repeated;
        let body = BodyAgain::of(request.body());
        let limit = self.destination.retry.filter(|limit| !limit.statuses.is_empty());
        let (failed, again) = match lent.connection.send(request, limit.is_none()).await {
            Ok(response) => {
                let response = response.map(ReplyBody::Http1);
                let Some(limit) = limit else { return Ok(response) };
                let method = request.method().clone();
                let Some(again) = self.give_up(limit, response.status(), &method, &body) else {
                    return Ok(response);
                };
                Box::pin(self.read_given_up(response.into_body())).await;
                (Unanswered::given_up(), Some(again))
            }
            Err(reason) => {
                let mut failed = Unanswered::of(reason);
                let closed = reason == Reason::UpstreamClosed;
                failed.unread = closed && lent.connection.was_unread();
                let may_send = failed.unread || (may_repeat && closed);
                failed.doubt(is_idempotent);
                (failed, may_send.then(|| body.read()).flatten())
            }
        };
        let slot = &mut *self.request;
        match again.zip(slot.as_mut()) {
            Some((again, request)) => *request.body_mut() = again,
            None => *slot = None,
        }
        Err(failed)
    }

    /// As [`Attempt::exchange_http1`]. A request that the upstream has refused is put back too,
    /// whatever its method.
    async fn exchange_http2(&mut self) -> Result<Response<ReplyBody>, Unanswered> {
        let Some(Lease(Kind::Http2(lease))) = &mut self.state.lease else {
            return Err(Unanswered::of(Reason::Internal));
        };
        if lease.ready().await.is_err() {
            return Err(Unanswered::of(Reason::UpstreamClosed));
        }
        let Some(request) = self.request.take() else {
            return Err(Unanswered::of(Reason::Internal));
        };
        let upstream = self.upstream;
        let is_idempotent = request.method().is_idempotent();
        let may_repeat = is_idempotent && !self.is_repeated;
        let replays = &upstream.replays;
        let kept = replays.keep(&request);
        let result = match lease.send(request).await {
            Ok(response) => {
                let limit = self.destination.retry;
                let give_up =
                    |limit| self.give_up(limit, response.status(), kept.method(), kept.body());
                match limit.and_then(give_up) {
                    Some(body) => {
                        *self.request = Some(kept.with_body(body));
                        Err(Unanswered::given_up())
                    }
                    None => Ok(response),
                }
            }
            Err(mut failed) => {
                let closed = failed.reason == Reason::UpstreamClosed;
                failed.unread = closed && lease.was_unread();
                let again = failed.refused || failed.unread || (may_repeat && closed);
                *self.request = again.then(|| kept.request()).flatten();
                failed.doubt(is_idempotent);
                Err(failed)
            }
        };
        replays.forget(kept);
        result
    }
}
