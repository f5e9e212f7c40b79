//! Where manifests come from: a directory, or a cluster that is watched from now on.

use super::bequest::bequeath;
use super::reload::Heritage;
use super::thread::Thread;
use super::{StartError, privilege, write_back};
use crate::config::{Config, SourceKind};
use crate::control::files::Directory;
use crate::control::last_good::{self, StateKeeper};
use crate::control::source::Source;
use crate::control::translate::ConfigMapKey;
use crate::control::watch::{Cluster, ClusterWatch};
use crate::control::write_back::Reconciled;
use crate::net::shutdown::ShutdownSignal;
use crate::telemetry::Telemetry;
use std::sync::Arc;
use tokio::sync::watch::Receiver;

/// A source that has begun, if it needs to.
pub(super) struct Begun {
    pub(super) source: Box<dyn Source>,
    pub(super) cluster: Option<Arc<Cluster>>,
    pub(super) thread: Option<Thread>,
}

/// The writer of the last-good state of the cluster, if it is configured.
pub(super) fn keeper(
    config: &Config,
    cluster: Option<&Arc<Cluster>>,
    telemetry: &Telemetry,
) -> Option<StateKeeper> {
    let (cluster, settings) = (cluster?, config.last_good.clone()?);
    let metrics = Arc::clone(telemetry.last_good());
    let watch = Arc::clone(telemetry.watch());
    let pace = last_good::WriteIntervals::default();
    Some(StateKeeper::new(settings, Arc::clone(cluster), metrics, watch, pace))
}

/// The source that the configuration names; a cluster is watched from now on.
pub(super) fn begin(
    config: &Config,
    telemetry: &Telemetry,
    signal: &ShutdownSignal,
    outcome: Receiver<Option<Reconciled>>,
    heritage: &Heritage,
) -> Result<Begun, StartError> {
    match &config.source.kind {
        SourceKind::Directory { path } => {
            let missing = |source| StartError::Source { path: path.clone(), source };
            std::fs::metadata(path).map_err(missing)?;
            let source = Box::new(Directory::new([path.clone()]));
            Ok(Begun { source, cluster: None, thread: None })
        }
        SourceKind::Kubernetes(settings) => {
            let config_maps = ConfigMapKey::watched(&ConfigMapKey::all(config));
            let mut watch = ClusterWatch::new(settings, &config_maps, telemetry.watch())?;
            watch.keep(&config.certificate_secrets);
            if let Some(config) = &settings.write_back {
                let (all, own) = (&settings.namespaces, watch.namespace());
                let settings = write_back::settings(config, all, own, heritage.number);
                watch.write_back(settings, outcome, telemetry.write_back());
            }
            let cluster = Arc::clone(watch.cluster());
            let (wakeup, signal) = (heritage.wakeup.clone(), signal.clone());
            cluster.on_synced(move || {
                wakeup.notify();
                crate::app::allocator::give_back();
            });
            bequeath(&cluster, config);
            let thread = Thread::spawn(&heritage.wakeup, "watch", move || {
                privilege::run_without("watch", privilege::give_up(), || watch.run(signal));
            })?;
            let source = Box::new(Arc::clone(&cluster));
            Ok(Begun { source, cluster: Some(cluster), thread: Some(thread) })
        }
    }
}
