//! Metrics, access log, and the log of the process itself.
//!
//! Workers write into cells and buffers of their own; the scrape and the writer thread do the rest.
//! Nothing here makes a worker wait.

pub mod access_log;
mod cells;
mod collector;
mod histogram;
pub mod log;
mod series;

pub use cells::{Count, Level, ListenerCells, SnapshotCells, UpstreamCells, WorkerCells};
pub use collector::Telemetry;
pub use histogram::{BUCKETS, Histogram};
pub use series::{MethodLabel, Outcome, Series, SeriesCache, SeriesLabels};
