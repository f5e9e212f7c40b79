//! The list in the course of time: what is listed, what is about to leave, and what an answer does
//! to both. Pure: the clocks are arguments.
//!
//! Additions count at once. What a published list no longer names stays for the delay, for on the
//! day of its last change old and new list were answered in turns; if it is named again in time, it
//! never left. What the operator takes out of a list of his own is out at once: he has written it.

use super::answer::List;
use super::check::{Checked, Refused, Rules, check, networks, plausible};
use crate::net::addr::AddrRanges;
use crate::telemetry::ListSource;
use ipnet::IpNet;
use std::time::Duration;

/// A point in time on both clocks: deadlines use the monotonic one, persistent times the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockTimes {
    /// Since an arbitrary point in the life of the process; monotonic.
    pub monotonic: Duration,
    /// Seconds since the Unix epoch, from the system clock.
    pub unix: u64,
}

/// The response of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is the one of the last answer (HTTP 304).
    Unchanged,
    /// It is this one.
    List(List),
}

/// Changes by an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListDiff {
    /// Admitted from now on.
    pub added: AddrRanges,
    /// No longer listed, and admitted until the delay is over. Never for an override.
    pub leaving: AddrRanges,
    /// Was about to leave and is listed again.
    pub back: AddrRanges,
    /// No longer admitted. Only for an override.
    pub removed: AddrRanges,
    /// Was listed, and is never admitted: [`crate::config::NEVER_CLOUDFLARE`].
    pub never: Vec<IpNet>,
}

impl ListDiff {
    /// Whether another list is in force now, or will be.
    pub fn changed(&self) -> bool {
        [&self.added, &self.leaving, &self.back, &self.removed].into_iter().any(|r| !r.is_empty())
    }
}

/// State that outlives the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredList {
    /// Seconds since the Unix epoch at which the source last confirmed the list.
    pub confirmed: u64,
    /// Seconds since the Unix epoch at which this was written.
    pub saved: u64,
    /// The last good list.
    pub listed: Vec<IpNet>,
    /// Addresses about to leave, and when, in seconds since the Unix epoch.
    pub leaving: Vec<(IpNet, u64)>,
}

/// Addresses that leave together.
#[derive(Clone, Debug)]
struct Leaving {
    ranges: AddrRanges,
    /// On the monotonic clock.
    due: Duration,
}

/// The list in force.
#[derive(Clone, Debug)]
pub struct ListState {
    rules: Rules,
    delay: Duration,
    source: ListSource,
    confirmed: Option<u64>,
    /// `result.etag` of the last good answer of this process.
    digest: Option<String>,
    listed: AddrRanges,
    /// Apart from each other and from `listed`.
    leaving: Vec<Leaving>,
}

impl ListState {
    /// Starts with addresses that need no check; `confirmed` in seconds since the Unix epoch.
    pub fn new(
        rules: Rules,
        delay: Duration,
        source: ListSource,
        listed: AddrRanges,
        confirmed: Option<u64>,
    ) -> Self {
        Self { rules, delay, source, confirmed, digest: None, listed, leaving: Vec::new() }
    }

    /// Starts with the list that an earlier process stored. It is checked like any list, because another
    /// user may have written it. Pending removals happen at their time by the system clock, at the latest
    /// after a whole delay. A clock behind the time of saving counts as that time.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn restore(
        now: ClockTimes,
        kept: &StoredList,
        rules: Rules,
        delay: Duration,
    ) -> Result<Self, Refused> {
        let Checked { ranges: listed, .. } = check(&kept.listed, None, rules)?;
        let gone: Vec<IpNet> = kept.leaving.iter().map(|&(net, _)| net).collect();
        if !gone.is_empty() {
            plausible(&gone, rules)?;
        }
        let confirmed = Some(kept.confirmed.min(now.unix));
        let mut life = Self::new(rules, delay, ListSource::Disk, listed, confirmed);
        let clock = now.unix.max(kept.saved);
        let mut taken = life.listed.clone();
        for &(net, until) in kept.leaving.iter().filter(|_| rules == Rules::Published) {
            let left = Duration::from_secs(until.saturating_sub(clock)).min(delay);
            let ranges = plausible(&[net], rules).map(|checked| checked.ranges.minus(&taken));
            // Nothing but what is never admitted is nothing that could leave.
            let Ok(ranges) = ranges else { continue };
            taken = taken.union(&ranges);
            life.leave(ranges, now.monotonic.saturating_add(left));
        }
        life.expire(now);
        Ok(life)
    }

    /// Applies a response of `source`.
    ///
    /// # Errors
    /// Why the list in it is not taken; everything stays as it was.
    pub fn on_answer(
        &mut self,
        now: ClockTimes,
        source: ListSource,
        answer: Answer,
    ) -> Result<ListDiff, Refused> {
        let outcome = match answer {
            Answer::Unchanged => ListDiff::default(),
            Answer::List(list) if list.digest.is_some() && list.digest == self.digest => {
                ListDiff::default()
            }
            Answer::List(list) => {
                let outcome = self.take(now, &list.networks)?;
                self.digest = list.digest;
                outcome
            }
        };
        self.source = source;
        self.confirmed = Some(now.unix);
        Ok(outcome)
    }

    fn take(&mut self, now: ClockTimes, candidate: &[IpNet]) -> Result<ListDiff, Refused> {
        let before = self.in_force();
        let Checked { ranges, never } = check(candidate, Some(&before), self.rules)?;
        let about_to_leave = before.minus(&self.listed);
        let added = ranges.minus(&before);
        let back = about_to_leave.minus(&about_to_leave.minus(&ranges));
        let gone = self.listed.minus(&ranges);
        for batch in &mut self.leaving {
            batch.ranges = batch.ranges.minus(&ranges);
        }
        self.leaving.retain(|batch| !batch.ranges.is_empty());
        self.listed = ranges;
        let mut outcome = ListDiff { added, back, never, ..ListDiff::default() };
        match self.rules {
            Rules::Published => {
                self.leave(gone.clone(), now.monotonic.saturating_add(self.delay));
                outcome.leaving = gone;
            }
            Rules::Override | Rules::Extra => outcome.removed = gone,
        }
        Ok(outcome)
    }

    fn leave(&mut self, ranges: AddrRanges, due: Duration) {
        if !ranges.is_empty() {
            self.leaving.push(Leaving { ranges, due });
        }
    }

    /// Removes ranges whose delay has passed, and returns them.
    pub fn expire(&mut self, now: ClockTimes) -> AddrRanges {
        let mut removed = AddrRanges::default();
        self.leaving.retain(|batch| {
            let stays = batch.due > now.monotonic;
            if !stays {
                removed = removed.union(&batch.ranges);
            }
            stays
        });
        removed
    }

    /// When [`ListState::expire`] has something to remove, on the monotonic clock.
    pub fn due(&self) -> Option<Duration> {
        self.leaving.iter().map(|batch| batch.due).min()
    }

    /// Every address that is admitted: what is listed, and what is about to leave.
    pub fn in_force(&self) -> AddrRanges {
        self.leaving.iter().fold(self.listed.clone(), |all, batch| all.union(&batch.ranges))
    }

    /// Addresses about to leave.
    pub fn leaving(&self) -> AddrRanges {
        self.leaving.iter().fold(AddrRanges::default(), |all, batch| all.union(&batch.ranges))
    }

    /// Where the list is from.
    pub fn source(&self) -> ListSource {
        self.source
    }

    /// When the source last confirmed the list, in seconds since the Unix epoch. For the list that
    /// is compiled in, its date.
    pub fn confirmed(&self) -> Option<u64> {
        self.confirmed
    }

    /// Records that the source still has the list that is in force.
    pub fn confirm(&mut self, now: ClockTimes) {
        self.confirmed = Some(now.unix);
    }

    /// How long what is no longer listed is admitted still.
    pub fn delay(&self) -> Duration {
        self.delay
    }

    /// What is to outlive the process.
    pub fn keep(&self, now: ClockTimes) -> StoredList {
        // Rounded up: rather late than early.
        let until = |due: Duration| {
            let left = due.saturating_sub(now.monotonic) + Duration::from_millis(999);
            now.unix.saturating_add(left.as_secs())
        };
        let leaving = self.leaving.iter().flat_map(|batch| {
            networks(&batch.ranges).into_iter().map(move |net| (net, until(batch.due)))
        });
        StoredList {
            confirmed: self.confirmed.unwrap_or(now.unix),
            saved: now.unix,
            listed: networks(&self.listed),
            leaving: leaving.collect(),
        }
    }
}
