//! What changes the sets while the process runs: the cluster, and the list of Cloudflare's addresses.

use super::StartError;
use super::admission_updates::AdmissionUpdates;
use crate::config::Config;
use crate::control::cloudflare::{self, RefreshIntervals, Setup};
use crate::control::reconcile::OnAddresses;
use crate::model::ClusterAddresses;
use crate::net::addr::AddrRanges;
use crate::telemetry::Telemetry;
use std::sync::Arc;
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
