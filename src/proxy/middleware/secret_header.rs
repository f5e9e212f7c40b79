//! `ravelin.dev/secret-header`: a field that only the operator's zone adds, by a Transform Rule.
//!
//! Every request has to have it, from whichever address it comes: unlike `cloudflare.secret_header`, which is for those
//! of Cloudflare's addresses.
//!
//! **Invariant**: no pod gets the field, in any spelling, and no message has its value.

use super::state::State;
use super::{RequestView, StepAnswer, Stop, twins};
use crate::error::Reason;
use crate::model::middleware::{NamedStep, SecretRule, SecretSource};
use http::HeaderValue;
use std::sync::Arc;

/// Refuses requests without one of the values.
pub(super) fn on_request(
    rule: &SecretRule,
    middleware: &Arc<NamedStep>,
    request: &mut RequestView<'_>,
) -> Result<(), Stop> {
    // Also from requests for other hosts: the zone may add it to all of its own, and their pods have no use for it.
    twins::remove(request.headers(), &rule.name);
    if !request.origin.is_for(&rule.hosts) {
        return Ok(());
    }
    let verdict = match request.passage.received.secret(&rule.name) {
        Some(sent) => compare(rule, middleware, request, sent),
        None => Err(Reason::SecretMissing),
    };
    verdict.map_err(|reason| StepAnswer::of(reason).into())
}

fn compare(
    rule: &SecretRule,
    middleware: &Arc<NamedStep>,
    request: &RequestView<'_>,
    sent: &HeaderValue,
) -> Result<(), Reason> {
    let is_known = match &rule.source {
        SecretSource::Values(values) => values.have(sent.as_bytes()),
        SecretSource::File(_) => request
            .states
            .with(middleware, |state| match &**state {
                State::Secret(cell) => {
                    cell.load().as_ref().map(|values| values.have(sent.as_bytes()))
                }
                _ => None,
            })
            // A process does not start without them.
            .ok_or(Reason::MiddlewareUnusable)?,
    };
    is_known.then_some(()).ok_or(Reason::SecretMissing)
}
