//! The numbers of the scrape for the status page: added up when it asks.

use super::Telemetry;
use crate::model::Diagnostic;
use crate::telemetry::KeptFailure;
use crate::telemetry::cells::{Refusal, SnapshotCells};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

/// The requests of one host, route and Service since the process started, over all listeners and workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestTotals {
    /// Host of the rule; `_` where no rule matched.
    pub host: String,
    /// Namespace and name of the Ingress; `_` where no rule matched.
    pub route: String,
    /// Namespace, Service and port; `_` where no rule matched.
    pub service: String,
    /// By status class, 1xx to 5xx.
    pub classes: [u64; 5],
    /// How many of them ravelin answered itself, or broke off.
    pub own: u64,
}

impl RequestTotals {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.classes.iter().sum()
    }
}

impl Telemetry {
    /// The requests so far: in no order, one entry for each host, route and Service that was asked for.
    pub fn request_totals(&self) -> Vec<RequestTotals> {
        let series: Vec<_> = self.workers.iter().flat_map(|worker| worker.series()).collect();
        let mut totals = BTreeMap::<[&str; 3], RequestTotals>::new();
        for series in &series {
            let of = series.labels();
            let total = totals.entry([&of.host, &of.route, &of.service]).or_default();
            for (_, class, reason, count) in series.counts() {
                let at = usize::from(class).clamp(1, total.classes.len()) - 1;
                total.classes[at] += count;
                total.own += reason.map_or(0, |_| count);
            }
        }
        let named = totals.into_iter().map(|([host, route, service], total)| RequestTotals {
            host: host.to_owned(),
            route: route.to_owned(),
            service: service.to_owned(),
            ..total
        });
        named.collect()
    }

    /// The last requests that failed, the newest first.
    pub fn failures(&self) -> Vec<KeptFailure> {
        let mut all: Vec<_> =
            self.workers.iter().flat_map(|worker| worker.failures.read()).collect();
        all.sort_by_key(|failure| std::cmp::Reverse(failure.time));
        all
    }

    /// Connections that were accepted and reset, by reason; those that have not happened are left out.
    pub fn refused(&self, listener: usize) -> BTreeMap<&'static str, u64> {
        let each = Refusal::ALL.into_iter().map(|refusal| {
            let cells = self.cells_of(listener);
            let count = cells.map(|cells| cells.refused[refusal as usize].total()).sum();
            (refusal.label(), count)
        });
        each.filter(|(_, count)| *count > 0).collect()
    }

    /// Connections of a listener that were handed to a worker.
    pub fn accepted(&self, listener: usize) -> u64 {
        self.cells_of(listener).map(|cells| cells.accepted.total()).sum()
    }

    /// Connections of a listener that are open now.
    pub fn open_at(&self, listener: usize) -> i64 {
        self.cells_of(listener).map(|cells| cells.open.now()).sum()
    }

    /// What is not served as written: sorted, each once.
    pub fn findings(&self) -> Arc<[Arc<Diagnostic>]> {
        Arc::clone(&self.findings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The table in force, in numbers.
    pub fn snapshot(&self) -> SnapshotCells {
        *self.snapshot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
