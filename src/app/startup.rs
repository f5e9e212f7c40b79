//! From a configuration to a process that serves.
//!
//! Two steps, because a cluster may be long in coming: [`Prepared`] has its ports bound and, if its
//! source is a cluster, answers on the admin port, so that a probe learns what is missing. It begins
//! to listen when the first table is in force: a listener that took connections earlier would answer
//! 404 for every site.

use super::admission_updates::AdmissionUpdates;
use super::break_glass::strangers;
use super::endpoints;
use super::missing_rights::{self, MissingRights};
use super::origin::{begin, keeper};
use super::reclaim::watch_memory;
use super::reload::Heritage;
use super::sets::{ChangingSets, TextReceivers, follow_cluster, keep_fetched};
use super::settings::{entry_points, export, open_access_log, options, policy, trace_export};
use super::steering::Steering;
use super::thread::Thread;
use super::wakeup::Wakeup;
use super::zone::with_secrets;
use super::{
    App, Parts, StartError, admin::start_admin, allowed_connections, bind, bind_all, join_all,
    on_runtime, privilege, start_accepting, start_control, start_workers,
};
use crate::config::{Config, ListenerProtocol};
use crate::control::last_good::StateKeeper;
use crate::control::reconcile::{Audience, OnAddresses, Outcomes, Reconciler};
use crate::control::source::Source;
use crate::control::watch::Cluster;
use crate::net::shutdown::{Shutdown, Stage};
use crate::routing::{Publisher, Table};
use crate::telemetry::{Telemetry, Writer};
use crate::tls::store::{CertStore, TlsFiles};
use crate::transport::listen::{self, Bound, LocalListening, LocalName, WorkerSenders};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;

/// The admin port and the socket for probes.
struct IdleAdmin {
    port: Bound,
    socket: Option<LocalListening>,
}

/// A process that is bound; with a cluster as its source, it answers on its admin port. Dropping it
/// ends its threads.
pub struct Prepared {
    parts: Parts,
    listeners: Vec<Bound>,
    admin: SocketAddr,
    /// The admin port and the socket for probes, where they are not served yet.
    idle_admin: Option<IdleAdmin>,
    connections: usize,
    heritage: Heritage,
    /// The name of the socket for probes.
    socket: Option<Arc<LocalName>>,
    publisher: Publisher,
    source: Box<dyn Source>,
    /// The thread that follows the files of certificates.
    certificates: TlsFiles,
    /// What the source is waited for, if it is a cluster.
    cluster: Option<Arc<Cluster>>,
    /// What is served where the wait takes too long, if it is kept.
    last_good: Option<StateKeeper>,
    audience: Audience,
    /// The texts of ConfigMaps that the configuration names.
    texts: TextReceivers,
    shutdown: Shutdown,
    admin_end: Shutdown,
    others: Vec<Thread>,
    log_writer: Option<Writer>,
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("admin", &self.admin)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

struct Ports {
    listeners: Vec<Bound>,
    admin: IdleAdmin,
    /// The name of the socket for probes.
    socket: Option<Arc<LocalName>>,
}

impl Ports {
    /// Where others were before it in the process, the socket for probes does not take its name yet.
    fn bind(config: &Config, before: u64) -> Result<Self, StartError> {
        let listeners = bind_all(config)?;
        let admin = bind("the admin port", config.admin.address)?;
        let bind_local = match before {
            0 => listen::bind_local,
            _ => listen::bind_local_aside,
        };
        let local = config.admin.socket.as_deref().map(bind_local).transpose()?;
        let socket = local.as_ref().map(LocalListening::name);
        Ok(Self { listeners, admin: IdleAdmin { port: admin, socket: local }, socket })
    }
}

impl Prepared {
    /// Binds everything. If there is a cluster, begins to watch it and serves the admin port.
    /// Beside another App of the process, if `heritage` has one before it.
    pub(super) fn new(config: Config, heritage: Heritage) -> Result<Self, StartError> {
        privilege::set_up().map_err(StartError::Privileges)?;
        let config = Arc::new(config);
        let connections = allowed_connections(&config, heritage.number);
        let telemetry = telemetry(&config, &heritage);
        let certificates = certificates(&config, &telemetry, &heritage)?;
        let Ports { listeners, admin, socket } = Ports::bind(&config, heritage.number)?;
        let (trace_sink, exporter) = trace_export(&config, &telemetry).unzip();
        let (sink, log_writer) = open_access_log(&config, telemetry.access_log())?.unzip();
        let holds = listeners.iter().chain([&admin.port]).map(Bound::hold);
        let (cells, wakeup) = (telemetry.ports(), heritage.wakeup.clone());
        let steering = Arc::new(Steering::new(holds, cells, wakeup.clone()));
        let updates = Arc::new(AdmissionUpdates::new(Arc::clone(&config), steering.ports(), cells));
        let publisher = Publisher::new(Table::empty());
        let (on_addresses, texts) = follow_cluster(&updates);
        let [(shutdown, signal), (admin_end, admin_ends)] = [Shutdown::new(), Shutdown::new()];
        let (outcomes, outcome) = watch::channel(None);
        let begun = begin(&config, &telemetry, &signal, outcome, &heritage)?;
        let parts = Parts {
            strangers: strangers(&config, connections, &telemetry),
            policy: Arc::new(policy(&config)?),
            steps: with_secrets(&heritage.steps, &config)?,
            config,
            telemetry,
            signal,
            wakeup,
            admin_ends,
            tables: publisher.handle(),
            sink,
            trace_sink,
            updates,
            steering,
            certificates: certificates.shown().store(),
        };
        let (address, steers) = (admin.port.local_addr()?, start_steering(&parts)?);
        let mut others: Vec<_> = begun.thread.into_iter().chain([steers]).collect();
        others.extend(export(&parts, exporter)?);
        let is_cluster = begun.cluster.is_some();
        let idle_admin = serve_admin(&parts, admin, is_cluster, &mut others)?;
        Ok(Self {
            last_good: keeper(&parts.config, begun.cluster.as_ref(), &parts.telemetry),
            parts,
            listeners,
            admin: address,
            idle_admin,
            connections,
            heritage,
            socket,
            publisher,
            source: begun.source,
            audience: audience(on_addresses, &certificates.shown(), outcomes),
            certificates,
            cluster: begun.cluster,
            texts,
            shutdown,
            admin_end,
            others,
            log_writer,
        })
    }

    /// Where the admin port is.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Where the listeners will be, in the order of the configuration, with their real ports.
    ///
    /// # Errors
    /// Where the system does not tell the address of a socket.
    pub fn listeners(&self) -> io::Result<Vec<SocketAddr>> {
        self.listeners.iter().map(Bound::local_addr).collect()
    }

    /// Who is told of what the process waits for: have `interrupted` of [`Prepared::start`] asked by it.
    pub fn wakeup(&self) -> &Wakeup {
        &self.parts.wakeup
    }

    /// Waits for the first list of everything, or for the time to serve from what was kept of the
    /// cluster, and begins to serve. `interrupted` is asked now, and when [`Prepared::wakeup`] is
    /// told; once it says so, the process is taken down and there is no [`App`].
    pub fn start(self, interrupted: impl FnMut() -> bool) -> Result<Option<App>, StartError> {
        self.start_until(None, interrupted)
    }

    /// As [`Prepared::start`], and waits at most until `end`.
    pub(super) fn start_until(
        self,
        end: Option<Instant>,
        mut interrupted: impl FnMut() -> bool,
    ) -> Result<Option<App>, StartError> {
        if !self.await_cluster(end, &mut interrupted) {
            tracing::info!("exiting: the cluster has not been listed");
            self.shutdown.advance(Stage::Aborting);
            join_all(self.others, &self.parts.wakeup, || false);
            return Ok(None);
        }
        self.serve().map(Some)
    }

    /// Returns when there is something to serve, or with `false` when the wait was interrupted.
    fn await_cluster(&self, end: Option<Instant>, interrupted: &mut dyn FnMut() -> bool) -> bool {
        let Some(cluster) = &self.cluster else { return true };
        tracing::info!(admin = %self.admin, "waiting for the first list of the cluster");
        let begun = Instant::now();
        let mut kept = self.last_good.as_ref();
        let mut rights = MissingRights::default();
        loop {
            let due = kept.map(|kept| begun + kept.restore_after());
            let look = Some(Instant::now() + missing_rights::LOOK);
            let until = [end, due, look].into_iter().flatten().min();
            let synced = self.wakeup().wait_until(until, || match cluster.is_synced() {
                true => Some(true),
                false => interrupted().then_some(false),
            });
            if let Some(synced) = synced {
                return synced;
            }
            rights.tell(self.parts.telemetry.watch());
            let now = Instant::now();
            // Tried once: a file that is no good does not become so.
            if due.is_some_and(|due| now >= due) && kept.take().is_some_and(StateKeeper::restore) {
                return true;
            }
            if end.is_some_and(|end| now >= end) {
                return false;
            }
        }
    }

    fn serve(mut self) -> Result<App, StartError> {
        let parts = &self.parts;
        let telemetry = Arc::clone(&parts.telemetry);
        let (options, listeners) = (options(&parts.config), self.listeners()?);
        let reconciler =
            Reconciler::start(self.source, options, self.publisher, telemetry, self.audience);
        let sets = ChangingSets::start(parts, &self.texts)?;
        let (doors, ends) = WorkerSenders::new(parts.config.workers.get(), self.connections);
        parts.updates.arm();
        let steering = Arc::clone(&parts.steering);
        let bound = steering.listen(self.listeners)?;
        let idle_admin = match self.idle_admin {
            Some(admin) => Some((steering.listen_admin(admin.port)?, admin.socket)),
            None => None,
        };
        parts.updates.arm_traps();
        parts.updates.report();
        self.others.extend(keep_fetched(parts)?.into_iter().chain(watch_memory(parts)?));
        let workers = start_workers(parts, ends)?;
        self.others.extend(sets.keep(parts)?);
        self.others.push(start_accepting(parts, bound, doors)?);
        if self.certificates.has_work() {
            let (signal, tables) = (parts.signal.clone(), parts.tables.clone());
            let certificates = self.certificates;
            let keep = move || on_runtime("certificates", certificates.run(tables, signal));
            self.others.push(Thread::spawn(&parts.wakeup, "certificates", keep)?);
        }
        if let Some(last_good) = self.last_good {
            self.others.push(keep_last_good(parts, last_good)?);
        }
        parts.telemetry.watch().begin();
        if let Some((admin, socket)) = idle_admin {
            self.others.push(start_admin(parts, admin, socket)?);
        }
        self.others.extend(endpoints::start(parts)?);
        // As the last one: it ends when it is told to, the others also when nobody holds the rest.
        let (wake, control) = start_control(parts, reconciler)?;
        self.others.push(control);
        let Parts { config, telemetry, tables, steering, .. } = self.parts;
        Ok(App {
            config,
            listeners,
            admin: self.admin,
            tables,
            telemetry,
            steering,
            heritage: self.heritage,
            socket: self.socket,
            shutdown: self.shutdown,
            admin_end: self.admin_end,
            wake,
            workers,
            others: self.others,
            log_writer: self.log_writer,
        })
    }
}

/// Serves the admin port while the cluster is listed: nothing of it is idle. A directory is read at once,
/// and a client that finds its admin port finds the listeners too.
fn serve_admin(
    parts: &Parts,
    admin: IdleAdmin,
    is_cluster: bool,
    others: &mut Vec<Thread>,
) -> io::Result<Option<IdleAdmin>> {
    if !is_cluster {
        return Ok(Some(admin));
    }
    parts.updates.arm();
    let listening = parts.steering.listen_admin(admin.port)?;
    parts.updates.arm_traps();
    others.push(start_admin(parts, listening, admin.socket)?);
    Ok(None)
}

/// From the beginning: the admin port may be shared long before there is something to serve. It has the privilege to
/// bind, and hears nobody but processes of the same user.
fn start_steering(parts: &Parts) -> io::Result<Thread> {
    let (steering, updates) = (Arc::clone(&parts.steering), Arc::clone(&parts.updates));
    let (telemetry, signal) = (Arc::clone(&parts.telemetry), parts.signal.clone());
    Thread::spawn(&parts.wakeup, "steer", move || {
        on_runtime("steer", steering.run(updates, telemetry, signal));
    })
}

fn keep_last_good(parts: &Parts, last_good: StateKeeper) -> io::Result<Thread> {
    let signal = parts.signal.clone();
    Thread::spawn(&parts.wakeup, "last-good", move || {
        on_runtime("last-good", last_good.run(signal));
    })
}

/// Cells for what the configuration names.
fn telemetry(config: &Config, heritage: &Heritage) -> Arc<Telemetry> {
    let names: Vec<Arc<str>> = config.listeners.iter().map(|l| Arc::clone(&l.name)).collect();
    let (memory, metrics) = (config.limits.memory, config.metrics.clone());
    let telemetry = Telemetry::configured(&names, config.workers.get(), memory, metrics);
    let protocols = config.listeners.iter().map(|listener| listener.protocol);
    telemetry.secure(protocols.map(|protocol| protocol != ListenerProtocol::Http));
    telemetry.enter_by(entry_points(config));
    telemetry.follow_steps(Arc::clone(heritage.steps.cells()));
    telemetry
}

fn certificates(
    config: &Arc<Config>,
    telemetry: &Telemetry,
    heritage: &Heritage,
) -> Result<TlsFiles, StartError> {
    Ok(TlsFiles::new(config, telemetry.certificates(), Arc::clone(&heritage.keys))?)
}

/// Recipients of changes: certificates and client policies go to the certificate store.
fn audience(addresses: OnAddresses, shown: &Arc<CertStore>, outcomes: Outcomes) -> Audience {
    let (of_certificates, of_clients) = (Arc::clone(shown), Arc::clone(shown));
    Audience {
        addresses,
        certificates: Box::new(move |secrets| of_certificates.set_secrets(secrets)),
        clients: Box::new(move |clients| of_clients.set_clients(clients)),
        outcomes,
    }
}
