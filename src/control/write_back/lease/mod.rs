//! The election: one instance holds a Lease, the others wait for it to let go.
//!
//! [`Machine`] decides and does no I/O. Each instance goes by its own monotonic clock alone: the
//! times that are written into the Lease are never compared with it, only with each other, for
//! being the same. The holder gives up its leadership earlier than the others take it:
//! - it counts from before it *sent* the write that the API server stored, for `deadline`;
//! - they count from after they *received* the stored value, for the duration that it names.
//!
//! Every write is conditional on the resourceVersion that was read, so of several one is stored. A
//! clock that stops with its machine (a paused virtual machine) can let a former holder
//! write for the rest of its belief; what it writes is idempotent and known by name.

mod elector;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

pub(super) use elector::Elector;

use crate::control::jitter::spread;
use std::time::{Duration, Instant};

/// The longest accepted duration of another instance's Lease: no instance can shut the others out
/// forever with a large number.
const LONGEST: Duration = Duration::from_secs(600);

/// From a refusal to the next attempt: a right that is given works within a minute, and one that is
/// not given costs little.
const AFTER_REFUSAL: Duration = Duration::from_secs(45);

/// The times of the election.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long the others wait for a sign of life, in whole seconds (rounded up): the Lease's
    /// `leaseDurationSeconds`.
    pub duration: Duration,
    /// How long the holder leads without a renewal. Counts for two thirds of
    /// `duration` at most.
    pub deadline: Duration,
    /// Interval of renewals, and of the polls of other candidates. Randomised by a tenth, so that a
    /// thousand instances do not poll together.
    pub renew: Duration,
    /// From a failed renewal to the next attempt.
    pub retry: Duration,
}

impl Default for Timing {
    /// 15 s, 10 s, 5 s, 1 s: a leader that dies is succeeded within 20 s and a bit, two renewals in
    /// a row may fail. client-go elects with 15 s and 10 s.
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(15),
            deadline: Duration::from_secs(10),
            renew: Duration::from_secs(5),
            retry: Duration::from_secs(1),
        }
    }
}

impl Timing {
    /// `leaseDurationSeconds`.
    pub(super) fn seconds(&self) -> i32 {
        let whole = self.duration.as_secs() + u64::from(self.duration.subsec_nanos() > 0);
        i32::try_from(whole).unwrap_or(i32::MAX).max(1)
    }

    fn belief(&self) -> Duration {
        self.deadline.min(self.duration * 2 / 3)
    }
}

/// What a Lease says. `renewed` is `renewTime` in microseconds of the writer's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) holder: Option<String>,
    pub(super) duration: Duration,
    pub(super) renewed: Option<i128>,
    pub(super) transitions: i32,
}

/// A Lease as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoredLease {
    /// `metadata.resourceVersion`.
    pub(super) version: String,
    pub(super) record: Record,
}

/// A query to the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Read the Lease.
    Read,
    /// Create it with us as the holder.
    Create,
    /// Write us into it, if it still has this resourceVersion.
    Hold { version: String },
    /// Write nobody into it, likewise.
    Release { version: String },
}

/// What came of a [`Request`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// What was read, or stored.
    StoredLease(StoredLease),
    /// There is no Lease.
    Missing,
    /// Somebody else wrote in between.
    Conflict,
    /// We may not, or what we ask is not valid: to ask again soon would change nothing.
    Refused,
    /// Nothing is known: no answer, or another error.
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    Look,
    Create,
    /// Take what is free, or renew what is ours.
    Hold,
}

/// The state of one instance in the election.
#[derive(Debug)]
pub(super) struct Machine {
    identity: String,
    timing: Timing,
    plan: Plan,
    /// When the plan is due.
    next: Instant,
    /// The Lease as it was last seen, and since when its record is the same.
    seen: Option<(StoredLease, Instant)>,
    /// The end of our belief in our leadership.
    until: Option<Instant>,
}

impl Machine {
    pub(super) fn new(identity: String, timing: Timing, now: Instant) -> Self {
        Self { identity, timing, plan: Plan::Look, next: now, seen: None, until: None }
    }

    /// Until when we lead, unless we renew. `None` if we do not.
    pub(super) fn leading_until(&self) -> Option<Instant> {
        self.until
    }

    /// When [`Self::request`] is to be called.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// What to ask now.
    pub(super) fn request(&self) -> Request {
        match (self.plan, &self.seen) {
            (Plan::Hold, Some((found, _))) => Request::Hold { version: found.version.clone() },
            (Plan::Create, _) => Request::Create,
            (Plan::Look | Plan::Hold, _) => Request::Read,
        }
    }

    /// Takes the answer to what [`Self::request`] said. `sent` is a time before the request was
    /// sent, `now` one after the answer came, `random` a number from 0 to 1.
    pub(super) fn answer(&mut self, answer: Answer, sent: Instant, now: Instant, random: f64) {
        let wrote = self.request() != Request::Read;
        match answer {
            Answer::StoredLease(found) if wrote => {
                self.note(found, now);
                self.until = Some(sent + self.timing.belief());
                self.plan_at(Plan::Hold, sent + spread(self.timing.renew, random));
            }
            Answer::StoredLease(found) => self.look_at(found, now, random),
            Answer::Missing if wrote => self.lose(now + spread(self.timing.retry, random)),
            Answer::Missing => {
                self.seen = None;
                self.plan_at(Plan::Create, now);
            }
            Answer::Conflict => self.lose(now + spread(self.timing.retry, random)),
            Answer::Refused | Answer::Failed if self.until.is_some_and(|until| now < until) => {
                self.next = now + spread(self.timing.retry, random);
            }
            Answer::Refused => self.lose(now + spread(AFTER_REFUSAL, random)),
            Answer::Failed => self.lose(now + spread(self.timing.renew, random)),
        }
    }

    /// What to ask in order to let go, if the Lease is ours as far as we know.
    pub(super) fn release(&self) -> Option<Request> {
        let (found, _) = self.seen.as_ref()?;
        let ours = found.record.holder.as_ref() == Some(&self.identity);
        ours.then(|| Request::Release { version: found.version.clone() })
    }

    /// The Lease after a failed release. Belief has ended by then.
    pub(super) fn note(&mut self, found: StoredLease, now: Instant) {
        let since = match &self.seen {
            Some((old, since)) if old.record == found.record => *since,
            _ => now,
        };
        self.seen = Some((found, since));
    }

    fn look_at(&mut self, found: StoredLease, now: Instant, random: f64) {
        self.until = None;
        self.note(found, now);
        let Some((StoredLease { record, .. }, since)) = &self.seen else { return };
        let free = match record.holder.as_deref() {
            None | Some("") => true,
            // Written by us without a response, or confirmed too long ago.
            Some(holder) => holder == self.identity,
        };
        let expires = *since + record.duration.min(LONGEST);
        if free || now >= expires {
            self.plan_at(Plan::Hold, now);
        } else {
            let look = now + spread(self.timing.renew, random);
            // Instances that wait for the end of the same Lease must not write at the same moment.
            let expired = expires + spread(self.timing.retry, random).mul_f64(random);
            self.plan_at(Plan::Look, look.min(expired));
        }
    }

    fn lose(&mut self, next: Instant) {
        self.until = None;
        self.plan_at(Plan::Look, next);
    }

    fn plan_at(&mut self, plan: Plan, next: Instant) {
        self.plan = plan;
        self.next = next;
    }
}
