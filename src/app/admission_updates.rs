//! Keeps the gates: what is admitted now, in user space and in the kernel, for every port.
//!
//! The sets that change come from several threads (the list of Cloudflare's addresses, the cluster).
//! Each change rebuilds the gates and puts them in force, user space first: no source that the kernel
//! lets in by the new sets is then reset by the old ones. Connections that are open stay open.

use crate::config::Config;
use crate::net::addr::AddrRanges;
use crate::net::trust::LiveSets;
use crate::telemetry::{AdmissionMode, PortCells};
use crate::transport::admission::{Gate, GateCell, bpf, kernel};
use crate::transport::listen::ListenerHandle;
use arc_swap::ArcSwap;
use socket2::Socket;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// The gates of all ports: the listeners in the order of the configuration, then the admin port.
#[derive(Debug)]
pub(super) struct AdmissionUpdates {
    config: Arc<Config>,
    state: Mutex<State>,
    gates: Arc<[GateCell]>,
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

/// A listening socket under the kernel's filter.
#[derive(Debug)]
struct Port {
    hold: ListenerHandle,
    cells: Arc<PortCells>,
    /// Whether the kernel is to filter.
    kernel: bool,
}

impl AdmissionUpdates {
    /// Gates that are closed but for fixed sets, for what changes is not known yet; the ports must
    /// not listen before [`AdmissionUpdates::arm`]. `holds` and `cells` have the admin port as their
    /// last.
    pub(super) fn new(
        config: Arc<Config>,
        holds: impl IntoIterator<Item = ListenerHandle>,
        cells: &[Arc<PortCells>],
    ) -> Self {
        let kernel = config.listeners.iter().map(|listener| listener.kernel_filter).chain([true]);
        let each = holds.into_iter().zip(cells).zip(kernel);
        let ports: Vec<Port> = each
            .map(|((hold, cells), kernel)| Port { hold, cells: Arc::clone(cells), kernel })
            .collect();
        let gates: Arc<[GateCell]> =
            gates(&config, &LiveSets::default()).map(|gate| ArcSwap::new(Arc::new(gate))).collect();
        for port in &ports {
            let hold = port.hold.clone();
            let drops = move || hold.with(|socket| kernel::drops(socket).ok()).flatten();
            port.cells.count_drops(Box::new(drops));
        }
        Self { config, state: Mutex::default(), gates, ports }
    }

    /// The gates, for those who ask them.
    pub(super) fn gates(&self) -> Arc<[GateCell]> {
        Arc::clone(&self.gates)
    }

    /// Changes the sets. What is admitted, or not any more, counts from the return of this call.
    pub(super) fn change(&self, edit: impl FnOnce(&mut LiveSets)) {
        // Held to the end, so that of two changes the later one is also put in force later.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        edit(&mut state.live);
        state.warn_of_overlap();
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

    /// Tells the operator what to know of each port, once what changes is known.
    pub(super) fn report(&self) {
        for (gate, port) in self.gates.iter().zip(&self.ports) {
            let (gate, listener) = (gate.load(), port.cells.name());
            for (set, _) in gate.sets().filter(|(_, ranges)| ranges.is_empty()) {
                tracing::warn!(%listener, %set, "the admission set is empty: it admits no address");
            }
            match port.cells.mode() {
                AdmissionMode::Kernel => tracing::info!(
                    %listener,
                    "the kernel drops connections from addresses that are not admitted"
                ),
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
    }
}

fn gates<'c>(config: &'c Config, live: &'c LiveSets) -> impl Iterator<Item = Gate> + use<'c> {
    let listeners = config.listeners.iter().map(|listener| Gate::of_listener(listener, live));
    listeners.chain([Gate::of_admin(&config.admin, live)])
}

impl Port {
    /// Tells the kernel. A socket that is closed needs no filter.
    fn enforce(&self, gate: &Gate) {
        if let Some(mode) = self.hold.with(|socket| self.filter(socket, gate)) {
            self.cells.set_mode(mode);
        }
    }

    fn filter(&self, socket: &Socket, gate: &Gate) -> AdmissionMode {
        let listener = self.cells.name();
        if gate.is_open() {
            // Of the sets before.
            if let Err(error) = kernel::detach(socket) {
                tracing::error!(%listener, %error, "the kernel filter could not be removed: it is still attached");
            }
            return AdmissionMode::Off;
        }
        if !self.kernel {
            return AdmissionMode::UserSpace;
        }
        let error = match bpf::compile(&gate.connecting()) {
            Ok(program) => match kernel::attach(socket, &program) {
                Ok(()) => return AdmissionMode::Kernel,
                Err(error) => format!("{error}{}", hint(&error)),
            },
            Err(too_large) => {
                // The filter of the sets before would drop whom the new ones admit.
                if let Err(error) = kernel::detach(socket) {
                    tracing::error!(%listener, %error, "the kernel filter could not be replaced: \
                        the previous one is still attached");
                }
                too_large.to_string()
            }
        };
        tracing::warn!(%listener, error, "the kernel filter is not attached");
        AdmissionMode::UserSpace
    }
}

/// The fix for a kernel that takes no filter.
fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "; kernels since June 2026 require the capability NET_ADMIN: grant it (add NET_ADMIN to \
                the container's capabilities, setcap cap_net_admin=+p on the binary)"
        }
        _ => "",
    }
}
