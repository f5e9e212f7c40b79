//! The election's requests: what [`Machine`] decides, done with a `coordination.k8s.io/v1` Lease.

use super::{Answer, Machine, Record, Request, StoredLease};
use crate::control::jitter;
use crate::control::write_back::Election;
use crate::control::write_back::failure::{Failure, within};
use crate::telemetry::{WriteBackMetrics, WriteKind, WriteResult};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, PostParams};
use kube::{Client, Resource};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The shortest time that an answer is waited for, however near the end of the belief is.
const SHORTEST: Duration = Duration::from_millis(50);

/// An instance in the election.
pub(in crate::control::write_back) struct Elector {
    api: Api<Lease>,
    election: Election,
    machine: Machine,
    /// The Lease as it was last seen, to be written back with what others put there.
    last: Option<Lease>,
    metrics: Arc<WriteBackMetrics>,
}

impl Elector {
    pub(in crate::control::write_back) fn new(
        client: Client,
        election: Election,
        metrics: Arc<WriteBackMetrics>,
    ) -> Self {
        let api = Api::namespaced(client, &election.namespace);
        let machine = Machine::new(election.identity.clone(), election.timing, Instant::now());
        Self { api, election, machine, last: None, metrics }
    }

    /// Takes part in the election forever. `belief` receives until when we lead.
    pub(in crate::control::write_back) async fn run(
        &mut self,
        belief: &watch::Sender<Option<Instant>>,
    ) {
        loop {
            let wake = self.machine.next();
            match self.machine.leading_until() {
                Some(until) if until <= wake => {
                    tokio::time::sleep_until(until.into()).await;
                    self.tell(belief, None);
                    tokio::time::sleep_until(wake.into()).await;
                }
                _ => tokio::time::sleep_until(wake.into()).await,
            }
            let (sent, request) = (Instant::now(), self.machine.request());
            let until = self.machine.leading_until().filter(|until| sent < *until);
            let left = until.map_or(Duration::MAX, |until| until - sent);
            let limit = self.election.timing.renew.min(left).max(SHORTEST);
            let answer = self.ask(request, limit).await;
            let now = Instant::now();
            self.machine.answer(answer, sent, now, jitter::fraction());
            self.tell(belief, self.machine.leading_until().filter(|until| now < *until));
        }
    }

    /// Lets go of the Lease if we hold it, so that the next one need not wait for its end.
    pub(in crate::control::write_back) async fn release(&mut self) {
        let limit = self.election.timing.renew;
        // Twice, because a renewal may have been on its way when we stopped.
        for _ in 0..2 {
            let Some(request) = self.machine.release() else { return };
            match self.ask(request, limit).await {
                Answer::StoredLease(_) => {
                    tracing::info!(lease = %self.election.name, "leadership released");
                    return;
                }
                Answer::Conflict => {
                    let Answer::StoredLease(found) = self.ask(Request::Read, limit).await else {
                        return;
                    };
                    self.machine.note(found, Instant::now());
                }
                Answer::Missing | Answer::Refused | Answer::Failed => return,
            }
        }
    }

    fn tell(&self, belief: &watch::Sender<Option<Instant>>, until: Option<Instant>) {
        let before = belief.send_replace(until);
        if before.is_some() != until.is_some() {
            let (leading, identity) = (until.is_some(), &self.election.identity);
            tracing::info!(leading, %identity, lease = %self.election.name, "leadership changed");
            self.metrics.update(|cells| {
                cells.leader = leading;
                cells.elections += u64::from(leading);
            });
        }
    }

    async fn ask(&mut self, request: Request, limit: Duration) -> Answer {
        let post = PostParams::default();
        let write = request != Request::Read;
        let asked = match request {
            Request::Read => {
                let name = self.election.name.clone();
                match within(limit, "Lease", self.api.get_opt(&name)).await {
                    Ok(None) => return Answer::Missing,
                    Ok(Some(lease)) => Ok(lease),
                    Err(failure) => Err(failure),
                }
            }
            Request::Create => {
                let lease = self.held(Lease::default());
                within(limit, "Lease", self.api.create(&post, &lease)).await
            }
            Request::Hold { version } => {
                let lease = self.held(self.versioned(version));
                within(limit, "Lease", self.api.replace(&self.election.name, &post, &lease)).await
            }
            Request::Release { version } => {
                let lease = released(self.versioned(version));
                within(limit, "Lease", self.api.replace(&self.election.name, &post, &lease)).await
            }
        };
        if write {
            let result =
                asked.as_ref().map_or_else(|failure| failure.result(), |_| WriteResult::Ok);
            self.metrics.update(|cells| cells.wrote(WriteKind::Lease, result));
        }
        match asked {
            Ok(lease) => {
                let found = found(&lease);
                self.last = Some(lease);
                Answer::StoredLease(found)
            }
            Err(Failure::Conflict) => Answer::Conflict,
            Err(Failure::Gone) => Answer::Missing,
            Err(Failure::Refused) => Answer::Refused,
            Err(_) => Answer::Failed,
        }
    }

    fn versioned(&self, version: String) -> Lease {
        let mut lease = self.last.clone().unwrap_or_default();
        lease.meta_mut().resource_version = Some(version);
        // Not ours to write, and large.
        lease.meta_mut().managed_fields = None;
        lease
    }

    fn held(&self, mut lease: Lease) -> Lease {
        lease.metadata.name = Some(self.election.name.clone());
        lease.metadata.namespace = Some(self.election.namespace.clone());
        let now = MicroTime(Timestamp::now());
        let mut spec = lease.spec.unwrap_or_default();
        if spec.holder_identity.as_ref() != Some(&self.election.identity) {
            spec.acquire_time = Some(now.clone());
            spec.lease_transitions =
                Some(spec.lease_transitions.map_or(0, |count| count.saturating_add(1)));
        }
        spec.holder_identity = Some(self.election.identity.clone());
        spec.lease_duration_seconds = Some(self.election.timing.seconds());
        spec.renew_time = Some(now);
        lease.spec = Some(spec);
        lease
    }
}

fn released(mut lease: Lease) -> Lease {
    let spec = lease.spec.unwrap_or_default();
    lease.spec = Some(LeaseSpec {
        holder_identity: None,
        lease_duration_seconds: Some(1),
        renew_time: Some(MicroTime(Timestamp::now())),
        ..spec
    });
    lease
}

fn found(lease: &Lease) -> StoredLease {
    let spec = lease.spec.clone().unwrap_or_default();
    let seconds = spec.lease_duration_seconds.unwrap_or(0).max(1).unsigned_abs();
    StoredLease {
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
        record: Record {
            holder: spec.holder_identity,
            duration: Duration::from_secs(seconds.into()),
            renewed: spec.renew_time.map(|MicroTime(time)| time.as_nanosecond()),
            transitions: spec.lease_transitions.unwrap_or(0),
        },
    }
}
