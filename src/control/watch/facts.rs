//! What the writer of statuses has to know, gathered from the watch and the reconciler while this instance
//! leads. The others gather nothing: with 10 000 Ingresses that would be a list of 10 000 for each
//! change, on every node.

use super::cluster::Cluster;
use super::ingress_status::IngressStatuses;
use crate::control::write_back::{Inputs, ObjectDiagnostic, Presence, Reconciled};
use crate::model::{Diagnostic, Kind, ObjectRef};
use crate::telemetry::WriteBackMetrics;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often it is looked at whether this instance leads: nobody is in a hurry.
const LEADER_LOOK: Duration = Duration::from_millis(500);

/// How long changes are gathered: statuses are read by people and by controllers of DNS.
const GATHER: Duration = Duration::from_millis(100);

/// Where the facts are.
#[derive(Debug)]
pub(super) struct Facts {
    /// The objects.
    pub cluster: Arc<Cluster>,
    /// The statuses of the Ingresses.
    pub standings: Arc<IngressStatuses>,
    /// What became of them; `None` until there is something to serve.
    pub outcome: watch::Receiver<Option<Reconciled>>,
}

impl Facts {
    /// Resolves when everything has been listed and translated once.
    pub(super) async fn complete(&mut self) {
        self.cluster.wait_listed().await;
        if self.outcome.wait_for(Option::is_some).await.is_err() {
            // No message will come: the process is shutting down.
            std::future::pending::<()>().await;
        }
    }

    /// Keeps `inputs` up to date while this instance leads, forever.
    pub(super) async fn follow(
        mut self,
        inputs: watch::Sender<Inputs>,
        metrics: Arc<WriteBackMetrics>,
    ) {
        let mut statuses = self.standings.changes();
        loop {
            // Findings of an earlier term must not be written in the next one.
            inputs.send_replace(Inputs::default());
            while !metrics.read().leader {
                tokio::time::sleep(LEADER_LOOK).await;
            }
            statuses.mark_changed();
            while metrics.read().leader {
                tokio::select! {
                    Ok(()) = statuses.changed() => {}
                    Ok(()) = self.outcome.changed() => {}
                    () = tokio::time::sleep(LEADER_LOOK) => continue,
                }
                tokio::time::sleep(GATHER).await;
                statuses.mark_unchanged();
                let outcome = self.outcome.borrow_and_update().clone().unwrap_or_default();
                inputs.send_replace(self.read(&outcome));
            }
        }
    }

    fn read(&self, outcome: &Reconciled) -> Inputs {
        let ours = outcome.ours.iter().filter(|own| own.has_status);
        let ours: HashSet<_> = ours.map(|own| (&*own.namespace, &*own.name)).collect();
        let mut ingresses = Vec::new();
        self.standings.each(|ingress| {
            let mut ingress = ingress.clone();
            ingress.ours = ours.contains(&(&*ingress.namespace, &*ingress.name));
            ingresses.push(ingress);
        });
        let (cluster, standings) = (Arc::clone(&self.cluster), Arc::clone(&self.standings));
        let uid = move |object: &ObjectRef| match object.kind {
            Kind::Ingress => standings.uid(&object.namespace, &object.name),
            _ => cluster.uid(object),
        };
        let finding = |diagnostic: &Arc<Diagnostic>| {
            let uid = uid(&diagnostic.object);
            ObjectDiagnostic { diagnostic: Diagnostic::clone(diagnostic), uid }
        };
        Inputs {
            ingresses: ingresses.into(),
            nodes: self.cluster.nodes().into(),
            findings: outcome.findings.iter().map(finding).collect(),
            presence: Presence::new(move |object, own| {
                let uid = uid(object);
                uid.is_some() && uid.as_deref() == own
            }),
        }
    }
}
