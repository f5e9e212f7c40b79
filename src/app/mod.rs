//! The process: builds everything from a configuration, runs it, and takes it down in order.
//!
//! Threads: one for each worker (requests), one that accepts, one for the admin port, one that
//! follows the manifests, one that writes the access log. The caller's thread waits for signals.

mod signals;
mod worker;

pub use signals::Signals;

use crate::admin::Admin;
use crate::admission::Gate;
use crate::config::{self, Config, SourceKind};
use crate::control::reconcile::{Coalesce, Reconciler, Wake};
use crate::control::translate::Options;
use crate::listen::{self, Acceptor, Bound, Door, Doors, Listening};
use crate::routing::{Publisher, Table, TableHandle};
use crate::shutdown::{Shutdown, ShutdownSignal, Stage};
use crate::telemetry::Telemetry;
use crate::telemetry::access_log::{self, Sink};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use tokio::runtime::{Builder, LocalOptions};
use worker::Setup;

/// Why the process cannot start. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be bound.
    #[error("cannot bind {address} for {what}: {source}{}", bind_hint(source, *address))]
    Bind {
        /// Listener name, or the admin port.
        what: String,
        /// The address.
        address: SocketAddr,
        /// What the kernel says.
        source: io::Error,
    },
    /// The directory of manifests is not there.
    #[error("source.directory {path:?} cannot be read: {source}; name an existing directory")]
    Source {
        /// As configured.
        path: PathBuf,
        /// What the file system says.
        source: io::Error,
    },
    /// The file for the access log cannot be opened.
    #[error("log.access {path:?} cannot be opened: {source}; name a file that can be written")]
    AccessLog {
        /// As configured.
        path: PathBuf,
        /// What the file system says.
        source: io::Error,
    },
    /// The system refuses threads, files or memory.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}

fn bind_hint(error: &io::Error, address: SocketAddr) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied if address.port() < 1024 => "; ports below 1024 need the \
             capability NET_BIND_SERVICE (setcap cap_net_bind_service=+ep on the binary) or the \
             node's net.ipv4.ip_unprivileged_port_start"
            .to_owned(),
        io::ErrorKind::AddrInUse => "; stop what listens there, or use another port".to_owned(),
        io::ErrorKind::AddrNotAvailable => "; no interface has this address".to_owned(),
        _ => String::new(),
    }
}

/// A process that serves. Dropping it does not stop it: see [`App::run_until_signal`] and
/// [`App::stop`].
#[derive(Debug)]
pub struct App {
    config: Arc<Config>,
    listeners: Vec<SocketAddr>,
    admin: SocketAddr,
    tables: TableHandle,
    telemetry: Arc<Telemetry>,
    shutdown: Shutdown,
    wake: Sender<Wake>,
    /// Those that end when the last request is through, or at the deadline.
    workers: Vec<JoinHandle<()>>,
    others: Vec<JoinHandle<()>>,
    log_writer: Option<JoinHandle<()>>,
}

/// Everything that the threads are made of.
struct Parts {
    config: Arc<Config>,
    telemetry: Arc<Telemetry>,
    signal: ShutdownSignal,
    tables: TableHandle,
    sink: Option<Sink>,
}

impl App {
    /// Binds, reads the manifests, and only then begins to listen.
    pub fn start(config: Config) -> Result<Self, StartError> {
        let config = Arc::new(config);
        let connections = allowed_connections(&config);
        let names: Vec<Arc<str>> = config.listeners.iter().map(|l| Arc::clone(&l.name)).collect();
        let telemetry = Telemetry::new(&names, config.workers.get());
        let bound = bind_all(&config)?;
        let admin = bind("the admin port", config.admin.address)?;
        let (sink, log_writer) = open_access_log(&config)?.unzip();
        let publisher = Publisher::new(Table::empty());
        let tables = publisher.handle();
        let reconciler = read_manifests(&config, publisher, &telemetry)?;
        let (shutdown, signal) = Shutdown::new();
        let listeners = bound.iter().map(Bound::local_addr).collect::<Result<_, _>>()?;
        let admin_address = admin.local_addr()?;
        let (doors, ends) = Doors::new(config.workers.get(), connections);
        let parts = Parts { config, telemetry, signal, tables, sink };
        let bound = bound.into_iter().map(Bound::listen).collect::<Result<Vec<_>, _>>()?;
        let admin = admin.listen()?;
        let (wake, control) = start_control(&parts, reconciler)?;
        let workers = start_workers(&parts, ends)?;
        let others =
            vec![control, start_admin(&parts, admin)?, start_accepting(&parts, bound, doors)?];
        let Parts { config, telemetry, tables, .. } = parts;
        Ok(Self {
            config,
            listeners,
            admin: admin_address,
            tables,
            telemetry,
            shutdown,
            wake,
            workers,
            others,
            log_writer,
        })
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

    /// Waits for SIGTERM or SIGINT, then leaves as [`App::stop`] does. A second signal cuts what is
    /// left at once. Make `signals` before [`App::start`]: until they are caught, one of them ends
    /// the process on the spot.
    pub fn run_until_signal(self, signals: &Signals) {
        signals.wait();
        self.stop_with(|| signals.again());
    }

    /// Closes the listeners, lets requests in flight finish, closes idle connections, and cuts what
    /// is left after `timeouts.drain`.
    pub fn stop(self) {
        self.stop_with(|| false);
    }

    fn stop_with(self, impatient: impl Fn() -> bool) {
        let timeouts = &self.config.timeouts;
        let open = self.telemetry.open_connections();
        tracing::info!(open, "leaving: listeners closed, requests in flight finish");
        self.shutdown.advance(Stage::Draining);
        let started = std::time::Instant::now();
        while self.workers.iter().any(|worker| !worker.is_finished()) {
            let elapsed = started.elapsed();
            if elapsed >= timeouts.drain_idle {
                self.shutdown.advance(Stage::ClosingIdle);
            }
            if elapsed >= timeouts.drain || impatient() {
                let open = self.telemetry.open_connections();
                tracing::warn!(open, "connections are cut");
                self.shutdown.advance(Stage::Aborting);
                break;
            }
            thread::park_timeout(DRAIN_LOOK);
        }
        for worker in self.workers {
            join(worker);
        }
        self.shutdown.advance(Stage::Aborting);
        // The receiver is gone only if that thread is.
        let _ = self.wake.send(Wake::Stop);
        for thread in self.others.into_iter().chain(self.log_writer) {
            join(thread);
        }
        tracing::info!("left");
    }
}

fn start_control(
    parts: &Parts,
    reconciler: Reconciler,
) -> io::Result<(Sender<Wake>, JoinHandle<()>)> {
    let (wake, wakes) = channel();
    let timeouts = &parts.config.timeouts;
    let coalesce = Coalesce { quiet: timeouts.coalesce, most: timeouts.coalesce_max };
    let change = wake.clone();
    let thread = spawn("control", move || reconciler.run(&change, &wakes, coalesce))?;
    Ok((wake, thread))
}

fn start_workers(parts: &Parts, ends: Vec<Door>) -> io::Result<Vec<JoinHandle<()>>> {
    let each = ends.into_iter().zip(parts.telemetry.workers()).enumerate();
    each.map(|(number, (door, cells))| {
        let setup = Setup {
            config: Arc::clone(&parts.config),
            listeners: parts.telemetry.listeners().into(),
            tables: parts.tables.clone(),
            access_log: parts.sink.as_ref().map(|sink| sink.worker(Arc::clone(cells))),
            cells: Arc::clone(cells),
            shutdown: parts.signal.clone(),
            door,
        };
        spawn(&format!("worker-{number}"), move || worker::run(setup))
    })
    .collect()
}

/// How often the leaving process looks whether its workers are through.
const DRAIN_LOOK: std::time::Duration = std::time::Duration::from_millis(20);

fn join(thread: JoinHandle<()>) {
    let name = thread.thread().name().unwrap_or("unnamed").to_owned();
    if thread.join().is_err() {
        tracing::error!(thread = name, "thread panicked");
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(run)
}

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

fn open_access_log(config: &Config) -> Result<Option<(Sink, JoinHandle<()>)>, StartError> {
    let output: Box<dyn io::Write + Send> = match &config.log.access {
        config::AccessLog::Off => return Ok(None),
        config::AccessLog::Stdout => Box::new(io::stdout()),
        config::AccessLog::File(path) => {
            let opened = std::fs::OpenOptions::new().create(true).append(true).open(path);
            let path = path.clone();
            Box::new(opened.map_err(|source| StartError::AccessLog { path, source })?)
        }
    };
    Ok(Some(access_log::start(output)?))
}

fn read_manifests(
    config: &Config,
    publisher: Publisher,
    telemetry: &Arc<Telemetry>,
) -> Result<Reconciler, StartError> {
    let SourceKind::Directory { path } = &config.source.kind;
    if let Err(source) = std::fs::metadata(path) {
        return Err(StartError::Source { path: path.clone(), source });
    }
    let options = options(config);
    Ok(Reconciler::start(vec![path.clone()], options, publisher, Arc::clone(telemetry)))
}

/// How manifests are read under this configuration.
pub fn options(config: &Config) -> Options {
    let SourceKind::Directory { .. } = config.source.kind;
    Options {
        ingress_class: config.source.ingress_class.clone(),
        without_class: config.source.ingress_without_class,
        strict_class: false,
        loopback_endpoints: true,
    }
}

fn start_admin(parts: &Parts, socket: Listening) -> io::Result<JoinHandle<()>> {
    let admin = Admin::new(&parts.telemetry, parts.signal.clone());
    let gate = Gate::new(&parts.config.admin.admit, &[], &live());
    spawn("admin", move || {
        on_runtime("admin", async move {
            match socket.accept_here() {
                Ok(listener) => admin.run(listener, gate).await,
                Err(error) => tracing::error!(%error, "the admin port cannot be served"),
            }
        });
    })
}

fn start_accepting(
    parts: &Parts,
    sockets: Vec<Listening>,
    doors: Doors,
) -> io::Result<JoinHandle<()>> {
    let cells = parts.telemetry.accepting();
    let signal = parts.signal.clone();
    let gates: Vec<Gate> = parts
        .config
        .listeners
        .iter()
        .map(|l| Gate::new(&l.admit, &l.proxy_protocol_from, &live()))
        .collect();
    for (listener, _) in parts.config.listeners.iter().zip(&gates).filter(|(_, g)| g.is_open()) {
        tracing::warn!(listener = %listener.name, "admits ANY address: admit = [\"any\"]");
    }
    spawn("accept", move || {
        on_runtime("accept", async move {
            let mut running = tokio::task::JoinSet::new();
            for (listener, (socket, gate)) in sockets.into_iter().zip(gates).enumerate() {
                let (cells, signal, doors) = (Arc::clone(&cells), signal.clone(), doors.clone());
                match socket.accept_here() {
                    Ok(socket) => {
                        let admits = Box::new(move |peer| gate.admits(peer).is_some());
                        let acceptor = Acceptor { socket, listener, admits, doors };
                        running.spawn_local(
                            async move { acceptor.run(&cells[listener], signal).await },
                        );
                    }
                    Err(error) => tracing::error!(%error, listener, "cannot be served"),
                }
            }
            drop(doors);
            while running.join_next().await.is_some() {}
        });
    })
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
/// start with (often 1024) is far below the hard one.
fn allowed_connections(config: &Config) -> usize {
    let configured = config.limits.connections.get();
    let wanted = 2 * configured as u64 + OTHER_FILES;
    let limit = rlimit::increase_nofile_limit(wanted).or_else(|error| {
        tracing::warn!(%error, "the limit on open files cannot be raised");
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
        "the limit on open files is too low for limits.connections, fewer are taken; raise it \
         (LimitNOFILE) or lower limits.connections"
    );
    allowed
}

fn live() -> crate::trust::LiveSets {
    crate::trust::LiveSets {
        cloudflare: crate::addr::AddrRanges::new(&config::CLOUDFLARE),
        ..Default::default()
    }
}
