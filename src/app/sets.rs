//! What changes the sets while the process runs: the cluster, the list of Cloudflare's addresses, and CrowdSec. And
//! the keys of Cloudflare Access.

use super::admission_updates::AdmissionUpdates;
use super::thread::Thread;
use super::{Parts, StartError, on_runtime};
use crate::config::Config;
use crate::control::access::{KeyKeeper, KeySetup};
use crate::control::cloudflare::{self, RefreshIntervals, Setup};
use crate::control::crowdsec::{DecisionKeeper, DecisionSetup};
use crate::control::reconcile::OnAddresses;
use crate::model::ClusterAddresses;
use crate::net::addr::AddrRanges;
use crate::telemetry::Telemetry;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;
use tokio::sync::watch;

/// What is done with the addresses that the cluster tells of itself: a call whenever they change,
/// and the text that stands in for Cloudflare's list.
pub(super) fn follow_cluster(
    updates: &Arc<AdmissionUpdates>,
) -> (OnAddresses, watch::Receiver<Option<Arc<str>>>) {
    let (list, texts) = watch::channel(None);
    let updates = Arc::clone(updates);
    let on_addresses = move |addresses: &ClusterAddresses| {
        updates.change(|live| {
            live.nodes = AddrRanges::new(&addresses.nodes);
            live.pods = AddrRanges::new(&addresses.pods);
        });
        list.send_if_modified(|text| {
            let changed = *text != addresses.cloudflare_list;
            text.clone_from(&addresses.cloudflare_list);
            changed
        });
    };
    (Box::new(on_addresses), texts)
}

/// The list of Cloudflare's addresses to begin with, put in force, and who keeps it.
pub(super) fn start_list(
    config: &Config,
    telemetry: &Telemetry,
    updates: &Arc<AdmissionUpdates>,
    texts: watch::Receiver<Option<Arc<str>>>,
) -> Result<Setup, StartError> {
    let text = texts.borrow().clone();
    let initial =
        cloudflare::initial(&config.cloudflare, config.state.as_deref(), text.as_deref())?;
    updates.change(|live| live.cloudflare = initial.ranges.clone());
    let keeper = Arc::clone(updates);
    let publish = move |ranges| keeper.change(|live| live.cloudflare = ranges);
    Ok(Setup {
        config: config.cloudflare.clone(),
        state: config.state.clone(),
        initial,
        texts,
        metrics: Arc::clone(telemetry.list()),
        publish: Box::new(publish),
        pace: RefreshIntervals::default(),
    })
}

/// How long a start waits for decisions of CrowdSec: until they are here, banned visitors are served. An API that is away
/// must not keep a node from serving.
const FIRST_DECISIONS: Duration = Duration::from_secs(5);

/// Fetches what else is asked of servers outside of the cluster: CrowdSec's decisions, of which it waits for the first,
/// and the keys of Cloudflare Access.
pub(super) fn keep_fetched(parts: &Parts) -> io::Result<Vec<Thread>> {
    let keys = keep_keys(parts)?;
    Ok(keep_decisions(parts)?.into_iter().chain([keys]).collect())
}

/// Fetches the keys of the teams that routes name, on a thread of its own.
fn keep_keys(parts: &Parts) -> io::Result<Thread> {
    let keeper = KeyKeeper::new(KeySetup {
        config: parts.config.access.clone(),
        tables: parts.tables.clone(),
        keys: Arc::clone(parts.steps.keys()),
        metrics: Arc::clone(parts.telemetry.access()),
    });
    let signal = parts.signal.clone();
    Thread::spawn(&parts.wakeup, "access", move || on_runtime("access", keeper.run(signal)))
}

/// Fetches CrowdSec's decisions on a thread of its own, if that is configured. Returns after the first attempt.
fn keep_decisions(parts: &Parts) -> io::Result<Option<Thread>> {
    let Some(config) = parts.config.crowdsec.clone() else { return Ok(None) };
    let (tried, first) = channel();
    let (policy, signal) = (Arc::clone(&parts.policy), parts.signal.clone());
    let metrics = Arc::clone(parts.telemetry.decisions());
    let publish = Box::new(move |denied| policy.deny(denied));
    let keeper = DecisionKeeper::new(DecisionSetup { config, metrics, publish, tried });
    let run = move || on_runtime("crowdsec", keeper.run(signal));
    let thread = Thread::spawn(&parts.wakeup, "crowdsec", run)?;
    if first.recv_timeout(FIRST_DECISIONS).is_err() {
        tracing::warn!("the decisions of CrowdSec are late: until they are here nobody is banned");
    }
    Ok(Some(thread))
}
