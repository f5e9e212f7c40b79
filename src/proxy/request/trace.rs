//! A request that is traced: from the decision to its spans.

use super::exchange::Exchange;
use super::steps::secret_fields;
use crate::model::Kind;
use crate::net::fields::{FieldMap, Fields};
use crate::routing::{EndpointProtocol, RouteId, Table};
use crate::telemetry::traces::{Began, TracedRoute};
use std::net::IpAddr;

/// Decides whether it is traced, and has its fields tell its pod. `client` is the proven client.
#[inline(always)]
pub(super) fn begin(exchange: &mut Exchange, headers: &mut FieldMap, client: IpAddr) {
    let worker = &exchange.downstream().worker;
    let Some(tracer) = &worker.tracer else { return };
    let now_ms = worker.deadlines.now_ms();
    match tracer.begin(headers, client, now_ms, worker.draw()) {
        Began::Traced(trace) => exchange.traced(trace),
        Began::Told => {}
        Began::Unmarked(number) => exchange.unmarked = Some(number),
    }
}

/// Tells the pod of a request that it is not traced, where that is still to be done. After its fields are clean.
#[inline(always)]
pub(super) fn mark(exchange: &Exchange, headers: &mut FieldMap) {
    if let (Some(number), Some(tracer)) = (exchange.unmarked, &exchange.downstream().worker.tracer)
    {
        tracer.mark(headers, number);
    }
}

/// Keeps what its span has of its route.
#[cold]
pub(super) fn note_route(exchange: &mut Exchange, table: &Table, id: RouteId) {
    let worker = std::rc::Rc::clone(&exchange.downstream().worker);
    let (Some(tracer), Some(trace)) = (&worker.tracer, &mut exchange.trace) else { return };
    let (route, backend) = (table.route(id), table.backend(id));
    let ingress = (route.object == Kind::Ingress).then(|| route.ingress.into());
    let traced = TracedRoute {
        path: route.path.into(),
        ingress,
        namespace: route.namespace.into(),
        service: backend.key.service.as_ref().into(),
        over_tls: matches!(backend.protocol, EndpointProtocol::Https(_)),
    };
    trace.note_route(tracer.settings(), traced, secret_fields(table, id));
}

/// Keeps what its span has of the response, as the client gets it.
#[cold]
pub(super) fn note_response(exchange: &mut Exchange, headers: &impl Fields) {
    let worker = std::rc::Rc::clone(&exchange.downstream().worker);
    if let (Some(tracer), Some(trace)) = (&worker.tracer, &mut exchange.trace) {
        trace.note_response(tracer.settings(), headers);
    }
}
