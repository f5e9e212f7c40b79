//! A request on its way to the pods: its turn, where a Service has a limit, and then an answer in time.

use super::Exchange;
use crate::balance::{EndpointSet, Queue};
use crate::error::Reason;
use crate::model::Timeouts;
use crate::net::message::{Request, Response};
use crate::proxy::middleware::MOST_KEPT_BODY;
use crate::routing::{Backend, EndpointProtocol};
use crate::upstream::body::{RequestBody, Upload, UploadState};
use crate::upstream::{Destination, ReplyBody};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

/// Sends a request, for as long as it may take.
pub(super) async fn send(
    exchange: &mut Exchange,
    request: &mut Option<Request<RequestBody>>,
    endpoints: &EndpointSet,
    protocol: &EndpointProtocol,
) -> Result<Response<ReplyBody>, Reason> {
    let (table, id) = exchange.route().ok_or(Reason::Internal)?;
    let table = Rc::clone(table);
    let chosen = exchange.chosen().cloned();
    let backend = chosen.as_ref().unwrap_or_else(|| table.backend(id));
    let downstream = Rc::clone(exchange.downstream());
    let worker = &downstream.worker;
    if let Some(timeouts) = &backend.timeouts {
        limit(exchange, timeouts);
    }
    if let Some(queue) = backend.queue() {
        match queue.begin_now(endpoints, exchange.choice, worker.random()) {
            Some(first) => exchange.sent().endpoint = Some(first),
            // Boxed, as its size would be that of every request.
            None => Box::pin(wait(exchange, backend, queue)).await?,
        }
    }
    let watch = Rc::clone(exchange.watch());
    let upload = exchange.upload();
    let connect = exchange.timeouts().as_ref().and_then(|own| own.connect);
    let choice = exchange.choice;
    let retry = exchange.passage.as_ref().and_then(|passage| passage.retry.clone());
    let (retry, host) = (retry.as_deref(), backend.host);
    if let (Some(upload), Some(retry)) = (upload.as_deref(), retry)
        && !retry.statuses.is_empty()
    {
        let most = retry.max_body.unwrap_or(MOST_KEPT_BODY).min(MOST_KEPT_BODY);
        upload.keep(usize::try_from(most).unwrap_or(usize::MAX));
    }
    let destination = Destination { backend, endpoints, choice, protocol, connect, retry, host };
    let sending = pin!(worker.upstream.send(destination, request, exchange.sent(), worker.draw()));
    match watch.guard(sending).await {
        Some(result) => result,
        None if watch.is_overdue() => Err(Reason::RequestDeadline),
        None => Err(match upload.as_deref().map(Upload::state) {
            Some(UploadState::TooLarge) => Reason::BodyTooLarge,
            Some(UploadState::AwaitsClient) => Reason::RequestTimeout,
            _ => Reason::UpstreamTimeout,
        }),
    }
}

/// Has the timeouts of a Service count where the route has none of its own.
fn limit(exchange: &mut Exchange, asked: &Timeouts) {
    let own = exchange.timeouts().get_or_insert_default();
    own.connect = own.connect.or(asked.connect);
    own.response_head = own.response_head.or(asked.response_head);
    exchange.await_head();
}

/// Waits until an endpoint has room.
async fn wait(
    exchange: &mut Exchange,
    backend: &Backend,
    queue: &Arc<Queue>,
) -> Result<(), Reason> {
    let downstream = Rc::clone(exchange.downstream());
    let (worker, watch) = (&downstream.worker, Rc::clone(exchange.watch()));
    let _counted = worker.cells.upstream.queued.raise();
    exchange.queues(queue.limits().map_or_else(Default::default, |limits| limits.queue_timeout));
    let endpoints = || arc_swap::Guard::into_inner(backend.endpoints());
    let waiting = pin!(queue.wait(endpoints, exchange.choice, || worker.random()));
    match watch.guard(waiting).await {
        Some(turn) => exchange.dequeued(turn?),
        None if watch.is_overdue() => return Err(Reason::RequestDeadline),
        None => return Err(Reason::QueueTimeout),
    }
    Ok(())
}
