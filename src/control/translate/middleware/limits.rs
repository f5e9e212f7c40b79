//! `rateLimit` and `inFlightReq`.

use super::redis;
use super::source::strategy;
use super::texts::field_name;
use super::{Context, Fields};
use crate::model::middleware::{ClientSelector, InFlightLimit, LimitKey, RateLimit, Step};
use http::StatusCode;
use std::num::NonZeroU32;
use std::time::Duration;

/// Bits of an IPv6 address that make one visitor: a household has a network of that size.
const VISITOR_BITS: u8 = 64;

/// Reads `rateLimit`.
pub(super) fn rate(fields: &mut Fields<'_, '_, '_>, context: &mut Context<'_>) -> Option<Step> {
    fields.know(&["average", "period", "burst", "sourceCriterion", "redis"]);
    let average = fields.count("average");
    let burst = fields.count("burst").max(1);
    let period = match fields.duration("period") {
        None | Some(Duration::ZERO) => Duration::from_secs(1),
        Some(period) => period,
    };
    let key = fields.below("sourceCriterion", criterion).flatten();
    // Traefik counts by the peer, which is Cloudflare for everybody.
    let key = key.unwrap_or(visitor());
    let shared = fields.below("redis", |redis| redis::read(redis, context)).flatten();
    let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let Some(average) = NonZeroU32::new(number(average)) else {
        if !fields.is_broken() {
            fields.warn("average", "is 0 or missing: nothing is limited", "write a number");
        }
        return None;
    };
    let burst = NonZeroU32::new(number(burst)).unwrap_or(NonZeroU32::MIN);
    let (status, shared) = (StatusCode::TOO_MANY_REQUESTS, shared.map(Box::new));
    let except = Vec::new();
    let limit = RateLimit { average, period, burst, key, except, status, shared };
    Some(Step::RateLimit(Box::new(limit)))
}

/// Reads `inFlightReq`.
pub(super) fn in_flight(fields: &mut Fields<'_, '_, '_>) -> Option<Step> {
    fields.know(&["amount", "sourceCriterion"]);
    let key = fields.below("sourceCriterion", criterion).flatten().unwrap_or(LimitKey::Host);
    let amount = fields.count("amount");
    let amount = NonZeroU32::new(u32::try_from(amount).unwrap_or(u32::MAX));
    let Some(amount) = amount else {
        if !fields.is_broken() {
            let reason = "is 0 or missing: no request would be served";
            fields.refuse("amount", reason, "write how many requests may be under way");
        }
        return None;
    };
    let (status, except) = (StatusCode::TOO_MANY_REQUESTS, Vec::new());
    Some(Step::InFlight(Box::new(InFlightLimit { amount, key, except, status })))
}

fn visitor() -> LimitKey {
    LimitKey::Client(ClientSelector::Visitor { ipv6_bits: VISITOR_BITS })
}

/// Reads `sourceCriterion`: what is one client. Nothing if it names none.
fn criterion(fields: &mut Fields<'_, '_, '_>) -> Option<LimitKey> {
    fields.know(&["ipStrategy", "requestHeaderName", "requestHost"]);
    let by_host = fields.flag("requestHost").then_some(LimitKey::Host);
    let name = fields.text("requestHeaderName").filter(|name| !name.is_empty());
    let by_field = name.and_then(|text| {
        let name = fields.parse("requestHeaderName", text, field_name(text), "write its name");
        name.map(LimitKey::Field)
    });
    let selector = fields.below("ipStrategy", strategy);
    let by_client = selector.map(|selector| selector.map_or_else(visitor, LimitKey::Client));
    let mut named = [by_client, by_field, by_host].into_iter().flatten();
    let (first, second) = (named.next(), named.next());
    if second.is_some() {
        fields.refuse("", "names more than one thing to count by", "keep one of them");
    }
    first
}
