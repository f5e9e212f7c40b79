//! What is kept of a request that is traced, until its spans are written.

use super::SpanSettings;
use super::context::{SpanId, TraceId, TraceIds};
use crate::balance::Endpoint;
use crate::error::Reason;
use crate::net::fields::{FieldMap, Fields};
use crate::telemetry::kept_fields::{KeptField, kept};
use http::{HeaderName, HeaderValue, StatusCode};
use std::sync::Arc;
use std::time::Instant;

/// The most attempts of a request that have spans of their own; further ones take the place of the last.
const MOST_ATTEMPTS: usize = 16;

/// A request that is traced: its server span.
#[derive(Debug)]
pub struct RequestTrace {
    pub(super) ids: TraceIds,
    /// The span of the sender.
    pub(super) parent: Option<SpanId>,
    pub(super) state: Option<HeaderValue>,
    pub(super) request: Vec<KeptField>,
    pub(super) response: Vec<KeptField>,
    pub(super) route: Option<TracedRoute>,
}

/// What a span has of a route.
#[derive(Debug)]
pub struct TracedRoute {
    /// The path of its rule.
    pub path: Box<str>,
    /// Name of the Ingress; `None` for a route of another object.
    pub ingress: Option<Box<str>>,
    /// Namespace of its object.
    pub namespace: Box<str>,
    /// Name of its Service.
    pub service: Box<str>,
    /// Whether pods are asked over TLS.
    pub over_tls: bool,
}

impl RequestTrace {
    /// Its ids.
    pub fn ids(&self) -> TraceIds {
        self.ids
    }

    /// Keeps the route. `secrets`: fields in which its steps expect a secret, whose values are let go.
    pub fn note_route<'n>(
        &mut self,
        settings: &SpanSettings,
        route: TracedRoute,
        secrets: impl Iterator<Item = &'n HeaderName>,
    ) {
        self.route = Some(route);
        for secret in secrets {
            self.request.retain(|field| settings.request[field.position].name != *secret);
        }
    }

    /// Keeps fields of the response, as the client gets it.
    pub fn note_response(&mut self, settings: &SpanSettings, headers: &impl Fields) {
        self.response = captured(&settings.response, headers);
    }
}

/// A field that is kept wherever it is, and the attribute for it.
#[derive(Clone, Debug)]
pub(super) struct CapturedName {
    pub(super) name: HeaderName,
    pub(super) key: Box<str>,
}

pub(super) fn captured(names: &[CapturedName], headers: &impl Fields) -> Vec<KeptField> {
    kept(names.iter().map(|name| &name.name), headers)
}

/// The client spans of a request: one for each attempt to send it to a pod.
#[derive(Debug)]
pub struct ClientSpans {
    settings: Arc<SpanSettings>,
    trace_id: TraceId,
    pub(super) spans: Vec<ClientSpan>,
}

/// One attempt.
#[derive(Debug)]
pub(super) struct ClientSpan {
    pub(super) id: SpanId,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) started: Instant,
    /// When it failed or was given up; the last one ends with the request.
    pub(super) ended: Option<Instant>,
    /// The status of its response, where that is given up.
    pub(super) status: Option<StatusCode>,
    /// Why it failed.
    pub(super) reason: Option<Reason>,
    /// How many were before it.
    pub(super) resends: u32,
}

impl ClientSpans {
    /// None yet.
    pub fn new(settings: &Arc<SpanSettings>, trace: &RequestTrace) -> Self {
        let trace_id = trace.ids.trace_id;
        Self { settings: Arc::clone(settings), trace_id, spans: Vec::new() }
    }

    /// Begins an attempt, and has its request name the span as its parent. `random` is a random number.
    pub fn begin(&mut self, headers: &mut FieldMap, endpoint: &Arc<Endpoint>, random: u64) {
        let now = Instant::now();
        // One that got an answer which another Service takes the place of.
        if let Some(last) = self.spans.last_mut() {
            last.ended.get_or_insert(now);
        }
        let resends = self.spans.last().map_or(0, |last| last.resends + 1);
        if self.spans.len() == MOST_ATTEMPTS {
            self.spans.pop();
        }
        let id = SpanId::of(random);
        self.settings.propagation.write(headers, self.trace_id, id, true);
        let (ended, status, reason) = (None, None, None);
        let endpoint = Arc::clone(endpoint);
        self.spans.push(ClientSpan { id, endpoint, started: now, ended, status, reason, resends });
    }

    /// Notes the status of a response that is given up for another attempt.
    pub fn give_up(&mut self, status: StatusCode) {
        if let Some(last) = self.spans.last_mut() {
            last.status = Some(status);
        }
    }

    /// Notes that the attempt has failed, and will be followed by another one.
    pub fn fail(&mut self, reason: Reason) {
        if let Some(last) = self.spans.last_mut() {
            last.ended = Some(Instant::now());
            // That of a response is its status.
            last.reason = Some(reason).filter(|_| last.status.is_none());
        }
    }

    /// Forgets an attempt of which nothing was sent, because its endpoint has gone.
    pub fn forget(&mut self) {
        self.spans.pop();
    }
}
