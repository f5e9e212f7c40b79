//! Which sources reach the listener and which meet the trap beside it, where the kernel takes no filter.

use super::port::Port;
use super::state::State;
use crate::net::addr::AddrRanges;
use crate::transport::admission::trap::{Trap, own_address};
use crate::transport::admission::{bpf, steer};
use crate::transport::listen::Listing;
use std::io;

impl Port {
    /// Whom the trap spares from now on, where there is one or one can be set: all others meet it. Returns whether
    /// it is in force.
    ///
    /// # Errors
    /// The program is too long, or the kernel takes none: all sources reach user space then.
    pub(in crate::app) fn spare(&self, admitted: AddrRanges) -> io::Result<bool> {
        let mut state = self.state();
        state.spared = Some(admitted);
        self.sift(&mut state)
    }

    /// Whether the port does not listen yet, so that a trap may be set when it does.
    pub(in crate::app) fn is_due(&self) -> bool {
        self.state().address.is_none()
    }

    /// Whether sources are to meet a trap, if one can be set.
    pub(in crate::app) fn wants_trap(&self) -> bool {
        self.state().spared.is_some()
    }

    /// Has everybody reach user space, or the filter.
    pub(in crate::app) fn spare_all(&self) {
        let mut state = self.state();
        state.spared = None;
        if let Err(error) = self.sift(&mut state) {
            let listener = self.cells.name();
            tracing::error!(%listener, %error, "the trap still keeps sources out");
        }
    }

    /// Puts the program of the trap into force. Returns whether the others meet it.
    pub(super) fn sift(&self, state: &mut State) -> io::Result<bool> {
        match state.pair() {
            Some(place) => self.sift_from(state, place),
            None => Ok(false),
        }
    }

    /// The same where the listener's place is this one of two.
    pub(super) fn sift_from(&self, state: &mut State, place: u32) -> io::Result<bool> {
        let Some(trap) = &state.trap else { return Ok(false) };
        let all = bpf::Program::always(place);
        let program = match &state.spared {
            None => Ok(all.clone()),
            Some(ranges) => {
                bpf::compile_steering(ranges, place, 1 - place).map_err(io::Error::other)
            }
        };
        let attached = program.and_then(|program| steer::by_source(trap.socket(), &program));
        match attached {
            Ok(()) => Ok(state.spared.is_some()),
            Err(error) => {
                // The program of before would keep out whom the new one admits.
                if steer::by_source(trap.socket(), &all).is_err() {
                    state.replace_trap(&self.hold, None);
                }
                Err(error)
            }
        }
    }

    /// Sets the trap beside a listener that nobody shares, once the process may.
    pub(super) fn set_trap(&self, state: &mut State) -> bool {
        let alone = state.beside() == 0 && self.standing.borrow().sharers == 0;
        let (Some(spared), None, true) = (&state.spared, &state.trap, alone) else { return false };
        let (Some(address), Some(place)) = (state.address, &mut state.place) else { return false };
        let fills = !spared.contains(own_address(address).ip());
        match Trap::listen(address) {
            Ok(trap) => {
                place.accompany(trap.inode());
                state.replace_trap(&self.hold, Some(trap));
            }
            Err(error) => {
                let listener = self.cells.name();
                tracing::debug!(%listener, %error, "no trap can be set");
                return false;
            }
        }
        let is_set = Listing::read().is_ok_and(|listing| {
            if let Some(place) = &mut state.place {
                place.follow(&listing);
            }
            self.sift(state).unwrap_or(false)
        });
        match &state.trap {
            Some(trap) if is_set => {
                if fills && let Err(error) = trap.fill() {
                    tracing::debug!(%error, "the queue of the trap is not full");
                }
            }
            _ => state.replace_trap(&self.hold, None),
        }
        is_set
    }

    /// Behind the listener.
    pub(super) fn close_trap(&self) {
        self.state().replace_trap(&self.hold, None);
    }

    /// What the kernel has dropped of this process's, as [`crate::telemetry::PortCells::count_drops`] has it.
    pub(in crate::app) fn drops(&self) -> Option<u32> {
        let mut state = self.state();
        if self.hold.has_turn() {
            self.count(&mut state);
        }
        Some(state.drops.total)
    }

    pub(super) fn count(&self, state: &mut State) {
        if let Some(now) = state.dropped(&self.hold) {
            state.drops.advance(now);
        }
    }
}
