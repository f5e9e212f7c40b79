//! Takes over the node's ports from the process before, and hands them on to the next one.
//!
//! Several processes may listen at one address at a time (`crate::transport::listen::bind`). Once it is ready, the
//! newest has the kernel give all new connections to its own sockets; the ones before serve what they
//! have, and what waits in their queues, until they are told to leave. The kernel's program names a
//! place in the group of sockets, so it is renewed when the group changes. Until that is seen, it may
//! name another process, or nobody, which means all: either serves as well, because a process listens
//! only when it can, and stops the new connections before it closes. So no mistake here costs a
//! connection; what it can cost is that an older process gets some.

use super::wakeup::Wakeup;
use crate::net::shutdown::{ShutdownSignal, Stage};
use crate::telemetry::{PortCells, Telemetry};
use crate::transport::admission::steer;
use crate::transport::listen::{Bound, GroupIndex, ListenerHandle, Listening, Listing};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often the groups are looked at: for so long after the end of a process the kernel may choose
/// by its hash. A look takes some 40 us.
const LOOK: Duration = Duration::from_millis(500);

/// The same while no other process listens: then the kernel has nothing to choose.
const LOOK_ALONE: Duration = Duration::from_secs(2);

/// The ports of this process: the listeners in the order of the configuration, then the admin port.
#[derive(Debug)]
pub(super) struct Steering {
    ports: Vec<Port>,
    /// Whether, being ready, it has seen to it that the kernel is steered.
    looked: AtomicBool,
    /// Who is told that it has.
    wakeup: Wakeup,
}

#[derive(Debug)]
struct Port {
    hold: ListenerHandle,
    cells: Arc<PortCells>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// From when it listens.
    place: Option<GroupIndex>,
    /// The last message.
    said: Option<Steered>,
    /// Whether the process is about to close the socket.
    leaving: bool,
}

/// The receiver of a port's new connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Steered {
    /// This process: the place of its socket.
    Here,
    /// A newer process listens, and takes them when it is ready.
    Newer,
    /// The kernel's choice, because the place of our socket is not known.
    Unknown,
    /// Likewise: the kernel takes no program.
    Refused,
}

impl Steering {
    /// `holds` and `cells` have the admin port as their last.
    pub(super) fn new(
        holds: impl IntoIterator<Item = ListenerHandle>,
        cells: &[Arc<PortCells>],
        wakeup: Wakeup,
    ) -> Self {
        let port = |(hold, cells): (ListenerHandle, &Arc<PortCells>)| Port {
            hold,
            cells: Arc::clone(cells),
            state: Mutex::default(),
        };
        let ports = holds.into_iter().zip(cells).map(port).collect();
        Self { ports, looked: AtomicBool::new(false), wakeup }
    }

    /// Makes the sockets listen, and records their positions in the groups.
    pub(super) fn listen(&self, listeners: Vec<Bound>) -> io::Result<Vec<Listening>> {
        self.ports.iter().zip(listeners).map(|(port, bound)| port.listen(bound)).collect()
    }

    /// Likewise the admin port.
    pub(super) fn listen_admin(&self, admin: Bound) -> io::Result<Listening> {
        match self.ports.last() {
            Some(port) => port.listen(admin),
            None => admin.listen(),
        }
    }

    /// Once the process is ready, steers the kernel to it, and keeps it so until the process leaves.
    pub(super) async fn run(
        self: Arc<Self>,
        telemetry: Arc<Telemetry>,
        mut signal: ShutdownSignal,
    ) {
        let mut ready = false;
        let look = || {
            ready = ready || telemetry.unready().is_none();
            match Listing::read() {
                Ok(listing) => self.ports.iter().for_each(|port| port.look(&listing, ready)),
                Err(error) => tracing::debug!(%error, "cannot list listening sockets"),
            }
            if ready && !self.looked.swap(true, Ordering::AcqRel) {
                self.wakeup.notify();
            }
            if ready && self.ports.iter().all(Port::is_alone) { LOOK_ALONE } else { LOOK }
        };
        signal.look_until(Stage::Draining, look).await;
        self.leave_admin();
    }

    /// Whether it is ready and gets the new connections, as far as the kernel lets itself be steered.
    pub(super) fn has_looked(&self) -> bool {
        self.looked.load(Ordering::Acquire)
    }

    /// Whether none of its sockets listens any more.
    pub(super) fn is_closed(&self) -> bool {
        self.ports.iter().all(|port| port.hold.with(|_| ()).is_none())
    }

    /// Keeps new connections from a listener that is about to close: another process gets them, or,
    /// where there is none, they are refused. Returns whether that is done.
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

impl Port {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether no other process listens on it.
    fn is_alone(&self) -> bool {
        let state = self.state();
        state.said == Some(Steered::Here)
            && state.place.as_ref().is_some_and(|place| place.sockets() == 1)
    }

    fn listen(&self, bound: Bound) -> io::Result<Listening> {
        let mut state = self.state();
        let before = Listing::read();
        let listening = bound.listen()?;
        state.place = match (before, Listing::read(), self.hold.inode()) {
            (Ok(before), Ok(after), Some(own)) => GroupIndex::of(own, &before, &after),
            _ => None,
        };
        Ok(listening)
    }

    /// Follows the group and, if no newer process is in it, steers to our socket.
    fn look(&self, listing: &Listing, ready: bool) {
        let mut state = self.state();
        let changed = state.place.as_mut().is_some_and(|place| place.follow(listing));
        if state.leaving || !ready {
            return;
        }
        let settled = state.said == Some(Steered::Here) && !changed;
        let steered = match &state.place {
            Some(place) if !place.is_newest() => Steered::Newer,
            // Another one may have steered at the same time, by what it saw before.
            Some(place) if settled && place.sockets() == 1 => return,
            Some(place) => match place.index() {
                Some(index) => self.steer(index, state.said),
                None => Steered::Unknown,
            },
            None => Steered::Unknown,
        };
        if state.said.replace(steered) != Some(steered) {
            self.say(steered, state.place.as_ref());
        }
    }

    fn steer(&self, place: usize, before: Option<Steered>) -> Steered {
        match self.hold.with(|socket| steer::to_place(socket, place)) {
            Some(Err(error)) => {
                if before != Some(Steered::Refused) {
                    tracing::warn!(listener = %self.cells.name(), %error, "the kernel does not \
                        steer new connections");
                }
                Steered::Refused
            }
            Some(Ok(())) | None => Steered::Here,
        }
    }

    fn say(&self, steered: Steered, place: Option<&GroupIndex>) {
        self.cells.set_steered(steered == Steered::Here);
        let listener = self.cells.name();
        let sockets = place.map_or(0, GroupIndex::sockets);
        match steered {
            Steered::Here => {
                tracing::info!(%listener, sockets, "the kernel steers new connections to this process");
            }
            Steered::Newer => {
                tracing::info!(%listener, sockets, "a newer process listens on the same address");
            }
            Steered::Unknown | Steered::Refused => tracing::warn!(
                %listener,
                sockets,
                "new connections are shared with the other processes on this address"
            ),
        }
    }

    /// Steers new connections to another process or, if there is none and `refuse`, refuses them.
    fn leave(&self, refuse: bool) -> bool {
        let mut state = self.state();
        state.leaving = true;
        self.cells.set_steered(false);
        if let (Some(place), Ok(listing)) = (&mut state.place, Listing::read()) {
            place.follow(&listing);
        }
        let another = match &state.place {
            Some(place) if place.sockets() > 1 => match place.another() {
                Some(another) => Some(another),
                None => return false,
            },
            Some(_) => None,
            // Who else listens cannot be seen: closing at once is what is left.
            None => return false,
        };
        let done = self.hold.with(|socket| match another {
            Some(another) => steer::to_place(socket, another),
            None if refuse => steer::refuse(socket),
            None => Ok(()),
        });
        match done {
            Some(Ok(())) => true,
            Some(Err(error)) => {
                let listener = self.cells.name();
                tracing::warn!(%listener, %error, "TCP handshakes in progress may be reset");
                false
            }
            None => false,
        }
    }
}
