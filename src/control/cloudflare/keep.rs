//! The loop that keeps the list up to date: fetches, polls, removes ranges after their delay, and publishes.
//!
//! It runs on a thread of its own and leaves at once when the process does, in the middle of an
//! attempt too. Nothing that a server, a file or a ConfigMap holds ends it.

use super::answer;
use super::check::networks;
use super::failure::Failure;
use super::fetch::{Fetched, Origin};
use super::initial::{Initial, named};
use super::life::{Answer, ListDiff, ListState};
use super::own::{self, Followed, ListBytes, Seen};
use super::refresh_intervals::{Clock, RefreshIntervals};
use super::spec::ListSpec;
use super::store;
use crate::config::{CLOUDFLARE_DATE, ListOrigin};
use crate::control::utc::when;
use crate::net::addr::AddrRanges;
use crate::net::shutdown::{ShutdownSignal, Stage};
use crate::telemetry::{ListMetrics, ListSource};
use http::HeaderValue;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// What a [`ListKeeper`] is made of.
pub struct Setup {
    /// Which list it is.
    pub spec: ListSpec,
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
    life: ListState,
    clock: Clock,
    way: Way,
    /// Its name in the log.
    name: &'static str,
    /// The source, in messages.
    place: String,
    identity: String,
    /// Name of its file in the state directory.
    file: &'static str,
    state: Option<PathBuf>,
    seen: Option<Seen>,
    /// Whether the last attempt failed.
    failing: bool,
    metrics: Arc<ListMetrics>,
    publish: Box<dyn Fn(AddrRanges) + Send>,
    pace: RefreshIntervals,
}

/// How news of the list arrive.
enum Way {
    /// Not at all.
    None,
    Api(Api),
    File(Followed),
    ConfigMap(watch::Receiver<Option<Arc<str>>>),
}

/// The API, and when it is asked next.
struct Api {
    origin: Origin,
    jdcloud: bool,
    refresh: Duration,
    /// Of the last answer that was taken in this process. None is kept on disk, so that a kept list
    /// is compared with the whole published one, once.
    etag: Option<HeaderValue>,
    next: Instant,
    failures: u32,
}

enum Event {
    Ask,
    Look(ListBytes),
    Expire,
}

impl ListKeeper {
    /// Prepares, and reports the initial state in the metrics and its warnings in the log.
    pub fn new(setup: Setup) -> Self {
        let Setup { spec, state, initial, texts, metrics, publish, pace } = setup;
        let Initial { life, clock, seen, failed, warnings, .. } = initial;
        for warning in &warnings {
            tracing::warn!(
                list = spec.name(),
                warning,
                "the list of Cloudflare's addresses does not come from the \
                configured source"
            );
        }
        let (place, identity, name, file) = (spec.place(), spec.identity(), spec.name(), spec.file);
        let way = match spec.origin {
            ListOrigin::Published { refresh: None, .. } | ListOrigin::Networks(_) => Way::None,
            ListOrigin::Published { url, ca_file, refresh: Some(refresh), jdcloud } => {
                let origin = Origin::new(&url, jdcloud, ca_file);
                let next = Instant::now() + pace.before_first();
                Way::Api(Api { origin, jdcloud, refresh, etag: None, next, failures: 0 })
            }
            ListOrigin::File(path) => Way::File(Followed::new(path)),
            ListOrigin::ConfigMap { .. } => Way::ConfigMap(texts),
        };
        if let Some(why) = failed {
            metrics.update(|cells| cells.fail(why, clock.now().unix));
        }
        let failing = failed.is_some();
        let this = Self {
            life,
            clock,
            way,
            name,
            place,
            identity,
            file,
            state,
            seen,
            failing,
            metrics,
            publish,
            pace,
        };
        this.begin();
        this
    }

    fn begin(&self) {
        self.note();
        let (source, listed) = (self.life.source(), networks(&self.life.in_force()));
        let confirmed = self.life.confirmed().map(when);
        tracing::info!(
            list = self.name,
            origin = source.as_str(),
            networks = listed.len(),
            confirmed,
            compiled_in = CLOUDFLARE_DATE,
            "the list of Cloudflare's addresses"
        );
        let leaving = networks(&self.life.leaving());
        if !leaving.is_empty() {
            let networks = named(&leaving);
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
            if let Way::ConfigMap(texts) = &mut self.way {
                // Messages sent before this are no change, and not lost.
                let text = texts.borrow_and_update().clone();
                if let Some(text) = text {
                    self.offer(ListSource::ConfigMap, Ok(text.as_bytes().to_vec()));
                }
            }
            loop {
                match self.next().await {
                    Event::Ask => self.ask().await,
                    Event::Look(found) => self.offer(self.way.source(), found),
                    Event::Expire => self.expire(),
                }
            }
        };
        tokio::select! {
            biased;
            () = shutdown.reached(Stage::Draining) => {}
            () = live => {}
        }
    }

    async fn next(&mut self) -> Event {
        let expire = self.life.due().and_then(|due| self.clock.instant(due));
        let expired = async {
            match expire {
                Some(instant) => sleep_until(instant).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = expired => Event::Expire,
            event = self.way.next(&self.pace) => event,
        }
    }

    /// One attempt with the API.
    async fn ask(&mut self) {
        let Way::Api(api) = &self.way else { return };
        let fetched = api.origin.get(api.etag.as_ref(), self.pace.deadlines).await;
        let jdcloud = api.jdcloud;
        let read = fetched.map_err(Failure::from).and_then(|fetched| match fetched {
            Fetched::NotModified => Ok((Answer::Unchanged, None)),
            Fetched::Whole { body, etag } => {
                Ok((Answer::List(answer::json(&body, jdcloud)?), Some(etag)))
            }
        });
        let before = self.life.in_force();
        let taken = read.and_then(|(answer, etag)| {
            Ok((self.life.on_answer(self.clock.now(), ListSource::Api, answer)?, etag))
        });
        let failed = taken.is_err();
        if let Way::Api(api) = &mut self.way {
            if let Ok((_, Some(etag))) = &taken {
                api.etag.clone_from(etag);
            }
            api.failures = if failed { api.failures.saturating_add(1) } else { 0 };
            api.next = Instant::now() + self.pace.between(api.refresh, api.failures);
        }
        self.settle(&before, taken.map(|(outcome, _)| outcome));
        if !failed {
            // The moment of the confirmation is kept too.
            self.save();
        }
    }

    /// Takes what the operator's list was found to be, unless it is what it was.
    fn offer(&mut self, source: ListSource, found: ListBytes) {
        let seen = Seen::of(&found);
        if self.seen.as_ref() == Some(&seen) {
            if !self.failing {
                self.life.confirm(self.clock.now());
                self.note();
            }
            return;
        }
        self.seen = Some(seen);
        let before = self.life.in_force();
        let taken = own::parse(found).and_then(|list| {
            Ok(self.life.on_answer(self.clock.now(), source, Answer::List(list))?)
        });
        let good = taken.is_ok();
        self.settle(&before, taken);
        if good {
            self.save();
        }
    }

    fn expire(&mut self) {
        let removed = networks(&self.life.expire(self.clock.now()));
        if removed.is_empty() {
            return;
        }
        let networks = named(&removed);
        tracing::warn!(networks, "Cloudflare's addresses: removed after the delay");
        self.note();
        (self.publish)(self.life.in_force());
        self.save();
    }

    /// Counts, logs and publishes what an attempt did.
    fn settle(&mut self, before: &AddrRanges, taken: Result<ListDiff, Failure>) {
        let unix = self.clock.now().unix;
        match taken {
            Ok(outcome) => {
                self.metrics.update(|cells| cells.succeed(outcome.changed(), unix));
                if std::mem::take(&mut self.failing) {
                    let source = &self.place;
                    tracing::info!(source, "the list of Cloudflare's addresses can be read again");
                }
                self.tell(&outcome);
            }
            Err(failure) => {
                self.failing = true;
                let why = failure.why();
                self.metrics.update(|cells| cells.fail(why, unix));
                tracing::warn!(
                    list = self.name,
                    reason = why.as_str(),
                    error = %failure.at(&self.place),
                    "the list of Cloudflare's addresses is unchanged"
                );
            }
        }
        self.note();
        let after = self.life.in_force();
        if after != *before {
            (self.publish)(after);
        }
    }

    fn tell(&self, outcome: &ListDiff) {
        let list = |ranges: &AddrRanges| {
            let networks = networks(ranges);
            (!networks.is_empty()).then(|| named(&networks))
        };
        if let Some(networks) = list(&outcome.added) {
            tracing::info!(networks, "Cloudflare's addresses: added");
        }
        if let Some(networks) = list(&outcome.back) {
            tracing::info!(networks, "Cloudflare's addresses: listed again, kept");
        }
        if let Some(networks) = list(&outcome.leaving) {
            let delay = self.life.delay();
            tracing::warn!(
                networks,
                ?delay,
                "Cloudflare's addresses: no longer listed, removed after the delay"
            );
        }
        if let Some(networks) = list(&outcome.removed) {
            tracing::warn!(
                networks,
                "Cloudflare's addresses: removed, because the source of the list changed"
            );
        }
        if !outcome.never.is_empty() {
            let networks = named(&outcome.never);
            tracing::warn!(
                networks,
                source = %self.place,
                "listed but not admitted: reassigned to WARP users, so the list is outdated"
            );
        }
    }

    fn note(&self) {
        let (ranges, leaving) = (self.life.in_force(), self.life.leaving());
        self.metrics.update(|cells| {
            cells.source = self.life.source();
            cells.v4_ranges = ranges.v4().len();
            cells.v6_ranges = ranges.v6().len();
            cells.leaving = leaving.v4().len() + leaving.v6().len();
            cells.confirmed = self.life.confirmed();
        });
    }

    fn save(&self) {
        let Some(directory) = &self.state else { return };
        let kept = self.life.keep(self.clock.now());
        if let Err(error) = store::save(directory, self.file, &self.identity, &kept) {
            tracing::warn!(
                %error,
                ?directory,
                "the last good list cannot be stored: make state.directory a writable directory"
            );
        }
    }
}

impl Way {
    fn source(&self) -> ListSource {
        match self {
            Self::None => ListSource::Embedded,
            Self::Api(_) => ListSource::Api,
            Self::File(_) => ListSource::File,
            Self::ConfigMap(_) => ListSource::ConfigMap,
        }
    }

    /// Waits for the next occasion.
    async fn next(&mut self, pace: &RefreshIntervals) -> Event {
        match self {
            Self::None => std::future::pending().await,
            Self::Api(api) => {
                sleep_until(api.next).await;
                Event::Ask
            }
            Self::File(followed) => {
                followed.due(pace).await;
                Event::Look(own::read(&followed.path))
            }
            Self::ConfigMap(texts) => {
                if texts.changed().await.is_err() {
                    // The control thread has ended: nothing will come any more.
                    std::future::pending::<()>().await;
                }
                let text = texts.borrow_and_update().clone();
                Event::Look(text.map(|text| text.as_bytes().to_vec()).ok_or(Failure::Absent))
            }
        }
    }
}
