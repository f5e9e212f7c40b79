//! `ipAllowList`, and deny lists.

use super::client::{address, contains};
use super::{RequestView, StepAnswer, Stop};
use crate::error::Reason;
use crate::model::middleware::{Exemption, SourceList, SourceRule};

/// Refuses addresses that may not ask, and requests that have none.
pub(super) fn on_request(rule: &SourceRule, request: &RequestView<'_>) -> Result<(), Stop> {
    let address = address(&rule.client, request);
    let may_ask = address.is_some_and(|address| match &rule.list {
        SourceList::Allow(networks) => contains(networks, address),
        SourceList::Deny(networks) => !contains(networks, address),
    });
    if may_ask {
        return Ok(());
    }
    Err(StepAnswer::of(Reason::SourceDenied).with_status(rule.status).into())
}

/// Whether the client need not pass a step. One without an address has to.
pub(super) fn exempts(exemption: &Exemption, request: &RequestView<'_>) -> bool {
    let address = address(&exemption.client, request);
    address.is_some_and(|address| contains(&exemption.networks, address))
}
