//! What the leader does, for as long as it leads: the loops between the planners and the API
//! server.

use super::address::{Address, node_addresses};
use super::bucket::{Bucket, Rate};
use super::events::{Ledger, Next, Reporter, post, standing};
use super::failure::{Backoff, Failure};
use super::ready::{self, Ready};
use super::status::{Board, Patch, apply, field_manager};
use super::{Addresses, Inputs, WriteBackSettings};
use crate::control::jitter;
use crate::telemetry::{WriteBackMetrics, WriteKind, WriteResult};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use kube::Client;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How fast statuses are written.
#[derive(Clone, Copy, Debug)]
pub struct StatusPace {
    /// How many at a time.
    pub concurrency: usize,
    /// How many in the long run.
    pub rate: Rate,
    /// After a failure.
    pub backoff: Backoff,
}

impl Default for StatusPace {
    /// 4 at a time, 20 at once and 20 a second: 1000 Ingresses in less than a minute, and a small
    /// API server, which stores some hundred objects a second, hardly notices.
    fn default() -> Self {
        Self {
            concurrency: 4,
            rate: Rate { burst: 20, every: Duration::from_millis(50) },
            backoff: Backoff::default(),
        }
    }
}

/// The leader's work. What was said is remembered from one term to the next.
pub(super) struct Worker {
    client: Client,
    settings: WriteBackSettings,
    inputs: watch::Receiver<Inputs>,
    metrics: Arc<WriteBackMetrics>,
    ledger: Ledger,
}

impl Worker {
    pub(super) fn new(
        client: Client,
        settings: WriteBackSettings,
        inputs: watch::Receiver<Inputs>,
        metrics: Arc<WriteBackMetrics>,
    ) -> Self {
        let scope = format!("{}/{}", settings.election.namespace, settings.election.name);
        let ledger = Ledger::new(settings.events, scope, Instant::now());
        Self { client, settings, inputs, metrics, ledger }
    }

    /// Works whenever `leading` is set, forever.
    pub(super) async fn run(&mut self, mut leading: watch::Receiver<Option<Instant>>) {
        loop {
            if leading.wait_for(Option::is_some).await.is_err() {
                return;
            }
            tokio::select! {
                () = lost(leading.clone()) => {}
                () = self.lead() => {}
            }
            self.metrics.update(|cells| cells.addresses = 0);
        }
    }

    /// One term. Ends only by being dropped.
    async fn lead(&mut self) {
        let (ready, now_ready) = watch::channel(None);
        let Self { client, settings, inputs, metrics, ledger } = self;
        let statuses = Statuses {
            client: client.clone(),
            settings,
            inputs: inputs.clone(),
            ready: now_ready,
            metrics,
        };
        let pods = async {
            match &settings.addresses {
                Addresses::ReadyNodes(pods) => ready::follow(client.clone(), pods, &ready).await,
                Addresses::Fixed(_) => std::future::pending().await,
            }
        };
        let events = write_events(client, settings, inputs.clone(), ledger, metrics);
        tokio::join!(pods, statuses.write(), events);
    }
}

/// Waits for the end of the leadership.
async fn lost(mut leading: watch::Receiver<Option<Instant>>) {
    loop {
        let Some(until) = *leading.borrow_and_update() else { return };
        tokio::select! {
            () = tokio::time::sleep_until(until.into()) => return,
            changed = leading.changed() => if changed.is_err() {
                return;
            },
        }
    }
}

/// Waits for a time, if there is one.
async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

/// Waits for another value; forever if there will be none.
async fn changed<T>(receiver: &mut watch::Receiver<T>) {
    if receiver.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

struct Statuses<'a> {
    client: Client,
    settings: &'a WriteBackSettings,
    inputs: watch::Receiver<Inputs>,
    ready: watch::Receiver<Ready>,
    metrics: &'a WriteBackMetrics,
}

impl Statuses<'_> {
    async fn write(mut self) {
        let pace = self.settings.status;
        let election = &self.settings.election;
        let manager: Arc<str> = field_manager(&election.namespace, &election.name).into();
        let mut board = Board::new(pace.backoff, Arc::clone(&manager));
        let mut bucket = Bucket::new(pace.rate, Instant::now());
        let mut under_way = FuturesUnordered::new();
        self.replan(&mut board);
        loop {
            let now = Instant::now();
            let room = under_way.len() < pace.concurrency.max(1);
            let wake = board.wake(now).map(|at| at.max(bucket.ready(now))).filter(|_| room);
            if wake.is_some_and(|at| at <= now)
                && let Some(patch) = board.next(now)
            {
                bucket.take(now);
                let (client, limit) = (self.client.clone(), self.settings.answer);
                under_way.push(send(client, patch, &manager, limit, self.metrics));
                continue;
            }
            let replan = tokio::select! {
                Some((patch, result)) = under_way.next() => {
                    board.finished(patch, result, Instant::now(), jitter::fraction())
                }
                () = changed(&mut self.inputs) => true,
                () = changed(&mut self.ready) => true,
                () = sleep_until(wake) => false,
            };
            if replan {
                self.replan(&mut board);
            }
        }
    }

    fn replan(&mut self, board: &mut Board) {
        let inputs = self.inputs.borrow_and_update();
        let addresses: Vec<Address> = match &self.settings.addresses {
            Addresses::Fixed(addresses) => addresses.clone(),
            Addresses::ReadyNodes(_) => {
                let ready = self.ready.borrow_and_update();
                ready.as_ref().map(|ready| node_addresses(&inputs.nodes, ready)).unwrap_or_default()
            }
        };
        self.metrics.update(|cells| cells.addresses = addresses.len());
        board.replan(&inputs.ingresses, &addresses);
    }
}

/// Writes one status and gives it back with its result.
async fn send(
    client: Client,
    patch: Patch,
    manager: &str,
    limit: Duration,
    metrics: &WriteBackMetrics,
) -> (Patch, Result<(), Failure>) {
    let result = apply(client, &patch, manager, limit).await;
    count(metrics, WriteKind::Status, result.err());
    (patch, result)
}

fn count(metrics: &WriteBackMetrics, kind: WriteKind, failure: Option<Failure>) {
    let result = failure.map_or(WriteResult::Ok, Failure::result);
    metrics.update(|cells| cells.wrote(kind, result));
}

/// Takes over the Events of a predecessor. They are needed only to report findings as resolved.
async fn adopt(client: &Client, settings: &WriteBackSettings, ledger: &mut Ledger) {
    let (scope, most) = (ledger.scope().to_owned(), ledger.room());
    let WriteBackSettings { controller, namespaces, .. } = settings;
    match standing(client, controller, namespaces, &scope, most).await {
        Ok(said) => ledger.adopt(said, Instant::now()),
        Err(_) => tracing::info!(
            fix = "let the ClusterRole list events in events.k8s.io",
            "existing Events cannot be read; findings fixed before this term are not reported as resolved"
        ),
    }
}

async fn write_events(
    client: &Client,
    settings: &WriteBackSettings,
    mut inputs: watch::Receiver<Inputs>,
    ledger: &mut Ledger,
    metrics: &WriteBackMetrics,
) {
    let reporter = Reporter {
        controller: settings.controller.clone(),
        instance: settings.election.identity.clone(),
        scope: ledger.scope().to_owned(),
    };
    adopt(client, settings, ledger).await;
    loop {
        {
            let inputs = inputs.borrow_and_update();
            let is_there = |object: &_, uid: Option<&str>| inputs.presence.of(object, uid);
            ledger.set(&inputs.findings, is_there, Instant::now());
        }
        loop {
            let next = ledger.next(Instant::now());
            let held = ledger.suppressed();
            metrics.update(|cells| held.into_iter().for_each(|why| cells.suppress(why)));
            let wait = match next {
                Next::Write(notice, again) => {
                    let client = client.clone();
                    let result = post(client, &notice, &reporter, again, settings.answer).await;
                    count(metrics, WriteKind::Event, result.err());
                    ledger.done(&notice, result, Instant::now(), jitter::fraction());
                    continue;
                }
                Next::Wait(at) => Some(at),
                Next::Idle => None,
            };
            tokio::select! {
                () = sleep_until(wait) => {}
                () = changed(&mut inputs) => break,
            }
        }
    }
}
