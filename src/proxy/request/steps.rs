//! The request and its response on their way through the steps of the route.

use super::Exchange;
use crate::error::Reason;
use crate::http::{answer_text, grpc_status};
use crate::model::middleware::Step;
use crate::net::deadline::Phase;
use crate::net::fields::Fields;
use crate::net::message::{Request, Response};
use crate::proxy::Downstream;
use crate::proxy::middleware::{
    self, NamedStep, Passage, Received, RequestSource, RequestView, ResponseView, Services,
    StepAnswer, Stop,
};
use crate::routing::{RouteId, Table};
use crate::telemetry::StepOutcome;
use crate::upstream::body::{RequestBody, Upload, UploadState};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use std::rc::Rc;
use std::sync::Arc;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What a request carries through its steps; `None` if its route has none. `headers` are as the client sent them.
pub(super) fn begin(
    table: &Table,
    id: RouteId,
    downstream: &Downstream,
    headers: &impl Fields,
) -> Option<Box<Passage>> {
    let chain = table.chain(id)?;
    // Nobody else's word counts, as in Traefik.
    let trusted = downstream.trusted.and_then(|_| joined(headers));
    Some(Box::new(Passage::new(trusted, Received::of(chain, headers))))
}

/// All values of `X-Forwarded-For`.
fn joined(headers: &impl Fields) -> Option<HeaderValue> {
    let mut all = headers.get_all(X_FORWARDED_FOR);
    let (first, mut second) = (all.next()?, all.next());
    if second.is_none() {
        return Some(first.clone());
    }
    let mut text = first.as_bytes().to_vec();
    while let Some(value) = second {
        text.push(b',');
        text.extend_from_slice(value.as_bytes());
        second = all.next();
    }
    HeaderValue::from_bytes(&text).ok()
}

/// Runs the request halves that are next. Returns whether one has to wait: then [`resume`] goes on.
///
/// # Errors
/// The reason of the answer, if a step answers; the answer is in the passage.
pub(super) fn run(
    exchange: &mut Exchange,
    request: &mut Request<RequestBody>,
) -> Result<bool, Reason> {
    let Some(mut passage) = exchange.passage.take() else {
        return Ok(false);
    };
    let result = match run_with(exchange, &mut passage, request) {
        Ok(()) => Ok(false),
        Err(Stop::Wait) => Ok(true),
        Err(Stop::StepAnswer(answer)) => Err(passage.answer_with(answer)),
    };
    exchange.passage = Some(passage);
    if exchange.is_web_call() {
        // Those of a call are others.
        exchange.await_head();
    }
    result
}

fn run_with(
    exchange: &Exchange,
    passage: &mut Passage,
    request: &mut Request<RequestBody>,
) -> Result<(), Stop> {
    let Some((table, id)) = exchange.route() else { return Ok(()) };
    let chain = table.chain(id).map(|chain| &**chain).unwrap_or_default();
    let upload = exchange.upload();
    while let Some(middleware) = chain.get(passage.next()) {
        let mut view = view(exchange, passage, request, upload.as_deref())
            .map_err(|reason| Stop::from(StepAnswer::of(reason)))?;
        let result = middleware::on_request(middleware, &mut view);
        match &result {
            Ok(()) => count(exchange, middleware, StepOutcome::Passed),
            Err(Stop::StepAnswer(_)) => count(exchange, middleware, StepOutcome::Answered),
            Err(Stop::Wait) => {}
        }
        result?;
        passage.pass();
    }
    Ok(())
}

/// Counts what a step made of a request.
pub(super) fn count(exchange: &Exchange, middleware: &NamedStep, outcome: StepOutcome) {
    let cells = &exchange.downstream().worker.cells;
    cells.steps.count(middleware.step.step_kind(), outcome);
}

fn view<'r>(
    exchange: &'r Exchange,
    passage: &'r mut Passage,
    request: &'r mut Request<RequestBody>,
    upload: Option<&'r Upload>,
) -> Result<RequestView<'r>, Reason> {
    let downstream = exchange.downstream();
    let origin = RequestSource {
        peer: downstream.peer,
        visitor: exchange.client.as_ref(),
        over_tls: exchange.over_tls,
        session: downstream.tls.as_ref(),
        // A request that was routed has one.
        target: exchange.target.as_ref().ok_or(Reason::Internal)?,
        version: exchange.version(),
    };
    Ok(RequestView { request, origin, upload, passage, states: &downstream.worker.steps })
}

/// Has the step that waits decide, and runs what comes after it.
///
/// # Errors
/// As [`run`].
pub(super) async fn resume(
    exchange: &mut Exchange,
    request: &mut Option<Request<RequestBody>>,
) -> Result<(), Reason> {
    let request = request.as_mut().ok_or(Reason::Internal)?;
    loop {
        let (table, id) = exchange.route().ok_or(Reason::Internal)?;
        let table = Rc::clone(table);
        let mut passage = exchange.passage.take().ok_or(Reason::Internal)?;
        let step = table.chain(id).and_then(|chain| chain.get(passage.next()));
        let decided = match step {
            Some(step) => {
                let decided = wait(exchange, &mut passage, request, step, &table).await;
                let outcome = match &decided {
                    Ok(()) => StepOutcome::Passed,
                    Err(_) => StepOutcome::Answered,
                };
                count(exchange, step, outcome);
                decided
            }
            None => Ok(()),
        };
        let passed = match decided {
            Ok(()) => {
                passage.pass();
                Ok(())
            }
            Err(answer) => Err(passage.answer_with(answer)),
        };
        exchange.passage = Some(passage);
        passed?;
        if !run(exchange, request)? {
            return Ok(());
        }
    }
}

async fn wait(
    exchange: &Exchange,
    passage: &mut Passage,
    request: &mut Request<RequestBody>,
    step: &Arc<NamedStep>,
    table: &Table,
) -> Result<(), Box<StepAnswer>> {
    let upload = exchange.upload();
    let worker = Rc::clone(&exchange.downstream().worker);
    let mut view = view(exchange, passage, request, upload.as_deref())?;
    let services = Services { worker: &worker, table, account: &exchange.downstream().account };
    let waiting = std::pin::pin!(middleware::wait(step, &mut view, services));
    let watch = Rc::clone(exchange.watch());
    watch.enter(Phase::Exchange, middleware::MOST_WAIT);
    let decided = watch.guard(waiting).await;
    // The pod has all of its time yet.
    exchange.await_head();
    let state = upload.as_deref().map(Upload::state);
    let reason = match decided {
        Some(decided) => return decided,
        None if watch.is_overdue() => Reason::RequestDeadline,
        None if state == Some(UploadState::TooLarge) => Reason::BodyTooLarge,
        None if state == Some(UploadState::AwaitsClient) => Reason::RequestTimeout,
        None => Reason::AuthUnavailable,
    };
    Err(Box::new(StepAnswer::of(reason)))
}

/// The answer of the step that answered, if it is for this reason.
pub(super) fn take_answer(exchange: &mut Exchange, reason: Reason) -> Option<Box<StepAnswer>> {
    let answer = exchange.passage.as_mut()?.answer.take()?;
    (answer.reason == reason).then_some(answer)
}

/// Makes an answer of ours that of a step. A call of gRPC takes its status from a field.
pub(super) fn apply(own: StepAnswer, response: &mut Response<Bytes>, is_grpc: bool) {
    let StepAnswer { reason, status, headers, body } = own;
    if let (Some(status), false) = (status, is_grpc) {
        *response.status_mut() = status;
        *response.body_mut() = Bytes::from(answer_text(reason, status));
    }
    if let (Some(body), false) = (body, is_grpc) {
        // What is not the reason's text is not plain text either, unless the step says so.
        response.headers_mut().remove(header::CONTENT_TYPE);
        *response.body_mut() = body;
    }
    let mut headers = headers;
    if is_grpc {
        // The body is none, and of gRPC's type.
        headers.remove(header::CONTENT_TYPE);
        headers.remove(header::CONTENT_ENCODING);
        if let Some(status) = status {
            response.headers_mut().set("grpc-status", grpc_status(status).into());
        }
    }
    // They come in the place of those of the same names.
    let own = response.headers_mut();
    for name in headers.names() {
        own.remove(name);
    }
    own.extend(headers);
}

/// Runs the response halves that are due, the last step's first, and what the Ingress asks of all responses.
pub(super) fn finish<B>(exchange: &mut Exchange, response: &mut Response<B>, is_ours: bool) {
    // Where a page may be due, it is `error_pages` that calls the other.
    while finish_until_page(exchange, response, is_ours).is_some() {}
}

/// The same, until a response half waits for a page. Returns its position then: [`go_on_back`] goes on. In line,
/// as nearly no route has steps: what is out of line is [`run_back`], which they alone need.
#[inline(always)]
pub(super) fn finish_until_page<B>(
    exchange: &mut Exchange,
    response: &mut Response<B>,
    is_ours: bool,
) -> Option<usize> {
    let mut passage = exchange.passage.take();
    let mut due = None;
    if let Some((table, id)) = exchange.route() {
        due = go_back(exchange, table, id, passage.as_deref_mut(), response, is_ours);
    }
    exchange.passage = passage;
    due
}

/// The same by a route that the exchange need not know any more.
pub(super) fn go_on_back<B>(
    exchange: &mut Exchange,
    table: &Table,
    id: RouteId,
    response: &mut Response<B>,
    is_ours: bool,
) -> Option<usize> {
    let mut passage = exchange.passage.take();
    let due = go_back(exchange, table, id, passage.as_deref_mut(), response, is_ours);
    exchange.passage = passage;
    due
}

#[inline(always)]
fn go_back<B>(
    exchange: &Exchange,
    table: &Table,
    id: RouteId,
    passage: Option<&mut Passage>,
    response: &mut Response<B>,
    is_ours: bool,
) -> Option<usize> {
    let due = passage.and_then(|passage| {
        let chain = table.chain(id)?;
        run_back(exchange, chain, passage, response, is_ours)
    });
    if due.is_none() {
        middleware::finish(table, id, exchange.over_tls, response.headers_mut());
    }
    due
}

/// Runs the response halves that are due, until one waits for a page.
#[inline(never)]
fn run_back<B>(
    exchange: &Exchange,
    chain: &[Arc<NamedStep>],
    passage: &mut Passage,
    response: &mut Response<B>,
    is_ours: bool,
) -> Option<usize> {
    while let Some(position) = passage.back(chain.len()) {
        let Some(middleware) = chain.get(position) else { continue };
        if middleware::is_page_due(middleware, response.status(), is_ours)
            && passage.may_have_page()
            && !exchange.is_grpc()
        {
            return Some(position);
        }
        let note = passage.take_note(position);
        let mut status = response.status();
        let mut view = ResponseView {
            status: &mut status,
            headers: response.headers_mut(),
            note,
            method: exchange.method(),
            over_tls: exchange.over_tls,
            is_ours,
            account: &exchange.downstream().account,
            states: &exchange.downstream().worker.steps,
            middleware,
        };
        middleware::on_response(middleware, &mut view);
        let rest = view.note.take();
        *response.status_mut() = status;
        if let Some(note) = rest {
            passage.put_note(position, note);
        }
    }
    None
}

/// The fields in which the steps of a route expect a secret: nothing is to keep their values.
pub(super) fn secret_fields(table: &Table, id: RouteId) -> impl Iterator<Item = &HeaderName> {
    let steps = table.chain(id).map(|chain| &**chain).unwrap_or_default();
    steps.iter().filter_map(|step| match &step.step {
        Step::SecretHeader(rule) => Some(&rule.name),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    #[test]
    fn the_text_of_an_answer_has_the_status_of_the_step() {
        let mut response = crate::http::answer(Reason::Redirected);
        let own = StepAnswer::of(Reason::Redirected).with_status(StatusCode::PERMANENT_REDIRECT);
        apply(own, &mut response, false);
        let body = String::from_utf8_lossy(response.body()).into_owned();
        assert!(body.starts_with("308 Permanent Redirect\nredirected: "), "{body}");
    }
}
