//! From a change to a table in force.
//!
//! A change is anything that the file system reports, or that the regular look finds: an event may
//! be missed, so none is relied on. Changes are gathered for some milliseconds, for an editor or a
//! checkout writes many files; then everything is translated and compiled anew, off the workers,
//! and published whole. What is already served stays until then.

use super::files::Directory;
use super::translate::{Options, translate};
use crate::model::{BackendState, EndpointState, Model, Rejected, Severity};
use crate::routing::{Publisher, Table, compile};
use crate::telemetry::{SnapshotCells, Telemetry};
use notify::{RecursiveMode, Watcher};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often the files are looked at without an event: inotify drops events when its queue is full
/// and has none for network file systems. A look is one `stat` for each file.
const REGULAR_LOOK: Duration = Duration::from_secs(5);

/// Objects, and what became of them.
#[derive(Debug)]
pub struct Build {
    /// What is to be served.
    pub model: Model,
    /// The same, compiled.
    pub table: Table,
    /// What is not served as written, of files and objects, sorted.
    pub findings: Vec<Rejected>,
}

/// Translates and compiles what a directory holds. `previous` is the table in force, if any.
pub fn build(directory: &Directory, options: &Options, previous: Option<&Table>) -> Build {
    let (model, mut findings) = translate(&directory.objects(), options);
    findings.extend(directory.findings());
    findings.sort();
    findings.dedup();
    let table = compile(&model, previous);
    Build { model, table, findings }
}

/// How long changes are gathered.
#[derive(Clone, Copy, Debug)]
pub struct Coalesce {
    /// Quiet time after the last event.
    pub quiet: Duration,
    /// The most that the first event waits.
    pub most: Duration,
}

/// What wakes the control thread.
#[derive(Debug)]
pub enum Wake {
    /// Something in the watched places may have changed.
    Change,
    /// The process is leaving.
    Stop,
}

/// The control thread's work.
#[derive(Debug)]
pub struct Reconciler {
    paths: Vec<PathBuf>,
    directory: Directory,
    options: Options,
    publisher: Publisher,
    telemetry: Arc<Telemetry>,
    findings: Vec<Rejected>,
}

impl Reconciler {
    /// Reads `paths` for the first time and puts the result in force.
    pub fn start(
        paths: Vec<PathBuf>,
        options: Options,
        publisher: Publisher,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        let mut directory = Directory::new(paths.clone());
        directory.scan();
        let findings = Vec::new();
        let mut this = Self { paths, directory, options, publisher, telemetry, findings };
        this.apply();
        this
    }

    /// Follows changes until told to stop. `wakes` is the other end of `wake`.
    pub fn run(mut self, wake: &Sender<Wake>, wakes: &Receiver<Wake>, coalesce: Coalesce) {
        // Held for as long as we look.
        let _watcher = self.watch(wake.clone());
        loop {
            match wakes.recv_timeout(REGULAR_LOOK) {
                Ok(Wake::Change) => {
                    if gather(wakes, coalesce).is_break() {
                        return;
                    }
                }
                Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.directory.scan() {
                self.apply();
            }
            self.publisher.collect();
        }
    }

    fn watch(&self, wake: Sender<Wake>) -> Option<notify::RecommendedWatcher> {
        let changed = move |event: notify::Result<notify::Event>| {
            let read = matches!(&event, Ok(event) if event.kind.is_access()
                && !matches!(event.kind, notify::EventKind::Access(notify::event::AccessKind::Close(notify::event::AccessMode::Write))));
            if !read {
                // The receiver is gone only when the process is leaving.
                let _ = wake.send(Wake::Change);
            }
        };
        let watched = notify::recommended_watcher(changed).and_then(|mut watcher| {
            let mut places = self.paths.iter().map(|path| place(path));
            places.try_for_each(|(path, mode)| watcher.watch(path, mode))?;
            Ok(watcher)
        });
        match watched {
            Ok(watcher) => Some(watcher),
            Err(error) => {
                let seconds = REGULAR_LOOK.as_secs();
                tracing::warn!(%error, seconds, "changes are not reported, looking at intervals");
                None
            }
        }
    }

    fn apply(&mut self) {
        let started = Instant::now();
        let current = self.publisher.current();
        let Build { model, table, findings } =
            build(&self.directory, &self.options, Some(&current));
        let snapshot = SnapshotCells {
            generation: table.generation(),
            published: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_secs_f64(),
            build_seconds: started.elapsed().as_secs_f64(),
            routes: table.route_count(),
            hosts: table.host_count(),
            endpoints: endpoints(&model),
            findings: findings.clone(),
        };
        self.publisher.publish(table);
        self.telemetry.set_snapshot(snapshot, &self.publisher.current());
        self.report(findings);
        let routes = self.publisher.current().route_count();
        tracing::info!(routes, findings = self.findings.len(), "routing table in force");
    }

    /// Logs the findings that are new, and those that are gone.
    fn report(&mut self, findings: Vec<Rejected>) {
        let old: BTreeSet<_> = self.findings.iter().collect();
        let new: BTreeSet<_> = findings.iter().collect();
        for finding in new.difference(&old) {
            let (object, field) = (&finding.object, &finding.field);
            let (reason, fix) = (&finding.reason, &finding.fix);
            match finding.severity {
                Severity::Error => {
                    tracing::warn!(%object, %field, %reason, %fix, "not served as written");
                }
                Severity::Warning => {
                    tracing::info!(%object, %field, %reason, %fix, "perhaps not served as meant");
                }
                Severity::Info => tracing::debug!(%object, %field, %reason, "not for us"),
            }
        }
        for finding in old.difference(&new).filter(|finding| finding.severity == Severity::Error) {
            tracing::info!(object = %finding.object, field = %finding.field, "mended");
        }
        self.findings = findings;
    }
}

/// Where to watch for changes of `path`: a file is watched through its directory, because editors
/// replace files.
fn place(path: &Path) -> (&Path, RecursiveMode) {
    if path.is_dir() {
        return (path, RecursiveMode::Recursive);
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    (parent.unwrap_or(Path::new(".")), RecursiveMode::NonRecursive)
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

fn endpoints(model: &Model) -> Vec<(String, String, EndpointState, usize)> {
    let mut all = Vec::new();
    for backend in &model.backends {
        let BackendState::Resolved(specs) = &backend.state else {
            continue;
        };
        let namespace = backend.key.namespace.to_string();
        let service = format!("{}:{}", backend.key.service, backend.key.port);
        for state in EndpointState::ALL {
            let count = specs.iter().filter(|spec| spec.state == state).count();
            all.push((namespace.clone(), service.clone(), state, count));
        }
    }
    all
}
