//! Takes over the node's ports from the process before, and hands them on to the next one.
//!
//! A process shares its listening sockets with its successor (`crate::transport::listen::share`): one of them accepts,
//! the newest that is ready, and when it ends the one before does again. The sockets stay what they are, and with them
//! the kernel's queue and what decides who may connect: the filter, or the trap beside the listener and the program
//! that steers sources to it that are not admitted. So no mistake here costs a connection, and there is no moment without a gate.
//!
//! Where they cannot share (a process of an earlier version, a host that forbids it), several listen at one address,
//! each with a socket of its own (`crate::transport::listen::bind`). Once it is ready, the newest has the kernel give
//! all new connections to its own. The kernel's program names a place in the group of sockets, so it is renewed when
//! the group changes. Until that is seen, it may name another process, or nobody, which means all: either serves as
//! well. No trap is set beside such a process: what the kernel chooses by its hash would meet it too.

mod port;
mod selection;
mod sharing;
mod state;

pub(super) use port::Port;

use super::admission_updates::AdmissionUpdates;
use super::wakeup::Wakeup;
use crate::net::shutdown::{ShutdownSignal, Stage};
use crate::telemetry::{PortCells, Telemetry};
use crate::transport::listen::{Bound, HANDSHAKES, ListenerHandle, Listening, Listing};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How often the groups are looked at: for so long after the end of a process that shares nothing the kernel may choose
/// by its hash. A look takes some 40 us.
const LOOK: Duration = Duration::from_millis(500);

/// The same while no other process listens: then the kernel has nothing to choose.
const LOOK_ALONE: Duration = Duration::from_secs(2);

/// How often a process that listens looks whether it is ready.
const UNREADY: Duration = Duration::from_millis(20);

/// The ports of this process: the listeners in the order of the configuration, then the admin port.
#[derive(Debug)]
pub(super) struct Steering {
    ports: Vec<Arc<Port>>,
    /// Whether the listeners listen.
    begun: watch::Sender<bool>,
    /// Whether, being ready, it has seen to it that the new connections come here.
    looked: AtomicBool,
    /// Who is told that it has.
    wakeup: Wakeup,
}

impl Steering {
    /// `holds` and `cells` have the admin port as their last.
    pub(super) fn new(
        holds: impl IntoIterator<Item = ListenerHandle>,
        cells: &[Arc<PortCells>],
        wakeup: Wakeup,
    ) -> Self {
        let port = |(hold, cells): (_, &Arc<PortCells>)| Port::new(hold, Arc::clone(cells));
        let ports = holds.into_iter().zip(cells).map(port).collect();
        let begun = watch::Sender::new(false);
        Self { ports, begun, looked: AtomicBool::new(false), wakeup }
    }

    /// The ports, for those who decide who may connect.
    pub(super) fn ports(&self) -> &[Arc<Port>] {
        &self.ports
    }

    /// Makes the sockets listen, or takes those of the process before.
    pub(super) fn listen(&self, listeners: Vec<Bound>) -> io::Result<Vec<Listening>> {
        let each = self.ports.iter().zip(listeners);
        let listening = each.map(|(port, bound)| port.listen(bound)).collect();
        self.begun.send_replace(true);
        listening
    }

    /// Likewise the admin port.
    pub(super) fn listen_admin(&self, admin: Bound) -> io::Result<Listening> {
        match self.ports.last() {
            Some(port) => port.listen(admin),
            None => admin.listen(),
        }
    }

    /// Once the process is ready, has new connections come to it, and keeps it so until the process leaves.
    pub(super) async fn run(
        self: Arc<Self>,
        updates: Arc<AdmissionUpdates>,
        telemetry: Arc<Telemetry>,
        mut signal: ShutdownSignal,
    ) {
        let mut ready = false;
        for (position, port) in self.ports.iter().enumerate() {
            let (port, this, updates) = (Arc::clone(port), Arc::clone(&self), Arc::clone(&updates));
            let telemetry = Arc::clone(&telemetry);
            let on_turn = move || {
                updates.enforce(position);
                this.look(&updates, telemetry.unready().is_none());
            };
            tokio::task::spawn_local(sharing::share(port, on_turn));
        }
        let mut begun = self.begun.subscribe();
        loop {
            ready = ready || telemetry.unready().is_none();
            let pause = match *begun.borrow_and_update() {
                true if !ready => UNREADY,
                _ if ready && !self.ports.iter().all(|port| port.is_alone()) => LOOK,
                _ => LOOK_ALONE,
            };
            if ready {
                self.look(&updates, ready);
            }
            tokio::select! {
                () = signal.reached(Stage::Draining) => break,
                () = sleep(pause) => {}
                Ok(()) = begun.changed() => {}
            }
        }
        self.leave_admin();
        // What shares a port is told, and the traps close behind their listeners.
        let listeners = &self.ports[..self.ports.len().saturating_sub(1)];
        let end = 2 * HANDSHAKES;
        let closed = async {
            while !listeners.iter().all(|port| port.is_closed()) {
                sleep(HANDSHAKES / 10).await;
            }
        };
        let _ = timeout(end, closed).await;
        listeners.iter().for_each(|port| port.close_trap());
        signal.reached(Stage::Aborting).await;
    }

    fn look(&self, updates: &AdmissionUpdates, ready: bool) {
        match Listing::read() {
            Ok(listing) => {
                for (position, port) in self.ports.iter().enumerate() {
                    if port.look(&listing, ready) {
                        updates.enforce(position);
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "cannot list listening sockets"),
        }
        let is_settled = ready && self.ports.iter().all(|port| port.is_settled());
        if is_settled && !self.looked.swap(true, Ordering::AcqRel) {
            self.wakeup.notify();
        }
    }

    /// Whether it is ready and gets the new connections, as far as the kernel lets itself be steered.
    pub(super) fn has_looked(&self) -> bool {
        self.looked.load(Ordering::Acquire)
    }

    /// Whether none of its sockets listens any more.
    pub(super) fn is_closed(&self) -> bool {
        self.ports.iter().all(|port| port.is_closed())
    }

    /// Keeps new connections from a listener that is about to close: another process gets them, or,
    /// where there is none, they are refused. Returns whether handshakes in progress still end here.
    pub(super) fn leave(&self, listener: usize) -> bool {
        self.ports.get(listener).is_some_and(|port| port.leave(true))
    }

    /// The admin port goes on for as long as the process does, unless there is another one to ask.
    fn leave_admin(&self) {
        if let Some(port) = self.ports.last() {
            port.leave(false);
        }
    }
}
