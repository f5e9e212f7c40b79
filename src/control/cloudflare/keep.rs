//! The loop that keeps the list up to date: fetches, polls, removes ranges after their delay, and publishes.
//!
//! It runs on a thread of its own and leaves at once when the process does, in the middle of an
//! attempt too. Nothing that a server, a file or a ConfigMap holds ends it.

use super::answer::{self, List};
use super::check::{Rules, networks};
use super::failure::Failure;
use super::fetch::{Fetched, Origin};
use super::initial::{Initial, named};
use super::life::{ClockTimes, ListDiff, ListState};
use super::own::{Found, OwnText};
use super::refresh_intervals::{RefreshIntervals, at};
use super::store;
use crate::config::{CLOUDFLARE_DATE, ListOrigin};
use crate::control::utc::{self, when};
use crate::net::addr::AddrRanges;
use crate::net::shutdown::{ShutdownSignal, Stage};
use crate::telemetry::{ListMetrics, ListSource};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// What a [`ListKeeper`] is made of.
pub struct Setup {
    /// `[state] directory`.
    pub state: Option<PathBuf>,
    /// The list that is in force already.
    pub initial: Initial,
    /// The text under the ConfigMap's key whenever the control thread has read it; `None` means that the
    /// key does not exist. Only for [`ListOrigin::ConfigMap`]; ignored otherwise.
    pub texts: watch::Receiver<Option<Arc<str>>>,
    /// The metrics of the list.
    pub metrics: Arc<ListMetrics>,
    /// Called with every new set of addresses in force, from the keeper's thread. Not for the
    /// initial one.
    pub publish: Box<dyn Fn(AddrRanges) + Send>,
    /// The intervals; the default but in tests.
    pub pace: RefreshIntervals,
}

/// Keeps the list up to date as long as the process runs.
pub struct ListKeeper {
    list: ListState,
    way: Way,
    /// When the API is asked next.
    next: Option<Instant>,
    /// Attempts that failed in a row.
    failures: u32,
    /// What the operator's text was found to be last: nothing is said twice of one that has not changed.
    seen: Option<Found>,
    state: Option<PathBuf>,
    metrics: Arc<ListMetrics>,
    publish: Box<dyn Fn(AddrRanges) + Send>,
    pace: RefreshIntervals,
}

/// How news of the list arrive.
enum Way {
    /// Not at all.
    None,
    Api {
        origin: Origin,
        jdcloud: bool,
        refresh: Duration,
    },
    Own(OwnText),
}

impl ListKeeper {
    /// Prepares, and reports the initial state in the metrics and its warnings in the log.
    pub fn new(setup: Setup) -> Self {
        let Setup { state, initial, texts, metrics, publish, pace } = setup;
        let Initial { list, seen, failed, warnings } = initial;
        for warning in &warnings {
            tracing::warn!(
                list = list.spec.name(),
                warning,
                "the list of Cloudflare's addresses does not come from the \
                configured source"
            );
        }
        let mut next = None;
        let way = match &list.spec.origin {
            ListOrigin::Published { refresh: None, .. } | ListOrigin::Networks(_) => Way::None,
            ListOrigin::Published { url, ca_file, refresh: Some(refresh), jdcloud } => {
                next = Some(Instant::now() + pace.before_first());
                let origin = Origin::new(url, *jdcloud, ca_file.clone());
                Way::Api { origin, jdcloud: *jdcloud, refresh: *refresh }
            }
            origin @ (ListOrigin::File(_) | ListOrigin::ConfigMap { .. }) => {
                Way::Own(OwnText::new(origin, texts))
            }
        };
        if let Some(why) = failed {
            metrics.update(|cells| cells.fail(why, utc::now()));
        }
        let failures = failed.map_or(0, |_| 1);
        let this = Self { list, way, next, failures, seen, state, metrics, publish, pace };
        this.begin();
        this
    }

    fn begin(&self) {
        self.note();
        let (source, listed) = (self.list.source, networks(&self.list.in_force()));
        let confirmed = self.list.confirmed.map(when);
        tracing::info!(
            list = self.list.spec.name(),
            origin = source.as_str(),
            networks = listed.len(),
            confirmed,
            compiled_in = CLOUDFLARE_DATE,
            "the list of Cloudflare's addresses"
        );
        if let Some(networks) = some_named(&self.list.leaving()) {
            tracing::warn!(
                networks,
                "Cloudflare's addresses: no longer listed, to be removed after the delay"
            );
        }
        if matches!(source, ListSource::File | ListSource::ConfigMap) {
            self.save();
        }
    }

    /// Keeps the list up to date until shutdown, on a runtime with I/O and time. Dropping the future ends
    /// everything.
    pub async fn run(mut self, mut shutdown: ShutdownSignal) {
        let live = async {
            loop {
                let expires = self.list.due();
                tokio::select! {
                    () = at(expires) => self.expire(),
                    () = self.way.news(self.next, &self.pace) => self.look().await,
                }
            }
        };
        shutdown.interrupt(Stage::Draining, live).await;
    }

    /// One attempt.
    async fn look(&mut self) {
        match &mut self.way {
            Way::None => {}
            Way::Own(text) => {
                let found = text.read();
                self.offer(found);
            }
            Way::Api { origin, jdcloud, refresh } => {
                let (jdcloud, refresh) = (*jdcloud, *refresh);
                let etag = self.list.etag.as_ref();
                let fetched = origin.get_if_changed(etag, self.pace.deadlines).await;
                let read =
                    |Fetched { body, etag }| Ok(List { etag, ..answer::json(&body, jdcloud)? });
                let fetched = fetched.map_err(Failure::from);
                self.take(fetched.and_then(|fetched| fetched.map(read).transpose()));
                self.next = Some(Instant::now() + self.pace.between(refresh, self.failures));
            }
        }
    }

    /// Takes what the operator's list was found to be, unless it is what it was.
    fn offer(&mut self, found: Found) {
        if self.seen.as_ref() != Some(&found) {
            self.seen = Some(found.clone());
            self.take(found.and_then(|bytes| answer::text(&bytes)).map(Some));
        } else if self.failures == 0 {
            self.list.confirmed = Some(utc::now());
            self.note();
        }
    }

    fn expire(&mut self) {
        let Some(networks) = some_named(&self.list.expire(ClockTimes::now())) else { return };
        tracing::warn!(networks, "Cloudflare's addresses: removed after the delay");
        self.note();
        (self.publish)(self.list.in_force());
        self.save();
    }

    /// Takes an answer. Counts, logs, publishes and stores what comes of it.
    fn take(&mut self, answer: Result<Option<List>, Failure>) {
        let (now, before) = (ClockTimes::now(), self.list.in_force());
        let taken = answer.and_then(|answer| self.list.take(now, answer));
        match &taken {
            Ok(diff) => {
                self.metrics.update(|cells| cells.succeed(diff.changed(), now.unix));
                if std::mem::take(&mut self.failures) > 0 {
                    let source = self.list.spec.place();
                    tracing::info!(source, "the list of Cloudflare's addresses can be read again");
                }
                self.tell(diff);
            }
            Err(failure) => {
                self.failures = self.failures.saturating_add(1);
                self.metrics.update(|cells| cells.fail(failure.why, now.unix));
                tracing::warn!(
                    list = self.list.spec.name(),
                    reason = failure.why.as_str(),
                    error = %failure.at(&self.list.spec.place()),
                    "the list of Cloudflare's addresses is unchanged"
                );
            }
        }
        self.note();
        let after = self.list.in_force();
        if after != before {
            (self.publish)(after);
        }
        if taken.is_ok() {
            // The moment of the confirmation is kept too.
            self.save();
        }
    }

    fn tell(&self, diff: &ListDiff) {
        if let Some(networks) = some_named(&diff.added) {
            tracing::info!(networks, "Cloudflare's addresses: added");
        }
        if let Some(networks) = some_named(&diff.back) {
            tracing::info!(networks, "Cloudflare's addresses: listed again, kept");
        }
        let delay = self.list.spec.removal_delay;
        match (some_named(&diff.gone), self.list.spec.rules) {
            (None, _) => {}
            (Some(networks), Rules::Published) => tracing::warn!(
                networks,
                ?delay,
                "Cloudflare's addresses: no longer listed, removed after the delay"
            ),
            (Some(networks), Rules::Override | Rules::Extra) => tracing::warn!(
                networks,
                "Cloudflare's addresses: removed, because the source of the list changed"
            ),
        }
        if !diff.never.is_empty() {
            let networks = named(&diff.never);
            tracing::warn!(
                networks,
                source = %self.list.spec.place(),
                "listed but not admitted: reassigned to WARP users, so the list is outdated"
            );
        }
    }

    fn note(&self) {
        let (ranges, leaving) = (self.list.in_force(), self.list.leaving());
        self.metrics.update(|cells| {
            cells.source = self.list.source;
            cells.v4_ranges = ranges.v4().len();
            cells.v6_ranges = ranges.v6().len();
            cells.leaving = leaving.v4().len() + leaving.v6().len();
            cells.confirmed = self.list.confirmed;
        });
    }

    fn save(&self) {
        let Some(directory) = &self.state else { return };
        let kept = self.list.keep(ClockTimes::now());
        if let Err(error) = store::save(directory, self.list.spec.file(), &kept) {
            tracing::warn!(
                %error,
                ?directory,
                "the last good list cannot be stored: make state.directory a writable directory"
            );
        }
    }
}

impl Way {
    /// Waits for the next occasion to look; `next` is that of the API.
    async fn news(&mut self, next: Option<Instant>, pace: &RefreshIntervals) {
        match self {
            Self::Own(text) => text.news(pace).await,
            Self::None | Self::Api { .. } => at(next).await,
        }
    }
}

/// The networks of a set for a message, unless it is empty.
fn some_named(ranges: &AddrRanges) -> Option<String> {
    (!ranges.is_empty()).then(|| named(&networks(ranges)))
}
