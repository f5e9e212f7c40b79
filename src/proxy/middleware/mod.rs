//! Middleware: the steps that a route may ask for, each with a half for the request and one for the
//! response.
//!
//! A route's steps are in the routing table, with everything parsed (`model::middleware`). A request passes them
//! in the order in which they are written, its response in reverse: only those whose request half it has passed.
//! A response of our own passes them as a pod's does. A route without steps pays a look at its entry in the
//! table: no allocation and no dynamic call.
//!
//! Most request halves decide at once. Those that have to ask somebody (`forwardAuth`), or to compute for long
//! (a password) or that lack a key (`access`), answer [`Stop::Wait`] and are called again as a future, so that requests without them do not
//! carry its size.
//!
//! **Invariant**: a step passes the request on, waits, or answers in place of the pod; what protects and cannot
//! decide refuses. A step never blocks its worker.

mod access;
mod answer;
mod basic_auth;
mod body_size;
mod brake;
mod breaker;
mod cdn_passes;
mod client;
mod client_certificate;
mod compress;
mod connections;
mod content_type;
mod digest_auth;
mod error_pages;
mod explain;
mod follow_up;
mod forward_auth;
mod grpc_web;
mod hash_pool;
mod headers;
mod held_body;
mod hsts;
mod kept_pages;
mod limit;
mod passage;
mod path;
mod received;
mod redirect;
mod secret_header;
mod source;
mod state;
mod subrequest;
mod twins;
mod user;
mod view;
mod wait;
mod worker_zones;

pub use answer::StepAnswer;
pub use compress::{BodyEncoder, SLICE, Then, Waiting};
pub use connections::{ConnectionTurns, admit_connection};
pub use content_type::detect;
pub use error_pages::{MOST_TIME as MOST_PAGE_TIME, keep as keep_fields_of_status, page};
pub use explain::{StepReport, explain};
pub use follow_up::{CopyTo, FollowUp, KeptRequest, MOST_KEPT_BODY};
pub use grpc_web::WebBody;
pub use kept_pages::put as put_page;
pub use passage::{ChosenService, Passage, StepNote};
pub use received::Received;
pub use state::{StateRegistry, States};
pub use view::{RequestSource, RequestView, ResponseView};
pub use wait::{MOST_WAIT, Services, wait};

pub use crate::model::NamedStep;

use crate::error::Reason;
use crate::model::middleware::Step;
use crate::net::fields::FieldMap;
use crate::routing::{RouteId, Table};
use crate::upstream::body::Upload;
use http::StatusCode;
use std::sync::Arc;

/// Why a request does not go on at once.
#[derive(Debug)]
pub enum Stop {
    /// It is answered here.
    StepAnswer(Box<StepAnswer>),
    /// The step has to wait: [`wait`] goes on with it.
    Wait,
}

impl From<StepAnswer> for Stop {
    fn from(answer: StepAnswer) -> Self {
        Self::StepAnswer(Box::new(answer))
    }
}

/// What the Ingress of a route asks of all requests, before the steps: `ravelin.dev/max-body-size`.
///
/// # Errors
/// The reason that the request is refused with.
#[inline]
pub fn admit(table: &Table, route: RouteId, upload: Option<&Upload>) -> Result<(), Reason> {
    match table.max_body(route) {
        Some(most) => body_size::on_request(upload, most),
        None => Ok(()),
    }
}

/// What the Ingress of a route asks of all responses, after the steps: `ravelin.dev/hsts`, for visitors with TLS.
#[inline]
pub fn finish(table: &Table, route: RouteId, over_tls: bool, headers: &mut FieldMap) {
    if over_tls && let Some(value) = table.hsts(route) {
        hsts::on_response(headers, value);
    }
}

/// The request half of one step.
///
/// # Errors
/// If the request does not go on to the next step at once.
pub fn on_request(middleware: &Arc<NamedStep>, request: &mut RequestView<'_>) -> Result<(), Stop> {
    match &middleware.step {
        Step::Headers(rules) => headers::on_request(rules, request),
        Step::Redirect(redirect) => redirect::on_request(redirect, request),
        Step::Source(rule) => source::on_request(rule, request),
        Step::Exempt(exemption) if source::exempts(exemption, request) => {
            exempt(&exemption.step.step, request);
            Ok(())
        }
        Step::Exempt(exemption) => on_request(&exemption.step, request),
        Step::Path(rewrite) => path::on_request(rewrite, request),
        Step::BodySize(most) => body_size::on_request(request.upload, *most)
            .map_err(|reason| StepAnswer::of(reason).into()),
        Step::RateLimit(limit) => limit::rate(limit, middleware, request),
        Step::InFlight(limit) => limit::concurrency(limit, middleware, request),
        // Chosen once all steps have let the request pass.
        Step::Services(_) => Ok(()),
        Step::Noop => Err(StepAnswer::of(Reason::Noop).into()),
        Step::Errors(_) => {
            error_pages::on_request(request);
            Ok(())
        }
        Step::ErrorPages(_) => {
            kept_pages::on_request(request);
            Ok(())
        }
        Step::ClientCertificate(fields) => {
            client_certificate::on_request(fields, request);
            Ok(())
        }
        Step::Retry(limit) => {
            // Of several the smallest, so that they do not multiply.
            let retry = &mut request.passage.retry;
            if retry.as_ref().is_none_or(|before| before.attempts > limit.attempts) {
                *retry = Some(Arc::clone(limit));
            }
            Ok(())
        }
        Step::Compress(rules) => {
            compress::on_request(rules, request);
            Ok(())
        }
        Step::ContentType(detects) => {
            request.passage.detects_type |= detects;
            Ok(())
        }
        Step::CircuitBreaker(rules) => breaker::on_request(rules, middleware, request),
        Step::SecretHeader(rule) => secret_header::on_request(rule, middleware, request),
        Step::WorkerZones(rule) => worker_zones::on_request(rule, request),
        Step::CdnPasses(rule) => cdn_passes::on_request(rule, request),
        Step::Access(rule) => access::on_request(rule, middleware, request),
        Step::BasicAuth(auth) => basic_auth::on_request(auth, middleware, request),
        Step::DigestAuth(auth) => digest_auth::on_request(auth, middleware, request),
        Step::ForwardAuth(_) => Err(Stop::Wait),
        Step::GrpcWeb(origins) => grpc_web::on_request(origins, request),
    }
}

/// Passes a request by a step that authenticates: what that would tell the pod of the client, the client may not.
fn exempt(step: &Step, request: &mut RequestView<'_>) {
    match step {
        Step::BasicAuth(auth) => {
            user::forget(request, auth.user_field.as_ref(), auth.remove_header);
        }
        Step::ForwardAuth(auth) => forward_auth::forget(auth, request),
        _ => {}
    }
}

/// Whether the response half of a step waits for a page, which [`page`] asks for, or [`put_page`] has.
pub fn is_page_due(middleware: &NamedStep, status: StatusCode, is_ours: bool) -> bool {
    match &middleware.step {
        Step::Errors(pages) => error_pages::is_due(pages, status, is_ours),
        Step::ErrorPages(pages) => pages.find(status).is_some(),
        _ => false,
    }
}

/// The response half of one step.
pub fn on_response(middleware: &Arc<NamedStep>, response: &mut ResponseView<'_>) {
    match &middleware.step {
        Step::Headers(rules) => headers::on_response(rules, response),
        Step::Exempt(exemption) => on_response(&exemption.step, response),
        Step::ForwardAuth(_) => forward_auth::on_response(response),
        Step::GrpcWeb(_) => grpc_web::on_response(response),
        Step::CircuitBreaker(rules) => breaker::on_response(rules, response),
        Step::Compress(rules) => compress::on_response(rules, response),
        _ => {}
    }
}
