//! Reload of the configuration while the process runs: the same steps as an upgrade, inside one process.
//!
//! A second [`App`] is built from it beside the first. It binds the same addresses, reads or lists what
//! it serves, and listens; once it is ready and the kernel gives it the new connections, the first one
//! leaves as by SIGTERM, on a thread of its own. So every key may change, and no connection is lost.
//! Whatever is wrong before that is logged, the second one is dropped, and the first one keeps serving.
//!
//! The two share nothing but the process: counters begin at 0 in the second one, and while the first
//! one leaves both use memory and files. Secrets of session tickets that the process has made for
//! itself are handed on.

use super::App;
use super::signals::{Asked, Signals};
use super::steering::Steering;
use super::thread::Thread;
use super::wakeup::Wakeup;
use crate::config::Config;
use crate::net::shutdown::Stage;
use crate::proxy::middleware::StateRegistry;
use crate::telemetry::Unready;
use crate::tls::TicketKeys;
use crate::transport::listen::HANDSHAKES;
use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Apps that are leaving at one time: a further reload waits until one of them is gone. Each has the
/// tables and the threads of a whole process, for up to `timeouts.drain`.
const MOST_LEAVING: usize = 4;

/// The longest wait for a process that is shutting down to close its sockets: by far more than it
/// takes.
const LETTING_GO: Duration = HANDSHAKES.saturating_mul(10);

/// What an [`App`] has of the one before it in its process.
#[derive(Clone, Debug)]
pub(super) struct Heritage {
    /// How many came before it.
    pub(super) number: u64,
    /// Where the keys of session tickets come from.
    pub(super) keys: Arc<TicketKeys>,
    /// What steps of routes keep from one request to the next: a reload must not refill a bucket.
    pub(super) steps: Arc<StateRegistry>,
    /// Wakes the tasks that wait for any of them.
    pub(super) wakeup: Wakeup,
}

impl Heritage {
    /// Of the first one.
    ///
    /// # Errors
    /// Where the system has no random numbers.
    pub(super) fn none() -> io::Result<Self> {
        let keys = TicketKeys::new().map_err(io::Error::other)?;
        Ok(Self { number: 0, keys, steps: Arc::default(), wakeup: Wakeup::default() })
    }

    pub(super) fn next(&self) -> Self {
        let (keys, wakeup) = (self.keys.successor(), self.wakeup.clone());
        Self { number: self.number + 1, keys, steps: Arc::clone(&self.steps), wakeup }
    }
}

/// How a reload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// One of the two serves, and that is all.
    Settled,
    /// It was asked for once more.
    Again,
    /// The process was asked to leave.
    Leave,
}

/// Why nothing more is waited for.
#[derive(Clone, Copy)]
enum Halt {
    Asked(Asked),
    TooLate,
}

impl App {
    /// Serves until SIGTERM or SIGINT, as [`App::run_until_signal`]. On SIGHUP `load` reads the
    /// configuration, which then replaces this one. `load` fails with all mistakes, one per line.
    /// `in_force` is called when a successor has taken over.
    pub fn run(
        self,
        signals: &Signals,
        load: impl FnMut() -> Result<Config, Vec<String>>,
        in_force: impl FnMut(&Self),
    ) {
        let wakeup = self.wakeup().clone();
        signals.wake(&wakeup);
        let mut line = Line { app: self, leaving: Vec::new(), wakeup, load, in_force };
        while line.wakeup.wait(|| signals.look()) == Asked::Reload {
            let end = loop {
                match line.reload(signals) {
                    End::Again => {}
                    end => break end,
                }
            };
            if end == End::Leave {
                break;
            }
        }
        line.leave(signals);
    }
}

/// The Apps of a process: the one that serves, and those before it.
struct Line<L, F> {
    app: App,
    leaving: Vec<Leaving>,
    wakeup: Wakeup,
    load: L,
    in_force: F,
}

impl<L, F> Line<L, F>
where
    L: FnMut() -> Result<Config, Vec<String>>,
    F: FnMut(&App),
{
    fn reload(&mut self, signals: &Signals) -> End {
        tracing::info!("reloading the configuration");
        if !self.wait_for_room(signals) {
            return End::Leave;
        }
        let config = match (self.load)() {
            Ok(config) => config,
            Err(mistakes) => {
                for mistake in mistakes {
                    self.refuse(&mistake);
                }
                return End::Settled;
            }
        };
        let limit = Limit { begun: Instant::now(), length: config.timeouts.reload };
        let (next, halt) = match self.build(config, &limit, signals) {
            Ok(built) => built,
            Err(error) => {
                self.refuse(&error);
                return End::Settled;
            }
        };
        match (next, halt) {
            (Some(next), None) => {
                self.hand_over(next, &limit);
                End::Settled
            }
            (next, halt) => self.give_up(next, halt.unwrap_or(Halt::TooLate), &limit),
        }
    }

    /// Waits until one more may leave. Returns false if the process is asked to leave.
    fn wait_for_room(&mut self, signals: &Signals) -> bool {
        let wakeup = self.wakeup.clone();
        loop {
            let now = Instant::now();
            let ends = self.leaving.iter().map(|one| one.begun + LETTING_GO);
            let end = ends.filter(|end| *end > now).min();
            let room = wakeup.wait_until(end, || {
                if self.leaving() < MOST_LEAVING && !self.is_letting_go() {
                    return Some(true);
                }
                // The reload that waits already reads what is there then.
                (signals.look() == Some(Asked::Leave)).then_some(false)
            });
            if let Some(room) = room {
                return room;
            }
        }
    }

    /// Builds the successor, and waits until the kernel gives it the new connections. Returns it with
    /// why it is not waited for any longer, if it is not.
    fn build(
        &self,
        config: Config,
        limit: &Limit,
        signals: &Signals,
    ) -> Result<(Option<App>, Option<Halt>), String> {
        let mut halt = None;
        let prepared = self.app.prepare_beside(config).map_err(|error| error.to_string())?;
        let mut halted = || {
            halt = halt.take().or_else(|| limit.halt(signals));
            halt.is_some()
        };
        let next = prepared
            .start_until(Some(limit.end()), &mut halted)
            .map_err(|error| error.to_string())?;
        if let Some(next) = &next {
            let is_over = || (next.steering.has_looked() || halted()).then_some(());
            self.wakeup.wait_until(Some(limit.end()), is_over);
        }
        Ok((next, halt))
    }

    fn hand_over(&mut self, next: App, limit: &Limit) {
        if let Some(Err(error)) = next.socket.as_ref().map(|name| name.take_over()) {
            tracing::error!(%error, "admin.socket cannot be taken over: probes will fail soon");
        }
        let before = mem::replace(&mut self.app, next);
        (self.in_force)(&self.app);
        let seconds = limit.begun.elapsed().as_secs_f64();
        tracing::info!(seconds, "the new configuration is in force; the old one is draining");
        self.leaving.extend(Leaving::begin(before, true));
    }

    fn give_up(&mut self, next: Option<App>, halt: Halt, limit: &Limit) -> End {
        let missing = next.as_ref().map_or_else(
            || "the cluster has not been listed".to_owned(),
            |next| {
                next.unready()
                    .unwrap_or_else(|| "the kernel does not steer connections to it".to_owned())
            },
        );
        let leaving = next.and_then(|next| Leaving::begin(next, true));
        let end = match halt {
            Halt::TooLate => {
                self.refuse(&format!(
                    "not ready after {:?} (timeouts.reload): {missing}",
                    limit.length
                ));
                End::Settled
            }
            Halt::Asked(Asked::Reload) => End::Again,
            Halt::Asked(Asked::Leave) => {
                // It hands its ports back to the one that serves, which leaves next.
                if let Some(leaving) = &leaving {
                    let end = Instant::now() + 2 * HANDSHAKES;
                    let is_gone = || leaving.thread.is_finished().then_some(());
                    self.wakeup.wait_until(Some(end), is_gone);
                }
                End::Leave
            }
        };
        self.leaving.extend(leaving);
        end
    }

    fn refuse(&self, error: &str) {
        self.app.telemetry.fail_reload();
        tracing::error!(error, "the new configuration is not in force; the old one stays in use");
    }

    /// How many are leaving still.
    fn leaving(&mut self) -> usize {
        let (gone, left): (Vec<_>, _) =
            mem::take(&mut self.leaving).into_iter().partition(|one| one.thread.is_finished());
        gone.into_iter().for_each(|one| one.thread.join());
        self.leaving = left;
        self.leaving.len()
    }

    /// Whether one that is leaving listens still, in the first moments. A third one at the same addresses
    /// could not tell its place among them (`crate::transport::listen::GroupIndex`).
    fn is_letting_go(&self) -> bool {
        let listens = |one: &Leaving| !one.thread.is_finished() && !one.steering.is_closed();
        self.leaving.iter().any(|one| one.begun.elapsed() < LETTING_GO && listens(one))
    }

    /// All of them leave. A second signal cuts what is left of each.
    fn leave(mut self, signals: &Signals) {
        self.leaving.extend(Leaving::begin(self.app, false));
        self.wakeup.wait(|| {
            if self.leaving.iter().all(|one| one.thread.is_finished()) {
                return Some(());
            }
            if signals.again() {
                self.leaving.iter().for_each(|one| one.cut.store(true, Ordering::Relaxed));
                self.wakeup.notify();
            }
            None
        });
        self.leaving.into_iter().for_each(|one| one.thread.join());
    }
}

/// How long a successor is waited for.
struct Limit {
    begun: Instant,
    length: Duration,
}

impl Limit {
    fn end(&self) -> Instant {
        self.begun + self.length
    }

    fn halt(&self, signals: &Signals) -> Option<Halt> {
        let late = self.begun.elapsed() >= self.length;
        signals.look().map(Halt::Asked).or_else(|| late.then_some(Halt::TooLate))
    }
}

/// An App on its way out.
struct Leaving {
    thread: Thread,
    cut: Arc<AtomicBool>,
    begun: Instant,
    steering: Arc<Steering>,
}

impl Leaving {
    /// With another one in the process that has its admin port, or without. `None` if the system has no
    /// thread left: its connections are cut then.
    fn begin(app: App, is_succeeded: bool) -> Option<Self> {
        let (begun, steering) = (Instant::now(), Arc::clone(&app.steering));
        if is_succeeded {
            app.admin_end.advance(Stage::Draining);
        }
        let cut = Arc::new(AtomicBool::new(false));
        let impatient = Arc::clone(&cut);
        let wakeup = app.wakeup().clone();
        let leave = move || app.stop_with(|| impatient.load(Ordering::Relaxed));
        match Thread::spawn(&wakeup, "leave", leave) {
            Ok(thread) => Some(Self { thread, cut, begun, steering }),
            Err(error) => {
                tracing::error!(%error, "cannot start a thread to drain: connections are closed");
                None
            }
        }
    }
}

impl App {
    /// Why it is not ready.
    fn unready(&self) -> Option<String> {
        self.telemetry.unready().map(|why| match why {
            Unready::Table(missing) => missing.trim_end().to_owned(),
            Unready::List => "Cloudflare's address ranges are not known".to_owned(),
        })
    }
}
