//! Responses of routes with `errors`, which may get a page of another Service in place of their body, and of those
//! with `error-pages`, which may get one of a ConfigMap.
//!
//! Response halves run in their order, the last step's first. One of `errors` whose status it is has the others
//! wait until its page is here: those outside of it see the page.

use super::exchange::Exchange;
use super::response::{deliver, deliver_ours, ours, receive};
use super::response_body::ResponseBody;
use super::{session_affinity, steps};
use crate::error::Reason;
use crate::http::{answer, answer_text, make_problem};
use crate::model::middleware::Step;
use crate::net::deadline::{Phase, TICK};
use crate::net::fields::{FieldMap, Fields};
use crate::net::message::Response;
use crate::proxy::middleware::{self, NamedStep, Services, StepNote};
use crate::routing::{RouteId, Table};
use crate::telemetry::StepOutcome;
use crate::upstream::ReplyBody;
use bytes::Bytes;
use http::{HeaderValue, header};
use http_body::Body;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::Duration;

/// The most bytes of a response that are read so that the connection to its pod can serve another request.
const MOST_UNWANTED: usize = 64 * 1024;

/// How long that may take: they are here with the head, as a rule.
const MOST_DRAIN: Duration = Duration::from_millis(100);

/// Whether the response of a request may get a page. Calls of gRPC have none: their status is in another field.
pub(super) fn may_be_due(exchange: &Exchange) -> bool {
    exchange.passage.as_ref().is_some_and(|passage| passage.may_have_page()) && !exchange.is_grpc()
}

/// The response to a request that may get a page.
pub(super) async fn respond(
    mut exchange: Exchange,
    result: Result<Response<ReplyBody>, Reason>,
) -> Response<ResponseBody> {
    let received = result.and_then(|mut response| {
        receive(&mut exchange, &mut response)?;
        Ok(response)
    });
    // The head of the pod's response lets the table go.
    let route = exchange.route().map(|(table, id)| (Rc::clone(table), id));
    let is_ours = received.is_err();
    let (response, due) = match received {
        Ok(mut response) => {
            session_affinity::set_cookie(&exchange, response.headers_mut());
            let Some(due) = steps::finish_until_page(&mut exchange, &mut response, false) else {
                return deliver(exchange, response);
            };
            exchange.answered(response.status());
            (set_aside(&mut exchange, response).await, Some(due))
        }
        Err(reason) => {
            let mut response = ours(&mut exchange, reason);
            let due = steps::finish_until_page(&mut exchange, &mut response, true);
            (response, due)
        }
    };
    let response = match (due, route) {
        (Some(due), Some((table, id))) => {
            let page = DuePage { id, position: due, is_ours };
            paged(&mut exchange, &table, response, page).await
        }
        _ => response,
    };
    deliver_ours(exchange, response)
}

/// A page that is due.
#[derive(Clone, Copy)]
struct DuePage {
    /// The route.
    id: RouteId,
    /// The position of the step in it.
    position: usize,
    /// Whether it comes in the place of an answer of ours.
    is_ours: bool,
}

/// Runs the response halves from that of a page on.
async fn paged(
    exchange: &mut Exchange,
    table: &Table,
    mut response: Response<Bytes>,
    first: DuePage,
) -> Response<Bytes> {
    // Whatever time the pod has left: this has its own.
    exchange.watch().end_after(None);
    let mut due = Some(first.position);
    while let Some(position) = due {
        if let Some(step) = table.chain(first.id).and_then(|chain| chain.get(position)) {
            page(exchange, table, step, DuePage { position, ..first }, &mut response).await;
        }
        due = steps::go_on_back(exchange, table, first.id, &mut response, true);
    }
    exchange.restated = Some(response.status());
    // From here on it is the client that has to move.
    exchange.passed(0);
    response
}

/// Asks for a page, or puts the one that is kept. Without one the response stays as it is.
async fn page(
    exchange: &mut Exchange,
    table: &Table,
    step: &NamedStep,
    DuePage { position, is_ours, .. }: DuePage,
    response: &mut Response<Bytes>,
) {
    let note = exchange.passage.as_mut().and_then(|passage| passage.take_note(position));
    if let Step::ErrorPages(pages) = &step.step {
        if middleware::put_page(pages, response) {
            steps::count(exchange, step, StepOutcome::Answered);
        }
        return;
    }
    let (Step::Errors(pages), Some(StepNote::Asked(asked))) = (&step.step, note) else { return };
    let downstream = Rc::clone(exchange.downstream());
    let services = Services { worker: &downstream.worker, table, account: &downstream.account };
    let watch = Rc::clone(exchange.watch());
    watch.enter(Phase::Exchange, middleware::MOST_PAGE_TIME + TICK);
    let result = {
        let over_tls = exchange.over_tls;
        let asking = pin!(middleware::page(pages, &asked, over_tls, response, services));
        watch.guard(asking).await
    };
    match result {
        Some(Ok(())) => {
            if is_ours {
                forbid_storing(response.headers_mut());
            }
            steps::count(exchange, step, StepOutcome::Answered);
        }
        missing => {
            let why = missing.and_then(Result::err).map_or("deadline", Reason::label);
            tracing::debug!(middleware = &*step.name, backend = %pages.backend, why, "no error page");
            exchange.broke_off(Reason::ErrorPageUnavailable);
        }
    }
}

/// Keeps caches from storing a page for an error of ours, where its Service lets them store the page: by
/// themselves these statuses are not cacheable (RFC 9110 section 15.1).
fn forbid_storing(headers: &mut FieldMap) {
    const OF_CACHES: [&str; 5] = [
        "cache-control",
        "expires",
        "cdn-cache-control",
        "cloudflare-cdn-cache-control",
        "surrogate-control",
    ];
    let removed = OF_CACHES.map(|name| headers.remove(name));
    if removed.iter().any(Option::is_some) {
        headers.set(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

/// Our answer with the status of a response, in whose place there will be a page. Its body is not wanted any more.
async fn set_aside(exchange: &mut Exchange, response: Response<ReplyBody>) -> Response<Bytes> {
    let (head, body) = response.into_parts();
    let draining = drain(body);
    if tokio::time::timeout(MOST_DRAIN, draining).await != Ok(true) {
        exchange.give_up_upstream();
    }
    let mut own = answer(Reason::ErrorPageUnavailable);
    middleware::keep_fields_of_status(&head.headers, own.headers_mut());
    *own.body_mut() = answer_text(Reason::ErrorPageUnavailable, head.status).into();
    *own.status_mut() = head.status;
    let accept = exchange.noted.accept.as_ref();
    make_problem(Reason::ErrorPageUnavailable, accept, &mut own);
    own
}

/// Reads a short body to its end. Says whether it has come to that.
async fn drain(mut body: ReplyBody) -> bool {
    let mut bytes = 0;
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let Ok(frame) = frame else { return false };
        bytes += frame.data_ref().map_or(0, Bytes::len);
        if bytes > MOST_UNWANTED {
            return false;
        }
    }
    true
}
