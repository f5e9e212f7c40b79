//! The list in the course of time: what is listed, what is about to leave, and what an answer does
//! to both. Pure: the clocks are arguments.
//!
//! Additions count at once. What a published list no longer names stays for the delay, for on the
//! day of its last change old and new list were answered in turns; if it is named again in time, it
//! never left. What the operator takes out of a list of his own is out at once: he has written it.

use super::answer::List;
use super::check::{Checked, Rules, check, networks, plausible};
use super::failure::Failure;
use super::spec::ListSpec;
use super::store::{FORMAT, LeavingNetwork, StoredList};
use crate::control::utc::{self, Utc};
use crate::net::addr::AddrRanges;
use crate::telemetry::ListSource;
use http::HeaderValue;
use ipnet::IpNet;
use std::time::Duration;
use tokio::time::Instant;

/// A point in time on both clocks: deadlines use the monotonic one, persistent times the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockTimes {
    /// Monotonic.
    pub monotonic: Instant,
    /// Seconds since the Unix epoch, from the system clock.
    pub unix: u64,
}

impl ClockTimes {
    /// The clocks of the process.
    pub fn now() -> Self {
        Self { monotonic: Instant::now(), unix: utc::now() }
    }
}

/// Changes by an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListDiff {
    /// Admitted from now on.
    pub added: AddrRanges,
    /// Was about to leave and is listed again.
    pub back: AddrRanges,
    /// No longer listed: admitted until the delay is over if the list is published, and else no longer admitted.
    pub gone: AddrRanges,
    /// Was listed, and is never admitted: [`crate::config::NEVER_CLOUDFLARE`].
    pub never: Vec<IpNet>,
}

impl ListDiff {
    /// Whether another list is in force now, or will be.
    pub fn changed(&self) -> bool {
        [&self.added, &self.back, &self.gone].into_iter().any(|r| !r.is_empty())
    }
}

/// Addresses that leave together.
#[derive(Clone, Debug)]
struct Leaving {
    ranges: AddrRanges,
    due: Instant,
}

/// The list in force.
#[derive(Clone, Debug)]
pub struct ListState {
    /// Where the list is from.
    pub source: ListSource,
    /// When the source last confirmed the list, in seconds since the Unix epoch. For the list that
    /// is compiled in, its date.
    pub confirmed: Option<u64>,
    pub(super) spec: ListSpec,
    /// `result.etag` and `ETag` of the last good answer of this process. None is kept on disk, so that a kept list
    /// is compared with the whole published one, once.
    digest: Option<String>,
    pub(super) etag: Option<HeaderValue>,
    listed: AddrRanges,
    /// Apart from each other and from `listed`.
    leaving: Vec<Leaving>,
}

impl ListState {
    /// Starts with addresses that need no check; `confirmed` in seconds since the Unix epoch.
    pub fn new(
        spec: &ListSpec,
        source: ListSource,
        listed: AddrRanges,
        confirmed: Option<u64>,
    ) -> Self {
        let (spec, leaving) = (spec.clone(), Vec::new());
        Self { spec, source, confirmed, digest: None, etag: None, listed, leaving }
    }

    /// Starts with the list that an earlier process stored. It is checked like any list, because another
    /// user may have written it. Pending removals happen at their time by the system clock, at the latest
    /// after a whole delay. A clock behind the time of saving counts as that time.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn restore(now: ClockTimes, stored: &StoredList, spec: &ListSpec) -> Result<Self, Failure> {
        let rules = spec.rules;
        let Checked { ranges: listed, .. } = check(&stored.networks, None, rules)?;
        let gone: Vec<IpNet> = stored.leaving.iter().map(|leaving| leaving.network).collect();
        if !gone.is_empty() {
            plausible(&gone, rules)?;
        }
        let confirmed = Some(stored.confirmed.0.min(now.unix));
        let mut list = Self::new(spec, ListSource::Disk, listed, confirmed);
        let clock = now.unix.max(stored.saved.0);
        for leaving in stored.leaving.iter().filter(|_| rules == Rules::Published) {
            let left = Duration::from_secs(leaving.until.0.saturating_sub(clock));
            // Nothing but what is never admitted is nothing that could leave.
            let Ok(Checked { ranges, .. }) = plausible(&[leaving.network], rules) else { continue };
            list.leave(
                ranges.minus(&list.in_force()),
                now.monotonic + left.min(spec.removal_delay),
            );
        }
        list.expire(now);
        Ok(list)
    }

    /// Applies a response of the source. `None`: it is the one of the last answer (HTTP 304).
    ///
    /// # Errors
    /// Why the list in it is not taken; everything stays as it was.
    pub fn take(&mut self, now: ClockTimes, answer: Option<List>) -> Result<ListDiff, Failure> {
        let mut diff = ListDiff::default();
        if let Some(List { networks, digest, etag }) = answer {
            if digest.is_none() || digest != self.digest {
                diff = self.replace(now, &networks)?;
            }
            (self.digest, self.etag) = (digest, etag);
        }
        self.source = self.spec.source();
        self.confirmed = Some(now.unix);
        Ok(diff)
    }

    fn replace(&mut self, now: ClockTimes, candidate: &[IpNet]) -> Result<ListDiff, Failure> {
        let before = self.in_force();
        let checked = check(candidate, Some(&before), self.spec.rules).map_err(|refused| {
            let words = format!("the list is rejected: {}", refused.words);
            Failure { words, ..refused }
        });
        let Checked { ranges, never } = checked?;
        let about_to_leave = before.minus(&self.listed);
        let added = ranges.minus(&before);
        let back = about_to_leave.minus(&about_to_leave.minus(&ranges));
        let gone = self.listed.minus(&ranges);
        for batch in &mut self.leaving {
            batch.ranges = batch.ranges.minus(&ranges);
        }
        self.leaving.retain(|batch| !batch.ranges.is_empty());
        self.listed = ranges;
        if self.spec.rules == Rules::Published {
            self.leave(gone.clone(), now.monotonic + self.spec.removal_delay);
        }
        Ok(ListDiff { added, back, gone, never })
    }

    fn leave(&mut self, ranges: AddrRanges, due: Instant) {
        if !ranges.is_empty() {
            self.leaving.push(Leaving { ranges, due });
        }
    }

    /// Removes ranges whose delay has passed, and returns them.
    pub fn expire(&mut self, now: ClockTimes) -> AddrRanges {
        let before = self.leaving();
        self.leaving.retain(|batch| batch.due > now.monotonic);
        before.minus(&self.leaving())
    }

    /// When [`ListState::expire`] has something to remove.
    pub fn due(&self) -> Option<Instant> {
        self.leaving.iter().map(|batch| batch.due).min()
    }

    /// Every address that is admitted: what is listed, and what is about to leave.
    pub fn in_force(&self) -> AddrRanges {
        self.listed.union(&self.leaving())
    }

    /// Addresses about to leave.
    pub fn leaving(&self) -> AddrRanges {
        self.leaving.iter().fold(AddrRanges::default(), |all, batch| all.union(&batch.ranges))
    }

    /// What is to outlive the process.
    pub fn keep(&self, now: ClockTimes) -> StoredList {
        // Rounded up: rather late than early.
        let until = |due: Instant| {
            let left = due.saturating_duration_since(now.monotonic) + Duration::from_millis(999);
            Utc(now.unix.saturating_add(left.as_secs()))
        };
        let leaving = self.leaving.iter().flat_map(|batch| {
            let until = until(batch.due);
            networks(&batch.ranges)
                .into_iter()
                .map(move |network| LeavingNetwork { network, until })
        });
        StoredList {
            format: FORMAT,
            source: self.spec.identity(),
            confirmed: Utc(self.confirmed.unwrap_or(now.unix)),
            saved: Utc(now.unix),
            networks: networks(&self.listed),
            leaving: leaving.collect(),
        }
    }
}
