//! How exports go. Written by the thread that exports, read by the scrape.

use super::super::queue::Held;
use crate::error::labels;
use crate::telemetry::Locked;
use std::sync::{Arc, OnceLock};

labels! { fn as_str;
    /// Why an export failed: label `reason`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum ExportFailure {
        /// The name of the collector has no address.
        Resolve = "resolve",
        /// No connection.
        Connect = "connect",
        /// The handshake, or the certificate.
        Tls = "tls",
        /// `ca_file` or `headers_file` cannot be used.
        File = "file",
        /// No answer in time.
        Timeout = "timeout",
        /// Not HTTP or gRPC, or broken off.
        Http = "http",
        /// A status that is no success.
        Status = "status",
    }
}

/// The state of the export.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportCells {
    /// Spans that the collector has taken.
    pub exported: u64,
    /// Spans that it has refused.
    pub rejected: u64,
    /// Spans that were given up because it could not be reached, or at shutdown.
    pub lost: u64,
    /// Exports that succeeded.
    pub succeeded: u64,
    /// Attempts that failed, by [`ExportFailure`].
    pub failed: [u64; ExportFailure::ALL.len()],
    /// Why the last attempt failed, if it did.
    pub failing: Option<ExportFailure>,
}

/// [`ExportCells`], shared, and the queue.
#[derive(Debug, Default)]
pub struct ExportMetrics {
    cells: Locked<ExportCells>,
    held: OnceLock<Arc<Held>>,
}

impl ExportMetrics {
    /// The state now.
    pub fn read(&self) -> ExportCells {
        self.cells.read()
    }

    /// Changes the state.
    pub(super) fn update(&self, change: impl FnOnce(&mut ExportCells)) {
        self.cells.update(change);
    }

    /// Sets the queue. Only the first call has an effect.
    pub(super) fn follow(&self, held: Arc<Held>) {
        let _ = self.held.set(held);
    }

    /// Whether spans are exported at all.
    pub fn is_on(&self) -> bool {
        self.held.get().is_some()
    }

    /// Spans that did not fit in the queue.
    pub fn dropped(&self) -> u64 {
        self.held.get().map_or(0, |held| held.dropped())
    }

    /// What the queue holds, in bytes.
    pub fn queued_bytes(&self) -> usize {
        self.held.get().map_or(0, |held| held.bytes())
    }
}
