//! A cluster as a source of objects: one list and watch for each kind, on a thread of its own.
//!
//! ```text
//! API server -> client -> decode + trim -> follow (one task per kind) -> Cluster => reconciler
//! ```
//!
//! Nothing is served until every kind has been listed once, or restored from the last-good state
//! (`last_good`). After that, the last known state is served whatever happens to the API server. A silent
//! watch may be a broken one, so each watch is short, and a periodic consistent read proves that the
//! cache matches the API server.

mod client;
mod cluster;
mod counts;
mod credentials;
mod decode;
mod documents;
mod facts;
mod failure;
mod follow;
mod grants;
mod ingress_status;
mod named;
mod optional;
mod others;
mod recovery;
mod references;
mod retry_backoff;
mod scope;
#[cfg(test)]
mod tests;
mod trim;
mod vanishing;
mod write_rights;

pub use client::ConnectError;
pub use cluster::Cluster;
pub use decode::kept_of_page;
pub use documents::RawDocuments;
pub use grants::{MissingGrant, grants};
pub use ingress_status::IngressStatuses;
pub use others::Others;
pub use scope::Scope;
pub use write_rights::WriteRights;

use self::facts::Facts;
use crate::config::{CertificateSecret, Kubernetes};
use crate::control::translate::ConfigMapKey;
use crate::control::write_back::{self, Inputs, Reconciled, WriteBackTask};
use crate::model::{Kind, ObjectRef};
use crate::net::shutdown::{ShutdownSignal, Stage};
use crate::telemetry::{WatchFailure, WatchMetrics, WriteBackMetrics};
use client::Api;
use failure::Failure;
use follow::Follower;
use kube::Client;
use retry_backoff::RetryBackoff;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long a process that leaves waits for the Lease to be let go.
const RELEASE: Duration = Duration::from_secs(1);

/// Time for the thread to end at shutdown: a DNS lookup may hang.
const RUNTIME_SHUTDOWN: Duration = Duration::from_millis(100);

/// All watches of a cluster, before they start.
pub struct ClusterWatch {
    runtime: Runtime,
    api: Api,
    cluster: Arc<Cluster>,
    standings: Arc<IngressStatuses>,
    metrics: Arc<WatchMetrics>,
    settings: Kubernetes,
    scopes: Vec<Scope>,
    writing: Option<Writing>,
}

/// What an API server answered to a request for each kind.
#[derive(Clone, Debug, Default)]
pub struct ClusterProbe {
    /// How many kinds may be listed.
    pub allowed: usize,
    /// The kinds that may not be listed, with the API server's words.
    pub forbidden: Vec<String>,
    /// Its clock (`Date`, RFC 9110 section 6.6.1).
    pub date: Option<SystemTime>,
}

/// The write-back, and its inputs.
struct Writing {
    writer: WriteBackTask,
    facts: Facts,
    metrics: Arc<WriteBackMetrics>,
}

impl ClusterWatch {
    /// Reads the credentials; sends nothing to the API server yet. `config_maps` are the only ConfigMaps
    /// that are watched.
    ///
    /// # Errors
    /// If there are no credentials, or none that can be used.
    pub fn new(
        settings: &Kubernetes,
        config_maps: &[ConfigMapKey],
        metrics: &Arc<WatchMetrics>,
    ) -> Result<Self, ConnectError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| ConnectError::Credentials(error.to_string()))?;
        let api = runtime.block_on(Api::new(settings))?;
        let scopes = scope::scopes(settings, config_maps);
        metrics.expect(scopes.iter().map(|scope| scope.kind));
        let cluster = Arc::new(Cluster::new(&scopes));
        let (standings, metrics) = (Arc::new(IngressStatuses::default()), Arc::clone(metrics));
        let settings = settings.clone();
        let writing = None;
        Ok(Self { runtime, api, cluster, standings, metrics, settings, scopes, writing })
    }

    /// Makes the followers of scopes.
    fn followers(&self) -> impl Fn(Scope) -> Follower + use<> {
        let (api, cluster) = (self.api.clone(), Arc::clone(&self.cluster));
        let (standings, metrics) = (Arc::clone(&self.standings), Arc::clone(&self.metrics));
        let settings = self.settings.clone();
        move |scope| Follower {
            api: api.clone(),
            scope,
            cluster: Arc::clone(&cluster),
            standings: Arc::clone(&standings),
            metrics: Arc::clone(&metrics),
            settings: settings.clone(),
            pace: RetryBackoff::default(),
            watching: RetryBackoff::default(),
        }
    }

    /// Keeps the content of Secrets that the configuration names.
    pub fn keep(&self, secrets: &[CertificateSecret]) {
        for CertificateSecret { namespace, name, .. } in secrets {
            self.cluster.keep(ObjectRef::new(Kind::Secret, namespace, name));
        }
    }

    /// The namespace of the credentials: that of the pod, or what the kubeconfig's context names.
    pub fn namespace(&self) -> &str {
        self.api.client().default_namespace()
    }

    /// Adds the write-back into the cluster, by the elected instance, once there is an
    /// outcome.
    pub fn write_back(
        &mut self,
        settings: write_back::WriteBackSettings,
        outcome: tokio::sync::watch::Receiver<Option<Reconciled>>,
        metrics: &Arc<WriteBackMetrics>,
    ) {
        metrics.update(|cells| cells.enabled = true);
        let (cluster, standings) = (Arc::clone(&self.cluster), Arc::clone(&self.standings));
        let facts = Facts { cluster, standings, outcome };
        let (writer, metrics) = (WriteBackTask::new(settings), Arc::clone(metrics));
        self.writing = Some(Writing { writer, facts, metrics });
    }

    /// The objects, as a source for the reconciler.
    pub fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    /// Follows the cluster on this thread until the process aborts.
    pub fn run(self, mut shutdown: ShutdownSignal) {
        let make = self.followers();
        let Self { runtime, api, cluster, metrics, scopes, writing: begun, .. } = self;
        runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for scope in scopes {
                tasks.spawn(make(scope).run());
            }
            tasks.spawn(named::follow(cluster, metrics, make));
            let mut writing = JoinSet::new();
            if let Some(begun) = begun {
                writing.spawn(begun.run(api.client().clone(), shutdown.clone()));
            }
            shutdown.reached(Stage::Aborting).await;
            // The Lease is let go, so that another one need not wait for its end.
            let _ = timeout(RELEASE, writing.join_next()).await;
        });
        runtime.shutdown_timeout(RUNTIME_SHUTDOWN);
    }

    /// Lists objects of other controllers once, for a complete verdict. These `namespaces`, or all.
    pub fn list_others(&self, namespaces: &[String]) -> Others {
        self.runtime.block_on(others::list(&self.api, namespaces))
    }

    /// Lists what may hang on a Traefik once, as it is written.
    pub fn list_documents(&self) -> RawDocuments {
        self.runtime.block_on(documents::list(&self.api))
    }

    /// Asks for one object of each kind, as the process will for all of them. A kind whose definition is
    /// missing is no error, if it may be.
    ///
    /// # Errors
    /// The API server cannot be asked, in its words or ours.
    pub fn probe(&self) -> Result<ClusterProbe, String> {
        let mut probe = ClusterProbe::default();
        for scope in &self.scopes {
            let sent = self.api.send(scope.page(scope::Limit::One, None));
            match self.runtime.block_on(sent) {
                Ok(answer) => {
                    let date = answer.headers().get(http::header::DATE);
                    let date =
                        date.and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
                    probe.date = date.or(probe.date);
                    probe.allowed += 1;
                }
                Err(Failure { why: WatchFailure::Absent, .. }) if scope.is_optional() => {}
                Err(Failure { why: WatchFailure::Forbidden, words, .. }) => {
                    probe.forbidden.push(format!("{}: {words}", scope.words()));
                }
                Err(Failure { why, words, .. }) => {
                    return Err(format!("{}: {}: {words}", scope.words(), why.as_str()));
                }
            }
        }
        Ok(probe)
    }

    /// Lists every kind once.
    ///
    /// # Errors
    /// The kinds that could not be listed, a line each, in the API server's words.
    pub fn list_once(self) -> Result<Arc<Cluster>, String> {
        let mut failed = Vec::new();
        let make = self.followers();
        let mut fail = |scope: &Scope, Failure { why, words, .. }: Failure| {
            failed.push(format!("{}: {}: {words}", scope.words(), why.as_str()));
        };
        for scope in &self.scopes {
            let follower = make(scope.clone());
            if let Err(failure) = self.runtime.block_on(follower.list_if_any()) {
                fail(scope, failure);
            }
        }
        let named = named::list_once(&self.cluster, make);
        if let Err((scope, failure)) = self.runtime.block_on(named) {
            fail(&scope, failure);
        }
        self.runtime.shutdown_timeout(RUNTIME_SHUTDOWN);
        if failed.is_empty() { Ok(self.cluster) } else { Err(failed.join("\n")) }
    }
}

impl Writing {
    /// Ends when the process leaves and the Lease is let go.
    async fn run(mut self, client: Client, mut shutdown: ShutdownSignal) {
        tokio::select! {
            () = shutdown.reached(Stage::Draining) => return,
            () = self.facts.complete() => {}
        }
        let (inputs, known) = tokio::sync::watch::channel(Inputs::default());
        let follow = self.facts.follow(inputs, Arc::clone(&self.metrics));
        tokio::select! {
            () = self.writer.run(client, known, shutdown, Arc::clone(&self.metrics)) => {}
            () = follow => {}
        }
    }
}

impl fmt::Debug for ClusterWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterWatch").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}
