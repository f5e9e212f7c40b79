//! What this instance writes back into the cluster: whether it leads, how its writes went, and which
//! Events it held back. Written by the control thread, read by the scrape.

use super::locked::Locked;
use crate::error::labels;

labels! { fn as_str;
    /// What is written: label `kind`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum WriteKind {
        /// The Lease of the election.
        Lease = "lease",
        /// `status.loadBalancer` of an Ingress.
        Status = "status",
        /// An Event.
        Event = "event",
    }
}

labels! { fn as_str;
    /// How a write went: label `result`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum WriteResult {
        /// Stored.
        Ok = "ok",
        /// Somebody else was faster, or the object is another one of the same name (409).
        Conflict = "conflict",
        /// The API server asks for patience (429).
        Throttled = "throttled",
        /// The API server failed (5xx).
        ServerError = "server_error",
        /// No answer, or none in time.
        Unreachable = "unreachable",
        /// The object is not there any more (404, 410).
        Gone = "gone",
        /// Any other answer, such as a missing right (403) or a value that is not valid (422).
        Refused = "refused",
    }
}

labels! { fn as_str;
    /// Why an Event was held back: label `reason`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Suppressed {
        /// The same was said not long ago, by this instance or by its predecessor.
        Repeated = "repeated",
        /// Too many at once: it is written later, if it is still true then.
        Rate = "rate",
        /// More findings than are kept track of.
        Full = "full",
    }
}

/// The state of writing back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteBackCells {
    /// Whether this instance takes part in the election. If not, it has no metrics of it.
    pub enabled: bool,
    /// Whether this instance leads.
    pub leader: bool,
    /// How often it became the leader.
    pub elections: u64,
    /// The addresses that the leader writes into Ingresses; 0 on other instances.
    pub addresses: usize,
    writes: [[u64; WriteResult::ALL.len()]; WriteKind::ALL.len()],
    suppressed: [u64; Suppressed::ALL.len()],
}

impl WriteBackCells {
    /// Counts a write.
    pub fn wrote(&mut self, kind: WriteKind, result: WriteResult) {
        self.writes[kind as usize][result as usize] += 1;
    }

    /// Counts an Event that was not sent because of rate limits.
    pub fn suppress(&mut self, why: Suppressed) {
        self.suppressed[why as usize] += 1;
    }

    /// Writes by kind and result.
    pub fn writes(&self) -> impl Iterator<Item = (WriteKind, WriteResult, u64)> + '_ {
        WriteKind::ALL.into_iter().flat_map(move |kind| {
            let results = WriteResult::ALL.into_iter();
            results.map(move |result| (kind, result, self.writes[kind as usize][result as usize]))
        })
    }

    /// How often a write of this kind went so.
    pub fn count(&self, kind: WriteKind, result: WriteResult) -> u64 {
        self.writes[kind as usize][result as usize]
    }

    /// Events that were held back, by reason.
    pub fn suppressed(&self) -> impl Iterator<Item = (Suppressed, u64)> + '_ {
        Suppressed::ALL.into_iter().map(|why| (why, self.suppressed[why as usize]))
    }
}

/// [`WriteBackCells`], shared.
pub type WriteBackMetrics = Locked<WriteBackCells>;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_write_and_every_held_back_event_is_counted_under_labels_of_its_own() {
        let metrics = WriteBackMetrics::default();
        for (kind, result, count) in metrics.read().writes() {
            assert_eq!(count, 0);
            metrics.update(|cells| cells.wrote(kind, result));
            assert_eq!(metrics.read().count(kind, result), 1);
        }
        for (why, _) in metrics.read().suppressed() {
            metrics.update(|cells| cells.suppress(why));
        }
        let cells = metrics.read();
        let labels = cells.writes().map(|(kind, result, _)| (kind.as_str(), result.as_str()));
        assert_eq!(labels.collect::<BTreeSet<_>>().len(), 21);
        assert!(cells.writes().all(|(.., count)| count == 1));
        let labels: BTreeSet<_> = cells.suppressed().map(|(why, _)| why.as_str()).collect();
        assert_eq!(labels.len(), 3);
        assert!(cells.suppressed().all(|(_, count)| count == 1));
    }
}
