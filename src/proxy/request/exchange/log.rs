//! The line of a request in the access log, and its spans.

use super::super::rejected_head::tls_facts;
use super::super::steps::secret_fields;
use super::{Exchange, Record, trace};
use crate::error::Reason;
use crate::net::fields::Fields;
use crate::proxy::Downstream;
use crate::routing::{EndpointProtocol, RouteId, Table};
use crate::telemetry::access_log::{self, Custom, Details, Line, More, RouteDetails};
use crate::telemetry::traces::{Finished, RequestTrace};
use crate::telemetry::{Outcome, Series};
use http::HeaderValue;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

impl Record {
    /// Writes its line, and its spans.
    pub(super) fn log(&self, now: Instant, duration: Duration, outcome: &Outcome, series: &Series) {
        let log = self.downstream.worker.access_log.as_ref();
        let trace = self.parts.trace.as_deref();
        if log.is_none() && trace.is_none() {
            return;
        }
        let (host, path) = self.parts.asked();
        let line = Line {
            time: now,
            client: self.parts.client.as_ref().unwrap_or(&self.downstream.fields.client).as_bytes(),
            connection: &self.downstream.text,
            route: self.route.is_some().then(|| series.text()),
            endpoint: self.upstream.endpoint.as_ref().map(|sent| &*sent.endpoint().text),
            cf_ray: self.parts.noted.cf_ray.as_ref().map(HeaderValue::as_bytes),
            method: self.method.as_str(),
            host,
            path,
            protocol: access_log::protocol(self.version),
            status: outcome.status.as_u16(),
            reason: self.reason.map(Reason::label),
            duration,
            upstream: outcome.upstream,
            bytes_in: outcome.bytes_in,
            bytes_out: outcome.bytes_out,
            retries: self.upstream.retries,
            user: self.parts.user(),
            user_agent: self.parts.noted.user_agent.as_ref().map(HeaderValue::as_bytes),
            trace: trace.map(RequestTrace::ids),
        };
        if let Some(trace) = trace {
            self.write_spans(trace, &line, series);
        }
        match log.map(|log| (log, log.custom())) {
            None => {}
            Some((log, None)) => log.write(&line),
            Some((log, Some(custom))) => {
                log.write_custom(custom, &line, &self.more(series));
            }
        }
    }

    #[cold]
    fn write_spans(&self, trace: &RequestTrace, line: &Line<'_>, series: &Series) {
        let Some(tracer) = &self.downstream.worker.tracer else { return };
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let (more, reason) = (&self.more(series), self.reason);
        let spans = self.upstream.spans.as_deref();
        tracer.finish(trace, spans, &Finished { line, more, reason, wall });
    }

    #[cold]
    fn more<'a>(&'a self, series: &'a Series) -> More<'a> {
        let Downstream { listener, peer, tls, .. } = &*self.downstream;
        let head = self.head.filter(|_| self.sent);
        let tls = tls.as_ref().map(tls_facts);
        More {
            details: self.parts.details.as_deref(),
            labels: self.route.is_some().then(|| series.labels()),
            listener: *listener,
            peer: *peer,
            over_tls: self.parts.over_tls || tls.is_some(),
            tls,
            query: self.parts.target.as_ref().and_then(|target| target.uri.query()),
            origin_status: self.status.filter(|_| head.is_some()).map(|status| status.as_u16()),
            until_sent: head.map(|(at, took)| at.duration_since(self.upstream.started) - took),
        }
    }
}

impl Exchange {
    /// Keeps what the log has of the fields that the client has sent, if it has any. Before they are changed.
    #[inline(always)]
    pub(in crate::proxy::request) fn keep_request(&mut self, headers: &impl Fields) {
        if let Some(custom) = self.custom() {
            self.details = Some(Box::new(Details::of_request(&custom, headers)));
        }
    }

    /// The same of the response, as the client gets it.
    #[inline(always)]
    pub(in crate::proxy::request) fn keep_response(&mut self, headers: &impl Fields) {
        if self.details.is_some()
            && let Some(custom) = self.custom()
            && let Some(details) = &mut self.details
        {
            details.note_response(&custom, headers);
        }
        if self.trace.is_some() {
            trace::note_response(self, headers);
        }
    }

    /// The same of the route.
    #[inline(always)]
    pub(in crate::proxy::request) fn keep_route(&mut self, table: &Table, id: RouteId) {
        if self.details.is_some() {
            self.note_route(table, id);
        }
    }

    #[cold]
    fn note_route(&mut self, table: &Table, id: RouteId) {
        let (Some(custom), Some(details)) = (self.custom(), &mut self.details) else { return };
        let route = table.route(id);
        let route = RouteDetails {
            path: route.path.into(),
            rule_hash: route.rule_hash.copied(),
            scheme: match table.backend(id).protocol {
                EndpointProtocol::Http => "http",
                EndpointProtocol::H2c | EndpointProtocol::Grpc => "h2c",
                EndpointProtocol::Https(_) => "https",
            },
        };
        details.note_route(&custom, route, secret_fields(table, id));
    }

    fn custom(&self) -> Option<Arc<Custom>> {
        self.downstream().worker.access_log.as_ref()?.custom().cloned()
    }
}
