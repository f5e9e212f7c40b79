//! The process: builds everything from a configuration, runs it, reloads it and shuts it down.
//!
//! Threads: one for each worker (requests), the acceptor, the admin port, the reconciler of manifests, the cluster
//! watch, the writer of the last-good state, the certificate store with its Full (strict) check, keys of Cloudflare
//! Access, socket steering, health checks, DNS, the access log writer, the export of traces, and one that receives signals. The caller's thread
//! sleeps until [`Wakeup`] reports a signal. During a reload all of these exist twice, until the old set has drained.
//!
//! **Invariant**: no room but `cli` imports it (`tests/layering`).

pub mod admin;
mod admission_updates;
pub mod allocator;
mod beat;
mod bequest;
mod break_glass;
mod endpoints;
mod error;
mod missing_rights;
mod origin;
pub mod preflight;
mod privilege;
mod reclaim;
mod reload;
mod sets;
mod settings;
mod signals;
mod startup;
pub(crate) mod status;
mod steering;
mod thread;
mod wakeup;
mod worker;
mod write_back;
mod zone;

pub use error::StartError;
pub use settings::{options, policy};
pub use signals::Signals;
pub use startup::Prepared;
pub use wakeup::Wakeup;

use crate::config::Config;
use crate::control::reconcile::{Coalesce, Reconciler};
use crate::control::source::Wake;
use crate::http::client_ip::VisitorPolicy;
use crate::net::shutdown::{Shutdown, ShutdownSignal, Stage};
use crate::proxy::Strangers;
use crate::proxy::middleware::StateRegistry;
use crate::routing::{Table, TableHandle};
use crate::telemetry::access_log::Sink;
use crate::telemetry::traces::TraceSink;
use crate::telemetry::{Telemetry, Writer};
use crate::tls::SnapshotCell;
use crate::transport::listen::{
    self, Acceptor, Bound, Intake, Listening, LocalName, WorkerSenders,
};
use admission_updates::AdmissionUpdates;
use reload::Heritage;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};
use steering::Steering;
use thread::Thread;
use tokio::runtime::{Builder, LocalOptions};
use worker::Setup as WorkerSetup;

/// A process that serves. Dropping it does not stop it: see [`App::run_until_signal`] and
/// [`App::stop`].
#[derive(Debug)]
pub struct App {
    config: Arc<Config>,
    listeners: Vec<SocketAddr>,
    admin: SocketAddr,
    tables: TableHandle,
    telemetry: Arc<Telemetry>,
    steering: Arc<Steering>,
    heritage: Heritage,
    socket: Option<Arc<LocalName>>,
    shutdown: Shutdown,
    /// Ends the admin port before the rest, where a successor in the process has it.
    admin_end: Shutdown,
    wake: Sender<Wake>,
    /// Those that end when the last request is through, or at the deadline.
    workers: Vec<Thread>,
    others: Vec<Thread>,
    log_writer: Option<Writer>,
}

/// Everything that the threads are made of.
struct Parts {
    config: Arc<Config>,
    telemetry: Arc<Telemetry>,
    signal: ShutdownSignal,
    wakeup: Wakeup,
    /// When the admin port ends before the rest.
    admin_ends: ShutdownSignal,
    tables: TableHandle,
    sink: Option<Sink>,
    trace_sink: Option<TraceSink>,
    updates: Arc<AdmissionUpdates>,
    steering: Arc<Steering>,
    strangers: Arc<Strangers>,
    policy: Arc<VisitorPolicy>,
    certificates: Arc<SnapshotCell>,
    steps: Arc<StateRegistry>,
}

impl App {
    /// Binds, reads the manifests, and then starts to listen. With a cluster as the source it waits for the
    /// API server: see [`App::prepare`].
    pub fn start(config: Config) -> Result<Self, StartError> {
        let started = Self::prepare(config)?.start(|| false)?;
        Ok(started.expect("nothing interrupts it"))
    }

    /// Binds, and starts to watch the cluster if it is the source; serves nothing yet.
    pub fn prepare(config: Config) -> Result<Prepared, StartError> {
        Prepared::new(config, Heritage::none()?)
    }

    /// Builds the successor in the process, while this one keeps serving.
    fn prepare_beside(&self, config: Config) -> Result<Prepared, StartError> {
        Prepared::new(config, self.heritage.next())
    }

    /// What it was made of.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Where the listeners are, in the order of the configuration, with their real ports.
    pub fn listeners(&self) -> &[SocketAddr] {
        &self.listeners
    }

    /// Where the admin port is.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The table in force.
    pub fn table(&self) -> Arc<Table> {
        self.tables.load()
    }

    /// Where tables can be read from now on.
    pub fn tables(&self) -> TableHandle {
        self.tables.clone()
    }

    /// Puts a table in force that is made of no manifest, until one changes: for tests.
    pub fn replace_table(&self, table: Table) {
        self.tables.replace(table);
    }

    /// Waits for SIGTERM or SIGINT, then shuts down as [`App::stop`] does. A second signal closes all
    /// connections at once. Create `signals` before [`App::start`]: until they are caught, a signal ends
    /// the process immediately.
    pub fn run_until_signal(self, signals: &Signals) {
        signals.wake(self.wakeup());
        self.wakeup().wait(|| signals.again().then_some(()));
        self.stop_with(|| signals.again());
    }

    /// Turns new connections away from the listeners and closes them, lets requests in flight finish, closes idle connections, and cuts what
    /// is left after `timeouts.drain`.
    pub fn stop(self) {
        self.stop_with(|| false);
    }

    fn stop_with(self, impatient: impl Fn() -> bool) {
        let timeouts = &self.config.timeouts;
        let open = self.telemetry.open_connections();
        tracing::info!(open, "shutting down: listeners close, requests in flight finish");
        self.shutdown.advance(Stage::Draining);
        let started = Instant::now();
        let idle = timeouts.drain_idle.min(timeouts.drain);
        let mut drained = self.wait_drained(started + idle, &impatient);
        if drained.is_none() {
            if timeouts.drain_idle <= timeouts.drain {
                self.shutdown.advance(Stage::ClosingIdle);
            }
            drained = self.wait_drained(started + timeouts.drain, &impatient);
        }
        if drained != Some(Drained::Through) {
            let open = self.telemetry.open_connections();
            tracing::warn!(open, "the drain timeout has passed: open connections are closed");
            self.shutdown.advance(Stage::Aborting);
        }
        let mut cut = drained == Some(Drained::Cut);
        let mut hasty = || {
            cut = cut || impatient();
            cut
        };
        join_all(self.workers, &self.heritage.wakeup, &mut hasty);
        self.shutdown.advance(Stage::Aborting);
        // The receiver is gone only if that thread is.
        let _ = self.wake.send(Wake::Stop);
        join_all(self.others, &self.heritage.wakeup, &mut hasty);
        let lost = self.log_writer.map_or(0, |writer| writer.close(hasty));
        if lost > 0 {
            tracing::warn!(lines = lost, "the access log sink is stuck: its last lines are lost");
        }
        tracing::info!("left");
    }

    /// Who is told of what the process waits for.
    fn wakeup(&self) -> &Wakeup {
        &self.heritage.wakeup
    }

    /// Waits for the workers until `end`. Returns `None` if they are not through by then.
    fn wait_drained(&self, end: Instant, impatient: impl Fn() -> bool) -> Option<Drained> {
        self.wakeup().wait_until(Some(end), || match self.workers.iter().all(Thread::is_finished) {
            true => Some(Drained::Through),
            false => impatient().then_some(Drained::Cut),
        })
    }
}

/// Why the workers are no longer waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Drained {
    /// Their last request is through.
    Through,
    /// The process was told twice to leave.
    Cut,
}

/// Waits for threads that have been told to end: for as long as [`LAST_STEPS`], or not at all once
/// `hasty` says so. One that hangs, in a disk or a file system that does, ends with the process.
fn join_all(mut threads: Vec<Thread>, wakeup: &Wakeup, mut hasty: impl FnMut() -> bool) {
    let begun = Instant::now();
    let is_through = || threads.iter().all(Thread::is_finished);
    wakeup.wait_until(Some(begun + LAST_STEPS), || (is_through() || hasty()).then_some(()));
    wakeup.wait_until(Some(begun + LAST_STEPS_IN_HASTE), || is_through().then_some(()));
    threads.extract_if(.., |thread| thread.is_finished()).for_each(Thread::join);
    for thread in threads {
        tracing::warn!(thread = thread.name(), "a thread did not end in time and is abandoned");
    }
}

fn start_control(parts: &Parts, reconciler: Reconciler) -> io::Result<(Sender<Wake>, Thread)> {
    // Of the manifests that were read, and of the first table.
    allocator::give_back();
    let (wake, wakes) = channel();
    let timeouts = &parts.config.timeouts;
    let coalesce = Coalesce { quiet: timeouts.coalesce, most: timeouts.coalesce_max };
    let change = wake.clone();
    let thread = Thread::spawn(&parts.wakeup, "control", move || {
        reconciler.run(&change, &wakes, coalesce, allocator::give_back);
    })?;
    Ok((wake, thread))
}

fn start_workers(parts: &Parts, ends: Vec<Intake>) -> io::Result<Vec<Thread>> {
    let each = ends.into_iter().zip(parts.telemetry.workers()).enumerate();
    each.map(|(number, (door, cells))| {
        let setup = WorkerSetup {
            config: Arc::clone(&parts.config),
            listeners: parts.telemetry.listeners().into(),
            tables: parts.tables.clone(),
            gates: parts.updates.gates(),
            strangers: Arc::clone(&parts.strangers),
            policy: Arc::clone(&parts.policy),
            certificates: Arc::clone(&parts.certificates),
            access_log: parts.sink.as_ref().map(|sink| sink.worker(Arc::clone(cells))),
            trace_sink: parts.trace_sink.clone(),
            cells: Arc::clone(cells),
            memory: Arc::clone(parts.telemetry.memory()),
            steps: Arc::clone(&parts.steps),
            shutdown: parts.signal.clone(),
            door,
        };
        Thread::spawn(&parts.wakeup, &format!("worker-{number}"), move || worker::run(setup))
    })
    .collect()
}

/// How long a thread that was told to end may take: it writes a file, or releases a Lease.
const LAST_STEPS: Duration = Duration::from_secs(5);

/// The same once the process was told twice to end. Tunnels are closed within it.
const LAST_STEPS_IN_HASTE: Duration = Duration::from_millis(500);

fn bind(what: &str, address: SocketAddr) -> Result<Bound, StartError> {
    listen::bind(address).map_err(|source| StartError::Bind {
        what: what.to_owned(),
        address,
        source,
    })
}

fn bind_all(config: &Config) -> Result<Vec<Bound>, StartError> {
    let each = config.listeners.iter();
    each.map(|listener| bind(&format!("listener {:?}", listener.name), listener.address)).collect()
}

fn start_accepting(
    parts: &Parts,
    sockets: Vec<Listening>,
    doors: WorkerSenders,
) -> io::Result<Thread> {
    let cells = parts.telemetry.accepting();
    let signal = parts.signal.clone();
    let gates = parts.updates.gates();
    let steering = Arc::clone(&parts.steering);
    Thread::spawn(&parts.wakeup, "accept", move || {
        unprivileged("accept", async move {
            let mut running = tokio::task::JoinSet::new();
            for (listener, socket) in sockets.into_iter().enumerate() {
                let (cells, signal, doors) = (Arc::clone(&cells), signal.clone(), doors.clone());
                let (gates, steering) = (Arc::clone(&gates), Arc::clone(&steering));
                match socket.accept_here() {
                    Ok(socket) => {
                        let admits = Box::new(move |peer| {
                            let gate = gates[listener].load();
                            gate.admits(peer).is_some() || gate.is_balancer(peer)
                        });
                        let turn_away = Box::new(move || steering.leave(listener));
                        let acceptor = Acceptor { socket, listener, admits, doors, turn_away };
                        running.spawn_local(
                            async move { acceptor.run(&cells[listener], signal).await },
                        );
                    }
                    Err(error) => tracing::error!(%error, listener, "a listener failed"),
                }
            }
            drop(doors);
            while running.join_next().await.is_some() {}
        });
    })
}

/// As [`on_runtime`], for threads that read what clients send: without privileges, or not at all.
fn unprivileged(thread: &str, future: impl Future<Output = ()>) {
    privilege::run_without(thread, privilege::give_up(), || on_runtime(thread, future));
}

/// Runs a future to its end on a runtime of this thread.
fn on_runtime(thread: &str, future: impl Future<Output = ()>) {
    match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
        Ok(runtime) => runtime.block_on(future),
        Err(error) => tracing::error!(thread, %error, "no runtime"),
    }
}

/// Files beside those of connections: listeners, logs, epoll, manifests being read.
const OTHER_FILES: u64 = 256;

/// Raises the limit on open files and returns how many client connections it allows, at most what
/// is configured. Each takes two files: the client's and the pod's. The soft limit that services
/// start with (often 1024) is far below the hard one. `before` Apps were there in the process: files that
/// they have open come on top, as far as the limit allows, and do not count against this one, because
/// they are closed soon.
fn allowed_connections(config: &Config, before: u64) -> usize {
    let configured = config.limits.connections.get();
    let wanted = 2 * configured as u64 + OTHER_FILES;
    let open = match before {
        0 => 0,
        _ => std::fs::read_dir("/proc/self/fd").map_or(0, |files| files.count() as u64),
    };
    let limit = rlimit::increase_nofile_limit(wanted + open).or_else(|error| {
        tracing::warn!(%error, "cannot raise the limit on open files");
        rlimit::Resource::NOFILE.get_soft()
    });
    let limit = limit.unwrap_or(wanted);
    if limit >= wanted {
        return configured;
    }
    let allowed = usize::try_from(limit.saturating_sub(OTHER_FILES) / 2).unwrap_or(configured);
    let allowed = allowed.clamp(1, configured);
    tracing::warn!(
        limit,
        wanted,
        connections = allowed,
        "the limit on open files is too low for limits.connections, so fewer connections are \
            accepted; raise it (LimitNOFILE) or lower limits.connections"
    );
    allowed
}
