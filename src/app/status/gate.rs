//! Who may connect to each port, and what became of those who may not.

use super::Sources;
use crate::config::Listener;
use crate::tls::store::time;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, Serialize)]
pub(super) struct GateReport {
    cloudflare: ListReport,
    /// The listeners, then the admin port.
    ports: Vec<PortReport>,
}

/// The list of Cloudflare's addresses in force.
#[derive(Debug, Serialize)]
struct ListReport {
    origin: &'static str,
    ipv4_ranges: usize,
    ipv6_ranges: usize,
    /// When its source last confirmed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmed: Option<String>,
    /// Why the last attempt to refresh it failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    failing: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct PortReport {
    name: String,
    address: String,
    protocol: &'static str,
    /// Where admission is enforced, as in `ravelin_admission_mode`.
    mode: &'static str,
    /// Packets of sources that are not admitted, which the kernel dropped. It does not say whose they were.
    dropped_packets: u64,
    /// Connections that were accepted and reset, by reason.
    refused: BTreeMap<&'static str, u64>,
    /// Connections handed to a worker, and those open now; not counted for the admin port.
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    open: Option<i64>,
    /// Whether every address is admitted.
    admits_any: bool,
    sets: Vec<SetReport>,
}

/// A set of admitted sources.
#[derive(Debug, Serialize)]
struct SetReport {
    name: String,
    ipv4_ranges: usize,
    ipv6_ranges: usize,
}

impl Sources {
    pub(super) fn gate(&self) -> GateReport {
        let list = self.telemetry.list().read();
        let confirmed = list.confirmed.and_then(|unix| i64::try_from(unix).ok()).map(time);
        let cloudflare = ListReport {
            origin: list.source.as_str(),
            ipv4_ranges: list.v4_ranges,
            ipv6_ranges: list.v6_ranges,
            confirmed,
            failing: list.failing.map(|why| why.as_str()),
        };
        let ports = (0..self.telemetry.ports().len()).filter_map(|at| self.port(at));
        GateReport { cloudflare, ports: ports.collect() }
    }

    fn port(&self, position: usize) -> Option<PortReport> {
        let (port, gate) =
            (self.telemetry.ports().get(position)?, self.gates.get(position)?.load());
        let listener: Option<&Listener> = self.config.listeners.get(position);
        let address = listener.map_or(self.config.admin.address, |listener| listener.address);
        let sets = gate.sets().map(|(name, ranges)| SetReport {
            name: name.to_string(),
            ipv4_ranges: ranges.v4().len(),
            ipv6_ranges: ranges.v6().len(),
        });
        Some(PortReport {
            name: port.name().to_string(),
            address: address.to_string(),
            protocol: listener.map_or("http", |listener| listener.protocol.as_str()),
            mode: port.mode().label(),
            dropped_packets: port.dropped(),
            refused: listener.map(|_| self.telemetry.refused(position)).unwrap_or_default(),
            accepted: listener.map(|_| self.telemetry.accepted(position)),
            open: listener.map(|_| self.telemetry.open_at(position)),
            admits_any: gate.is_open(),
            sets: sets.collect(),
        })
    }
}
