//! MiddlewareTCP (`traefik.io/v1alpha1`): who may connect, and how often at once.

use crate::control::objects::{Objects, TraefikObject};
use crate::control::quote::quote;
use crate::control::suggest::nearest;
use crate::control::translate::middleware::{Fields, networks};
use crate::control::translate::report::Report;
use crate::model::middleware::{
    ClientSelector, InFlightLimit, LimitKey, SourceList, SourceRule, Step,
};
use crate::model::{Diagnostic, ObjectRef, Why};
use http::StatusCode;
use std::num::NonZeroU32;

const KINDS: [&str; 3] = ["inFlightConn", "ipAllowList", "ipWhiteList"];

/// Reads one. Nothing where it does not exist.
///
/// # Errors
/// It cannot be used, which was told.
pub(in crate::control::translate) fn read(
    objects: &Objects,
    object: &ObjectRef,
    findings: &mut Vec<Diagnostic>,
) -> Option<Result<Step, ()>> {
    let source = objects.traefik(object.kind).get(&object.namespace, &object.name)?;
    Some(content(source, &mut Report::new(object, findings)).ok_or(()))
}

pub(super) fn content(source: &TraefikObject, report: &mut Report<'_>) -> Option<Step> {
    let mut fields = Fields::of_tcp_middlewares("spec", &source.spec, report);
    let keys = fields.keys();
    let key = match keys[..] {
        [key] => key,
        [] => {
            fields.refuse("", "has no kind", "add one, such as `ipAllowList`");
            return None;
        }
        _ => {
            let all: Vec<String> = keys.into_iter().map(quote).collect();
            let reason = format!("has several kinds: {}", all.join(", "));
            fields.refuse(
                "",
                reason,
                "write a MiddlewareTCP for each, and name them in their order",
            );
            return None;
        }
    };
    if !KINDS.contains(&key) {
        let fix = match nearest(key, KINDS) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("kinds are {}", KINDS.join(", ")),
        };
        fields.refuse_for(Why::Unsupported, key, "is not a kind of MiddlewareTCP", fix);
        return None;
    }
    let step = fields.below(key, |fields| match key {
        "inFlightConn" => in_flight(fields),
        _ => allow_list(fields),
    });
    if step.is_none() && !fields.is_broken() {
        fields.refuse(key, "has no value", "write its fields below it");
    }
    step.flatten().filter(|_| !fields.is_broken())
}

fn allow_list(fields: &mut Fields<'_, '_, '_>) -> Option<Step> {
    fields.know(&["sourceRange"]);
    let networks = networks(fields, "sourceRange");
    if networks.is_empty() && !fields.is_broken() {
        fields.refuse("sourceRange", "is empty", "list the addresses that may connect");
    }
    let (list, client) = (SourceList::Allow(networks), ClientSelector::Peer);
    let status = StatusCode::FORBIDDEN;
    Some(Step::Source(Box::new(SourceRule { list, client, status })))
}

fn in_flight(fields: &mut Fields<'_, '_, '_>) -> Option<Step> {
    fields.know(&["amount"]);
    let amount = fields.count("amount");
    let Some(amount) = NonZeroU32::new(u32::try_from(amount).unwrap_or(u32::MAX)) else {
        if !fields.is_broken() {
            let reason = "is 0 or missing: no connection would be served";
            fields.refuse("amount", reason, "write how many connections an address may have");
        }
        return None;
    };
    let (key, status) = (LimitKey::Client(ClientSelector::Peer), StatusCode::TOO_MANY_REQUESTS);
    Some(Step::InFlight(Box::new(InFlightLimit { amount, key, except: Vec::new(), status })))
}
