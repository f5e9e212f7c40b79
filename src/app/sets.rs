//! What changes the sets while the process runs: the cluster, the list of Cloudflare's addresses, and CrowdSec. And
//! the keys of Cloudflare Access.

use super::admission_updates::AdmissionUpdates;
use super::break_glass::{keep_switch, start_switch};
use super::thread::Thread;
use super::zone::keep_secrets;
use super::{Parts, StartError, on_runtime};
use crate::config::Config;
use crate::control::access::{KeyKeeper, KeySetup};
use crate::control::cloudflare::switch::SwitchKeeper;
use crate::control::cloudflare::{self, ListKeeper, ListSpec, RefreshIntervals, Setup};
use crate::control::crowdsec::{DecisionKeeper, DecisionSetup};
use crate::control::reconcile::OnAddresses;
use crate::model::{ClusterAddresses, ConfigText};
use crate::net::addr::AddrRanges;
use crate::telemetry::{ListMetrics, Telemetry};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;
use tokio::sync::watch;

/// The texts of ConfigMaps that the configuration names, as the cluster has them.
pub(super) type TextReceivers = BTreeMap<ConfigText, watch::Receiver<Option<Arc<str>>>>;

/// What is done with the addresses that the cluster tells of itself: a call whenever they change,
/// and the texts of its ConfigMaps.
pub(super) fn follow_cluster(updates: &Arc<AdmissionUpdates>) -> (OnAddresses, TextReceivers) {
    let channels = ConfigText::ALL.map(|text| (text, watch::channel(None)));
    let (mut senders, mut receivers) = (Vec::new(), TextReceivers::new());
    for (text, (sender, receiver)) in channels {
        senders.push((text, sender));
        receivers.insert(text, receiver);
    }
    let updates = Arc::clone(updates);
    let on_addresses = move |addresses: &ClusterAddresses| {
        updates.change(|live| {
            live.nodes = AddrRanges::new(&addresses.nodes);
            live.pods = AddrRanges::new(&addresses.pods);
        });
        for (text, sender) in &senders {
            let now = addresses.texts.get(text);
            sender.send_if_modified(|before| {
                let changed = before.as_ref() != now;
                *before = now.cloned();
                changed
            });
        }
    };
    (Box::new(on_addresses), receivers)
}

/// What changes the sets of addresses beside the cluster, in force and not followed yet.
pub(super) struct ChangingSets {
    lists: Vec<Setup>,
    switch: Option<SwitchKeeper>,
}

impl ChangingSets {
    /// Puts the lists and the switch of break-glass in force as they are now.
    pub(super) fn start(parts: &Parts, texts: &TextReceivers) -> Result<Self, StartError> {
        let lists = start_lists(&parts.config, &parts.telemetry, &parts.updates, texts)?;
        Ok(Self { lists, switch: start_switch(parts, texts) })
    }

    /// Follows them, each on a thread of its own: to ask for a list may take half a minute, and the cluster must not
    /// wait.
    pub(super) fn keep(self, parts: &Parts) -> io::Result<Vec<Thread>> {
        let switch = keep_switch(parts, self.switch)?;
        let lists = self.lists.into_iter().map(|list| {
            let (signal, keeper) = (parts.signal.clone(), ListKeeper::new(list));
            let keep = move || on_runtime("cloudflare", keeper.run(signal));
            Thread::spawn(&parts.wakeup, "cloudflare", keep)
        });
        lists.chain(switch.map(Ok)).collect()
    }
}

/// The lists of Cloudflare's addresses to begin with, put in force, and what keeps them: the list, and the further
/// ranges if there are any.
fn start_lists(
    config: &Config,
    telemetry: &Telemetry,
    updates: &Arc<AdmissionUpdates>,
    texts: &TextReceivers,
) -> Result<Vec<Setup>, StartError> {
    let list = ListSpec::of(&config.cloudflare);
    let metrics = telemetry.list();
    let list = start_list(config, &list, metrics, &texts[&ConfigText::CloudflareList], {
        let updates = Arc::clone(updates);
        move |ranges| updates.change(|live| live.cloudflare = ranges)
    })?;
    let extra = ListSpec::extra(&config.cloudflare).map(|extra| {
        let metrics = telemetry.extra_ranges();
        start_list(config, &extra, metrics, &texts[&ConfigText::CloudflareExtra], {
            let updates = Arc::clone(updates);
            move |ranges| updates.change(|live| live.extra = ranges)
        })
    });
    Ok([list].into_iter().chain(extra.transpose()?).collect())
}

fn start_list(
    config: &Config,
    spec: &ListSpec,
    metrics: &Arc<ListMetrics>,
    texts: &watch::Receiver<Option<Arc<str>>>,
    publish: impl Fn(AddrRanges) + Send + 'static,
) -> Result<Setup, StartError> {
    let text = texts.borrow().clone();
    let initial = cloudflare::initial(spec, config.state.as_deref(), text.as_deref())?;
    publish(initial.list.in_force());
    Ok(Setup {
        state: config.state.clone(),
        initial,
        texts: texts.clone(),
        metrics: Arc::clone(metrics),
        publish: Box::new(publish),
        pace: RefreshIntervals::default(),
    })
}

/// How long a start waits for decisions of CrowdSec: until they are here, banned visitors are served. An API that is away
/// must not keep a node from serving.
const FIRST_DECISIONS: Duration = Duration::from_secs(5);

/// Fetches what else is asked of servers outside of the cluster: CrowdSec's decisions, of which it waits for the first,
/// and the keys of Cloudflare Access. And follows the files of secrets.
pub(super) fn keep_fetched(parts: &Parts) -> io::Result<Vec<Thread>> {
    let keys = keep_keys(parts)?;
    let secrets = keep_secrets(parts)?;
    Ok(keep_decisions(parts)?.into_iter().chain(secrets).chain([keys]).collect())
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
