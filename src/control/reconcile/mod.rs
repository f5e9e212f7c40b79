//! From a change of objects to a table in force.
//!
//! A change is reported by the source or found by the periodic scan, because events can be lost. Changes
//! are collected for some milliseconds: a checkout writes many files and a roll-out many objects. The
//! affected objects are then translated, off the workers. If only endpoints changed, they are updated in
//! the table in force; otherwise a new table is compiled and published as a whole. A change of unused
//! objects ends here. The current table is served until then.

mod announce;
mod grace;
mod guide;
mod told;

use self::announce::Announcer;
use self::grace::Grace;
use self::guide::Guide;
use super::objects::Objects;
use super::source::{Changes, Source, Wake};
use super::translate::{Effect, FindingList, Options, Translator};
use super::write_back::Reconciled;
use crate::model::{
    BackendId, BackendSpec, ClusterAddresses, Delta, Diagnostic, HostClients, Model, TlsSecret,
};
use crate::routing::{Publisher, Table, compile, recompile};
use crate::telemetry::{ChangeEffect, SnapshotCells, Telemetry};
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// How often the source is looked at without an event: inotify drops events when its queue is full
/// and has none for network file systems. A look is one `stat` for each file, or nothing at all.
const REGULAR_LOOK: Duration = Duration::from_secs(5);

/// Objects, and what became of them.
#[derive(Debug)]
pub struct Build {
    /// What is to be served.
    pub model: Model,
    /// The same, compiled.
    pub table: Table,
    /// The certificates that Ingresses name.
    pub certificates: Vec<TlsSecret>,
    /// The client certificate policies of Ingresses, by host.
    pub clients: Vec<HostClients>,
    /// The addresses from the cluster.
    pub addresses: ClusterAddresses,
    /// What is not served as written, of files and objects, sorted.
    pub findings: Vec<Diagnostic>,
}

/// Translates and compiles objects once, for `check` and `explain`. `findings` are those about the objects
/// before they are translated.
pub fn build(objects: &Objects, findings: Vec<Diagnostic>, options: &Options) -> Build {
    let objects = objects.changes_from(&Objects::default());
    let changes = Changes { objects, findings: Some(findings) };
    let Effect { model, certificates, clients, addresses, findings, .. } =
        Translator::new(options.clone()).apply(changes);
    let model = model.map(Arc::unwrap_or_clone).unwrap_or_default();
    let table = compile(&model, None);
    let findings = findings.iter().flat_map(|all| all.iter());
    let findings = findings.map(|finding| Diagnostic::clone(finding)).collect();
    let (certificates, addresses) =
        (certificates.unwrap_or_default(), addresses.unwrap_or_default());
    let clients = clients.unwrap_or_default();
    Build { model, table, certificates, clients, addresses, findings }
}

/// Receives the addresses from the cluster. Called on the control thread, which waits for it.
pub type OnAddresses = Box<dyn Fn(&ClusterAddresses) + Send>;

/// Receives all certificates that Ingresses name. Called on the control thread, which waits for it.
pub type OnCertificates = Box<dyn Fn(Vec<TlsSecret>) + Send>;

/// Receives all client certificate policies of hosts. Called on the control thread, which waits for it.
pub type OnClients = Box<dyn Fn(Vec<HostClients>) + Send>;

/// The results of the translation, for the writer of statuses and Events.
pub type Outcomes = watch::Sender<Option<Reconciled>>;

/// The receivers of everything but the table. Addresses and certificates are sent at the start, and when
/// they change, before the table that they belong to is in force.
pub struct Audience {
    /// Of the cluster.
    pub addresses: OnAddresses,
    /// Of the Ingresses.
    pub certificates: OnCertificates,
    /// Demands of the Ingresses. Published before their certificates, so that clients are asked for theirs at once.
    pub clients: OnClients,
    /// After the table.
    pub outcomes: Outcomes,
}

/// How long changes are gathered.
#[derive(Clone, Copy, Debug)]
pub struct Coalesce {
    /// Quiet time after the last event.
    pub quiet: Duration,
    /// The most that the first event waits.
    pub most: Duration,
}

/// The control thread's work.
pub struct Reconciler {
    source: Box<dyn Source>,
    translator: Translator,
    publisher: Publisher,
    telemetry: Arc<Telemetry>,
    audience: Audience,
    findings: FindingList,
    sweep: Sweep,
    announcer: Announcer,
    grace: Grace,
    guide: Guide,
    /// Whether anything has changed since it last had nothing to do.
    has_worked: bool,
}

/// When series that have lost their route are looked for.
struct Sweep {
    /// Whether there is another table since the last time.
    due: bool,
    last: Instant,
}

impl fmt::Debug for Reconciler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconciler").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Reconciler {
    /// Polls the source for the first time and puts the result in force. The audience is told
    /// before the first table is published: who may connect is known before what is served.
    pub fn start(
        mut source: Box<dyn Source>,
        options: Options,
        publisher: Publisher,
        telemetry: Arc<Telemetry>,
        audience: Audience,
    ) -> Self {
        let changes = source.look().unwrap_or_default();
        let grace = Grace::new(options.class_grace);
        telemetry.follow(publisher.handle());
        let mut this = Self {
            source,
            translator: Translator::new(options),
            publisher,
            telemetry,
            audience,
            findings: FindingList::default(),
            sweep: Sweep { due: false, last: Instant::now() },
            announcer: Announcer::default(),
            grace,
            guide: Guide::default(),
            has_worked: true,
        };
        this.apply(changes);
        this.tell_missing();
        this
    }

    /// Follows changes until it is stopped. `wakes` is the receiver of `wake`; `rest` is called when there was nothing
    /// to do for a while after something was done.
    pub fn run(
        mut self,
        wake: &Sender<Wake>,
        wakes: &Receiver<Wake>,
        coalesce: Coalesce,
        rest: impl Fn(),
    ) {
        // Held for as long as we look. What came before it is found by the look.
        let _follower = self.source.follow(wake.clone());
        self.look();
        loop {
            match wakes.recv_timeout(self.guide.wait(REGULAR_LOOK, Instant::now())) {
                Ok(Wake::Change) => {
                    if gather(wakes, coalesce).is_break() {
                        return;
                    }
                }
                Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) if std::mem::take(&mut self.has_worked) => rest(),
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.look();
            self.give_up(Instant::now());
            self.tell_missing();
            self.publisher.collect();
            self.sweep();
        }
    }

    /// Logs what is missing while nothing is served, if there is news of it.
    fn tell_missing(&mut self) {
        self.guide.next(Instant::now()).into_iter().for_each(|tell| tell.log());
    }

    /// Puts in force what has changed, if anything has.
    fn look(&mut self) {
        if let Some(changes) = self.source.look() {
            self.apply(changes);
        }
    }

    /// Serves no longer by the classes that are gone and whose time is over.
    fn give_up(&mut self, now: Instant) {
        let expired = self.grace.expired(now);
        if !expired.is_empty() {
            let effect = self.translator.give_up(&expired);
            self.put_in_force(effect, now);
        }
    }

    fn apply(&mut self, changes: Changes) {
        let started = Instant::now();
        self.has_worked = true;
        let effect = self.translator.apply(changes);
        self.put_in_force(effect, started);
    }

    fn put_in_force(&mut self, effect: Effect, started: Instant) {
        let Effect {
            model,
            delta,
            ingresses,
            endpoints,
            certificates,
            clients,
            addresses,
            findings,
            obstacles,
        } = effect;
        let gone = self.translator.classes_gone();
        self.grace.note(gone, self.telemetry.class_grace(), Instant::now());
        obstacles.into_iter().for_each(|all| self.guide.note(all, Instant::now()));
        if let Some(addresses) = &addresses {
            (self.audience.addresses)(addresses);
        }
        if let Some(clients) = clients {
            (self.audience.clients)(clients);
        }
        if let Some(certificates) = certificates {
            (self.audience.certificates)(certificates);
        }
        // Endpoints that have no cell need a table; so would the next ones, and it costs milliseconds.
        let model = match model {
            None if !self.store(&endpoints) => {
                tracing::error!(
                    backends = endpoints.len(),
                    "endpoints do not match the table in force; compiling a new table"
                );
                Some((self.translator.model(), Delta::default()))
            }
            model => model.map(|model| (model, delta)),
        };
        let effect = match (&model, endpoints.is_empty()) {
            (Some(_), _) => ChangeEffect::Table,
            (None, false) => ChangeEffect::Endpoints,
            (None, true) => ChangeEffect::None,
        };
        if let Some((model, delta)) = &model {
            self.publish(model, delta, started);
        }
        let is_news = model.is_some() || addresses.is_some() || findings.is_some();
        if let Some(findings) = findings {
            self.telemetry.set_findings(Arc::clone(&findings));
            self.report(findings);
        }
        self.telemetry.count_change(effect);
        if is_news {
            let model = model.as_ref().map(|(model, _)| &**model);
            self.tell(model.filter(|_| ingresses));
        }
    }

    /// Tells those who write about it; of what is the same as before they know.
    fn tell(&self, model: Option<&Model>) {
        let findings = Arc::clone(&self.findings);
        let ours = model.map(|model| model.ingresses.clone());
        self.audience.outcomes.send_modify(|outcome| {
            let outcome = outcome.get_or_insert_default();
            outcome.findings = findings;
            if let Some(ours) = ours {
                outcome.ours = ours;
            }
        });
    }

    fn publish(&mut self, model: &Model, delta: &Delta, started: Instant) {
        let current = self.publisher.current();
        let table = recompile(model, delta, &current);
        drop(current);
        let (routes, hosts) = (table.route_count(), table.host_count());
        let snapshot = SnapshotCells {
            generation: table.generation(),
            published: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_secs_f64(),
            build_seconds: started.elapsed().as_secs_f64(),
            routes,
            hosts,
        };
        self.publisher.publish(table);
        self.telemetry.set_snapshot(snapshot);
        self.sweep.due = true;
        match self.announcer.count(Instant::now()) {
            Some(tables) => tracing::info!(routes, hosts, tables, "routing table in force"),
            None => tracing::debug!(routes, hosts, "routing table in force"),
        }
    }

    /// Endpoints go into the table in force. Returns whether all of them have a place there.
    fn store(&self, endpoints: &[(Arc<BackendId>, Arc<BackendSpec>)]) -> bool {
        if endpoints.is_empty() {
            return true;
        }
        let stored = self.publisher.store_endpoints(endpoints);
        tracing::debug!(backends = endpoints.len(), stored, "endpoints in force");
        stored
    }

    /// Looks for series that have lost their route, which costs a look at every route: not with
    /// each table of many.
    fn sweep(&mut self) {
        if self.sweep.due && self.sweep.last.elapsed() >= REGULAR_LOOK {
            self.telemetry.mark_gone(&self.publisher.current());
            self.sweep = Sweep { due: false, last: Instant::now() };
        }
    }

    /// Logs the findings that are new, and those that are gone.
    fn report(&mut self, findings: FindingList) {
        let [gone, new] = difference(&self.findings, &findings);
        told::news(&new);
        told::mended(&gone);
        self.findings = findings;
    }
}

/// Items of only the first, and of only the second, of two sorted lists.
fn difference<'f>(
    old: &'f [Arc<Diagnostic>],
    new: &'f [Arc<Diagnostic>],
) -> [Vec<&'f Diagnostic>; 2] {
    let (mut gone, mut come) = (Vec::new(), Vec::new());
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (Some(a), Some(b)) if Arc::ptr_eq(a, b) => Ordering::Equal,
            (Some(a), Some(b)) => a.cmp(b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return [gone, come],
        };
        if order.is_le() {
            gone.extend(old.next().filter(|_| order.is_lt()).map(|finding| &**finding));
        }
        if order.is_ge() {
            come.extend(new.next().filter(|_| order.is_gt()).map(|finding| &**finding));
        }
    }
}

/// Waits until events pause, or for as long as the first may wait. Breaks on the order to stop.
fn gather(wakes: &Receiver<Wake>, coalesce: Coalesce) -> std::ops::ControlFlow<()> {
    let latest = Instant::now() + coalesce.most;
    loop {
        let left = latest.saturating_duration_since(Instant::now());
        match wakes.recv_timeout(left.min(coalesce.quiet)) {
            Ok(Wake::Change) if !left.is_zero() => {}
            Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => {
                return std::ops::ControlFlow::Break(());
            }
            Ok(Wake::Change) | Err(RecvTimeoutError::Timeout) => {
                return std::ops::ControlFlow::Continue(());
            }
        }
    }
}

#[cfg(test)]
mod tests;
