//! ConfigMaps that Ingresses name: each is followed by its name, as long as one names it.
//!
//! A process that starts waits for one attempt at each. Where one may not be read, routes are served without what it
//! has, which a finding says. Clusters have many ConfigMaps that change all the time: they are not asked for.

use super::cluster::Cluster;
use super::failure::Failure;
use super::follow::Follower;
use super::scope::Scope;
use crate::model::{Kind, ObjectRef};
use crate::telemetry::{WatchFailure, WatchMetrics};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::task::{AbortHandle, JoinSet};

/// The most that are followed: each is a watch, and may have 1 MiB.
const MOST: usize = 64;

/// Follows them until it is dropped. `make` makes the follower of a scope.
pub(super) async fn follow(
    cluster: Arc<Cluster>,
    metrics: Arc<WatchMetrics>,
    make: impl Fn(Scope) -> Follower,
) {
    let mut changes = cluster.changes();
    let mut tasks = JoinSet::new();
    let mut running: BTreeMap<ObjectRef, AbortHandle> = BTreeMap::new();
    let mut is_told = false;
    loop {
        let wanted = cluster.named_config_maps();
        let is_gone = |known: &ObjectRef| !wanted.contains(known);
        let gone: Vec<ObjectRef> = running.keys().filter(|known| is_gone(known)).cloned().collect();
        for known in gone {
            if let Some(task) = running.remove(&known) {
                task.abort();
            }
            cluster.remove(&known);
            cluster.do_without(&Scope::of(&known));
            let is_followed = |scope: &Scope| scope.kind == Kind::ConfigMap;
            if running.is_empty() && !cluster.scopes().iter().any(is_followed) {
                metrics.forget(Kind::ConfigMap);
            }
        }
        for named in &wanted {
            if running.len() >= MOST && !running.contains_key(named) {
                if !std::mem::replace(&mut is_told, true) {
                    tracing::warn!(most = MOST, "Ingresses name more ConfigMaps than are followed");
                }
                cluster.do_without(&Scope::of(named));
                continue;
            }
            running
                .entry(named.clone())
                .or_insert_with(|| tasks.spawn(make(Scope::of(named)).run()));
        }
        // Its sender is in the cluster, which we hold.
        let _ = changes.changed().await;
        while tasks.try_join_next().is_some() {}
    }
}

/// Lists them once. Those that may not be read are as those that do not exist.
///
/// # Errors
/// The first scope that could not be listed, with the failure.
pub(super) async fn list_once(
    cluster: &Cluster,
    make: impl Fn(Scope) -> Follower,
) -> Result<(), (Scope, Failure)> {
    for named in cluster.named_config_maps().into_iter().take(MOST) {
        let follower = make(Scope::of(&named));
        match follower.list().await {
            Err(failure) if failure.why != WatchFailure::Forbidden => {
                return Err((follower.scope, failure));
            }
            _ => cluster.do_without(&follower.scope),
        }
    }
    Ok(())
}
