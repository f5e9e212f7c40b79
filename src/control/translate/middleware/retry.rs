//! `retry`.

use super::Fields;
use super::texts::status_ranges;
use crate::model::middleware::{RetryLimit, Step};
use std::num::NonZeroU32;
use std::sync::Arc;

/// Traefik's default for `maxRequestBodyBytes`.
const MOST_BODY: i64 = 2 * 1024 * 1024;

/// Reads it.
pub(super) fn read(fields: &mut Fields<'_, '_, '_>) -> Option<Step> {
    fields.know(&[
        "attempts",
        "initialInterval",
        "timeout",
        "maxRequestBodyBytes",
        "status",
        "disableRetryOnNetworkError",
        "retryNonIdempotentMethod",
    ]);
    let interval = fields.duration("initialInterval").unwrap_or_default();
    let timeout = fields.duration("timeout").filter(|timeout| !timeout.is_zero());
    let statuses = status_ranges(fields);
    let network = !fields.flag("disableRetryOnNetworkError");
    if statuses.is_empty() && !network {
        let reason = "leaves nothing for which a request would be sent again";
        fields.refuse("disableRetryOnNetworkError", reason, "add status, or remove the Middleware");
    }
    // -1: as many as there are.
    let max_body = fields.number("maxRequestBodyBytes").unwrap_or(MOST_BODY);
    let max_body = u64::try_from(max_body).ok();
    let attempts = fields.number("attempts").unwrap_or(0);
    let Some(attempts) = u32::try_from(attempts).ok().and_then(NonZeroU32::new) else {
        fields.refuse("attempts", "is missing or not more than 0", "write 2 or more");
        return None;
    };
    let any_method = fields.flag("retryNonIdempotentMethod");
    let limit = RetryLimit { attempts, interval, timeout, statuses, any_method, network, max_body };
    Some(Step::Retry(Arc::new(limit)))
}
