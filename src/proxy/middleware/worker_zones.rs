//! `ravelin.dev/worker-zones`: whose Workers may send requests.
//!
//! Cloudflare adds `Cf-Worker` to each request that a Worker makes with `fetch`: the zone that owns the Worker. A Worker
//! cannot set it, and every customer may have one that asks this node.

use super::{RequestView, StepAnswer, Stop};
use crate::error::Reason;
use crate::model::middleware::WorkerRule;

/// Refuses requests of other Workers. The field counts from every address: it can only have its request refused.
pub(super) fn on_request(rule: &WorkerRule, request: &mut RequestView<'_>) -> Result<(), Stop> {
    if !request.origin.is_for(&rule.hosts) {
        return Ok(());
    }
    let is_allowed = |zone: &str| rule.zones.iter().any(|own| own.eq_ignore_ascii_case(zone));
    let mut workers = request.passage.received.workers.iter();
    if workers.all(|zone| zone.to_str().is_ok_and(is_allowed)) {
        return Ok(());
    }
    Err(StepAnswer::of(Reason::WorkerRefused).into())
}
