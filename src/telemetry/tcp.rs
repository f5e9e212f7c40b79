//! Connections of IngressRouteTCPs: how many of each route, how they ended, and how many bytes they had.
//!
//! Series come into being with the first connection of a route and Service on a worker. Labels are names out of
//! configuration objects, never what a client sent.

use super::access_log::RouteText;
use super::cells::WorkerCells;
use super::presence::Presence;
use crate::error::Reason;
use crate::net::counters::LocalCounter;
use crate::routing::{Backend, TcpEntry};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// How a connection ended, in metrics and the access log, where both sides have ended it.
const COMPLETE: &str = "complete";

/// The word for an end.
pub fn end_label(reason: Option<Reason>) -> &'static str {
    reason.map_or(COMPLETE, Reason::label)
}

/// The labels of a series.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TcpLabels {
    /// Name of the listener.
    pub listener: Arc<str>,
    /// The names of the rule; `_` where no rule matched.
    pub host: String,
    /// Namespace and name of the IngressRouteTCP; `_` where no rule matched.
    pub route: String,
    /// Namespace, Service and port; `_` before one was chosen.
    pub service: String,
}

impl TcpLabels {
    fn of(listener: &Arc<str>, entry: Option<&TcpEntry>, backend: Option<&Backend>) -> Self {
        let none = || "_".to_owned();
        Self {
            listener: Arc::clone(listener),
            host: entry.map_or_else(none, TcpEntry::hosts),
            route: entry.map_or_else(none, |entry| entry.object.to_string()),
            service: backend.map_or_else(none, |backend| backend.key.to_string()),
        }
    }
}

/// Counts by end: that of both sides, and the reasons.
#[derive(Debug)]
struct Ends([LocalCounter; Reason::ALL.len() + 1]);

impl Default for Ends {
    fn default() -> Self {
        Self(std::array::from_fn(|_| LocalCounter::default()))
    }
}

/// The connections of one route to one Service on one worker.
#[derive(Debug)]
pub struct TcpSeries {
    pub(super) labels: TcpLabels,
    text: RouteText,
    ends: OnceLock<Box<Ends>>,
    /// From the client.
    pub(super) bytes_in: LocalCounter,
    /// To the client.
    pub(super) bytes_out: LocalCounter,
    pub(super) presence: Presence,
}

impl TcpSeries {
    fn new(labels: TcpLabels) -> Self {
        Self {
            text: RouteText::new(&labels.route, &labels.service),
            labels,
            ends: OnceLock::new(),
            bytes_in: LocalCounter::default(),
            bytes_out: LocalCounter::default(),
            presence: Presence::default(),
        }
    }

    /// Route and Service for the access log.
    pub fn text(&self) -> &RouteText {
        &self.text
    }

    /// Counts a connection that has ended, with the bytes from and to its client. Only the owning worker may call this.
    pub fn record(&self, reason: Option<Reason>, bytes: [u64; 2]) {
        let position = reason.map_or(0, |reason| reason.index() + 1);
        self.ends.get_or_init(Box::default).0[position].add(1);
        self.bytes_in.add(bytes[0]);
        self.bytes_out.add(bytes[1]);
    }

    /// Every count that is not zero, with its end.
    pub(super) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let ends = self.ends.get().into_iter().flat_map(|ends| ends.0.iter());
        let labels = [None].into_iter().chain(Reason::ALL.map(Some)).map(end_label);
        labels.zip(ends.map(LocalCounter::total)).filter(|(_, count)| *count > 0)
    }
}

/// The series that one worker has met.
#[derive(Debug)]
pub struct TcpSeriesCache {
    cells: Arc<WorkerCells>,
    listeners: Box<[Arc<str>]>,
    by_labels: RefCell<HashMap<TcpLabels, Arc<TcpSeries>>>,
}

impl TcpSeriesCache {
    /// A cache that registers new series with `cells`. `listeners` are the names by position.
    pub fn new(cells: Arc<WorkerCells>, listeners: Box<[Arc<str>]>) -> Self {
        Self { cells, listeners, by_labels: RefCell::default() }
    }

    /// The series of a route on a listener, and of the Service that was chosen.
    pub fn find(
        &self,
        listener: usize,
        entry: Option<&TcpEntry>,
        backend: Option<&Backend>,
    ) -> Arc<TcpSeries> {
        let labels = TcpLabels::of(&self.listeners[listener], entry, backend);
        let mut by_labels = self.by_labels.borrow_mut();
        if let Some(known) = by_labels.get(&labels).filter(|known| known.presence.is_listed()) {
            return Arc::clone(known);
        }
        // What a scrape does not see any more is forgotten here, with the first that is new.
        by_labels.retain(|_, series| series.presence.is_listed());
        let series = Arc::new(TcpSeries::new(labels.clone()));
        self.cells.add_tcp_series(Arc::clone(&series));
        by_labels.insert(labels, Arc::clone(&series));
        series
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_counts_by_end_and_comes_back_after_it_was_dropped() {
        let cells = Arc::new(WorkerCells::new(1));
        let cache = TcpSeriesCache::new(Arc::clone(&cells), [Arc::from("db")].into());
        let series = cache.find(0, None, None);
        series.record(None, [1, 2]);
        series.record(Some(Reason::SourceDenied), [0, 0]);
        series.record(Some(Reason::SourceDenied), [4, 0]);
        assert_eq!(series.counts().collect::<Vec<_>>(), [("complete", 1), ("source_denied", 2)]);
        assert_eq!((series.bytes_in.total(), series.bytes_out.total()), (5, 2));
        assert!(Arc::ptr_eq(&series, &cache.find(0, None, None)));
        cells.drop_tcp_series(|_| true);
        let again = cache.find(0, None, None);
        assert!(!Arc::ptr_eq(&series, &again) && Arc::ptr_eq(&cells.tcp_series()[0], &again));
    }
}
