//! The keeper on a thread, as the process runs it, with what it published.

use ravelin::config::{Cloudflare, ListOrigin, WorkerZones};
use ravelin::control::cloudflare::fetch::FetchDeadlines;
use ravelin::control::cloudflare::{ListKeeper, ListSpec, RefreshIntervals, Setup, initial};
use ravelin::net::addr::AddrRanges;
use ravelin::net::shutdown::{Shutdown, Stage};
use ravelin::telemetry::{ListCells, ListMetrics};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::watch;

use crate::eventually;
use crate::server::Server;

/// Far more than anything here takes, so that only a fault reaches it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Short intervals; deadlines that a busy machine keeps.
pub(crate) fn pace() -> RefreshIntervals {
    let deadlines = FetchDeadlines { connect: PATIENCE, whole: PATIENCE };
    RefreshIntervals {
        first: Duration::ZERO,
        retry: Duration::from_millis(10),
        look: Duration::from_millis(20),
        quiet: Duration::from_millis(5),
        deadlines,
    }
}

pub(crate) fn config(origin: ListOrigin) -> Cloudflare {
    Cloudflare {
        origin,
        removal_delay: DAY,
        extra: None,
        worker_zones: WorkerZones::Any,
        secret: None,
        trust_store: None,
    }
}

/// The API that a server plays, asked every `refresh`.
pub(crate) fn api(server: &Server, refresh: Duration) -> Cloudflare {
    let url = format!("https://{}/client/v4/ips", server.addr).parse().expect("a URL");
    let ca_file = Some(server.ca_file.clone());
    config(ListOrigin::Published { url, ca_file, refresh: Some(refresh), jdcloud: false })
}

pub(crate) struct Process {
    metrics: Arc<ListMetrics>,
    published: mpsc::Receiver<AddrRanges>,
    pub(crate) texts: watch::Sender<Option<Arc<str>>>,
    shutdown: Shutdown,
    thread: JoinHandle<()>,
}

impl Process {
    pub(crate) fn start(config: &Cloudflare, state: Option<&Path>, pace: RefreshIntervals) -> Self {
        let initial = initial(&ListSpec::of(config), state, None).expect("a list");
        let metrics = Arc::new(ListMetrics::default());
        let (publish, published) = mpsc::channel();
        let (texts, receiver) = watch::channel(None);
        let (shutdown, signal) = Shutdown::new();
        let (noted, state) = (Arc::clone(&metrics), state.map(PathBuf::from));
        let thread = std::thread::spawn(move || {
            let runtime =
                Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
            runtime.expect("a runtime").block_on(async move {
                let publish = Box::new(move |ranges| {
                    // A test that has seen enough has hung up.
                    let _ = publish.send(ranges);
                });
                let metrics = noted;
                let texts = receiver;
                let setup = Setup { state, initial, texts, metrics, publish, pace };
                ListKeeper::new(setup).run(signal).await;
            });
        });
        Self { metrics, published, texts, shutdown, thread }
    }

    pub(crate) fn cells(&self) -> ListCells {
        self.metrics.read()
    }

    /// Attempts with that result.
    pub(crate) fn attempts(&self, result: &str) -> u64 {
        let cells = self.cells();
        cells.attempts().find(|(label, _)| *label == result).expect("a label").1
    }

    /// Waits until the metrics are so.
    pub(crate) fn wait(&self, what: &str, so: impl Fn(&ListCells) -> bool) {
        wait_until(what, || so(&self.cells()));
    }

    /// Waits for so many attempts with that result.
    pub(crate) fn wait_for(&self, result: &str, times: u64) {
        wait_until(result, || self.attempts(result) >= times);
    }

    /// The next set of addresses that is put in force.
    pub(crate) fn next(&self) -> AddrRanges {
        self.published.recv_timeout(PATIENCE).expect("a list")
    }

    /// Stops, and returns how long that took and what was published unseen.
    pub(crate) fn stop(self) -> (Duration, Vec<AddrRanges>) {
        let begun = Instant::now();
        self.shutdown.advance(Stage::Draining);
        self.thread.join().expect("no panic");
        (begun.elapsed(), self.published.try_iter().collect())
    }
}

pub(crate) fn wait_until(what: &str, so: impl Fn() -> bool) {
    eventually(what, || so().then_some(()));
}
