//! Writes to the cluster by one elected leader: the status of Ingresses, and Events.
//!
//! ```text
//! reconciler -> Inputs (Ingresses of ravelin, findings) -> planners (pure) -> API server
//! Lease -> lease::Machine (pure) -> whether this instance plans
//! pods of the DaemonSet -> ready nodes -> addresses -> planner of the status
//! ```
//! Serving does not depend on it: without an API server, rights or a leader, only the statuses become
//! stale. When its lease expires, the leader stops all writes at once. The Lease is released at the first
//! stage of shutdown.
//!
//! Rights: `get`, `create`, `update` on leases and `list`, `watch` on pods in the own namespace;
//! `patch` on ingresses/status and `get`, `list`, `create`, `patch` on events.k8s.io/events in all
//! namespaces, including `default` for cluster-scoped objects. With fixed addresses, pods are not read.

mod address;
mod bucket;
mod events;
mod failure;
mod lease;
mod ready;
mod status;
mod work;

pub use address::{Address, NodeAddresses, node_addresses};
pub use bucket::Rate;
pub(in crate::control) use events::CLUSTER_WIDE;
pub use events::{EventLimits, ObjectDiagnostic};
pub use failure::Backoff;
pub use lease::Timing;
pub use ready::Pods;
pub use status::{IngressRef, Patch, field_manager, plan};
pub use work::StatusPace;

use crate::control::jitter;
use crate::control::translate::FindingList;
use crate::model::{Ingresses, ObjectRef};
use crate::net::shutdown::{ShutdownSignal, Stage};
use crate::telemetry::WriteBackMetrics;
use kube::Client;
use lease::Elector;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use work::Worker;

/// The reconciler's result for the objects.
#[derive(Clone, Debug, Default)]
pub struct Reconciled {
    /// The Ingresses of the model, of which some have a status that is ours to write.
    pub ours: Ingresses,
    /// What is not served as written.
    pub findings: FindingList,
}

/// The inputs of the write-back: the state of the reconciler, after its first full sync.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// The Ingresses of every class, in any order: including those that left a class of ravelin.
    pub ingresses: Arc<[IngressRef]>,
    /// Every Node. Not looked at if the addresses are fixed.
    pub nodes: Arc<[NodeAddresses]>,
    /// What is not served as written.
    pub findings: Arc<[ObjectDiagnostic]>,
    /// Which objects are there.
    pub presence: Presence,
}

/// Reports whether an object with the same `metadata.uid` exists. By default none does.
#[derive(Clone, Default)]
pub struct Presence(Option<Arc<IsThere>>);

type IsThere = dyn Fn(&ObjectRef, Option<&str>) -> bool + Send + Sync;

impl Presence {
    /// Creates one from this function.
    pub fn new(
        is_there: impl Fn(&ObjectRef, Option<&str>) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self(Some(Arc::new(is_there)))
    }

    fn of(&self, object: &ObjectRef, uid: Option<&str>) -> bool {
        self.0.as_ref().is_some_and(|is_there| is_there(object, uid))
    }
}

impl fmt::Debug for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Presence").finish_non_exhaustive()
    }
}

/// The Lease, and the identity of this instance.
#[derive(Clone, Debug)]
pub struct Election {
    /// Where the Lease is: the namespace of the DaemonSet.
    pub namespace: String,
    /// Its name. Two installations in one namespace need two.
    pub name: String,
    /// `holderIdentity`: [`identity`].
    pub identity: String,
    /// When it ends.
    pub timing: Timing,
}

/// A unique name of this running instance: that of the pod, or else the host's with a random suffix,
/// because several processes can share a host.
pub fn identity(pod: Option<&str>, host: &str) -> String {
    match pod.filter(|pod| !pod.is_empty()) {
        Some(pod) => pod.to_owned(),
        None => format!("{host}_{:08x}", jitter::word()),
    }
}

/// The source of the addresses.
#[derive(Clone, Debug)]
pub enum Addresses {
    /// These.
    Fixed(Vec<Address>),
    /// The addresses of the nodes with one of these pods ready: [`node_addresses`].
    ReadyNodes(Pods),
}

/// The settings of the writer.
#[derive(Clone, Debug)]
pub struct WriteBackSettings {
    /// The leader election.
    pub election: Election,
    /// The addresses for the statuses.
    pub addresses: Addresses,
    /// `reportingController` of the Events: the name of the IngressClass's controller.
    pub controller: String,
    /// How fast statuses are written.
    pub status: StatusPace,
    /// How often Events are written.
    pub events: EventLimits,
    /// How long an answer to a status or an Event is waited for.
    pub answer: Duration,
    /// Where Events may be read: the namespaces that are followed. Empty: everywhere.
    pub namespaces: Vec<String>,
}

impl WriteBackSettings {
    /// The default request timeout, 5 s: leadership ends at 10 s, so the last request is complete or
    /// cancelled when the Lease expires at 15 s.
    pub const ANSWER: Duration = Duration::from_secs(5);

    /// Defaults for all that has one.
    pub fn new(election: Election, addresses: Addresses, controller: String) -> Self {
        Self {
            election,
            addresses,
            controller,
            status: StatusPace::default(),
            events: EventLimits::default(),
            answer: Self::ANSWER,
            namespaces: Vec::new(),
        }
    }
}

/// An instance that writes back when it is elected.
#[derive(Debug)]
pub struct WriteBackTask {
    settings: WriteBackSettings,
}

impl WriteBackTask {
    /// Does nothing yet.
    pub fn new(settings: WriteBackSettings) -> Self {
        Self { settings }
    }

    /// Takes part in the election and writes while it leads, until shutdown. Then releases the Lease, which
    /// takes at most two request timeouts.
    ///
    /// A client without retries of its own (`default_retry: false`) is best: they would hide from
    /// the election that the API server does not answer.
    pub async fn run(
        self,
        client: Client,
        inputs: watch::Receiver<Inputs>,
        mut shutdown: ShutdownSignal,
        metrics: Arc<WriteBackMetrics>,
    ) {
        let (belief, leading) = watch::channel(None);
        let election = self.settings.election.clone();
        let mut elector = Elector::new(client.clone(), election, Arc::clone(&metrics));
        let mut worker = Worker::new(client, self.settings, inputs, Arc::clone(&metrics));
        tokio::select! {
            () = shutdown.reached(Stage::Draining) => {}
            () = elector.run(&belief) => {}
            () = worker.run(leading) => {}
        }
        // What is under way is dropped by now, so nobody writes beside the successor.
        elector.release().await;
        metrics.update(|cells| (cells.leader, cells.addresses) = (false, 0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_known_by_its_name_and_processes_on_one_host_are_told_apart() {
        assert_eq!(identity(Some("ravelin-x7k2p"), "node-1"), "ravelin-x7k2p");
        let [one, other] = [None, Some("")].map(|pod| identity(pod, "node-1"));
        assert!(one.starts_with("node-1_") && other.starts_with("node-1_"), "{one} {other}");
        assert_ne!(one, other);
    }
}
