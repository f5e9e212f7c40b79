//! What follows an answer of a pod: another Service in its place (`errors` of a failover), and copies for mirrors.

use super::exchange::Exchange;
use super::send::send;
use super::{mirror, services};
use crate::error::{Culprit, Reason};
use crate::net::message::Response;
use crate::proxy::middleware::FollowUp;
use crate::upstream::{ReplyBody, ResponseHead};
use http::StatusCode;
use std::rc::Rc;
use std::time::Instant;

/// Asks other Services for as long as the answer is one that is not to be passed on, and copies the request.
pub(super) async fn follow(
    exchange: &mut Exchange,
    mut result: Result<Response<ReplyBody>, Reason>,
) -> Result<Response<ReplyBody>, Reason> {
    while let Some(status) = failed(&result)
        && let Some(mut follow_up) = take(exchange)
    {
        let failover = follow_up.failover(status);
        let request = failover.as_ref().and_then(|_| follow_up.request.again());
        let (Some(failover), Some(mut request)) = (failover, request) else {
            put(exchange, follow_up);
            break;
        };
        pass_over(exchange, result.as_ref().ok().map(Response::status));
        let choice = &failover.fallback;
        let Some(next) = services::choose_again(exchange, &mut request, choice, *follow_up) else {
            break;
        };
        result = match next.endpoints {
            Ok(endpoints) => {
                exchange.await_head();
                send(exchange, &mut Some(request), &endpoints, &next.protocol).await
            }
            Err(reason) => Err(reason),
        };
    }
    if let Some(follow_up) = take(exchange) {
        mirror::start(exchange, &follow_up);
    }
    result
}

/// Lets go of the pod that has answered with this status, or failed.
fn pass_over(exchange: &mut Exchange, status: Option<StatusCode>) {
    let worker = Rc::clone(&exchange.downstream().worker);
    let state = exchange.sent();
    if let Some(status) = status {
        let received = Instant::now();
        let took = state.took_until(received);
        let head = ResponseHead { status, received, took, is_timed: false };
        worker.upstream.answered(state, head, || worker.random());
    }
    (state.lease, state.endpoint) = (None, None);
}

/// The status of an answer that another Service may be asked for: of a pod, or ours where a pod has failed.
fn failed(result: &Result<Response<ReplyBody>, Reason>) -> Option<StatusCode> {
    match result {
        Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => None,
        Ok(response) => Some(response.status()),
        // A request whose time is over has no other one either.
        Err(Reason::RequestDeadline) => None,
        Err(reason) if reason.culprit() == Culprit::Client => None,
        Err(reason) => Some(reason.status()),
    }
}

fn take(exchange: &mut Exchange) -> Option<Box<FollowUp>> {
    exchange.passage.as_mut()?.service.as_mut()?.follow_up.take()
}

fn put(exchange: &mut Exchange, follow_up: Box<FollowUp>) {
    if let Some(service) = exchange.passage.as_mut().and_then(|passage| passage.service.as_mut()) {
        service.follow_up = Some(follow_up);
    }
}
