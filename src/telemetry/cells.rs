//! The numbers that one thread writes and the scrape adds up.
//!
//! A cell has one writer, so that counting is a load and a store of a line in that core's cache: no
//! locked instruction, no line that travels between cores.

use super::colos::ColoCells;
use super::failures::FailureCells;
use super::histogram::Bounds;
use super::series::{Flow, Series};
use super::steps::StepResults;
use super::tcp::TcpSeries;
use super::tls::HandshakeCells;
use super::traces::TraceCells;
use super::traefik::{self, RouteNames, TraefikCells};
use super::unnamed::Unnamed;
use crate::config::{Metrics, PerRoute};
use crate::error::{Reason, labels};
use crate::net::counters::{LocalCounter, LocalGauge, ScopedGauge};
use crate::net::memory::MemoryCells;
use std::sync::{Arc, Mutex, PoisonError};

labels! { fn label;
    /// Why a connection was reset before a byte of HTTP was read.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Refusal {
        /// No admitted set has the peer.
        NotAdmitted = "not_admitted",
        /// No admitted set has the source that a balancer named.
        SourceNotAdmitted = "source_not_admitted",
        /// A balancer began with something else than a PROXY header.
        ProxyMalformed = "proxy_malformed",
        /// A balancer's PROXY header broke off.
        ProxyTruncated = "proxy_truncated",
        /// A balancer's PROXY header took too long.
        ProxyTimeout = "proxy_timeout",
        /// The process began to leave while all of `limits.connections` were open.
        ConnectionLimit = "connection_limit",
        /// Memory is short.
        Memory = "memory",
        /// A visitor whom break-glass alone admits has too many connections, or asks too often.
        BreakGlassLimit = "break_glass_limit",
    }
}

labels! { fn label;
    /// What a connection waited for when it was closed to make room for another one: label `state`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Evicted {
        /// For a balancer's PROXY header.
        ProxyHeader = "proxy_header",
        /// For the TLS handshake.
        Handshake = "handshake",
        /// For its first request.
        FirstRequest = "first_request",
        /// For its next request.
        Idle = "idle",
    }
}

/// Counts of a listener's connections, on one thread.
#[derive(Debug, Default)]
pub struct ListenerCells {
    /// Connections accepted and handed to a worker (accepting thread).
    pub accepted: LocalCounter,
    /// Connections that came while all of `limits.connections` were open (accepting thread).
    pub at_limit: LocalCounter,
    /// Connections closed to make room for others, by [`Evicted`] (worker).
    pub evicted: [LocalCounter; Evicted::ALL.len()],
    /// Refused connections, by [`Refusal`] (accepting thread for `NotAdmitted` and `ConnectionLimit`,
    /// otherwise worker).
    pub refused: [LocalCounter; Refusal::ALL.len()],
    /// Connections without a client: health checks of load balancers, and TLS connections closed without a
    /// byte (worker).
    pub health_checks: LocalCounter,
    /// Requests of trusted peers without a usable client address, by [`Unnamed`] (worker).
    pub unnamed: [LocalCounter; Unnamed::ALL.len()],
    /// `accept` calls that failed (accepting thread).
    pub errors: LocalCounter,
    /// Connections open (worker).
    pub open: ScopedGauge,
    /// Connections closed because they were idle or too slow with a head (worker).
    pub idle_closed: LocalCounter,
    /// HTTP/2 connections closed because their client floods them, with resets as a rule (worker).
    pub reset_floods: LocalCounter,
    /// Tunnels open: WebSocket and other protocols that a connection was handed over to (worker).
    pub tunnels: ScopedGauge,
    /// Connections that we closed and whose clients still send (worker).
    pub lingering: ScopedGauge,
    /// TLS handshakes (worker).
    pub handshakes: HandshakeCells,
}

impl ListenerCells {
    /// Counts a refused connection.
    pub fn refuse(&self, why: Refusal) {
        self.refused[why as usize].add(1);
    }

    /// Counts a connection that was closed to make room.
    pub fn evict(&self, state: Evicted) {
        self.evicted[state as usize].add(1);
    }
}

labels! { fn label;
    /// Why a request was sent again: label `reason`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Retry {
        /// No connection: refused, reset, or no way there.
        ConnectFailed = "connect_failed",
        /// No connection in time.
        ConnectTimeout = "connect_timeout",
        /// No TLS.
        TlsFailed = "tls_failed",
        /// A new connection that closed before an answer.
        Closed = "closed",
        /// A connection that had served before and closed before an answer.
        ReusedClosed = "reused_closed",
        /// The pod says that it has not looked at the request (RFC 9113 section 8.7).
        StreamRefused = "stream_refused",
        /// The pod had ended the connection before any of the request reached it.
        Unread = "unread",
        /// The route asks for it after a response with this status.
        Status = "status",
    }
}

labels! { fn label;
    /// What became of a copy of a request for a mirror: label `result`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Mirrored {
        /// The mirror has answered.
        Sent = "sent",
        /// It was not to be reached, or gave no answer in time.
        Failed = "failed",
        /// Dropped: the body was too large, or not whole when the answer came.
        TooLarge = "dropped_body",
        /// Dropped: too many were under way.
        Crowded = "dropped_limit",
        /// Dropped: memory is short.
        NoMemory = "dropped_memory",
    }
}

/// Counts of one worker's traffic to pods.
#[derive(Debug, Default)]
pub struct UpstreamCells {
    /// Connections made.
    pub connects: LocalCounter,
    /// Connection attempts that failed.
    pub connect_failures: LocalCounter,
    /// Of these, those whose TLS handshake failed.
    pub tls_failures: LocalCounter,
    /// Requests on reused connections.
    pub reuses: LocalCounter,
    /// HTTP/2 connections retired because too many of their requests were cancelled.
    pub retired: LocalCounter,
    /// Requests sent again, to another endpoint or on another connection, by [`Retry`].
    pub retries: [LocalCounter; Retry::ALL.len()],
    /// Retries that the retry budget refused.
    pub retries_refused: LocalCounter,
    /// Endpoints ejected.
    pub ejections: LocalCounter,
    /// Endpoints picked where some are local: remote ones, and local ones.
    pub picks: [LocalCounter; 2],
    /// Idle connections.
    pub idle: LocalGauge,
    /// Requests that wait for an endpoint with room.
    pub queued: ScopedGauge,
    /// Copies of requests on their way to mirrors.
    pub mirrors: LocalGauge,
    /// Copies of requests, by [`Mirrored`].
    pub mirrored: [LocalCounter; Mirrored::ALL.len()],
}

impl UpstreamCells {
    /// Counts what became of a copy.
    pub fn count_mirrored(&self, result: Mirrored) {
        self.mirrored[result as usize].add(1);
    }
}

/// All cells of one worker.
#[derive(Debug)]
pub struct WorkerCells {
    /// One per configured listener.
    pub listeners: Box<[ListenerCells]>,
    /// Towards the pods.
    pub upstream: UpstreamCells,
    /// Requests by colo of Cloudflare.
    pub colos: ColoCells,
    /// What steps of routes made of requests.
    pub steps: StepResults,
    /// The last requests that failed.
    pub failures: FailureCells,
    /// Memory held.
    pub memory: Arc<MemoryCells>,
    /// Access log lines dropped because the writer was behind.
    pub log_dropped: LocalCounter,
    /// Access log lines with a field that was cut.
    pub log_truncated: LocalCounter,
    /// Requests that the access log's filter has left out.
    pub log_filtered: LocalCounter,
    /// Which requests are traced.
    pub traces: TraceCells,
    /// Times and bytes, one per configured listener.
    pub(super) flows: Box<[Arc<Flow>]>,
    /// Bounds of the histograms of routes, if they have some of their own.
    route_bounds: Option<Bounds>,
    /// Bounds of Traefik's histograms, if its metrics are asked for.
    traefik_bounds: Option<Bounds>,
    /// Whether Traefik's metrics are asked for by router.
    pub(super) has_routers: bool,
    /// Routes that have had a request. Locked by the worker for a route's first request only.
    series: Mutex<Vec<Arc<Series>>>,
    /// The same for routes of connections.
    tcp_series: Mutex<Vec<Arc<TcpSeries>>>,
}

impl WorkerCells {
    /// Cells for a worker that serves `listeners` listeners.
    pub fn new(listeners: usize) -> Self {
        Self::configured(listeners, 1, &Metrics::default())
    }

    /// The same, of one of so many workers, with these metrics.
    pub(super) fn configured(listeners: usize, workers: usize, metrics: &Metrics) -> Self {
        let bounds = Bounds::new(&metrics.buckets);
        Self {
            flows: (0..listeners).map(|_| Arc::new(Flow::new(&bounds))).collect(),
            route_bounds: (metrics.per_route == PerRoute::All).then_some(bounds),
            traefik_bounds: metrics.traefik.is_any().then(traefik::bounds),
            has_routers: metrics.traefik.routers,
            listeners: (0..listeners).map(|_| ListenerCells::default()).collect(),
            upstream: UpstreamCells::default(),
            colos: ColoCells::default(),
            steps: StepResults::default(),
            failures: FailureCells::new(workers),
            memory: Arc::default(),
            log_dropped: LocalCounter::default(),
            log_truncated: LocalCounter::default(),
            log_filtered: LocalCounter::default(),
            traces: TraceCells::default(),
            series: Mutex::default(),
            tcp_series: Mutex::default(),
        }
    }

    /// Where the times and bytes of a route's requests on a listener are counted.
    pub(super) fn flow_for(&self, listener: usize) -> Arc<Flow> {
        match &self.route_bounds {
            Some(bounds) => Arc::new(Flow::new(bounds)),
            None => Arc::clone(&self.flows[listener]),
        }
    }

    /// Whether requests are counted as Traefik counts them.
    pub(super) fn is_of_traefik(&self) -> bool {
        self.traefik_bounds.is_some()
    }

    /// Where requests are counted as Traefik counts them, if that is asked for.
    pub(super) fn traefik_for(&self, names: Option<RouteNames>) -> Option<Box<TraefikCells>> {
        Some(Box::new(TraefikCells::new(self.traefik_bounds.as_ref()?, names)))
    }

    pub(super) fn add_series(&self, series: Arc<Series>) {
        self.series.lock().unwrap_or_else(PoisonError::into_inner).push(series);
    }

    pub(super) fn series(&self) -> Vec<Arc<Series>> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn add_tcp_series(&self, series: Arc<TcpSeries>) {
        self.tcp_series.lock().unwrap_or_else(PoisonError::into_inner).push(series);
    }

    pub(super) fn tcp_series(&self) -> Vec<Arc<TcpSeries>> {
        self.tcp_series.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets the series of connections for which `gone` says so.
    pub(super) fn drop_tcp_series(&self, gone: impl Fn(&TcpSeries) -> bool) {
        let mut series = self.tcp_series.lock().unwrap_or_else(PoisonError::into_inner);
        series.retain(|series| {
            let gone = gone(series);
            if gone {
                series.presence.list(false);
            }
            !gone
        });
    }

    /// Forgets the series for which `gone` says so.
    pub(super) fn drop_series(&self, gone: impl Fn(&Series) -> bool) {
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        series.retain(|series| {
            let gone = gone(series);
            if gone {
                series.presence.list(false);
            }
            !gone
        });
    }
}

/// Counts of successes and failures, written by one thread.
#[derive(Debug, Default)]
pub struct Results {
    pub(super) ok: LocalCounter,
    pub(super) failed: LocalCounter,
}

impl Results {
    /// Counts one.
    pub fn count(&self, ok: bool) {
        let count = if ok { &self.ok } else { &self.failed };
        count.add(1);
    }
}

/// Health checks.
pub type CheckCells = Results;

/// DNS lookups.
pub type DnsCells = Results;

/// The properties of the table in force, written by the control thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct SnapshotCells {
    /// Generation of the table.
    pub generation: u64,
    /// When it was put in force, in seconds since the Unix epoch.
    pub published: f64,
    /// Seconds from the changes that made it necessary to the finished table: translating and
    /// compiling.
    pub build_seconds: f64,
    /// Routes in it.
    pub routes: usize,
    /// Distinct hosts in it.
    pub hosts: usize,
}

labels! { fn as_str;
    /// What a change of objects came to.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum ChangeEffect {
        /// A new table.
        Table = "table",
        /// New endpoints in the table in force.
        Endpoints = "endpoints",
        /// Neither: nothing that is served depends on what changed.
        None = "none",
    }
}

/// Counts by reason.
#[derive(Debug)]
pub(super) struct ByReason([LocalCounter; Reason::ALL.len()]);

impl Default for ByReason {
    fn default() -> Self {
        Self(std::array::from_fn(|_| LocalCounter::default()))
    }
}

impl ByReason {
    pub(super) fn add(&self, reason: Reason) {
        self.0[reason.index()].add(1);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        Reason::ALL.into_iter().map(|reason| (reason, self.0[reason.index()].total()))
    }
}
