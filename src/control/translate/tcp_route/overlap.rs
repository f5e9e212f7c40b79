//! Routes of connections that get none, because others come before them.
//!
//! Of connections with TLS those for a name that routes of HTTP have go to HTTP, as in Traefik
//! (`pkg/server/router/tcp/router.go`, ServeTCP). Then the highest priority counts; of two with the same rule the older
//! object's has all of them.

use crate::control::translate::object_ref;
use crate::control::translate::report::{Problem, Report};
use crate::model::{Diagnostic, HostPattern, Model, Rule, Severity, TcpRoute, TcpTls, Why};
use std::collections::HashMap;

/// Reports each such route, with what comes before it. `https` are the entry points with routes of HTTP within TLS,
/// as bits. Costs a lookup for each name of each route.
pub(in crate::control::translate) fn report(
    model: &Model,
    https: u32,
    findings: &mut Vec<Diagnostic>,
) {
    let mut first: HashMap<(&str, bool), &TcpRoute> = HashMap::new();
    for route in &model.tcp {
        let rule = &*route.rule;
        let has_tls = rule.tls != TcpTls::None;
        let winner = *first.entry((&rule.text, has_tls)).or_insert(route);
        if winner.rule.position != rule.position || winner.ingress != route.ingress {
            if rule.entry_points & !winner.rule.entry_points == 0 {
                tell_winner(route, winner, findings);
            }
            continue;
        }
        for host in rule.hosts.iter().filter(|_| has_tls) {
            if let Some(http) = of_http(model, host, rule.entry_points & https) {
                tell_http(route, host, http, findings);
            }
        }
    }
}

/// A rule of HTTP that takes the connections for a name at one of these entry points.
fn of_http<'m>(model: &'m Model, host: &HostPattern, entry_points: u32) -> Option<&'m Rule> {
    let wildcard = match host {
        HostPattern::Exact(name) => {
            name.split_once('.').map(|(_, parent)| HostPattern::Wildcard(parent.into()))
        }
        HostPattern::Wildcard(_) => None,
        HostPattern::Any => return None,
    };
    let all = [Some(host), wildcard.as_ref()].into_iter().flatten();
    let mut rules = all.flat_map(|host| model.rules.of(host)).map(|rule| &**rule);
    rules.find(|rule| rule.matching.entry_points.own & entry_points != 0)
}

fn tell_winner(route: &TcpRoute, winner: &TcpRoute, findings: &mut Vec<Diagnostic>) {
    let (object, other) = (object_ref(&route.ingress), object_ref(&winner.ingress));
    let place = format!("spec.routes[{}].match", route.rule.position);
    let reason = format!(
        "is also the rule of {other} (spec.routes[{}]), which has all of its connections",
        winner.rule.position
    );
    let fix = "remove one of the two, or give them different entry points or priorities";
    let problem = Problem::error(Why::Shadowed, "", reason, fix).with(Severity::Warning);
    Report::new(&object, findings).add(&place, problem);
}

fn tell_http(route: &TcpRoute, host: &HostPattern, http: &Rule, findings: &mut Vec<Diagnostic>) {
    let (object, other) = (object_ref(&route.ingress), object_ref(&http.ingress));
    let place = format!("spec.routes[{}].match", route.rule.position);
    let reason = format!(
        "is for {host}, which is a host of {other} as well: with TLS these connections go to HTTP, as in Traefik"
    );
    let fix = "use a name of its own, or an entry point of a listener with protocol = \"tcp\"";
    let problem = Problem::error(Why::Shadowed, "", reason, fix).with(Severity::Warning);
    Report::new(&object, findings).add(&place, problem);
}
