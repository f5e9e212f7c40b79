//! The record of what never became a request.

use super::Downstream;
use crate::error::Reason;
use crate::telemetry::access_log::Line;
use crate::telemetry::{MethodLabel, Outcome};
use std::time::{Duration, Instant};

/// Counts and logs what never became a request: a head that could not be read, or not in time.
pub fn record_unread(downstream: &Downstream, reason: Reason) {
    let worker = &downstream.worker;
    let outcome = Outcome {
        method: MethodLabel::Other,
        status: reason.status(),
        reason: Some(reason),
        duration: Duration::ZERO,
        upstream: None,
        bytes_in: 0,
        bytes_out: 0,
    };
    let table = worker.tables.load();
    worker.series.with(downstream.listener, &table, None, |series| series.record(&outcome));
    if let Some(log) = &worker.access_log {
        log.write(&Line {
            time: Instant::now(),
            client: downstream.fields.client.as_bytes(),
            connection: &downstream.text,
            route: None,
            endpoint: None,
            cf_ray: None,
            method: "",
            host: b"",
            path: "",
            protocol: "",
            status: outcome.status.as_u16(),
            reason: Some(reason.label()),
            duration: Duration::ZERO,
            upstream: None,
            bytes_in: 0,
            bytes_out: 0,
            retries: 0,
            user_agent: None,
        });
    }
}
