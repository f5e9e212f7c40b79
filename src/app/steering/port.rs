//! One port of a process: its listening socket among those of other processes.

use super::sharing::{self, Standing};
use super::state::{Shared, State, Steered};
use crate::telemetry::PortCells;
use crate::transport::admission::steer;
use crate::transport::admission::trap::Trap;
use crate::transport::listen::share::{self, Joined};
use crate::transport::listen::{Bound, GroupIndex, ListenerHandle, Listening, Listing};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// A port: a listener's, or the admin port.
pub(in crate::app) struct Port {
    pub(super) hold: ListenerHandle,
    pub(super) cells: Arc<PortCells>,
    state: Mutex<State>,
    /// What the processes are told that share the socket.
    pub(super) standing: watch::Sender<Standing>,
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").field("hold", &self.hold).finish_non_exhaustive()
    }
}

impl Port {
    pub(super) fn new(hold: ListenerHandle, cells: Arc<PortCells>) -> Arc<Self> {
        let (state, standing) = (Mutex::default(), watch::Sender::new(Standing::default()));
        Arc::new(Self { hold, cells, state, standing })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The listening socket.
    pub(in crate::app) fn hold(&self) -> &ListenerHandle {
        &self.hold
    }

    /// Whether no other process listens beside it.
    pub(super) fn is_alone(&self) -> bool {
        let state = self.state();
        state.said == Some(Steered::Here) && state.beside() == 0
    }

    /// Whether it is known who gets the new connections, and it is this process or one of later.
    pub(super) fn is_settled(&self) -> bool {
        let state = self.state();
        state.said.is_some() && (self.hold.has_turn() || state.leaving)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.hold.with(|_| ()).is_none()
    }

    /// Listens with the socket of the process before, or with this one.
    pub(super) fn listen(&self, bound: Bound) -> io::Result<Listening> {
        let mut state = self.state();
        let address = bound.local_addr()?;
        state.address = Some(address);
        let listening = match share::join(address) {
            Ok(joined) if sharing::is_believed(&joined, address) => {
                self.adopt(&mut state, bound, joined)
            }
            _ => self.listen_first(&mut state, bound, address),
        }?;
        self.standing.send_modify(|now| now.listening = true);
        Ok(listening)
    }

    /// Takes the socket of another process. It is that one's turn still.
    fn adopt(&self, state: &mut State, bound: Bound, joined: Joined) -> io::Result<Listening> {
        let Joined { listener, trap, place, link } = joined;
        self.hold.set_turn(false);
        let listening = bound.replaced_by(listener)?.listen()?;
        state.trap = trap.map(Trap::shared);
        state.shared = Shared::Joined(link);
        self.set_sharers(1);
        state.place = match (Listing::read(), self.hold.inode()) {
            (Ok(listing), Some(own)) => GroupIndex::adopted(own, place, &listing),
            _ => None,
        };
        Ok(listening)
    }

    /// Listens with a socket of its own. If there is to be a trap, and nobody else listens, it comes first, with its
    /// program.
    fn listen_first(
        &self,
        state: &mut State,
        bound: Bound,
        address: SocketAddr,
    ) -> io::Result<Listening> {
        // Another one of this moment may hold the name.
        state.shared = share::offer(address).map_or(Shared::No, Shared::Offered);
        let mut before = Listing::read();
        if state.spared.is_some()
            && let Ok(listing) = &before
            && let Some(trap) = Trap::first(address, listing)
        {
            state.trap = Some(trap);
            if let Err(error) = self.sift_from(state, 1) {
                let listener = self.cells.name();
                tracing::debug!(%listener, %error, "the trap has no program");
            }
            before = Listing::read();
        }
        let listening = bound.listen()?;
        state.place = match (before, Listing::read(), self.hold.inode()) {
            (Ok(before), Ok(after), Some(own)) => GroupIndex::of(own, &before, &after),
            _ => None,
        };
        // Somebody else has come meanwhile.
        if state.trap.is_some() && state.pair().is_none() {
            state.replace_trap(&self.hold, None);
        }
        Ok(listening)
    }

    /// Follows the group and, if this process has the turn and no newer one is in the group, steers to our socket.
    /// Returns whether there is a trap that was not there before.
    pub(super) fn look(&self, listing: &Listing, ready: bool) -> bool {
        let mut state = self.state();
        let changed = state.place.as_mut().is_some_and(|place| place.follow(listing));
        if state.leaving || !ready || state.address.is_none() {
            return false;
        }
        self.standing.send_if_modified(|now| !std::mem::replace(&mut now.ready, true));
        let steered = self.receiver(&mut state, changed);
        if state.said.replace(steered) != Some(steered) {
            self.say(steered, state.place.as_ref());
        }
        steered == Steered::Here && self.set_trap(&mut state)
    }

    /// Who is to get the connections; if it is this process, they come from now on.
    fn receiver(&self, state: &mut State, changed: bool) -> Steered {
        let Some(place) = &state.place else { return Steered::Unknown };
        if !self.hold.has_turn() || !place.is_newest() {
            return Steered::Newer;
        }
        // Where others listen, one of them may have steered at the same time, by what it saw before.
        if state.said == Some(Steered::Here) && !changed && state.beside() == 0 {
            return Steered::Here;
        }
        let index = place.index();
        if state.pair().is_some() && self.sift(state).is_ok() {
            return Steered::Here;
        }
        index.map_or(Steered::Unknown, |index| self.steer(index, state.said))
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
                tracing::info!(%listener, sockets, "another process takes new connections of the same address");
            }
            Steered::Unknown | Steered::Refused => tracing::warn!(
                %listener,
                sockets,
                "new connections are shared with the other processes on this address"
            ),
        }
    }

    /// Steers new connections to another process or, if there is none and `refuse`, refuses them.
    pub(super) fn leave(&self, refuse: bool) -> bool {
        let mut state = self.state();
        state.leaving = true;
        self.cells.set_steered(false);
        if self.hold.has_turn() {
            self.count(&mut state);
        }
        if let (Some(place), Ok(listing)) = (&mut state.place, Listing::read()) {
            place.follow(&listing);
        }
        // As it was before they are told: then they count as gone.
        let is_shared = self.standing.borrow().sharers > 0;
        self.standing.send_modify(|now| now.leaving = true);
        if is_shared {
            // They have the socket: nothing ends by closing it here.
            state.replace_trap(&self.hold, None);
            self.hold.set_turn(false);
            return false;
        }
        if state.beside() == 0 {
            return refuse && self.refuse(&state);
        }
        // The group is that of the listeners alone, whose places follow from what is known.
        if state.trap.is_some() {
            state.replace_trap(&self.hold, None);
            if let (Some(place), Ok(listing)) = (&mut state.place, Listing::read()) {
                place.follow(&listing);
            }
        }
        // Who else listens cannot be seen, or which one it is: closing at once is what is left.
        let Some(another) = state.place.as_ref().and_then(GroupIndex::another) else {
            return false;
        };
        let done = self.hold.with(|socket| steer::to_place(socket, another));
        done.is_some_and(|done| self.is_done(done))
    }

    /// Nobody else listens.
    fn refuse(&self, state: &State) -> bool {
        let Some(done) = self.hold.with(steer::refuse) else { return false };
        let trap = state.trap.as_ref().map_or(Ok(()), Trap::refuse);
        self.is_done(done.and(trap))
    }

    fn is_done(&self, done: io::Result<()>) -> bool {
        done.inspect_err(|error| {
            let listener = self.cells.name();
            tracing::warn!(%listener, %error, "TCP handshakes in progress may be reset");
        })
        .is_ok()
    }

    /// Begins to accept, or stops. Returns whether that is a change.
    pub(super) fn set_turn(&self, turn: bool) -> bool {
        let mut state = self.state();
        if self.hold.has_turn() == turn || state.leaving {
            return false;
        }
        match turn {
            true => state.drops.last = state.dropped(&self.hold).unwrap_or(state.drops.last),
            false => self.count(&mut state),
        }
        self.hold.set_turn(turn);
        if !turn && state.said.replace(Steered::Newer) != Some(Steered::Newer) {
            self.say(Steered::Newer, state.place.as_ref());
        }
        true
    }
}
