//! Rules that never get a request, because another one takes all of theirs.
//!
//! The order is that of `routing::compile`: of two rules for the same host, kind and path the one
//! of the older Ingress wins, then the one that stands first; a Prefix with a trailing slash wins
//! over the same without.

use super::backend_place::BackendPlace;
use super::object_ref;
use super::report::{Problem, Report};
use crate::model::{DefaultBackend, Diagnostic, HostPattern, PathKind, Rule, Severity, Why};
use std::collections::HashMap;
use std::sync::Arc;

/// Reports each loser among the rules of one host, naming its winner. They are in the order of
/// the table.
pub(super) fn report_rules(rules: &[Arc<Rule>], findings: &mut Vec<Diagnostic>) {
    for alike in rules.chunk_by(|a, b| key(a) == key(b)) {
        let mut taken: Vec<&Rule> = Vec::new();
        for rule in alike.iter().filter(|rule| rule.matching.ordered.is_none()) {
            let all = taken.iter().fold(0, |all, rule| all | rule.matching.entry_points.own);
            let is_served = rule.matching.entry_points.own & !all != 0;
            let winner = match taken.first() {
                Some(winner) if !is_served => *winner,
                _ => {
                    taken.push(rule);
                    continue;
                }
            };
            let of_winner = object_ref(&winner.ingress);
            let reason = format!(
                "{} of host {} is already used by {} ({})",
                rule.path,
                rule.host,
                of_winner,
                BackendPlace::of(of_winner.kind, winner).field("path"),
            );
            let problem = shadowed(reason, "remove one of the two, or give them different paths");
            let object = object_ref(&rule.ingress);
            let place = BackendPlace::of(object.kind, rule);
            Report::new(&object, findings).add(&place.field("path"), problem);
        }
    }
}

/// What rules have in common that are for the same requests.
fn key(rule: &Rule) -> (PathKind, &str) {
    let text = match rule.path.kind {
        PathKind::Exact => &rule.path.text,
        PathKind::Prefix => rule.path.prefix(),
    };
    (rule.path.kind, text)
}

/// Reports each default backend that gets no request, naming the one that does.
pub(super) fn report_defaults(defaults: &[DefaultBackend], findings: &mut Vec<Diagnostic>) {
    let mut order: Vec<&DefaultBackend> = defaults.iter().collect();
    order.sort_by(|a, b| a.by_rank(b));
    let mut winners: HashMap<&HostPattern, (&DefaultBackend, u32)> = HashMap::new();
    for default in order {
        let mut used = false;
        for host in default.hosts.iter().chain([&HostPattern::Any]) {
            let (_, taken) = winners.entry(host).or_insert((default, 0));
            used |= default.entry_points.own & !*taken != 0;
            *taken |= default.entry_points.own;
        }
        if !used {
            let host = default.hosts.first().unwrap_or(&HostPattern::Any);
            let winner = object_ref(&winners[host].0.ingress);
            let problem = shadowed(
                format!("is never used, because the one of {winner} comes first"),
                "keep one default backend",
            );
            let object = object_ref(&default.ingress);
            Report::new(&object, findings).add("spec.defaultBackend", problem);
        }
    }
}

fn shadowed(reason: String, fix: &str) -> Problem {
    Problem::error(Why::Shadowed, "", reason, fix).with(Severity::Warning)
}
