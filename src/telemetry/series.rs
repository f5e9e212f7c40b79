//! Request counts by route.
//!
//! Series come into being with the first request of a route on a worker, so that a hundred thousand
//! hosts cost nothing until they are used. Labels are names out of configuration objects, never
//! what a client sent.

use super::access_log::RouteText;
use super::cells::{ByReason, WorkerCells};
use super::histogram::{Bounds, Histogram};
use super::outcome::{MethodLabel, Outcome};
use super::presence::Presence;
use super::traefik::{RouteNames, RouterWays, TraefikCells};
use crate::error::Reason;
use crate::model::BackendKey;
use crate::net::counters::LocalCounter;
use crate::routing::{RouteId, Table};
use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

/// The labels of a series.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesLabels {
    /// Name of the listener.
    pub listener: Arc<str>,
    /// Host of the rule; `_` where no rule matched.
    pub host: String,
    /// Namespace and name of the Ingress; `_` where no rule matched.
    pub route: String,
    /// Namespace, Service and port; `_` where no rule matched.
    pub service: String,
}

impl SeriesLabels {
    /// Labels of a route.
    pub fn of(listener: &Arc<str>, table: &Table, route: Option<RouteId>) -> Self {
        let listener = Arc::clone(listener);
        let Some(id) = route else {
            let none = || "_".to_owned();
            return Self { listener, host: none(), route: none(), service: none() };
        };
        let route = table.route(id);
        Self {
            listener,
            host: route.host_pattern(),
            route: format!("{}/{}", route.namespace, route.ingress),
            service: table.backend(id).key.to_string(),
        }
    }
}

/// Status classes 1xx to 5xx.
const CLASSES: usize = 5;
const METHODS: usize = MethodLabel::ALL.len();

/// Times and bytes of requests, with a single writing thread.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) durations: Histogram,
    pub(super) upstream: Histogram,
    pub(super) bytes_in: LocalCounter,
    pub(super) bytes_out: LocalCounter,
}

impl Flow {
    pub(super) fn new(bounds: &Bounds) -> Self {
        Self {
            durations: Histogram::new(bounds),
            upstream: Histogram::new(bounds),
            bytes_in: LocalCounter::default(),
            bytes_out: LocalCounter::default(),
        }
    }

    pub(super) fn record(&self, outcome: &Outcome) {
        self.durations.record(outcome.duration);
        if let Some(trace_id) = outcome.trace_id {
            self.durations.exemplify(outcome.duration, trace_id);
        }
        if let Some(upstream) = outcome.upstream {
            self.upstream.record(upstream);
        }
        self.bytes_in.add(outcome.bytes_in);
        self.bytes_out.add(outcome.bytes_out);
    }
}

/// The requests of one route on one worker.
#[derive(Debug)]
pub struct Series {
    labels: SeriesLabels,
    /// The same for the access log.
    text: RouteText,
    /// Answers of the pod, by method and status class.
    answers: [[LocalCounter; CLASSES]; METHODS],
    /// Answers of our own and answers broken off, by method; allocated with the first.
    faults: std::sync::OnceLock<Box<[ByReason; METHODS]>>,
    /// Responses with another ETag than other pods have for the path at that moment.
    pub etag_mismatches: LocalCounter,
    /// Its own, or that of its listener: see [`crate::config::PerRoute`].
    pub(super) flow: Arc<Flow>,
    /// The same as Traefik counts, if that is asked for.
    traefik: Option<Box<TraefikCells>>,
    pub(super) presence: Presence,
}

impl Series {
    fn new(labels: SeriesLabels, flow: Arc<Flow>, traefik: Option<Box<TraefikCells>>) -> Self {
        let text = RouteText::new(&labels.route, &labels.service);
        Self {
            labels,
            text,
            answers: Default::default(),
            faults: std::sync::OnceLock::new(),
            etag_mismatches: LocalCounter::default(),
            flow,
            traefik,
            presence: Presence::default(),
        }
    }

    /// Its labels.
    pub fn labels(&self) -> &SeriesLabels {
        &self.labels
    }

    /// Route and Service for the access log.
    pub fn text(&self) -> &RouteText {
        &self.text
    }

    /// Counts one request; `chosen`: its Service, if its route has several. Only the owning worker may call this.
    pub fn record(&self, outcome: &Outcome, chosen: Option<&BackendKey>) {
        let method = outcome.method as usize;
        match outcome.reason {
            None => {
                let class = usize::from(outcome.status.as_u16() / 100).clamp(1, CLASSES) - 1;
                self.answers[method][class].add(1);
            }
            Some(reason) => self.faults.get_or_init(Box::default)[method].add(reason),
        }
        self.flow.record(outcome);
        if let Some(traefik) = &self.traefik {
            traefik.record(outcome, chosen);
        }
    }

    pub(super) fn traefik(&self) -> Option<&TraefikCells> {
        self.traefik.as_deref()
    }

    /// Every count that is not zero: method, status class, reason or none.
    pub(super) fn counts(&self) -> Vec<(MethodLabel, u16, Option<Reason>, u64)> {
        let mut counts = Vec::new();
        for method in MethodLabel::ALL {
            for (class, count) in (1..).zip(&self.answers[method as usize]) {
                counts.push((method, class, None, count.total()));
            }
            let faults = self.faults.get().map(|faults| faults[method as usize].iter());
            for (reason, count) in faults.into_iter().flatten() {
                counts.push((method, reason.status().as_u16() / 100, Some(reason), count));
            }
        }
        counts.retain(|(.., count)| *count > 0);
        counts
    }
}

/// Series by listener and route of one table.
type ByRoute = HashMap<(usize, Option<RouteId>), Arc<Series>, foldhash::fast::RandomState>;

/// One worker's cache from a route to its series.
#[derive(Debug)]
pub struct SeriesCache {
    cells: Arc<WorkerCells>,
    listeners: Box<[Arc<str>]>,
    ways: RouterWays,
    /// Generation of the table that the keys of `by_route` belong to.
    generation: Cell<u64>,
    by_route: RefCell<ByRoute>,
    by_labels: RefCell<HashMap<SeriesKey, Arc<Series>>>,
}

/// What routes have in common that share a series on one worker. Scrapes add those up that differ in the router alone.
#[derive(Debug, PartialEq, Eq, Hash)]
struct SeriesKey {
    labels: SeriesLabels,
    /// The router, if there are metrics by it.
    router: Option<Box<str>>,
}

impl SeriesCache {
    /// A cache that registers new series with `cells`. `listeners` are the names by position.
    pub fn new(cells: Arc<WorkerCells>, listeners: Box<[Arc<str>]>) -> Self {
        Self {
            cells,
            listeners,
            ways: RouterWays::default(),
            generation: Cell::new(0),
            by_route: RefCell::default(),
            by_labels: RefCell::default(),
        }
    }

    /// The same with the entry points that Traefik has routers for.
    pub fn with_ways(self, ways: RouterWays) -> Self {
        Self { ways, ..self }
    }

    /// Calls `act` with the series for requests of `route` on the listener at position `listener`.
    pub fn with<R>(
        &self,
        listener: usize,
        table: &Table,
        route: Option<RouteId>,
        act: impl FnOnce(&Arc<Series>) -> R,
    ) -> R {
        match table.generation().cmp(&self.generation.get()) {
            Ordering::Equal => {}
            Ordering::Greater => self.advance(table.generation()),
            // A request that began before the table was replaced: those of the new one are more, and
            // what is known of its routes stays.
            Ordering::Less => return act(&self.find(listener, table, route)),
        }
        let mut by_route = self.by_route.borrow_mut();
        act(by_route.entry((listener, route)).or_insert_with(|| self.find(listener, table, route)))
    }

    /// Lists a series in scrapes again whose route was removed while one of its requests continued.
    pub fn list_again(&self, series: &Arc<Series>) {
        if !series.presence.is_listed() {
            series.presence.mark(true, 0);
            series.presence.list(true);
            self.cells.add_series(Arc::clone(series));
        }
    }

    fn advance(&self, generation: u64) {
        self.generation.set(generation);
        self.by_route.borrow_mut().clear();
        self.forget_gone();
    }

    fn find(&self, listener: usize, table: &Table, route: Option<RouteId>) -> Arc<Series> {
        let labels = SeriesLabels::of(&self.listeners[listener], table, route);
        let named = route.filter(|_| self.cells.is_of_traefik());
        let names = named.map(|route| RouteNames::of(table, route, &self.ways, listener));
        let router = names.as_ref().filter(|_| self.cells.has_routers);
        let router = router.map(|names| names.router.clone());
        let mut by_labels = self.by_labels.borrow_mut();
        let series = by_labels.entry(SeriesKey { labels, router }).or_insert_with_key(|key| {
            let flow = self.cells.flow_for(listener);
            let traefik = self.cells.traefik_for(names);
            let series = Arc::new(Series::new(key.labels.clone(), flow, traefik));
            self.cells.add_series(Arc::clone(&series));
            series
        });
        Arc::clone(series)
    }

    /// Drops what the control thread no longer lists, so that a route that comes back is listed
    /// again.
    fn forget_gone(&self) {
        self.by_labels.borrow_mut().retain(|_, series| series.presence.is_listed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;
    use crate::routing::compile;

    fn next(table: &Table) -> Table {
        compile(&Model::default(), Some(table))
    }

    #[test]
    fn a_route_that_comes_back_is_seen_although_a_stream_of_its_first_life_goes_on() {
        let cells = Arc::new(WorkerCells::new(1));
        let cache = SeriesCache::new(Arc::clone(&cells), [Arc::from("web")].into());
        let of = |table: &Table| cache.with(0, table, None, Arc::clone);
        let first = Table::empty();
        let stream = of(&first);
        cells.drop_series(|_| true);
        assert!(cells.series().is_empty());
        let again = of(&next(&first));
        assert!(Arc::ptr_eq(&cells.series()[0], &again) && !Arc::ptr_eq(&again, &stream));
        // When it ends it is counted as well.
        cache.list_again(&stream);
        cache.list_again(&stream);
        assert_eq!(cells.series().len(), 2);
    }

    #[test]
    fn requests_of_an_older_table_leave_what_is_known_of_the_newer_one() {
        let cells = Arc::new(WorkerCells::new(1));
        let cache = SeriesCache::new(Arc::clone(&cells), [Arc::from("web")].into());
        let old = Table::empty();
        let new = next(&old);
        assert!(old.generation() < new.generation());
        let of = |table| cache.with(0, table, None, Arc::clone);
        let first = of(&old);
        let second = of(&new);
        assert!(Arc::ptr_eq(&first, &second));
        for _ in 0..3 {
            assert!(Arc::ptr_eq(&of(&old), &first), "the same series for both");
            assert_eq!(cache.generation.get(), new.generation());
            assert_eq!(cache.by_route.borrow().len(), 1, "the cache was cleared");
        }
        assert_eq!(cells.series().len(), 1);
    }
}
