//! Metrics, access log, process log and traces.
//!
//! Workers write into cells and buffers of their own; the scrape and the writer threads do the rest.
//!
//! **Invariant**: never makes a worker wait, even if a sink is stuck (`tests/cli`).

mod access;
pub mod access_log;
mod admin;
mod admission;
mod break_glass;
mod cells;
mod class_grace;
mod collector;
mod colos;
mod decisions;
mod failures;
mod histogram;
mod json;
mod kept_fields;
mod last_good;
mod list;
mod locked;
pub mod log;
mod outcome;
mod presence;
pub mod scrape;
mod series;
mod steps;
#[cfg(test)]
mod stuck;
mod tap;
mod tcp;
mod tls;
pub mod traces;
mod traefik;
mod unnamed;
mod watch;
mod write_back;
mod writer;

pub use crate::net::counters::{GaugeGuard, LocalCounter, LocalGauge, ScopedGauge};
pub use access::{AccessCells, AccessMetrics, TeamCells};
pub use admin::{AdminCells, AdminDoor};
pub use admission::{AdmissionMode, Drops, PortCells};
pub use break_glass::BreakGlassCells;
pub use cells::{
    ChangeEffect, CheckCells, DnsCells, Evicted, ListenerCells, Mirrored, Refusal, Retry,
    SnapshotCells, UpstreamCells, WorkerCells,
};
pub use class_grace::ClassGrace;
pub use collector::{RequestTotals, Telemetry, Unready};
pub use colos::ColoCells;
pub use decisions::{DecisionCells, DecisionMetrics};
pub use failures::{FailedRequest, FailureCells, KeptFailure};
pub use last_good::{LastGoodCells, LastGoodMetrics, age};
pub use list::{ListCells, ListFailure, ListMetrics, ListSource};
pub use locked::Locked;
pub use outcome::{MethodLabel, Outcome};
pub use series::{Series, SeriesCache, SeriesLabels};
pub use steps::{SharedCounter, SharedGauge, StepCells, StepOutcome, StepResults, StoreFailure};
pub use tap::{LogReader, LogTap};
pub use tcp::{TcpLabels, TcpSeries, TcpSeriesCache, end_label};
pub use tls::{
    CertificateCells, CertificateMetrics, HandshakeCells, HandshakeFailure, TlsSuite, TlsVersion,
};
pub use traefik::{EntryPointNames, RequestProtocol, RouterWays};
pub use unnamed::Unnamed;
pub use watch::{WatchCells, WatchFailure, WatchMetrics};
pub use write_back::{Suppressed, WriteBackCells, WriteBackMetrics, WriteKind, WriteResult};
pub use writer::{LogCells, Writer};
