//! What `spec.routes` of IngressRoutes and of IngressRouteTCPs have in common.

use super::rule::{self, RuleError, Syntax};
use super::service::length;
use crate::control::quote::quote;
use crate::control::translate::middleware::Fields;
use crate::model::{Condition, Severity, Why};
use std::collections::HashMap;

/// Priorities above are kept for Traefik's own routes.
const MOST_PRIORITY: i64 = i64::MAX - 1000;

/// Reads the routes of an object. `place` has the rule of one, and its position: of two with the same rule the later
/// one takes the place of the earlier, as in Traefik.
pub(in crate::control::translate) fn routes<'o, 'f, R>(
    fields: &mut Fields<'o, '_, 'f>,
    read: impl Fn(usize, &mut Fields<'o, '_, 'f>) -> Option<R>,
    place: impl Fn(&R) -> (&'o str, usize),
) -> Vec<R> {
    let count = length(fields, "routes", "write a list of routes");
    if count == 0 && !fields.is_broken() {
        fields.warn("routes", "is empty: nothing is served", "add a route with `match`");
    }
    let read = |position| fields.item("routes", position, |route| read(position, route)).flatten();
    let mut routes: Vec<R> = (0..count).filter_map(read).collect();
    let last: HashMap<&str, usize> = routes.iter().map(&place).collect();
    routes.retain(|route| {
        let (text, position) = place(route);
        let winner = last.get(text).copied().unwrap_or(position);
        if winner != position {
            let place = format!("routes[{position}].match");
            let reason = format!(
                "is that of routes[{winner}] as well, which takes its place, as in Traefik"
            );
            fields.say(&place, Severity::Warning, Why::Shadowed, reason, "remove one of the two");
        }
        winner == position
    });
    routes
}

/// Reads `match` of a route, in the language `current`, or `older` where `syntax` asks for version 2. Nothing if it is
/// no rule, which is told.
pub(in crate::control::translate) fn rule<'o>(
    fields: &mut Fields<'o, '_, '_>,
    current: Syntax,
    older: Syntax,
) -> Option<(&'o str, Condition)> {
    let text = fields.text("match").unwrap_or_default();
    let syntax = match fields.text("syntax") {
        Some("v2") => older,
        None | Some("" | "v3" | "default") => current,
        Some(other) => {
            let reason = format!("{} is not a syntax of rules", quote(other));
            fields.refuse("syntax", reason, "write v3, v2, or leave it out");
            current
        }
    };
    match rule::parse(text, syntax) {
        Ok(condition) => Some((text, condition)),
        Err(RuleError { reason, fix }) => {
            let reason = format!("{reason}: the route does not exist, as in Traefik");
            fields.say("match", Severity::Error, Why::Invalid, reason, fix);
            None
        }
    }
}

/// Reads `priority` of a route; 0 is as good as none.
pub(in crate::control::translate) fn priority(fields: &mut Fields<'_, '_, '_>) -> Option<i64> {
    let priority = fields.number("priority").filter(|priority| *priority != 0);
    if priority.is_some_and(|priority| priority > MOST_PRIORITY) {
        let reason = "is above those that Traefik keeps for itself";
        fields.refuse("priority", reason, format!("write at most {MOST_PRIORITY}"));
    }
    priority
}
