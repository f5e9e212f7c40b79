//! What became of a request, for those who learn from it: the state of its endpoint, and the metrics.

use super::{Upstream, UpstreamState};
use crate::balance::{Endpoint, EndpointSet, Moment};
use http::StatusCode;
use std::time::{Duration, Instant};

/// The head of an answer.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead {
    /// Its status.
    pub status: StatusCode,
    /// When it came.
    pub received: Instant,
    /// The upstream's time until then ([`UpstreamState::took_until`]).
    pub took: Duration,
    /// Whether the time until then is the pod's: not where a long body had to come from the client
    /// first.
    pub is_timed: bool,
}

impl UpstreamState {
    /// Records that its endpoint did not respond in time.
    pub fn timed_out(&self) {
        let now = Instant::now();
        self.took(self.took_until(now), now);
    }

    /// The upstream's time until then. Deciding where to send the request takes a microsecond or
    /// two: not worth a look at the clock.
    pub fn took_until(&self, then: Instant) -> Duration {
        then.saturating_duration_since(self.started).saturating_sub(self.queued)
    }

    fn took(&self, took: Duration, now: Instant) {
        // The time of other endpoints does not count against this one.
        if let Some(sent) = self.endpoint.as_ref().filter(|_| self.retries == 0) {
            sent.endpoint().took(took, Moment::at(now));
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

    /// Notes what an answer says of the endpoint. `random` draws a random number.
    pub fn answered(&self, state: &UpstreamState, head: ResponseHead, random: impl Fn() -> u64) {
        let Some(sent) = &state.endpoint else {
            return;
        };
        if head.is_timed {
            state.took(head.took, head.received);
        }
        let endpoint = sent.endpoint();
        if self.settings.eject_on_status && matches!(head.status.as_u16(), 502..=504) {
            self.note_failure(endpoint, random());
        } else if endpoint.answered() {
            tracing::debug!(endpoint = &*endpoint.text, "an endpoint responds again");
        }
    }

    /// Counts a failure that is the endpoint's fault.
    pub(super) fn note_failure(&self, endpoint: &Endpoint, random: u64) {
        if endpoint.failed(Moment::now(), self.settings.eject_after, random) {
            self.cells.upstream.ejections.add(1);
            tracing::debug!(endpoint = &*endpoint.text, "an endpoint is ejected for a while");
        }
    }
}
