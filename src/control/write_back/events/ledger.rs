//! Which Event is written when: each once, again at long intervals as long as it is true, and never
//! too many at once. It decides, and does no I/O.

use super::standing::Standing as Stands;
use super::{EventKey, Notice, ObjectDiagnostic};
use crate::control::write_back::bucket::{Bucket, Rate};
use crate::control::write_back::events::Said;
use crate::control::write_back::failure::{Backoff, Failure};
use crate::model::ObjectRef;
use crate::telemetry::Suppressed;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often Events are written.
#[derive(Clone, Copy, Debug)]
pub struct EventLimits {
    /// How long a finding must last before it is written: related objects arrive one after the other, an
    /// Ingress some milliseconds before its Secret.
    pub settle: Duration,
    /// From one Event to its repetition. Below the hour that an API server keeps Events by default
    /// (`--event-ttl`), so that what is wrong for days can be seen all the time.
    pub repeat: Duration,
    /// From an Event to the next one of the same finding if it was resolved in between.
    pub relapse: Duration,
    /// For one object.
    pub object: Rate,
    /// For all together.
    pub total: Rate,
    /// After a failure.
    pub backoff: Backoff,
    /// Maximum number of tracked findings: the first ones, in the given order.
    pub tracked: usize,
}

impl Default for EventLimits {
    /// 1 s, in which a Secret that was created together with its Ingress has come; 50 min; 1 min; 25 at
    /// once and then one in 5 s for each object; 10 at once and 10 a second for all; 4096 findings, which
    /// are some 4 MB.
    fn default() -> Self {
        Self {
            settle: Duration::from_secs(1),
            repeat: Duration::from_secs(50 * 60),
            relapse: Duration::from_secs(60),
            object: Rate { burst: 25, every: Duration::from_secs(5) },
            total: Rate { burst: 10, every: Duration::from_millis(100) },
            backoff: Backoff::default(),
            tracked: 4096,
        }
    }
}

/// The Event in the cluster about a finding, and its time.
#[derive(Clone, Copy, Debug)]
enum Standing {
    Nothing,
    Wrong(Instant),
    /// That it is right again, since the Event of this time about what was wrong.
    Mended(Instant),
}

#[derive(Debug)]
struct Entry {
    notice: Arc<Notice>,
    /// Whether it is still true.
    current: bool,
    /// Whether its object exists: a deleted object gets no Event that the finding is resolved.
    present: bool,
    standing: Standing,
    /// Whether an earlier Event reported it as resolved; that Event's count then continues.
    was_mended: bool,
    /// Until when nothing is to be written: it has not lasted yet, or a write has failed.
    quiet: Instant,
    failures: u32,
    /// Whether it was counted as held back since it was last written.
    held: bool,
}

impl Entry {
    /// When something is to be written about it, if ever.
    fn due(&self, pace: &EventLimits) -> Option<Instant> {
        match (self.current, self.standing) {
            (true, Standing::Nothing) => Some(self.quiet),
            (true, Standing::Wrong(at)) => Some(self.quiet.max(at + pace.repeat)),
            (true, Standing::Mended(at)) => Some(self.quiet.max(at + pace.relapse)),
            (false, Standing::Wrong(_)) if self.present => Some(self.quiet),
            (false, _) => None,
        }
    }

    /// Whether it is to be remembered, in case it becomes true again or has to be taken back.
    fn is_kept(&self, pace: &EventLimits, now: Instant) -> bool {
        match self.standing {
            _ if self.current => true,
            Standing::Nothing => false,
            Standing::Wrong(at) => self.present || now < at + pace.repeat,
            Standing::Mended(at) => now < at + pace.repeat,
        }
    }
}

/// The next action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::control::write_back) enum Next {
    /// Write this; the second says whether it was written before.
    Write(Arc<Notice>, bool),
    /// Nothing before that.
    Wait(Instant),
    /// Nothing, unless something changes.
    Idle,
}

/// The last message, and the next one.
#[derive(Debug)]
pub(in crate::control::write_back) struct Ledger {
    pace: EventLimits,
    scope: String,
    entries: HashMap<EventKey, Entry>,
    /// Those that something is to be written about and that are not under way, by the time of that.
    due: BTreeSet<(Instant, EventKey)>,
    objects: HashMap<ObjectRef, Bucket>,
    total: Bucket,
    suppressed: Vec<Suppressed>,
}

impl Ledger {
    pub(in crate::control::write_back) fn new(
        pace: EventLimits,
        scope: String,
        now: Instant,
    ) -> Self {
        let total = Bucket::new(pace.total, now);
        let (entries, due, objects) = (HashMap::new(), BTreeSet::new(), HashMap::new());
        Self { pace, scope, entries, due, objects, total, suppressed: Vec::new() }
    }

    /// Takes what predecessors said of things that were wrong, before what is wrong now.
    pub(in crate::control::write_back) fn adopt(&mut self, said: Vec<Stands>, now: Instant) {
        for Stands { notice, age, was_mended } in said {
            if self.entries.contains_key(&notice.key) || self.entries.len() >= self.pace.tracked {
                continue;
            }
            let at = now.checked_sub(age).unwrap_or(now);
            let standing = Standing::Wrong(at);
            let key = notice.key.clone();
            let entry = Entry { current: false, standing, was_mended, ..self.entry(notice, now) };
            self.entries.insert(key, entry);
        }
    }

    /// How much it keeps track of.
    pub(in crate::control::write_back) fn room(&self) -> usize {
        self.pace.tracked
    }

    /// Who it writes for.
    pub(in crate::control::write_back) fn scope(&self) -> &str {
        &self.scope
    }

    /// Takes what is wrong now; `is_there` says whether an object of this uid exists. Also makes good for
    /// writes whose result never came.
    pub(in crate::control::write_back) fn set(
        &mut self,
        findings: &[ObjectDiagnostic],
        is_there: impl Fn(&ObjectRef, Option<&str>) -> bool,
        now: Instant,
    ) {
        let was: HashSet<_> = self.current().cloned().collect();
        self.entries.values_mut().for_each(|entry| entry.current = false);
        for notice in findings.iter().filter_map(|finding| Notice::of(finding, &self.scope)) {
            if let Some(entry) = self.entries.get_mut(&notice.key) {
                entry.current = true;
                if was.contains(&notice.key) {
                    continue;
                }
                entry.quiet = now + self.pace.settle;
                if entry.due(&self.pace).is_some_and(|at| at > entry.quiet) {
                    self.suppressed.push(Suppressed::Repeated);
                }
            } else if self.entries.len() < self.pace.tracked {
                let key = notice.key.clone();
                self.entries.insert(key, self.entry(notice, now));
            } else {
                self.suppressed.push(Suppressed::Full);
            }
        }
        for (key, entry) in &mut self.entries {
            entry.present =
                entry.current || is_there(&entry.notice.object, entry.notice.uid.as_deref());
            if !entry.current && was.contains(key) {
                entry.quiet = now + self.pace.settle;
            }
        }
        self.entries.retain(|_, entry| entry.is_kept(&self.pace, now));
        self.objects.retain(|_, bucket| !bucket.is_full(now));
        let due = |(key, entry): (&EventKey, &Entry)| Some((entry.due(&self.pace)?, key.clone()));
        self.due = self.entries.iter().filter_map(due).collect();
    }

    fn entry(&self, notice: Notice, now: Instant) -> Entry {
        Entry {
            notice: Arc::new(notice),
            current: true,
            present: true,
            standing: Standing::Nothing,
            was_mended: false,
            quiet: now + self.pace.settle,
            failures: 0,
            held: false,
        }
    }

    /// What to write now. It is under way until [`Self::done`] or [`Self::set`].
    pub(in crate::control::write_back) fn next(&mut self, now: Instant) -> Next {
        while let Some((at, key)) = self.due.first().cloned() {
            if at > now {
                return Next::Wait(at);
            }
            let Some(entry) = self.entries.get_mut(&key) else {
                self.due.pop_first();
                continue;
            };
            let total = self.total.ready(now);
            let object = &entry.notice.object;
            let bucket = self.objects.entry(object.clone());
            let bucket = bucket.or_insert_with(|| Bucket::new(self.pace.object, now));
            let ready = bucket.ready(now);
            if (total > now || ready > now) && !entry.held {
                entry.held = true;
                self.suppressed.push(Suppressed::Rate);
            }
            if ready > now {
                self.due.pop_first();
                self.due.insert((ready, key));
            } else if total > now {
                return Next::Wait(total);
            } else {
                bucket.take(now);
                self.total.take(now);
                self.due.pop_first();
                entry.held = false;
                return if entry.current {
                    let again = !matches!(entry.standing, Standing::Nothing);
                    Next::Write(Arc::clone(&entry.notice), again)
                } else {
                    Next::Write(Arc::new(entry.notice.mended(&self.scope)), entry.was_mended)
                };
            }
        }
        Next::Idle
    }

    /// Takes the result of a write.
    pub(in crate::control::write_back) fn done(
        &mut self,
        notice: &Notice,
        result: Result<Said, Failure>,
        now: Instant,
        random: f64,
    ) {
        let Some(entry) = self.entries.get_mut(&notice.of) else { return };
        match result {
            Ok(said) => {
                let age = match said {
                    Said::Written => Duration::ZERO,
                    Said::Standing { age } => {
                        self.suppressed.push(Suppressed::Repeated);
                        age
                    }
                };
                entry.failures = 0;
                // A clock of this machine that began later than that counts from its beginning.
                let at = now.checked_sub(age).unwrap_or(now);
                entry.standing = match (notice.is_mended, entry.standing) {
                    (false, _) => Standing::Wrong(at),
                    (true, Standing::Wrong(at) | Standing::Mended(at)) => Standing::Mended(at),
                    (true, Standing::Nothing) => Standing::Mended(at),
                };
                entry.was_mended |= notice.is_mended;
            }
            Err(failure) => {
                entry.failures = entry.failures.saturating_add(1);
                let wait = self.pace.backoff.after(entry.failures, failure, random);
                entry.quiet = entry.quiet.max(now + wait);
            }
        }
        if let Some(at) = entry.due(&self.pace) {
            self.due.insert((at, notice.of.clone()));
        }
    }

    /// Messages held back since the last call.
    pub(in crate::control::write_back) fn suppressed(&mut self) -> Vec<Suppressed> {
        std::mem::take(&mut self.suppressed)
    }

    fn current(&self) -> impl Iterator<Item = &EventKey> {
        self.entries.iter().filter(|(_, entry)| entry.current).map(|(key, _)| key)
    }
}
