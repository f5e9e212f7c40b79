//! Keeps the gates: what is admitted now, in user space and in the kernel, for every port.
//!
//! The sets that change come from several threads (the list of Cloudflare's addresses, the cluster).
//! Each change rebuilds the gates and puts them in force, user space first: no source that the kernel
//! lets in by the new sets is then reset by the old ones. Connections that are open stay open.

use super::steering::Port as SteeredPort;
use crate::config::Config;
use crate::net::addr::AddrRanges;
use crate::net::trust::LiveSets;
use crate::telemetry::{AdmissionMode, PortCells};
use crate::transport::admission::{Gate, GateCell, bpf, kernel};
use arc_swap::ArcSwap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// The gates of all ports: the listeners in the order of the configuration, then the admin port.
#[derive(Debug)]
pub(super) struct AdmissionUpdates {
    config: Arc<Config>,
    state: Mutex<State>,
    gates: Arc<[GateCell]>,
    /// Who may read the status page, of those whom the admin port admits.
    status: Arc<GateCell>,
    ports: Vec<Port>,
}

#[derive(Debug, Default)]
struct State {
    live: LiveSets,
    /// Whether the kernel is told of changes: from [`AdmissionUpdates::arm`] on.
    armed: bool,
    /// Addresses of the cluster that were last found among the further ranges.
    overlap: AddrRanges,
}

impl State {
    /// Every pod could name any client, if its address counts as Cloudflare's.
    fn warn_of_overlap(&mut self) {
        let LiveSets { extra, nodes, pods, .. } = &self.live;
        let overlap = extra.minus(&extra.minus(&nodes.union(pods)));
        if !overlap.is_empty() && overlap != self.overlap {
            let (v4, v6) = (overlap.v4().len(), overlap.v6().len());
            tracing::warn!(
                ipv4_ranges = v4,
                ipv6_ranges = v6,
                "cloudflare.extra has addresses of the cluster's nodes or pods: whatever runs there can name any \
                    client; write narrower ranges"
            );
        }
        self.overlap = overlap;
    }
}

/// A listening socket behind the kernel's filter, or beside a trap.
#[derive(Debug)]
struct Port {
    place: Arc<SteeredPort>,
    cells: Arc<PortCells>,
    /// Whether the kernel is to filter.
    kernel: bool,
}

impl AdmissionUpdates {
    /// Gates that are closed but for fixed sets, for what changes is not known yet; the ports must
    /// not listen before [`AdmissionUpdates::arm`]. `places` and `cells` have the admin port as their
    /// last.
    pub(super) fn new(
        config: Arc<Config>,
        places: &[Arc<SteeredPort>],
        cells: &[Arc<PortCells>],
    ) -> Self {
        let kernel = config.listeners.iter().map(|listener| listener.kernel_filter).chain([true]);
        let each = places.iter().map(Arc::clone).zip(cells.iter().map(Arc::clone)).zip(kernel);
        let ports: Vec<Port> =
            each.map(|((place, cells), kernel)| Port { place, cells, kernel }).collect();
        let gates: Arc<[GateCell]> =
            gates(&config, &LiveSets::default()).map(|gate| ArcSwap::new(Arc::new(gate))).collect();
        let status = Gate::of_status(&config.admin, &LiveSets::default());
        let status = Arc::new(ArcSwap::new(Arc::new(status)));
        for port in &ports {
            let place = Arc::clone(&port.place);
            port.cells.count_drops(Box::new(move || place.drops()));
        }
        Self { config, state: Mutex::default(), gates, status, ports }
    }

    /// The gates, for those who ask them.
    pub(super) fn gates(&self) -> Arc<[GateCell]> {
        Arc::clone(&self.gates)
    }

    /// The gate of the status page.
    pub(super) fn status_gate(&self) -> Arc<GateCell> {
        Arc::clone(&self.status)
    }

    /// Changes the sets. What is admitted, or not any more, counts from the return of this call.
    pub(super) fn change(&self, edit: impl FnOnce(&mut LiveSets)) {
        // Held to the end, so that of two changes the later one is also put in force later.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        edit(&mut state.live);
        state.warn_of_overlap();
        let status = Gate::of_status(&self.config.admin, &state.live);
        if **self.status.load() != status {
            self.status.store(Arc::new(status));
        }
        let next = gates(&self.config, &state.live);
        for ((gate, port), next) in self.gates.iter().zip(&self.ports).zip(next) {
            if **gate.load() == next {
                continue;
            }
            let next = Arc::new(next);
            gate.store(Arc::clone(&next));
            if state.armed {
                port.enforce(&next);
            }
            tracing::debug!(listener = %port.cells.name(), "admission sets changed");
        }
    }

    /// Tells the kernel for the first time; from then on each change tells it.
    pub(super) fn arm(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut state.armed, true) {
            for (gate, port) in self.gates.iter().zip(&self.ports) {
                port.enforce(&gate.load());
            }
        }
    }

    /// Tells the kernel of the traps, once ports listen: whether there is one depends on who else does.
    pub(super) fn arm_traps(&self) {
        let _state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let each = self.gates.iter().zip(&self.ports);
        each.filter(|(_, port)| port.place.wants_trap())
            .for_each(|(gate, port)| port.enforce(&gate.load()));
    }

    /// Tells the kernel again of one port: it is this process's turn there, or a trap has been set.
    pub(super) fn enforce(&self, position: usize) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.armed
            && let (Some(gate), Some(port)) = (self.gates.get(position), self.ports.get(position))
        {
            let before = port.cells.mode();
            port.enforce(&gate.load());
            if port.cells.mode() != before {
                port.report(&gate.load());
            }
        }
    }

    /// Tells the operator what to know of each port, once what changes is known.
    pub(super) fn report(&self) {
        for (gate, port) in self.gates.iter().zip(&self.ports) {
            let (gate, listener) = (gate.load(), port.cells.name());
            for (set, _) in gate.sets().filter(|(_, ranges)| ranges.is_empty()) {
                tracing::warn!(%listener, %set, "the admission set is empty: it admits no address");
            }
            port.report(&gate);
        }
    }
}

fn gates<'c>(config: &'c Config, live: &'c LiveSets) -> impl Iterator<Item = Gate> + use<'c> {
    let listeners = config.listeners.iter().map(|listener| Gate::of_listener(listener, live));
    listeners.chain([Gate::of_admin(&config.admin, live)])
}

impl Port {
    /// Tells the kernel. A socket that is closed needs no filter.
    fn enforce(&self, gate: &Gate) {
        // Whose turn it is tells the kernel.
        if self.place.hold().has_turn()
            && let Some(mode) = self.filter(gate)
        {
            self.cells.set_mode(mode);
        }
    }

    fn report(&self, gate: &Gate) {
        let listener = self.cells.name();
        match self.cells.mode() {
            AdmissionMode::Kernel => tracing::info!(
                %listener,
                "the kernel drops connections from addresses that are not admitted"
            ),
            AdmissionMode::Trap => tracing::info!(
                %listener,
                "the kernel drops connections from addresses that are not admitted: they are steered to a trap"
            ),
            // The process that has the turn sees to it.
            AdmissionMode::UserSpace if !self.place.hold().has_turn() => {}
            AdmissionMode::UserSpace => tracing::warn!(
                %listener,
                "the kernel filter is off: connections that are not admitted are accepted and \
                    reset, so the port is visible"
            ),
            AdmissionMode::Off if gate.is_glass_broken() => {
                tracing::error!(%listener, "admits ANY address: break-glass is on");
            }
            AdmissionMode::Off => {
                tracing::warn!(%listener, "admits ANY address: admit = [\"any\"]");
            }
        }
    }

    /// The mode that is in force then; `None` where the socket is closed.
    fn filter(&self, gate: &Gate) -> Option<AdmissionMode> {
        let (listener, hold) = (self.cells.name(), self.place.hold());
        let detach = |what: &str| {
            // The trap is asked for its lock while the socket's is not held.
            self.place.spare_all();
            if let Err(error) = hold.with(kernel::detach)? {
                tracing::error!(%listener, %error, "the kernel filter could not be {what}: it is still attached");
            }
            Some(())
        };
        if gate.is_open() || !self.kernel {
            // Of the sets before, or of the process before.
            detach("removed")?;
            let open = gate.is_open();
            return Some(if open { AdmissionMode::Off } else { AdmissionMode::UserSpace });
        }
        let connecting = gate.connecting();
        match bpf::compile(&connecting) {
            Ok(program) => match hold.with(|socket| kernel::attach(socket, &program))? {
                Ok(()) => {
                    self.place.spare_all();
                    Some(AdmissionMode::Kernel)
                }
                Err(error) => Some(self.set_trap(connecting, &error)),
            },
            Err(too_large) => {
                // What was in force for the sets before would drop whom the new ones admit. The program of a trap is
                // as long.
                detach("replaced")?;
                tracing::warn!(%listener, error = %too_large, "the kernel filter is not attached");
                Some(AdmissionMode::UserSpace)
            }
        }
    }

    /// Where the kernel takes no filter.
    fn set_trap(&self, connecting: AddrRanges, refused: &io::Error) -> AdmissionMode {
        let listener = self.cells.name();
        match self.place.spare(connecting) {
            Ok(true) => AdmissionMode::Trap,
            // What it can be is known when it listens.
            Ok(false) if self.place.is_due() => AdmissionMode::UserSpace,
            result => {
                let (error, trap) = (format!("{refused}{}", hint(refused)), result.err());
                let trap = trap.map(|error| error.to_string());
                tracing::warn!(%listener, error, trap, "the kernel filter is not attached, and there is no trap");
                AdmissionMode::UserSpace
            }
        }
    }
}

/// The fix for a kernel that takes no filter.
fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "; kernels since June 2026 require the capability NET_ADMIN for it (add NET_ADMIN to \
                the container's capabilities, setcap cap_net_admin=+p on the binary)"
        }
        _ => "",
    }
}
