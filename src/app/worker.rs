//! A worker thread: a runtime of its own, its connections, its tick.

use super::beat::Beat;
use super::reclaim::reclaim;
use super::settings::router_ways;
use super::unprivileged;
use crate::config::Config;
use crate::http::HeadTurns;
use crate::http::client_ip::VisitorPolicy;
use crate::net::deadline::Deadlines;
use crate::net::memory::{Budget, Ledger};
use crate::net::random::Random;
use crate::net::shutdown::{ShutdownSignal, Stage};
use crate::net::turns::{Paced, Turns};
use crate::proxy::middleware::{StateRegistry, States};
use crate::proxy::{EtagTable, ListenerEntry, Strangers, Worker, connection};
use crate::routing::{TableCache, TableHandle};
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::traces::{TraceSink, Tracer};
use crate::telemetry::{SeriesCache, TcpSeriesCache, WorkerCells};
use crate::tls::{Handshakes, SnapshotCell};
use crate::transport::admission::GateCell;
use crate::transport::listen::{Intake, Order};
use crate::upstream::{Settings, Upstream};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// The parts of a worker; moves to its thread.
pub(super) struct Setup {
    pub(super) config: Arc<Config>,
    pub(super) listeners: Box<[Arc<str>]>,
    pub(super) tables: TableHandle,
    pub(super) gates: Arc<[GateCell]>,
    pub(super) strangers: Arc<Strangers>,
    pub(super) policy: Arc<VisitorPolicy>,
    pub(super) certificates: Arc<SnapshotCell>,
    pub(super) access_log: Option<AccessLog>,
    pub(super) trace_sink: Option<TraceSink>,
    pub(super) cells: Arc<WorkerCells>,
    pub(super) memory: Arc<Budget>,
    pub(super) steps: Arc<StateRegistry>,
    pub(super) shutdown: ShutdownSignal,
    pub(super) door: Intake,
}

/// How often a leaving worker looks whether its last connection has closed.
const LEAVING_TICK: Duration = Duration::from_millis(20);

/// How long the tunnels have to close.
const CLOSE_TUNNELS: Duration = Duration::from_millis(200);

/// Connections that a worker begins before it serves the others again. The first turn of a connection costs ten
/// times as much as a request on an old one, and some clients open thousands at once.
const BEGUN_AT_ONCE: u32 = 4;

/// Polls of connections that are young which a worker does before it serves the others again: up to 0.5 ms.
const YOUNG_AT_ONCE: usize = 8;

/// Polls for which a connection is young: those of a handshake and of some requests.
const YOUNG: u32 = 16;

/// Pieces of bodies that a worker reads before it serves the others again: to pass one on takes some 20 us if it is
/// small.
const BODY_PIECES: usize = 16;

/// Runs until the process leaves and every connection is closed, or is to be cut.
pub(super) fn run(setup: Setup) {
    unprivileged("worker", serve(setup));
}

async fn serve(setup: Setup) {
    let Setup { mut door, mut shutdown, .. } = setup;
    let memory = Arc::clone(&setup.memory);
    let settings = settings(&setup.config);
    let worker = Rc::new(Worker {
        config: Arc::clone(&setup.config),
        tables: TableCache::new(&setup.tables),
        upstream: Upstream::new(settings, Arc::clone(&setup.cells)),
        tracer: tracer(setup.trace_sink.as_ref(), &setup.cells, &setup.config),
        memory: Ledger::new(setup.memory, Arc::clone(&setup.cells.memory)),
        deadlines: Deadlines::with_room(door.room.clone()),
        entries: ListenerEntry::of(&setup.config),
        steps: States::new(setup.steps),
        series: SeriesCache::new(Arc::clone(&setup.cells), setup.listeners.clone())
            .with_ways(router_ways(&setup.config)),
        tcp_series: TcpSeriesCache::new(Arc::clone(&setup.cells), setup.listeners),
        etags: EtagTable::default(),
        cells: setup.cells,
        gates: setup.gates,
        strangers: setup.strangers,
        policy: setup.policy,
        head_turns: HeadTurns::default(),
        body_turns: Turns::new(BODY_PIECES),
        handshakes: Handshakes::new(setup.certificates, setup.config.limits.handshakes.get()),
        access_log: setup.access_log,
        draining: Cell::new(false),
        closing_idle: Cell::new(false),
        aborting: Cell::new(false),
        random: Random::seeded(),
    });
    tokio::task::spawn_local(reclaim(Rc::clone(&worker)));
    let (mut pace, young) = (Pace::default(), Turns::new(YOUNG_AT_ONCE));
    let mut beat = Beat::begin(Arc::clone(&memory));
    let mut stage = worker.strangers.version();
    loop {
        tokio::select! {
            Some(order) = door.orders.recv() => {
                if beat.quicken() {
                    // The clock of the deadlines is as old as the last beat.
                    on_tick(&worker);
                }
                obey(&worker, &young, order);
                pace.step().await;
            }
            () = beat.next() => {
                on_tick(&worker);
                see_off_strangers(&worker, &mut stage);
                if door.open() == 0 && worker.upstream.is_at_rest() {
                    beat.slow();
                }
            }
            () = shutdown.reached(Stage::Draining) => break,
        }
    }
    leave(&worker, &young, door, shutdown).await;
    on_tick(&worker);
}

/// Has those close whom break-glass has admitted, once its stage is another.
fn see_off_strangers(worker: &Worker, stage: &mut u64) {
    let now = worker.strangers.version();
    if std::mem::replace(stage, now) != now {
        worker.deadlines.wake_all();
    }
}

/// What traces the requests of this worker, if it is configured.
fn tracer(sink: Option<&TraceSink>, cells: &Arc<WorkerCells>, config: &Config) -> Option<Tracer> {
    Some(sink?.worker(Arc::clone(cells), config.workers.get(), Random::seeded().next()))
}

/// How requests are sent to pods.
fn settings(config: &Config) -> Settings {
    let upstream = &config.upstream;
    Settings {
        connect: config.timeouts.connect,
        connect_retries: upstream.connect_retries,
        idle: upstream.idle,
        idle_per_endpoint: upstream.idle_per_endpoint,
        eject_after: upstream.eject_after,
        eject_on_status: upstream.eject_on_status,
        retry_budget: upstream.retry_budget,
        http1: config.http1,
    }
}

/// Has other tasks run, and the sockets be looked at, after every few steps.
#[derive(Default)]
struct Pace {
    steps: u32,
}

impl Pace {
    async fn step(&mut self) {
        self.steps += 1;
        if self.steps == BEGUN_AT_ONCE {
            self.steps = 0;
            tokio::task::yield_now().await;
        }
    }
}

fn obey(worker: &Rc<Worker>, young: &Turns, order: Order) {
    match order {
        Order::Serve(accepted) => {
            let connection = connection::serve(Rc::clone(worker), accepted);
            tokio::task::spawn_local(Paced::new(connection, YOUNG, young.clone()));
        }
        // It may be in use again by now; the waiting task then asks again.
        Order::MakeRoom => {
            worker.deadlines.make_room();
        }
    }
}

/// What is due whether there are requests or not.
fn on_tick(worker: &Worker) {
    shed(worker);
    worker.deadlines.tick();
    worker.memory.set_now(worker.deadlines.now_ms());
    worker.upstream.tick(worker.deadlines.now_ms());
    if let Some(log) = &worker.access_log {
        log.flush();
    }
    if let Some(tracer) = &worker.tracer {
        tracer.flush();
    }
    // An idle worker must not hold an old table forever.
    let table = worker.tables.load();
    worker.steps.advance(table.generation());
}

/// Closes idle connections while the cgroup's memory is nearly used up: they cost most for
/// what they do. When the process leaves it closes them in its own time.
fn shed(worker: &Worker) {
    let is_pressed = worker.memory.budget().is_pressed();
    if worker.draining.get() || worker.closing_idle.replace(is_pressed) == is_pressed {
        return;
    }
    if is_pressed {
        worker.deadlines.wake_all();
    }
}

async fn leave(worker: &Rc<Worker>, young: &Turns, mut door: Intake, mut shutdown: ShutdownSignal) {
    worker.draining.set(true);
    worker.closing_idle.set(false);
    // HTTP/2 connections say so at once.
    worker.deadlines.wake_all();
    let mut tick = tokio::time::interval(LEAVING_TICK);
    let mut accepting = true;
    let mut aborting = shutdown.clone();
    while accepting || door.open() > 0 {
        tokio::select! {
            order = door.orders.recv(), if accepting => match order {
                Some(order) => obey(worker, young, order),
                None => accepting = false,
            },
            _ = tick.tick() => on_tick(worker),
            () = shutdown.reached(Stage::ClosingIdle), if !worker.closing_idle.get() => {
                worker.closing_idle.set(true);
                worker.deadlines.wake_all();
            }
            () = aborting.reached(Stage::Aborting) => {
                // Connections end with the runtime, after this; their requests are logged as cut.
                worker.aborting.set(true);
                worker.deadlines.wake_all();
                close_tunnels(worker).await;
                return;
            }
        }
    }
}

/// Lets every tunnel say that it ends: a client of which nothing is left to read must not take it for
/// a broken network.
async fn close_tunnels(worker: &Worker) {
    let open = || worker.cells.listeners.iter().map(|cells| cells.tunnels.now()).sum::<i64>();
    let closing = async {
        while open() > 0 {
            tokio::task::yield_now().await;
        }
    };
    // One poll each is enough.
    let _ = tokio::time::timeout(CLOSE_TUNNELS, closing).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc::unbounded_channel;

    #[test]
    fn others_have_their_turn_after_every_few_connections() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let (sender, mut orders) = unbounded_channel();
        let (begun, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        for order in 0..100 * BEGUN_AT_ONCE {
            sender.send(order).expect("the receiver is here");
        }
        drop(sender);
        let local = tokio::task::LocalSet::new();
        let (of_other, peak) = (Rc::clone(&begun), Rc::clone(&most));
        local.spawn_local(async move {
            loop {
                peak.set(peak.get().max(of_other.take()));
                tokio::task::yield_now().await;
            }
        });
        local.block_on(&runtime, async {
            let mut pace = Pace::default();
            while orders.recv().await.is_some() {
                begun.set(begun.get() + 1);
                pace.step().await;
            }
        });
        assert_eq!(most.get(), BEGUN_AT_ONCE);
    }
}
