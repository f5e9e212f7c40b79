//! Which Event is written when: each once, again at long intervals as long as it is true, and never
//! too many at once. It decides, and does no I/O.

use super::{EventKey, Finding, Notice};
use crate::control::write_back::bucket::{Bucket, Rate};
use crate::control::write_back::events::Said;
use crate::control::write_back::failure::{Backoff, Failure};
use crate::model::ObjectRef;
use crate::telemetry::Suppressed;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often Events are written.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// From one Event to its repetition. Below the hour that an API server keeps Events by default
    /// (`--event-ttl`), so that what is wrong for days can be seen all the time.
    pub repeat: Duration,
    /// For one object.
    pub object: Rate,
    /// For all together.
    pub total: Rate,
    /// After a failure.
    pub backoff: Backoff,
    /// How many findings are kept track of. The first ones, in the order in which they are given.
    pub tracked: usize,
}

impl Default for Pace {
    /// 50 min; 25 at once and then one in 5 s for each object; 10 at once and 10 a second for all;
    /// 4096 findings, which are some 4 MB.
    fn default() -> Self {
        Self {
            repeat: Duration::from_secs(50 * 60),
            object: Rate { burst: 25, every: Duration::from_secs(5) },
            total: Rate { burst: 10, every: Duration::from_millis(100) },
            backoff: Backoff::default(),
            tracked: 4096,
        }
    }
}

#[derive(Debug)]
struct Entry {
    notice: Arc<Notice>,
    /// Whether it is still true.
    current: bool,
    /// Whether it was written by us, or found to be there.
    said: bool,
    /// Until when it is not to be written, by its interval or after a failure.
    quiet: Instant,
    failures: u32,
    /// Whether it was counted as held back since it was last written.
    held: bool,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::control::write_back) enum Next {
    /// Write this; the second says whether it was written before.
    Write(Arc<Notice>, bool),
    /// Nothing before that.
    Wait(Instant),
    /// Nothing, unless something changes.
    Idle,
}

/// What was said, and what is to be.
#[derive(Debug)]
pub(in crate::control::write_back) struct Ledger {
    pace: Pace,
    scope: String,
    entries: HashMap<EventKey, Entry>,
    /// Those that are true and not under way, by the time when they are due.
    due: BTreeSet<(Instant, EventKey)>,
    objects: HashMap<ObjectRef, Bucket>,
    total: Bucket,
    suppressed: Vec<Suppressed>,
}

impl Ledger {
    pub(in crate::control::write_back) fn new(pace: Pace, scope: String, now: Instant) -> Self {
        let total = Bucket::new(pace.total, now);
        let (entries, due, objects) = (HashMap::new(), BTreeSet::new(), HashMap::new());
        Self { pace, scope, entries, due, objects, total, suppressed: Vec::new() }
    }

    /// Takes what is wrong now. Also makes good for writes whose result never came.
    pub(in crate::control::write_back) fn set(&mut self, findings: &[Finding], now: Instant) {
        let was: BTreeSet<_> = self.current().cloned().collect();
        self.entries.values_mut().for_each(|entry| entry.current = false);
        for notice in findings.iter().filter_map(|finding| Notice::of(finding, &self.scope)) {
            if let Some(entry) = self.entries.get_mut(&notice.key) {
                if entry.said && now < entry.quiet && !was.contains(&notice.key) {
                    self.suppressed.push(Suppressed::Repeated);
                }
                entry.current = true;
            } else if self.entries.len() < self.pace.tracked {
                let key = notice.key.clone();
                let notice = Arc::new(notice);
                let (current, said, failures, held) = (true, false, 0, false);
                let entry = Entry { notice, current, said, quiet: now, failures, held };
                self.entries.insert(key, entry);
            } else {
                self.suppressed.push(Suppressed::Full);
            }
        }
        // What was said is remembered for its interval, in case it becomes true again.
        self.entries.retain(|_, entry| entry.current || (entry.said && now < entry.quiet));
        self.objects.retain(|_, bucket| !bucket.is_full(now));
        let current = self.entries.iter().filter(|(_, entry)| entry.current);
        self.due = current.map(|(key, entry)| (entry.quiet, key.clone())).collect();
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
                return Next::Write(Arc::clone(&entry.notice), entry.said);
            }
        }
        Next::Idle
    }

    /// Takes the result of a write.
    pub(in crate::control::write_back) fn done(
        &mut self,
        key: &EventKey,
        result: Result<Said, Failure>,
        now: Instant,
        random: f64,
    ) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        match result {
            Ok(said) => {
                let age = match said {
                    Said::Written => Duration::ZERO,
                    Said::Standing { age } => {
                        self.suppressed.push(Suppressed::Repeated);
                        age
                    }
                };
                entry.said = true;
                entry.failures = 0;
                entry.quiet = now + self.pace.repeat.saturating_sub(age);
            }
            Err(failure) => {
                entry.failures = entry.failures.saturating_add(1);
                entry.quiet = now + self.pace.backoff.after(entry.failures, failure, random);
            }
        }
        if entry.current {
            self.due.insert((entry.quiet, key.clone()));
        }
    }

    /// What was held back since the last call.
    pub(in crate::control::write_back) fn suppressed(&mut self) -> Vec<Suppressed> {
        std::mem::take(&mut self.suppressed)
    }

    fn current(&self) -> impl Iterator<Item = &EventKey> {
        self.entries.iter().filter(|(_, entry)| entry.current).map(|(key, _)| key)
    }
}
