//! Rules with an order of their own: those with a `priority`, and those whose conditions go beyond host and path.
//!
//! They hang below the host that they are for, or below none, the highest priority first. The best that matches
//! competes with the route that host and path lead to, whose priority is the length of its rule as Traefik writes
//! it (`pkg/muxer/http/mux.go`, GetRulePriority), so that one explicit priority is above or below its neighbours
//! as it is there. Of equals the more specific host comes first, and then the route by host and path.

use super::part::{Candidate, Part};
use super::{OrderedEntry, RouteId, Table, index};
use crate::model::{PathKind, RequestFacts, bare_rule_length, rule_length};

impl Table {
    /// The best of the ordered rules that match, if it comes before `route`, which is one of a part.
    pub(super) fn by_order(
        &self,
        request: &RequestFacts<'_>,
        entry_points: u32,
        route: Option<(usize, Candidate)>,
    ) -> Option<RouteId> {
        let hosts = [
            self.record(request.host, |part| &part.hosts),
            self.wildcard(request.host),
            self.any(),
        ];
        let find = |is_also: bool, least: Option<i64>| {
            let mut best: Option<(i64, RouteId)> = None;
            for (number, value) in hosts.into_iter().flatten() {
                let part = &self.parts[number];
                let above = best.map(|(priority, _)| priority).or(least);
                let asked = Wanted { request, entry_points, is_also, above };
                let found = part.first_match(value, &asked);
                best = found
                    .map(|(priority, route)| (priority, RouteId { part: index(number), route }))
                    .or(best);
            }
            best.map(|(_, route)| route)
        };
        let length = |(part, of): (usize, Candidate)| self.parts[part].rule_length(of.route);
        let own = route.filter(|(_, route)| !route.is_also);
        match find(false, own.map(length)) {
            // What is served here as well comes behind everything that is served here.
            None if own.is_none() => find(true, route.map(length)),
            found => found,
        }
    }
}

/// Which ordered rule is looked for.
struct Wanted<'r> {
    request: &'r RequestFacts<'r>,
    entry_points: u32,
    is_also: bool,
    /// The priority that it has to be above.
    above: Option<i64>,
}

impl Part {
    /// The first ordered rule of a host that matches and has a priority above another one.
    fn first_match(&self, value: u32, wanted: &Wanted<'_>) -> Option<(i64, u32)> {
        let ordered = &self.ordered[self.ordered_of(value).range()];
        let is_high = |priority: i64| wanted.above.is_none_or(|above| priority > above);
        let mut higher = ordered.iter().take_while(|entry| is_high(entry.rule.priority));
        let found = higher.find(|OrderedEntry { rule, route }| {
            let served = self.served_by_order(*route, wanted.entry_points);
            served.is_some_and(|served| served.is_also == wanted.is_also)
                && rule.condition.holds(wanted.request)
        });
        found.map(|entry| (entry.rule.priority, entry.route))
    }

    /// The length of the rule by host and path. A canonical path has nothing that is escaped within quotes.
    pub(super) fn rule_length(&self, route: u32) -> i64 {
        let is_bare = self.entry(route).bare;
        let route = self.route(route);
        if is_bare {
            return bare_rule_length(route.host);
        }
        let matcher = match route.kind {
            PathKind::Exact => "Path",
            PathKind::Prefix => "PathPrefix",
        };
        rule_length(route.host, route.wildcard, matcher, route.path.len())
    }
}
