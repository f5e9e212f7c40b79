//! The end of a request: counted, logged, and kept if it failed.

use super::Record;
use crate::error::Reason;
use crate::telemetry::{FailedRequest, FailureCells, MethodLabel, Outcome, Series};
use crate::upstream::body::Upload;
use http::{HeaderValue, StatusCode};
use std::sync::Arc;
use std::time::Instant;

impl Record {
    /// Counts it, and logs it.
    pub(super) fn finish(&self) {
        let now = Instant::now();
        let worker = &self.downstream.worker;
        // A tunnel is through as a request when it begins; how long it lasts is for the log.
        let duration = now - self.upstream.started;
        let is_tunnel = self.status == Some(StatusCode::SWITCHING_PROTOCOLS);
        let opened = self.head.filter(|_| is_tunnel).map(|(head, _)| head - self.upstream.started);
        let status = self.parts.restated.or(self.status).or(self.reason.map(Reason::status));
        let outcome = Outcome {
            method: MethodLabel::of(&self.method),
            status: status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            protocol: self.parts.protocol(is_tunnel),
            is_asked: self.sent || self.reason == Some(Reason::NoEndpoint),
            reason: self.reason,
            duration: opened.unwrap_or(duration),
            upstream: self.head.filter(|_| self.sent).map(|(_, took)| took),
            bytes_in: self.upload.as_deref().map_or(self.relayed, Upload::bytes),
            bytes_out: self.bytes_out,
            tls: self.downstream.agreed(),
            retries: self.upstream.retries,
            trace_id: self.parts.trace.as_deref().map(|trace| trace.ids().trace_id),
        };
        let chosen = self.parts.chosen();
        let done = |series: &Arc<Series>| {
            series.record(&outcome, chosen.map(|backend| &backend.key));
            if FailureCells::is_failure(&outcome) {
                self.note_failure(&outcome, series);
            }
            self.log(now, duration, &outcome, series);
        };
        match &self.route {
            Some(route) => route.with_series(&self.downstream, done),
            None => {
                let table = worker.tables.load();
                worker.series.with(self.downstream.listener, &table, None, done);
            }
        }
    }

    #[cold]
    fn note_failure(&self, outcome: &Outcome, series: &Series) {
        let (host, path) = self.parts.asked();
        let ray = self.parts.noted.cf_ray.as_ref().map(HeaderValue::as_bytes);
        let endpoint = self.upstream.endpoint.as_ref().map(|sent| &*sent.endpoint().text);
        self.downstream.worker.cells.failures.note(&FailedRequest {
            ray: ray.unwrap_or_default(),
            host,
            path,
            endpoint: endpoint.unwrap_or_default(),
            route: self.route.is_some().then(|| series.labels()),
            outcome,
        });
    }
}
