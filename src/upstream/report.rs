//! What became of a request, for those who learn from it: the state of its endpoint, the budget of
//! retries, and the numbers.

use super::{Journey, Upstream};
use crate::balance::{Endpoint, EndpointSet, Moment};
use crate::error::Reason;
use crate::telemetry::Retry;
use http::StatusCode;
use std::time::{Duration, Instant};

/// A request that got no answer.
#[derive(Debug)]
pub(super) struct Unanswered {
    pub(super) reason: Reason,
    /// The peer has not looked at it, and says so: it may be sent again, whatever its method.
    pub(super) refused: bool,
    /// The peer has not read it, as is proven: the same.
    pub(super) unread: bool,
}

impl Unanswered {
    /// For a reason that says nothing of what the peer has done.
    pub(super) fn of(reason: Reason) -> Self {
        Self { reason, refused: false, unread: false }
    }

    /// Says so if the peer may have carried out what must not be done twice.
    pub(super) fn doubt(&mut self, is_idempotent: bool) {
        let is_known = is_idempotent || self.refused || self.unread;
        if self.reason == Reason::UpstreamClosed && !is_known {
            self.reason = Reason::UpstreamInDoubt;
        }
    }

    /// What it would be sent again for; `reused` is said of its connection.
    pub(super) fn retry(&self, reused: bool) -> Retry {
        match self.reason {
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

impl Journey {
    /// Notes that its endpoint was given up on, without an answer in time.
    pub fn timed_out(&self) {
        self.took(Instant::now());
    }

    /// What the upstream took until then. Deciding where to send the request takes a microsecond or
    /// two: not worth a look at the clock.
    pub fn took_until(&self, then: Instant) -> Duration {
        then.saturating_duration_since(self.started).saturating_sub(self.queued)
    }

    fn took(&self, now: Instant) {
        // What other endpoints took is not this one's fault.
        if let Some(sent) = self.endpoint.as_ref().filter(|_| self.retries == 0) {
            sent.endpoint().took(self.took_until(now), Moment::at(now));
        }
    }
}

impl Upstream {
    /// Counts where a request goes, if some of the endpoints come before others.
    pub(super) fn note_pick(&self, endpoints: &EndpointSet, endpoint: &Endpoint) {
        if endpoints.has_near() {
            let near = usize::from(endpoints.is_near(endpoint));
            self.cells.upstream.picks[near].add(1);
        }
    }

    /// Notes the head of an answer, and whether the time until then is the pod's: it is not where a
    /// long body had to come from the client first. `random` draws a random number.
    pub fn answered(
        &self,
        journey: &Journey,
        (status, at): (StatusCode, Instant),
        is_timed: bool,
        random: impl Fn() -> u64,
    ) {
        let Some(sent) = &journey.endpoint else {
            return;
        };
        if is_timed {
            journey.took(at);
        }
        let endpoint = sent.endpoint();
        if self.settings.eject_on_status && matches!(status.as_u16(), 502..=504) {
            self.note_failure(endpoint, random());
        } else if endpoint.answered() {
            tracing::debug!(endpoint = &*endpoint.text, "an endpoint answers again");
        }
    }

    /// Counts a failure that is the endpoint's fault.
    pub(super) fn note_failure(&self, endpoint: &Endpoint, random: u64) {
        if endpoint.failed(Moment::now(), self.settings.eject_after, random) {
            self.cells.upstream.ejections.add(1);
            tracing::debug!(endpoint = &*endpoint.text, "an endpoint is left out for a while");
        }
    }

    /// Takes a retry from the budget, and counts it.
    pub(super) fn may_retry(&self, retries: &mut u32, why: Retry) -> bool {
        let cells = &self.cells.upstream;
        if !self.budget.take() {
            cells.retries_refused.add(1);
            return false;
        }
        *retries += 1;
        cells.retries[why as usize].add(1);
        true
    }
}
