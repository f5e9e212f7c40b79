//! What a process knows of one port.

use crate::net::addr::AddrRanges;
use crate::transport::admission::kernel;
use crate::transport::admission::trap::Trap;
use crate::transport::listen::{GroupIndex, ListenerHandle};
use std::net::SocketAddr;
use std::os::unix::net::{UnixListener, UnixStream};

#[derive(Default)]
pub(super) struct State {
    pub(super) address: Option<SocketAddr>,
    /// From when it listens.
    pub(super) place: Option<GroupIndex>,
    /// The last message.
    pub(super) said: Option<Steered>,
    /// Whether the process is about to close the socket.
    pub(super) leaving: bool,
    pub(super) shared: Shared,
    pub(super) trap: Option<Trap>,
    /// Whom the trap is to spare, where the kernel takes no filter.
    pub(super) spared: Option<AddrRanges>,
    pub(super) drops: DropCount,
}

/// How other processes come to the socket, until that is in the hands of `sharing`.
#[derive(Default)]
pub(super) enum Shared {
    /// By its name, which this process holds.
    Offered(UnixListener),
    /// By the process at the other end, from which it comes.
    Joined(UnixStream),
    #[default]
    No,
}

/// What was dropped while it was this process's turn: the socket may be older, and serve others.
#[derive(Default)]
pub(super) struct DropCount {
    pub(super) total: u32,
    pub(super) last: u32,
}

impl DropCount {
    pub(super) fn advance(&mut self, now: u32) {
        self.total = self.total.wrapping_add(now.wrapping_sub(self.last));
        self.last = now;
    }
}

/// The receiver of a port's new connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Steered {
    /// This process.
    Here,
    /// A newer process, which shares the socket or listens beside it; at least when it is ready.
    Newer,
    /// The kernel's choice, because the place of our socket is not known.
    Unknown,
    /// Likewise: the kernel takes no program.
    Refused,
}

impl State {
    /// How many others are in the group, of processes that share nothing with this one.
    pub(super) fn beside(&self) -> usize {
        let own = 1 + usize::from(self.trap.is_some());
        self.place.as_ref().map_or(0, |place| place.sockets().saturating_sub(own))
    }

    /// The listener's place of 0 and 1, where the other one is the trap's.
    pub(super) fn pair(&self) -> Option<u32> {
        let place = self.place.as_ref()?;
        // Neither moves: a process that came later has later places.
        place.index().filter(|index| self.trap.is_some() && *index < 2)?.try_into().ok()
    }

    /// Sets the trap, or closes it. What either socket has dropped is counted.
    pub(super) fn replace_trap(&mut self, hold: &ListenerHandle, trap: Option<Trap>) {
        if hold.has_turn()
            && let Some(now) = self.dropped(hold)
        {
            self.drops.advance(now);
        }
        self.trap = trap;
        self.drops.last = self.dropped(hold).unwrap_or_default();
    }

    /// At the trap, or at the filter.
    pub(super) fn dropped(&self, hold: &ListenerHandle) -> Option<u32> {
        match &self.trap {
            Some(trap) => trap.drops(),
            None => hold.with(|socket| kernel::drops(socket).ok()).flatten(),
        }
    }
}
