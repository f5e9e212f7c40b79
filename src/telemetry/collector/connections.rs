//! What becomes of connections: accepted, refused, dropped, open.

use super::Telemetry;
use super::families::{Families, Family};
use crate::net::counters::LocalCounter;
use crate::net::counters::ScopedGauge;
use crate::telemetry::Unnamed;
use crate::telemetry::admission::AdmissionMode;
use crate::telemetry::cells::{Evicted, ListenerCells, Refusal};
use std::fmt;

impl Telemetry {
    pub(super) fn encode_connections(&self, encoder: &mut Families<'_>) -> fmt::Result {
        encoder.counter(
            "ravelin_connections_accepted",
            "Connections handed to a worker",
            |family| self.by_listener(family, |cells| &cells.accepted),
        )?;
        encoder.counter(
            "ravelin_connections_refused",
            "Connections accepted by the kernel and reset before HTTP",
            |family| {
                let labels = Refusal::ALL.map(Refusal::label);
                self.by_cause(family, "reason", &labels, |cells| &cells.refused)
            },
        )?;
        encoder.counter(
            "ravelin_connections_at_limit",
            "Connections that had to wait because limits.connections were open",
            |family| self.by_listener(family, |cells| &cells.at_limit),
        )?;
        encoder.counter(
            "ravelin_connections_evicted",
            "Connections closed to make room for others, by their phase",
            |family| {
                let labels = Evicted::ALL.map(Evicted::label);
                self.by_cause(family, "state", &labels, |cells| &cells.evicted)
            },
        )?;
        encoder.counter(
            "ravelin_connections_health_checks",
            "Connections without a client: health checks of load balancers, and TLS connections \
                closed without a byte",
            |family| self.by_listener(family, |cells| &cells.health_checks),
        )?;
        encoder.counter("ravelin_accept_errors", "Failed accept calls", |family| {
            self.by_listener(family, |cells| &cells.errors)
        })?;
        encoder.counter(
            "ravelin_connections_idle_closed",
            "Connections closed because they were idle or too slow with a request head",
            |family| self.by_listener(family, |cells| &cells.idle_closed),
        )?;
        encoder.counter(
            "ravelin_connections_reset_floods",
            "HTTP/2 connections closed because the client floods them, mostly with resets",
            |family| self.by_listener(family, |cells| &cells.reset_floods),
        )?;
        encoder.gauge("ravelin_connections_open", "Client connections open", |family| {
            self.level_by_listener(family, |cells| &cells.open)
        })?;
        self.encode_beyond(encoder)?;
        encoder.counter(
            "ravelin_client_unnamed",
            "Requests from trusted peers without a usable client address: the address of the peer was used",
            |family| {
                let labels = Unnamed::ALL.map(Unnamed::label);
                self.by_cause(family, "cause", &labels, |cells| &cells.unnamed)
            },
        )
    }

    /// Connections that no request is asked on any more.
    fn encode_beyond(&self, encoder: &mut Families<'_>) -> fmt::Result {
        encoder.gauge(
            "ravelin_tunnels_open",
            "Client connections upgraded to another protocol, such as WebSocket, or relayed for an IngressRouteTCP",
            |family| self.level_by_listener(family, |cells| &cells.tunnels),
        )?;
        encoder.gauge(
            "ravelin_connections_lingering",
            "Connections closed by ravelin whose client still sends: the data is dropped",
            |family| self.level_by_listener(family, |cells| &cells.lingering),
        )
    }

    pub(super) fn encode_admission(&self, encoder: &mut Families<'_>) -> fmt::Result {
        encoder.counter(
            "ravelin_admission_dropped_packets",
            "Packets dropped by the kernel at the listening socket",
            |family| {
                self.ports
                    .iter()
                    .try_for_each(|port| family.count(&[("listener", port.name())], port.dropped()))
            },
        )?;
        encoder.gauge(
            "ravelin_admission_mode",
            "Where admission is enforced: 1 for the mode in force",
            |family| {
                self.ports.iter().try_for_each(|port| {
                    AdmissionMode::ALL.into_iter().try_for_each(|mode| {
                        let labels = [("listener", &**port.name()), ("mode", mode.label())];
                        family.gauge(&labels, i64::from(port.mode() == mode))
                    })
                })
            },
        )?;
        encoder.gauge(
            "ravelin_listener_steered",
            "1 if the kernel steers every new connection of this port to this process",
            |family| {
                self.ports.iter().try_for_each(|port| {
                    family.gauge(&[("listener", port.name())], i64::from(port.steered()))
                })
            },
        )
    }

    /// A series for each listener, summed over the accepting thread and all workers.
    fn by_listener(
        &self,
        family: &mut Family<'_>,
        count: impl Fn(&ListenerCells) -> &LocalCounter,
    ) -> fmt::Result {
        self.listeners.iter().enumerate().try_for_each(|(position, name)| {
            let total = self.cells_of(position).map(|cells| count(cells).total()).sum();
            family.count(&[("listener", name)], total)
        })
    }

    /// A gauge for each listener.
    fn level_by_listener(
        &self,
        family: &mut Family<'_>,
        level: impl Fn(&ListenerCells) -> &ScopedGauge,
    ) -> fmt::Result {
        self.listeners.iter().enumerate().try_for_each(|(position, name)| {
            let now = self.cells_of(position).map(|cells| level(cells).now()).sum::<i64>();
            family.gauge(&[("listener", name)], now)
        })
    }

    /// A series for each listener and cause.
    fn by_cause<const N: usize>(
        &self,
        family: &mut Family<'_>,
        label: &str,
        causes: &[&str; N],
        counts: impl Fn(&ListenerCells) -> &[LocalCounter; N],
    ) -> fmt::Result {
        for (position, name) in self.listeners.iter().enumerate() {
            for (cause, word) in causes.iter().enumerate() {
                let all = self.cells_of(position).map(|cells| counts(cells)[cause].total());
                family.count(&[("listener", name), (label, word)], all.sum())?;
            }
        }
        Ok(())
    }

    pub(super) fn cells_of(&self, position: usize) -> impl Iterator<Item = &ListenerCells> {
        let workers = self.workers.iter().map(move |worker| &worker.listeners[position]);
        workers.chain([&self.accepting[position]])
    }
}
