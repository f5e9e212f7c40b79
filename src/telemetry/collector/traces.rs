//! Traces: which requests are traced, and what becomes of their spans.

use super::Telemetry;
use super::families::Families;
use crate::net::counters::LocalCounter;
use crate::telemetry::traces::{ExportFailure, TraceCells};
use std::fmt;

impl Telemetry {
    pub(super) fn encode_traces(&self, encoder: &mut Families<'_>) -> fmt::Result {
        let sum = |count: fn(&TraceCells) -> &LocalCounter| -> u64 {
            self.workers.iter().map(|worker| count(&worker.traces).total()).sum()
        };
        encoder.counter(
            "ravelin_traced_requests",
            "Requests that are traced, by who decided: the rate, or the sender of the request",
            |family| {
                family.count(&[("by", "rate")], sum(|cells| &cells.by_rate))?;
                family.count(&[("by", "parent")], sum(|cells| &cells.by_parent))
            },
        )?;
        encoder.counter(
            "ravelin_trace_parents_limited",
            "Requests whose sender asked for a trace beyond tracing.parent_limit: the rate decided",
            |family| family.count::<0>(&[], sum(|cells| &cells.limited)),
        )?;
        let cells = self.traces.read();
        encoder.counter(
            "ravelin_trace_spans",
            "Spans by result: exported; dropped: the queue was full; lost: no collector in time; rejected by it",
            |family| {
                let results = [
                    ("exported", cells.exported),
                    ("dropped", self.traces.dropped()),
                    ("lost", cells.lost),
                    ("rejected", cells.rejected),
                ];
                let mut results = results.into_iter();
                results.try_for_each(|(result, count)| family.count(&[("result", result)], count))
            },
        )?;
        encoder.counter(
            "ravelin_trace_exports",
            "Attempts to export spans, by result: success, or why not",
            |family| {
                family.count(&[("result", "success")], cells.succeeded)?;
                ExportFailure::ALL.into_iter().try_for_each(|why| {
                    family.count(&[("result", why.as_str())], cells.failed[why as usize])
                })
            },
        )?;
        encoder.gauge(
            "ravelin_trace_export_failing",
            "Why traces cannot be exported: 1 for the reason, 0 for all after a success",
            |family| {
                ExportFailure::ALL.into_iter().try_for_each(|why| {
                    let now = cells.failing == Some(why);
                    family.gauge(&[("reason", why.as_str())], i64::from(now))
                })
            },
        )?;
        let queued = i64::try_from(self.traces.queued_bytes()).unwrap_or(i64::MAX);
        encoder.gauge(
            "ravelin_trace_queue_bytes",
            "What spans on their way to the collector hold; at most tracing.queue",
            |family| family.gauge::<0>(&[], queued),
        )
    }
}
