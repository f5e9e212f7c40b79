//! Active health checks: endpoints of Services that configure them get a request at intervals. An
//! endpoint that fails three checks in a row gets no requests until it passes one.
//!
//! The checks run on a thread of their own, off the workers, which reads the table in force at intervals:
//! new endpoints are checked soon, removed ones no more. Every process checks for itself, because each node
//! may reach a pod differently. A new endpoint counts as healthy, because Kubernetes reports it ready. The
//! set decides at each pick how many endpoints may be left out; if all fail, half of them are used anyway.

use crate::balance::Endpoint;
use crate::model::HealthCheck;
use crate::net::addr::EndpointAddr;
use crate::net::random::Random;
use crate::net::shutdown::{ShutdownSignal, Stage};
use crate::routing::{Backend, EndpointProtocol, TableHandle};
use crate::telemetry::CheckCells;
use crate::upstream::{self, CheckFailure};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Checks failed in a row that make an endpoint unfit, as with HAProxy and kubelets.
const FALL: u32 = 3;

/// How often the table is looked at, and what is due is begun.
const LOOK: Duration = Duration::from_millis(250);

/// Checks under way at a time: their sockets are this process's, and the others wait.
const AT_ONCE: usize = 256;

/// The state of one endpoint.
struct Checked {
    endpoint: Weak<Endpoint>,
    /// The check.
    backend: Arc<Backend>,
    due: Cell<Instant>,
    failures: Cell<u32>,
    under_way: Cell<bool>,
    /// The last poll that saw it.
    seen: Cell<u64>,
}

/// The checks of one process.
pub struct Checker {
    tables: TableHandle,
    cells: Arc<CheckCells>,
    at_once: Arc<Semaphore>,
    checked: RefCell<HashMap<*const Endpoint, Rc<Checked>>>,
    look: Cell<u64>,
    /// Spreads the checks of several processes.
    random: Random,
}

impl Checker {
    /// For the endpoints of the tables in force.
    pub fn new(tables: TableHandle, cells: Arc<CheckCells>) -> Rc<Self> {
        Rc::new(Self {
            tables,
            cells,
            at_once: Arc::new(Semaphore::new(AT_ONCE)),
            checked: RefCell::default(),
            look: Cell::new(0),
            random: Random::seeded(),
        })
    }

    /// Checks endpoints until shutdown. Needs a local runtime.
    pub async fn run(self: Rc<Self>, mut signal: ShutdownSignal) {
        // Requests go on for a while, and are to find endpoints that answer.
        let look = || {
            // Without checks there is nothing to do until there is another table.
            self.look().then_some(LOOK)
        };
        signal.look_or_wait(Stage::Aborting, self.tables.changes(), look).await;
    }

    /// Begins the checks that are due. Returns whether the table asks for any.
    fn look(self: &Rc<Self>) -> bool {
        let now = Instant::now();
        let look = self.look.get() + 1;
        self.look.set(look);
        let table = self.tables.load();
        let mut checked = self.checked.borrow_mut();
        let mut asks = false;
        let backends = table.backends().filter(|backend| backend.check.is_some());
        for (backend, check) in backends.filter_map(|all| Some((all, all.check.as_ref()?))) {
            asks = true;
            let (mut all, mut failing) = (0, 0);
            for endpoint in backend.endpoints().usable() {
                let known = checked.entry(Arc::as_ptr(endpoint)).or_insert_with(|| {
                    // The first at any time within the interval: they are not to come all at once.
                    let due = now + self.share_of(check.interval);
                    Rc::new(Checked::new(endpoint, backend, due))
                });
                if !Arc::ptr_eq(&known.backend, backend) {
                    let now = Checked::new(endpoint, backend, known.due.get());
                    now.failures.set(known.failures.get());
                    *known = Rc::new(now);
                }
                known.seen.set(look);
                all += 1;
                failing += usize::from(known.failures.get() >= FALL);
                if known.due.get() <= now && !known.under_way.replace(true) {
                    tokio::task::spawn_local(Rc::clone(self).check(Rc::clone(known)));
                }
            }
            backend.set_fails_checks(all > 0 && failing == all);
        }
        checked.retain(|_, known| {
            let stays = known.seen.get() == look;
            if !stays && let Some(endpoint) = known.endpoint.upgrade() {
                // No check would ever find it healthy again.
                endpoint.checked(true);
            }
            stays
        });
        asks
    }

    async fn check(self: Rc<Self>, checked: Rc<Checked>) {
        let Ok(_turn) = self.at_once.acquire().await else { return };
        let backend = Arc::clone(&checked.backend);
        let addr = checked.endpoint.upgrade().map(|endpoint| endpoint.addr);
        if let (Some(addr), Some(check)) = (addr, &backend.check) {
            self.ask(&checked, addr, &backend.protocol, check).await;
            // A tenth more or less, so that those that began together do not stay so.
            let interval = match checked.failures.get() {
                0 => check.interval,
                _ => check.failing_interval,
            };
            let interval = interval * 9 / 10 + self.share_of(interval / 5);
            checked.due.set(Instant::now() + interval);
        }
        checked.under_way.set(false);
    }

    async fn ask(
        &self,
        checked: &Checked,
        addr: EndpointAddr,
        protocol: &EndpointProtocol,
        check: &HealthCheck,
    ) {
        let answer = upstream::check(addr, protocol, check).await;
        let passed = answer.is_ok();
        let is_watched = checked.seen.get() == self.look.get();
        let Some(endpoint) = checked.endpoint.upgrade().filter(|_| is_watched) else { return };
        self.cells.count(passed);
        let failures = if passed { 0 } else { checked.failures.get().saturating_add(1) };
        checked.failures.set(failures);
        let is_news = match failures {
            0 => endpoint.checked(true),
            FALL.. => endpoint.checked(false),
            _ => false,
        };
        if !is_news {
            return;
        }
        let endpoint = &*endpoint.text;
        let service = checked.backend.key.to_string();
        let left_out =
            "an endpoint fails its health check, and gets no requests while others are available";
        match answer {
            Ok(()) => tracing::info!(service, endpoint, "an endpoint passes its health check"),
            Err(CheckFailure::Status(status)) => {
                tracing::warn!(service, endpoint, status = status.as_u16(), "{left_out}");
            }
            Err(CheckFailure::NotServing) => {
                tracing::warn!(service, endpoint, reason = "not_serving", "{left_out}");
            }
            Err(CheckFailure::NoAnswer(reason)) => {
                tracing::warn!(service, endpoint, reason = reason.label(), "{left_out}");
            }
        }
    }

    /// A part of a time, drawn at random.
    fn share_of(&self, whole: Duration) -> Duration {
        whole * u32::from(u16::try_from(self.random.next() >> 48).unwrap_or(0))
            / u32::from(u16::MAX)
    }
}

impl Checked {
    fn new(endpoint: &Arc<Endpoint>, backend: &Arc<Backend>, due: Instant) -> Self {
        Self {
            endpoint: Arc::downgrade(endpoint),
            backend: Arc::clone(backend),
            due: Cell::new(due),
            failures: Cell::new(0),
            under_way: Cell::new(false),
            seen: Cell::new(0),
        }
    }
}
