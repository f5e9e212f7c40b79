//! One kind, kept in step: list, watch, check, and list again after every doubt.
//!
//! A watch is resumed only where it ended at the time that we had set, and the API server is not behind
//! us then. After anything else (a cut, a refusal, an end before its time, an error, silence) the
//! whole list is read again, because the API server may be another one, with other data under the
//! same resourceVersion. Until then, and if the
//! list fails, what is known stays.

use super::client::{Api, Lines};
use super::cluster::Cluster;
use super::decode::{self, Event, Page};
use super::failure::Failure;
use super::ingress_status::IngressStatuses;
use super::recovery::{SPREAD, spread};
use super::retry_backoff::{RetryBackoff, jittered};
use super::scope::{Limit, Scope};
use crate::config::Kubernetes;
use crate::model::Kind;
use crate::telemetry::{WatchCells, WatchFailure, WatchMetrics};
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{
    Instant, Interval, MissedTickBehavior, interval_at, sleep, sleep_until, timeout,
};

/// How much earlier than asked for the API server may end a watch: clocks that run apart.
const EARLY: Duration = Duration::from_millis(200);

/// A watch that has lasted for so long was not refused.
const SETTLED: Duration = Duration::from_secs(10);

/// Secrets that are fetched by name; for more, the list is read.
const FETCHED_BY_NAME: usize = 16;

/// A scope, and the state of its watch.
pub(super) struct Follower {
    pub(super) api: Api,
    pub(super) scope: Scope,
    pub(super) cluster: Arc<Cluster>,
    pub(super) standings: Arc<IngressStatuses>,
    pub(super) metrics: Arc<WatchMetrics>,
    pub(super) settings: Kubernetes,
    /// After a list that failed.
    pub(super) pace: RetryBackoff,
    /// After a watch that failed: lists that succeed do not shorten it, or a watch that is refused would
    /// have all of it read again four times a second.
    pub(super) watching: RetryBackoff,
}

/// A check that is under way: the version that we had when it was asked for, and the answer.
type Check = Pin<Box<dyn Future<Output = (String, Result<Page, Failure>)> + Send>>;

/// State of one run of watches.
struct Run {
    version: String,
    /// The last check found another number of objects, and no event has come since.
    doubt: bool,
    check: Check,
    /// Whether `check` is one, and its answer is owed.
    asking: bool,
    /// When to check. It outlasts the watches: one that began with each of them would never come if
    /// they are the shorter ones.
    ticks: Interval,
}

impl Follower {
    /// Never ends.
    pub(super) async fn run(mut self) {
        if self.scope.kind == Kind::Secret {
            // They say which Secrets are kept. Where they do not come, Secrets can do without.
            let _ = timeout(self.api.patience(), self.cluster.wait_ingresses()).await;
        }
        let (mut last, mut without) = (None, 0);
        loop {
            let (failure, listed) = match self.list().await {
                Ok(version) => {
                    without = 0;
                    self.note_refusal(None);
                    if last.take().is_some() {
                        tracing::info!(of = self.scope.words(), "watching the API server again");
                    }
                    self.pace.reset();
                    (self.follow(version).await, true)
                }
                Err(failure) if self.is_without(&failure) => {
                    self.go_without(&failure, without).await;
                    without += 1;
                    continue;
                }
                Err(failure) => {
                    self.cluster.do_without(&self.scope);
                    (failure, false)
                }
            };
            if failure.why == WatchFailure::Vanishing {
                self.hold(&failure).await;
                continue;
            }
            self.note(|cells| cells.fail(failure.why, &failure.words));
            if failure.why == WatchFailure::Forbidden && !listed {
                self.note_refusal(Some(&failure.words));
            }
            let pace = if listed { &mut self.watching } else { &mut self.pace };
            let wait = pace.next(failure.retry_after);
            let (reason, words) = (failure.why.as_str(), &failure.words);
            if last.replace(failure.why) == Some(failure.why) {
                tracing::debug!(of = self.scope.words(), reason, words, ?wait, "again");
            } else {
                tracing::warn!(
                    of = self.scope.words(),
                    reason,
                    words,
                    ?wait,
                    "out of sync with the API server; the last known state is served"
                );
            }
            self.pause(failure, wait).await;
        }
    }

    /// Waits for so long, or until any follower finds the API server back; but for as long as it has
    /// asked for in any case.
    async fn pause(&mut self, failure: Failure, wait: Duration) {
        let asked = failure.retry_after.unwrap_or_default().min(wait);
        let least = Instant::now() + asked;
        let recovery = self.api.recovery();
        let mut returns = recovery.returns();
        recovery.failed(&self.scope, &failure);
        tokio::select! {
            () = sleep(wait) => return,
            // Its sender is in the API server, which we hold.
            _ = returns.changed() => {}
            () = self.ask_until_back(failure) => {}
        }
        self.pace.reset();
        self.watching.reset();
        spread().await;
        sleep_until(least).await;
    }

    /// Requests one object repeatedly until a follower gets a good response. One follower at a time
    /// does.
    async fn ask_until_back(&self, mut last: Failure) {
        let recovery = self.api.recovery();
        let mut asking = recovery.turn().await;
        while recovery.is_away() {
            asking.pause(&last).await;
            match self.api.page(&self.scope, Limit::One, None).await {
                Err(failure)
                    if failure.is_of_server() || failure.why == WatchFailure::Throttled =>
                {
                    last = failure;
                }
                // Also one that forbids this kind: the others need not wait for the right to it.
                _ => recovery.answered(Instant::now()),
            }
        }
    }

    /// Reads the whole list and puts it in place. Returns its resourceVersion.
    pub(super) async fn list(&self) -> Result<String, Failure> {
        let (mut items, mut standings) = (Vec::new(), Vec::new());
        let mut next = None;
        let version = loop {
            let page = self.api.page(&self.scope, Limit::Page, next.as_deref()).await?;
            items.extend(page.items);
            standings.extend(page.standings);
            next = page.next;
            if next.is_none() {
                break page.version;
            }
        };
        if self.scope.kind == Kind::Ingress {
            self.standings.swap(&self.scope, standings);
        }
        self.cluster.swap(&self.scope, items);
        self.note(|cells| {
            cells.lists += 1;
            cells.prove();
        });
        Ok(version)
    }

    /// Watches until there is a reason to list again, and returns it.
    async fn follow(&mut self, version: String) -> Failure {
        let check: Check = Box::pin(pending());
        let every = self.settings.consistency_check;
        let mut ticks = interval_at(Instant::now() + jittered(every), every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut run = Run { version, doubt: false, check, asking: false, ticks };
        let begun = Instant::now();
        loop {
            let length = jittered(self.settings.watch_timeout).as_secs().max(1);
            let seconds = u32::try_from(length).unwrap_or(u32::MAX);
            let opened = Instant::now();
            let watch = self.api.watch(&self.scope, &run.version, seconds).await;
            let ended = match watch {
                Ok(lines) => {
                    let deadline = opened + Duration::from_secs(length) + self.api.patience();
                    self.read(lines, deadline, &mut run).await
                }
                Err(failure) => Err(failure),
            };
            if begun.elapsed() >= SETTLED {
                self.watching.reset();
            }
            if let Err(failure) = ended {
                return failure;
            }
            if opened.elapsed() + EARLY < Duration::from_secs(length) {
                return Failure::new(WatchFailure::Closed, "a watch ended early");
            }
            self.watching.reset();
            // What is resumed is trusted blindly: a server that was restored in between would say
            // nothing of it, and might have passed our version again by the next check.
            let (before, answer) = self.check(&run.version).await;
            if let Err(failure) = self.compare(&before, answer, &mut run) {
                return failure;
            }
        }
    }

    /// Takes the events of one watch until its clean end.
    async fn read(
        &mut self,
        mut lines: Lines,
        deadline: Instant,
        run: &mut Run,
    ) -> Result<(), Failure> {
        let mut wanted = self.cluster.wanted();
        let mut returns = self.api.recovery().returns();
        let keeps_secrets = self.scope.kind == Kind::Secret;
        if keeps_secrets {
            self.fetch_missing().await?;
        }
        loop {
            tokio::select! {
                line = lines.next() => match line {
                    Some(line) => self.take(&line?, run).await?,
                    None => return Ok(()),
                },
                _ = run.ticks.tick(), if !run.asking => {
                    run.check = self.check(&run.version);
                    run.asking = true;
                }
                (before, answer) = &mut run.check => {
                    run.check = Box::pin(pending());
                    run.asking = false;
                    self.compare(&before, answer, run)?;
                }
                // This watch has outlived an absence of the server, or belongs to another one.
                _ = returns.changed() => run.ticks.reset_after(jittered(SPREAD)),
                // Its sender is in the cluster, which we hold.
                _ = wanted.changed(), if keeps_secrets => self.fetch_missing().await?,
                () = sleep_until(deadline) => {
                    return Err(Failure::new(WatchFailure::Silent, "a watch exceeded its timeout"));
                }
            }
        }
    }

    async fn take(&mut self, line: &[u8], run: &mut Run) -> Result<(), Failure> {
        let (event, version) = decode::event(self.scope.kind, line)?;
        match event {
            Event::Applied(object, standing) => {
                if let Some(standing) = standing {
                    self.standings.apply(standing);
                }
                self.cluster.apply(object);
            }
            Event::Deleted(identity) => {
                self.check_definition().await?;
                if identity.kind == Kind::Ingress {
                    self.standings.remove(&identity);
                }
                self.cluster.remove(&identity);
            }
            Event::Bookmark => {}
        }
        run.version = version;
        run.doubt = false;
        self.watching.reset();
        self.note(WatchCells::hear);
        Ok(())
    }

    /// Asks for the first object of the list, by a consistent read.
    fn check(&self, version: &str) -> Check {
        let (api, scope, version) = (self.api.clone(), self.scope.clone(), version.to_owned());
        Box::pin(async move {
            let page = api.page(&scope, Limit::One, None).await;
            (version, page)
        })
    }

    /// Whether the answer to a check leaves a doubt; `before` is the version that we had.
    fn compare(
        &self,
        before: &str,
        answer: Result<Page, Failure>,
        run: &mut Run,
    ) -> Result<(), Failure> {
        let page = match answer {
            // The watch goes on, and to list would be even more to ask for.
            Err(failure) if failure.why == WatchFailure::Throttled => {
                self.note(|cells| cells.fail(failure.why, &failure.words));
                return Ok(());
            }
            answer => answer?,
        };
        // Opaque by contract, numbers of one count in practice. A server that has others is not
        // judged by them.
        if let (Ok(theirs), Ok(ours)) = (page.version.parse::<u64>(), before.parse::<u64>())
            && theirs < ours
        {
            let words = format!("the API server is at {theirs}, behind the watched {ours}");
            return Err(Failure::new(WatchFailure::Behind, words));
        }
        let held = self.cluster.count(&self.scope);
        match page.total {
            Some(total) if total != held => {
                // Events may be under way, unless there are none between the two.
                if page.version == run.version || std::mem::replace(&mut run.doubt, true) {
                    let words = format!("the API server has {total} objects, the watch has {held}");
                    return Err(Failure::new(WatchFailure::Differs, words));
                }
            }
            _ => {
                run.doubt = false;
                self.note(WatchCells::prove);
            }
        }
        Ok(())
    }

    /// Fetches the Secrets that an Ingress has come to refer to.
    async fn fetch_missing(&self) -> Result<(), Failure> {
        let missing = self.cluster.take_missing(&self.scope);
        if missing.is_empty() {
            return Ok(());
        }
        if missing.len() > FETCHED_BY_NAME {
            self.list().await?;
        } else {
            for secret in &missing {
                let page = self.api.page(&Scope::of(secret), Limit::Page, None).await?;
                page.items.into_iter().for_each(|item| self.cluster.apply(item));
            }
        }
        self.cluster.poke();
        Ok(())
    }

    /// Notes whether the list is forbidden. Of single objects, which come and go, the kind's cells alone tell it.
    fn note_refusal(&self, words: Option<&str>) {
        if self.scope.name.is_none() {
            self.metrics.refuse(self.scope.kind, &self.scope.words(), words);
        }
    }

    /// Changes the cells of the kind, and counts its objects.
    pub(super) fn note(&self, change: impl FnOnce(&mut WatchCells)) {
        let (objects, synced) = self.cluster.progress(self.scope.kind);
        self.metrics.update(self.scope.kind, |cells| {
            (cells.objects, cells.synced) = (objects, synced);
            change(cells);
        });
    }
}
