//! Lines of the two logs that are missing, or not whole.

use super::Telemetry;
use super::families::Families;
use crate::net::counters::LocalCounter;
use crate::telemetry::log;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

impl Telemetry {
    pub(super) fn encode_logs(&self, encoder: &mut Families<'_>) -> fmt::Result {
        let access = |count: fn(&super::WorkerCells) -> &LocalCounter| -> u64 {
            self.workers.iter().map(|worker| count(worker).total()).sum()
        };
        let total = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let process = log::cells();
        let lost = [
            (
                "ravelin_access_log_dropped_lines",
                "Access log lines lost: the writer was behind, or the sink failed or was stuck",
                access(|cells| &cells.log_dropped) + total(&self.access_log.behind),
                total(&self.access_log.failed),
            ),
            (
                "ravelin_process_log_dropped_lines",
                "Process log lines lost: the writer was behind, or the sink failed or was stuck",
                total(&process.behind),
                total(&process.failed),
            ),
        ];
        for (name, help, behind, failed) in lost {
            encoder.counter(name, help, |family| {
                family.count(&[("cause", "behind")], behind)?;
                family.count(&[("cause", "sink")], failed)
            })?;
        }
        let cut = [
            (
                "ravelin_access_log_filtered_lines",
                "Requests without a line in the access log because of log_filter",
                access(|cells| &cells.log_filtered),
            ),
            (
                "ravelin_access_log_truncated_lines",
                "Access log lines with a truncated field",
                access(|cells| &cells.log_truncated),
            ),
            (
                "ravelin_process_log_truncated_lines",
                "Process log lines with a truncated or omitted field",
                total(&process.truncated),
            ),
        ];
        for (name, help, count) in cut {
            encoder.counter(name, help, |family| family.count::<0>(&[], count))?;
        }
        Ok(())
    }
}
