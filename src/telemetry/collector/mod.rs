//! The scrape: adds up the cells of all threads and encodes the metric families.

mod access;
mod admin;
mod break_glass;
mod connections;
mod decisions;
mod exemplars;
mod families;
mod last_good;
mod list;
mod logs;
mod memory;
mod requests;
mod snapshot;
mod steps;
mod tcp;
#[cfg(test)]
mod tests;
mod tls;
mod totals;
mod traces;
mod traefik;
mod upstream;
mod watch;
mod write_back;

use super::access::AccessMetrics;
use super::admin::AdminCells;
use super::admission::PortCells;
use super::cells::{ChangeEffect, CheckCells, DnsCells, ListenerCells, SnapshotCells, WorkerCells};
use super::class_grace::ClassGrace;
use super::decisions::DecisionMetrics;
use super::last_good::LastGoodMetrics;
use super::list::{ListMetrics, ListSource};
use super::series::SeriesLabels;
use super::steps::StepCells;
use super::tls::CertificateMetrics;
use super::traces::ExportMetrics;
use super::traefik::EntryPointNames;
use super::watch::WatchMetrics;
use super::write_back::WriteBackMetrics;
use super::writer::LogCells;
use crate::config::Metrics;
use crate::model::Diagnostic;
use crate::net::counters::LocalCounter;
use crate::net::memory::Budget;
use crate::routing::{Table, TableHandle};
use exemplars::BesideExemplars;
use families::Families;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Registry;
use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
pub use totals::RequestTotals;

/// How long the series of a route that is gone are still exported, in seconds: several scrapes, so
/// that its last requests are seen.
const KEEP_GONE_SECONDS: u64 = 600;

/// The admin port's label among those of the listeners. No listener can have it.
const ADMIN: &str = "admin";

/// Everything that is measured in this process.
#[derive(Debug)]
pub struct Telemetry {
    listeners: Box<[Arc<str>]>,
    /// Cells of the accepting thread, by listener.
    accepting: Arc<[ListenerCells]>,
    workers: Box<[Arc<WorkerCells>]>,
    memory: Arc<Budget>,
    admin: Arc<AdminCells>,
    /// The listeners, and the admin port as the last.
    ports: Box<[Arc<PortCells>]>,
    list: Arc<ListMetrics>,
    extra_ranges: Arc<ListMetrics>,
    break_glass: Arc<super::BreakGlassCells>,
    decisions: Arc<DecisionMetrics>,
    access: Arc<AccessMetrics>,
    watch: Arc<WatchMetrics>,
    write_back: Arc<WriteBackMetrics>,
    last_good: Arc<LastGoodMetrics>,
    class_grace: ClassGrace,
    certificates: Arc<CertificateMetrics>,
    checks: Arc<CheckCells>,
    dns: Arc<DnsCells>,
    /// What the states of middlewares hold, once they are there.
    steps: OnceLock<Arc<StepCells>>,
    /// Lines of the access log that its writer could not write.
    access_log: Arc<LogCells>,
    /// How the export of traces goes.
    traces: Arc<ExportMetrics>,
    /// By listener, whether it terminates TLS; empty until it is said.
    secured: OnceLock<Box<[bool]>>,
    /// By listener, its entry point; empty until it is said.
    entry_points: OnceLock<EntryPointNames>,
    snapshot: Mutex<SnapshotCells>,
    /// How often changes were put in force, by effect. Written by the control thread.
    changes: [LocalCounter; ChangeEffect::ALL.len()],
    /// Whether the last reload failed.
    reload_failing: AtomicBool,
    /// What is not served as written: sorted, each once.
    findings: Mutex<Arc<[Arc<Diagnostic>]>>,
    /// Where the table in force is, once there is one.
    tables: OnceLock<TableHandle>,
    /// Labels and buckets.
    metrics: Metrics,
}

/// Why a process is not ready yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unready {
    /// What the first table waits for, a line each.
    Table(String),
    /// Nothing is known of Cloudflare's addresses.
    List,
}

impl Telemetry {
    /// Cells for these listeners and so many workers, with metrics as by default. `memory` is what all
    /// workers may hold, in bytes.
    pub fn new(listeners: &[Arc<str>], workers: usize, memory: usize) -> Arc<Self> {
        Self::configured(listeners, workers, memory, Metrics::default())
    }

    /// The same, with these metrics.
    pub fn configured(
        listeners: &[Arc<str>],
        workers: usize,
        memory: usize,
        metrics: Metrics,
    ) -> Arc<Self> {
        let cells = || Arc::new(WorkerCells::configured(listeners.len(), workers, &metrics));
        let ports = listeners.iter().cloned().chain([Arc::from(ADMIN)]);
        Arc::new(Self {
            listeners: listeners.into(),
            accepting: listeners.iter().map(|_| ListenerCells::default()).collect(),
            workers: (0..workers).map(|_| cells()).collect(),
            memory: Budget::new(memory),
            admin: Arc::default(),
            ports: ports.map(|name| Arc::new(PortCells::new(name))).collect(),
            list: Arc::default(),
            extra_ranges: Arc::default(),
            break_glass: Arc::default(),
            decisions: Arc::default(),
            access: Arc::default(),
            watch: Arc::default(),
            write_back: Arc::default(),
            last_good: Arc::default(),
            class_grace: ClassGrace::default(),
            certificates: Arc::default(),
            checks: Arc::default(),
            dns: Arc::default(),
            steps: OnceLock::new(),
            access_log: Arc::default(),
            traces: Arc::default(),
            secured: OnceLock::new(),
            entry_points: OnceLock::new(),
            snapshot: Mutex::default(),
            changes: Default::default(),
            reload_failing: AtomicBool::default(),
            findings: Mutex::new(Arc::new([])),
            tables: OnceLock::new(),
            metrics,
        })
    }

    /// The cells of the accepting thread, one per listener.
    pub fn accepting(&self) -> Arc<[ListenerCells]> {
        Arc::clone(&self.accepting)
    }

    /// The ports with admission: the listeners, then the admin port.
    pub fn ports(&self) -> &[Arc<PortCells>] {
        &self.ports
    }

    /// State of Cloudflare's list.
    pub fn list(&self) -> &Arc<ListMetrics> {
        &self.list
    }

    /// State of CrowdSec's decisions.
    pub fn decisions(&self) -> &Arc<DecisionMetrics> {
        &self.decisions
    }

    /// State of the keys of Cloudflare Access.
    pub fn access(&self) -> &Arc<AccessMetrics> {
        &self.access
    }

    /// State of the watch of the cluster.
    pub fn watch(&self) -> &Arc<WatchMetrics> {
        &self.watch
    }

    /// State of the write-back into the cluster.
    pub fn write_back(&self) -> &Arc<WriteBackMetrics> {
        &self.write_back
    }

    /// State of the last-good file.
    pub fn last_good(&self) -> &Arc<LastGoodMetrics> {
        &self.last_good
    }

    /// Deleted IngressClasses whose Ingresses are still served.
    pub fn class_grace(&self) -> &ClassGrace {
        &self.class_grace
    }

    /// State of the certificates.
    pub fn certificates(&self) -> &Arc<CertificateMetrics> {
        &self.certificates
    }

    /// Where health checks are counted.
    pub fn checks(&self) -> &Arc<CheckCells> {
        &self.checks
    }

    /// Where names that are resolved are counted.
    pub fn dns(&self) -> &Arc<DnsCells> {
        &self.dns
    }

    /// Sets the names of the listeners' entry points, in the order of the cells. Only the first call has an effect.
    pub fn enter_by(&self, names: EntryPointNames) {
        let _ = self.entry_points.set(names);
    }

    /// Sets where the states of middlewares count. Only the first call has an effect.
    pub fn follow_steps(&self, steps: Arc<StepCells>) {
        let _ = self.steps.set(steps);
    }

    /// The cells of the access log writer.
    pub fn access_log(&self) -> &Arc<LogCells> {
        &self.access_log
    }

    /// State of the export of traces.
    pub fn traces(&self) -> &Arc<ExportMetrics> {
        &self.traces
    }

    /// Why the process is not ready: the first table is not in force, or Cloudflare's ranges are not known.
    pub fn unready(&self) -> Option<Unready> {
        let unknown = self.list.read().source == ListSource::Nothing;
        let missing = self.watch.unready().map(Unready::Table);
        missing.or_else(|| unknown.then_some(Unready::List))
    }

    /// Sets which listeners terminate TLS, in the order of the cells: only those have handshake series.
    /// Only the first call has an effect.
    pub fn secure(&self, listeners: impl IntoIterator<Item = bool>) {
        let _ = self.secured.set(listeners.into_iter().collect());
    }

    /// The limit for all of them, and the bytes held.
    pub fn memory(&self) -> &Arc<Budget> {
        &self.memory
    }

    /// Where connections to the admin port are counted.
    pub fn admin(&self) -> &Arc<AdminCells> {
        &self.admin
    }

    /// The cells of each worker.
    pub fn workers(&self) -> &[Arc<WorkerCells>] {
        &self.workers
    }

    /// Names of the listeners, in the order of the cells.
    pub fn listeners(&self) -> &[Arc<str>] {
        &self.listeners
    }

    /// Connections open now, over all workers and listeners.
    pub fn open_connections(&self) -> i64 {
        let listeners = self.workers.iter().flat_map(|worker| worker.listeners.iter());
        listeners.map(|listener| listener.open.now()).sum()
    }

    /// Sets the table handle for what is counted at a scrape. Only the first call has an effect.
    pub fn follow(&self, tables: TableHandle) {
        let _ = self.tables.set(tables);
    }

    /// Records the table that the control thread put in force.
    pub fn set_snapshot(&self, snapshot: SnapshotCells) {
        *self.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = snapshot;
    }

    /// Counts a batch of changes in force. Only the control thread may call this.
    pub fn count_change(&self, effect: ChangeEffect) {
        self.changes[effect as usize].add(1);
    }

    /// Records that a reload of the configuration has failed. A reload that succeeds begins with cells of its own.
    pub fn fail_reload(&self) {
        self.reload_failing.store(true, Ordering::Relaxed);
    }

    /// Sets the current findings.
    pub fn set_findings(&self, findings: Arc<[Arc<Diagnostic>]>) {
        *self.findings.lock().unwrap_or_else(PoisonError::into_inner) = findings;
    }

    /// Marks the series without a route in this table, and drops those without one for some minutes. Visits
    /// every route, unless there are no series.
    pub fn mark_gone(&self, table: &Table) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.mark_tcp_gone(table, now, KEEP_GONE_SECONDS);
        let seen: Vec<_> = self.workers.iter().map(|worker| (worker, worker.series())).collect();
        if seen.iter().all(|(_, series)| series.is_empty()) {
            return;
        }
        let nobody: Arc<str> = Arc::from("");
        // Most routes have seen no request; to write out the labels of all is milliseconds that the
        // next change waits for.
        let all = seen.iter().flat_map(|(_, series)| series.iter());
        let hosts: HashSet<&str> = all.map(|series| bare(&series.labels().host)).collect();
        let routes = table.routes().filter(|route| hosts.contains(table.route(*route).host));
        let mut present: HashSet<SeriesLabels> =
            routes.map(|route| SeriesLabels::of(&nobody, table, Some(route))).collect();
        present.insert(SeriesLabels::of(&nobody, table, None));
        for (worker, series) in seen {
            for series in series {
                let labels =
                    SeriesLabels { listener: Arc::clone(&nobody), ..series.labels().clone() };
                series.presence.mark(present.contains(&labels), now);
            }
            worker.drop_series(|series| series.presence.gone_for(now) > Some(KEEP_GONE_SECONDS));
        }
    }

    /// Adds all families to a registry.
    pub fn register(self: &Arc<Self>, registry: &mut Registry) {
        registry.register_collector(Box::new(Arc::clone(self)));
    }

    /// The same but for the families that [`Telemetry::encode_exemplars`] writes.
    pub fn register_beside_exemplars(self: &Arc<Self>, registry: &mut Registry) {
        registry.register_collector(Box::new(BesideExemplars(Arc::clone(self))));
    }
}

/// The host of a label, as [`crate::routing::Route`] has it: without `*.`, and empty for every host.
fn bare(host: &str) -> &str {
    host.strip_prefix("*.").unwrap_or(if host == "*" { "" } else { host })
}

impl Collector for Telemetry {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.encode_families(Families::new(encoder))
    }
}

impl Telemetry {
    fn encode_families(&self, mut families: Families<'_>) -> fmt::Result {
        self.encode_requests(&mut families)?;
        self.encode_tcp(&mut families)?;
        self.encode_connections(&mut families)?;
        self.encode_memory(&mut families)?;
        self.encode_admin(&mut families)?;
        self.encode_admission(&mut families)?;
        self.encode_tls(&mut families)?;
        self.encode_list(&mut families)?;
        self.encode_extra_ranges(&mut families)?;
        self.encode_break_glass(&mut families)?;
        self.encode_decisions(&mut families)?;
        self.encode_access(&mut families)?;
        self.encode_watch(&mut families)?;
        self.encode_write_back(&mut families)?;
        self.encode_last_good(&mut families)?;
        self.encode_upstream(&mut families)?;
        self.encode_steps(&mut families)?;
        self.encode_logs(&mut families)?;
        self.encode_traces(&mut families)?;
        self.encode_snapshot(&mut families)?;
        self.encode_traefik(&mut families)
    }
}
