//! From a change to a table in force.
//!
//! A change is anything that the source reports, or that the regular look finds: an event may be
//! missed, so none is relied on. Changes are gathered for some milliseconds, for a checkout writes
//! many files and a roll-out many objects; then everything is translated and compiled anew, off the workers,
//! and published whole. What is already served stays until then.

use super::source::Source;
use super::translate::{ConfigMapKey, Options, addresses, translate};
use crate::model::{
    BackendState, ClusterAddresses, EndpointState, Kind, Model, Rejected, Severity,
};
use crate::routing::{Publisher, Table, compile};
use crate::telemetry::{SnapshotCells, Telemetry};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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
    /// What the cluster tells of itself.
    pub addresses: ClusterAddresses,
    /// What is not served as written, of files and objects, sorted.
    pub findings: Vec<Rejected>,
}

/// Translates and compiles what a source holds. `previous` is the table in force, if any.
pub fn build(source: &dyn Source, options: &Options, previous: Option<&Table>) -> Build {
    let objects = source.objects();
    let (model, mut findings) = translate(&objects, options);
    let (addresses, more) = addresses(&objects, options);
    findings.extend(more);
    findings.extend(source.findings());
    let ours = options.cloudflare_list.as_ref().map(ConfigMapKey::object);
    findings.retain(|finding| {
        // A ConfigMap that nobody names is not ours, whatever is in it.
        finding.object.kind != Kind::ConfigMap || Some(&finding.object) == ours.as_ref()
    });
    findings.sort();
    findings.dedup();
    let table = compile(&model, previous);
    Build { model, table, addresses, findings }
}

/// Who is told what the cluster tells of itself. Called on the control thread, and waited for.
pub type OnAddresses = Box<dyn Fn(&ClusterAddresses) + Send>;

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
pub struct Reconciler {
    source: Box<dyn Source>,
    options: Options,
    publisher: Publisher,
    telemetry: Arc<Telemetry>,
    on_addresses: OnAddresses,
    /// What `on_addresses` was told last.
    addresses: Option<ClusterAddresses>,
    findings: Vec<Rejected>,
}

impl fmt::Debug for Reconciler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconciler")
            .field("source", &self.source)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

impl Reconciler {
    /// Looks at the source for the first time and puts the result in force. `on_addresses` is called once
    /// before the first table is published, and then with each change, again before the table: who
    /// may connect is known before what is served.
    pub fn start(
        mut source: Box<dyn Source>,
        options: Options,
        publisher: Publisher,
        telemetry: Arc<Telemetry>,
        on_addresses: OnAddresses,
    ) -> Self {
        source.look();
        let mut this = Self {
            source,
            options,
            publisher,
            telemetry,
            on_addresses,
            addresses: None,
            findings: Vec::new(),
        };
        this.apply();
        this
    }

    /// Follows changes until told to stop. `wakes` is the other end of `wake`.
    pub fn run(mut self, wake: &Sender<Wake>, wakes: &Receiver<Wake>, coalesce: Coalesce) {
        // Held for as long as we look. What came before it is found by the look.
        let _follower = self.source.follow(wake.clone());
        self.look();
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
            self.look();
            self.publisher.collect();
        }
    }

    /// Puts in force what has changed, if anything has.
    fn look(&mut self) {
        if self.source.look() {
            self.apply();
        }
    }

    fn apply(&mut self) {
        let started = Instant::now();
        let current = self.publisher.current();
        let Build { model, table, addresses, findings } =
            build(&*self.source, &self.options, Some(&current));
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
        if self.addresses.as_ref() != Some(&addresses) {
            (self.on_addresses)(&addresses);
            self.addresses = Some(addresses);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::files::Directory;
    use std::fs;
    use std::sync::mpsc::channel;
    use tempfile::TempDir;

    fn mk_node(address: &str) -> String {
        format!(
            "{{apiVersion: v1, kind: Node, metadata: {{name: edge}}, \
             status: {{addresses: [{{type: InternalIP, address: {address}}}]}}}}"
        )
    }

    fn mk_ingress(path: &str) -> String {
        format!(
            "{{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {{name: i}}, spec: \
             {{ingressClassName: ravelin, rules: [{{http: {{paths: [{{path: {path}, pathType: \
             Prefix, backend: {{service: {{name: s, port: {{number: 80}}}}}}}}]}}}}]}}}}"
        )
    }

    fn options() -> Options {
        Options { ingress_class: "ravelin".to_owned(), ..Options::default() }
    }

    /// The rules that are served, by path.
    fn paths(table: &Table) -> Vec<String> {
        table.routes().map(|id| table.route(id).path.to_string()).collect()
    }

    #[test]
    fn addresses_are_told_at_the_start_and_when_they_change_always_before_the_table() {
        let folder = TempDir::new().expect("temporary directory");
        let write = |file: &str, text: &str| {
            fs::write(folder.path().join(file), text).expect("written");
        };
        write("node.yaml", &mk_node("192.0.2.1"));
        write("ingress.yaml", &mk_ingress("/a"));
        let publisher = Publisher::new(Table::empty());
        let tables = publisher.handle();
        let (told, tells) = channel();
        let at_that_time = tables.clone();
        let on_addresses = Box::new(move |addresses: &ClusterAddresses| {
            let nodes: Vec<_> = addresses.nodes.iter().map(ToString::to_string).collect();
            told.send((nodes, paths(&at_that_time.load()))).expect("the test listens");
        });
        let roots = Box::new(Directory::new([folder.path().to_owned()]));
        let telemetry = Telemetry::new(&[], 1);
        let mut reconciler =
            Reconciler::start(roots, options(), publisher, telemetry, on_addresses);
        let next = || tells.try_iter().collect::<Vec<_>>();
        assert_eq!(next(), [(vec!["192.0.2.1/32".to_owned()], vec![])]);
        assert_eq!(paths(&tables.load()), ["/a"]);

        write("ingress.yaml", &mk_ingress("/other"));
        reconciler.look();
        assert_eq!(paths(&tables.load()), ["/other"]);
        assert_eq!(next(), [], "the addresses are the same");

        write("node.yaml", &mk_node("192.0.2.99"));
        write("ingress.yaml", &mk_ingress("/third"));
        reconciler.look();
        assert_eq!(next(), [(vec!["192.0.2.99/32".to_owned()], vec!["/other".to_owned()])]);
        assert_eq!(paths(&tables.load()), ["/third"]);

        fs::remove_file(folder.path().join("node.yaml")).expect("removed");
        reconciler.look();
        assert_eq!(next(), [(vec![], vec!["/third".to_owned()])]);
    }

    #[test]
    fn addresses_are_told_at_the_start_even_if_there_are_none() {
        let folder = TempDir::new().expect("temporary directory");
        let (told, tells) = channel();
        let on_addresses = Box::new(move |addresses: &ClusterAddresses| {
            told.send(addresses.clone()).expect("the test listens");
        });
        let roots = Box::new(Directory::new([folder.path().to_owned()]));
        let publisher = Publisher::new(Table::empty());
        Reconciler::start(roots, options(), publisher, Telemetry::new(&[], 1), on_addresses);
        assert_eq!(tells.try_iter().collect::<Vec<_>>(), [ClusterAddresses::default()]);
    }

    #[test]
    fn a_config_map_that_nobody_names_is_not_reported_and_holds_nothing_back() {
        let folder = TempDir::new().expect("temporary directory");
        let write = |address: &str, data: &str| {
            let map = format!(
                "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: c}}, data: {{list: {data}}}}}"
            );
            let text = format!("{}\n---\n{map}\n---\n{map}", mk_node(address));
            fs::write(folder.path().join("all.yaml"), text).expect("written");
        };
        let mut directory = Directory::new([folder.path().to_owned()]);
        let key = ConfigMapKey {
            namespace: "default".to_owned(),
            name: "c".to_owned(),
            key: "list".to_owned(),
        };
        let named = Options { cloudflare_list: Some(key), ..options() };
        // A good version, and one with a mistake and another address.
        for (address, data, list) in [("192.0.2.1", "x", Some("x")), ("192.0.2.99", "[1]", None)] {
            write(address, data);
            assert!(directory.scan());
            let Build { addresses, findings, .. } = build(&directory, &options(), None);
            assert_eq!(findings, []);
            assert_eq!(addresses.nodes[0].addr().to_string(), address);
            let Build { addresses, findings, .. } = build(&directory, &named, None);
            assert_eq!(addresses.cloudflare_list.as_deref(), list);
            assert!(findings.iter().all(|finding| finding.object.kind == Kind::ConfigMap));
            assert!(!findings.is_empty(), "a second one of the name, at least");
        }
    }
}
