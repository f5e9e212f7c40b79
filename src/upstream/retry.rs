//! What follows a failure: whether the request is sent again, why, and where.

use super::attempt::Attempt;
use super::{ReplyBody, Upstream};
use crate::balance::{Endpoint, InFlight, Moment};
use crate::error::Reason;
use crate::model::middleware::RetryLimit;
use crate::telemetry::Retry;
use crate::upstream::body::{BodyAgain, RequestBody};
use http::{Method, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use std::sync::Arc;
use std::time::Duration;

/// The most of a response that is given up which is read, in bytes, so that its connection can be used again.
const READ_OF_GIVEN_UP: usize = 16 * 1024;

/// How long that may take: longer than the rest of a short response is on its way.
const READ_TIME: Duration = Duration::from_millis(20);

/// A request that got no answer.
#[derive(Debug)]
pub(super) struct Unanswered {
    pub(super) reason: Reason,
    /// The peer has not looked at it, and says so: it may be sent again, whatever its method.
    pub(super) refused: bool,
    /// The peer has not read it, as is proven: the same.
    pub(super) unread: bool,
    /// It has a response that the route gives up: a retry for it is taken already.
    pub(super) given_up: bool,
}

impl Unanswered {
    /// For a reason that says nothing of what the peer has done.
    pub(super) fn of(reason: Reason) -> Self {
        Self { reason, refused: false, unread: false, given_up: false }
    }

    /// For a response that is given up.
    pub(super) fn given_up() -> Self {
        Self { given_up: true, ..Self::of(Reason::UpstreamClosed) }
    }

    /// Marks the failure as in doubt if the pod may have carried out a request that is not idempotent.
    pub(super) fn doubt(&mut self, is_idempotent: bool) {
        let is_known = is_idempotent || self.refused || self.unread;
        if self.reason == Reason::UpstreamClosed && !is_known {
            self.reason = Reason::UpstreamInDoubt;
        }
    }

    /// The reason for a retry; `reused`: the connection had served a request before.
    fn retry(&self, reused: bool) -> Retry {
        match self.reason {
            _ if self.given_up => Retry::Status,
            _ if self.refused => Retry::StreamRefused,
            _ if self.unread => Retry::Unread,
            Reason::ConnectFailed => Retry::ConnectFailed,
            Reason::ConnectTimeout => Retry::ConnectTimeout,
            Reason::UpstreamTlsFailed | Reason::UpstreamUntrusted => Retry::TlsFailed,
            _ if reused => Retry::ReusedClosed,
            _ => Retry::Closed,
        }
    }
}

impl<R: Fn() -> u64> Attempt<'_, R> {
    /// After a connection that was used again has failed: moves the request to another endpoint, or
    /// else keeps it at the same one. Errors if no retry is allowed.
    pub(super) fn after_reused(&mut self, failed: &Unanswered) -> Result<(), Reason> {
        let why = failed.retry(true);
        if self.request.is_none() || !self.take_retry(why) {
            return Err(failed.reason);
        }
        self.note_retry(failed, why);
        if let Some(other) = self.endpoint().and_then(|closed| self.another(closed)) {
            self.state.endpoint = Some(other);
        }
        if self.state.spans.is_some() {
            self.begin_span();
        }
        Ok(())
    }

    /// After a new connection to an endpoint has failed, or was not made because the endpoint has
    /// gone (`failed` is `None`): leaves the endpoint out of the next choice. Errors if no retry is
    /// allowed. Returns how long to wait before it, where endpoints are tried again.
    pub(super) fn after_new(
        &mut self,
        endpoint: Arc<Endpoint>,
        failed: Option<Unanswered>,
    ) -> Result<Option<Duration>, Reason> {
        self.tried.push(endpoint);
        let set = self.renewed.insert(self.destination.renew());
        let Some(failed) = failed else {
            if let Some(spans) = &mut self.state.spans {
                spans.forget();
            }
            return Ok(None);
        };
        self.last = failed.reason;
        let why = failed.retry(false);
        let all_tried = set.all_tried(&self.tried);
        let is_last = match self.destination.retry {
            Some(_) if failed.given_up => false,
            // What the pod may have carried out goes to no endpoint twice.
            Some(limit) => !limit.network || all_tried && why == Retry::Closed,
            None => all_tried || self.tried.len() > self.upstream.settings.connect_retries as usize,
        };
        // A retry is taken from the budget only where there is one.
        if is_last || !failed.given_up && (self.request.is_none() || !self.take_retry(why)) {
            return Err(failed.reason);
        }
        self.note_retry(&failed, why);
        let again = self.destination.retry.filter(|_| all_tried);
        if again.is_some() {
            self.tried.clear();
        }
        Ok(again.map(|limit| pause(limit, self.state.retries)))
    }

    /// Another endpoint for a request whose connection has closed when it was used again, if one is
    /// neither tried nor left out. A process that ends closes its connections before it stops to
    /// listen, and the kernel takes a new one meanwhile: there the request would be lost.
    fn another(&mut self, closed: Arc<Endpoint>) -> Option<InFlight> {
        let set = self.renewed.insert(self.destination.renew());
        self.tried.push(closed);
        let other = self.destination.begin(set, (self.random)(), Moment::now(), &self.tried);
        // It may be well, and is asked again if the other cannot be reached.
        self.tried.pop();
        other.filter(|other| !other.endpoint().is_ejected())
    }

    /// The body of the request again, if the route gives up a response with this status and a retry is allowed: it is
    /// taken.
    #[cold]
    pub(super) fn give_up(
        &mut self,
        limit: &RetryLimit,
        status: StatusCode,
        method: &Method,
        body: &BodyAgain,
    ) -> Option<RequestBody> {
        let is_meant = limit.statuses.iter().any(|range| range.contains(status));
        let may_repeat = limit.any_method || method.is_idempotent();
        let is_sent =
            body.bytes_if_sent().is_some_and(|sent| limit.max_body.is_none_or(|most| sent <= most));
        if !is_meant || !may_repeat || !is_sent {
            return None;
        }
        let body = body.read()?;
        let is_taken = self.take_retry(Retry::Status);
        if let Some(spans) = self.state.spans.as_mut().filter(|_| is_taken) {
            spans.give_up(status);
        }
        is_taken.then_some(body)
    }

    /// Reads the rest of a response that is given up, if it is short, and returns its connection to the pool.
    pub(super) async fn read_given_up(&mut self, body: ReplyBody) {
        if body.size_hint().upper().is_none_or(|bytes| bytes > READ_OF_GIVEN_UP as u64) {
            return;
        }
        let reading = Limited::new(body, READ_OF_GIVEN_UP).collect();
        if let Ok(Ok(_)) = tokio::time::timeout(READ_TIME, reading).await
            && let Some(lease) = self.state.lease.take()
        {
            lease.release();
        }
    }

    fn note_retry(&mut self, failed: &Unanswered, why: Retry) {
        self.last = failed.reason;
        if let Some(spans) = &mut self.state.spans {
            spans.fail(failed.reason);
        }
        self.is_repeated |= matches!(why, Retry::Closed | Retry::ReusedClosed);
    }

    /// Takes a retry from the budget, and counts it.
    fn take_retry(&mut self, why: Retry) -> bool {
        let Upstream { budget, cells, .. } = self.upstream;
        let cells = &cells.upstream;
        let (sent, started) = (self.state.retries + 1, self.state.started);
        let is_bound = |limit: &RetryLimit| {
            sent >= limit.attempts.get()
                || limit.timeout.is_some_and(|timeout| started.elapsed() >= timeout)
        };
        if self.destination.retry.is_some_and(is_bound) {
            return false;
        }
        if !budget.take() {
            cells.retries_refused.add(1);
            return false;
        }
        self.state.retries += 1;
        cells.retries[why as usize].add(1);
        true
    }
}

/// The pause before a retry, counted from 1: the interval, and twice as long before the last, as in Traefik.
fn pause(limit: &RetryLimit, retry: u32) -> Duration {
    let share = f64::from(retry) / f64::from(limit.attempts.get().saturating_sub(1).max(1));
    let seconds = limit.interval.as_secs_f64() * share.exp2();
    Duration::try_from_secs_f64(seconds).unwrap_or(limit.interval)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    #[test]
    fn pauses_grow_to_twice_the_interval() {
        let limit = |attempts, seconds| {
            let attempts = NonZeroU32::new(attempts).expect("more than 0");
            RetryLimit::of(attempts, Duration::from_secs(seconds))
        };
        let pause = |limit, retry| pause(&limit, retry);
        assert_eq!(pause(limit(5, 1), 4), Duration::from_secs(2));
        assert!(pause(limit(5, 1), 1) > Duration::from_secs(1));
        assert!(pause(limit(5, 1), 1) < pause(limit(5, 1), 2));
        assert_eq!(pause(limit(5, 0), 3), Duration::ZERO);
        assert_eq!(pause(limit(1, u64::MAX), 1), Duration::from_secs(u64::MAX));
    }
}
