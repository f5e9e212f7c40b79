//! The request halves that have to wait.

use super::{RequestView, StepAnswer, access, basic_auth, forward_auth, grpc_web, limit};
use crate::error::Reason;
use crate::model::middleware::{NamedStep, Step};
use crate::net::memory::Account;
use crate::proxy::Worker;
use crate::routing::Table;
use std::sync::Arc;
use std::time::Duration;

/// How long a step may have a request wait, at most: a little longer than any step's own limit.
pub const MOST_WAIT: Duration = Duration::from_secs(35);

/// What a step that waits may use.
#[derive(Clone, Copy, Debug)]
pub struct Services<'s> {
    /// The worker, with its connections to pods.
    pub worker: &'s Worker,
    /// The table that the request is routed by.
    pub table: &'s Table,
    /// What the client's connection holds.
    pub account: &'s Arc<Account>,
}

/// The request half of a step that answered [`super::Stop::Wait`].
///
/// # Errors
/// The answer, if the request does not go on.
pub async fn wait(
    middleware: &Arc<NamedStep>,
    request: &mut RequestView<'_>,
    services: Services<'_>,
) -> Result<(), Box<StepAnswer>> {
    match &middleware.step {
        // One within another is none that the translation makes.
        Step::Exempt(exemption) => Box::pin(wait(&exemption.step, request, services)).await,
        Step::Access(rule) => access::wait(rule, middleware, request).await,
        Step::BasicAuth(auth) => basic_auth::wait(auth, middleware, request).await,
        Step::ForwardAuth(auth) => forward_auth::wait(auth, request, services).await,
        Step::GrpcWeb(origins) => grpc_web::wait(origins, request, services).await,
        Step::RateLimit(limit) => {
            limit::wait_for_rate(limit, middleware, request, services.table).await
        }
        _ => Err(Box::new(StepAnswer::of(Reason::MiddlewareUnusable))),
    }
}
