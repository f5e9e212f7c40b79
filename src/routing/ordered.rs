//! Rules with an order of their own: those with a `priority`, and those whose conditions go beyond host and path.
//!
//! They hang below the host that they are for, or below none, the highest priority first. The best that matches
//! competes with the route that host and path lead to, whose priority is the length of its rule as Traefik writes
//! it (`pkg/muxer/http/mux.go`, GetRulePriority), so that one explicit priority is above or below its neighbours
//! as it is there. Of equals the more specific host comes first, and then the route by host and path.

use super::part::Part;
use super::{OrderedEntry, RouteId, Table, index};
use crate::model::{PathKind, RequestFacts, rule_length};

impl Table {
    /// The best of the ordered rules that match, if it comes before `route`.
    pub(super) fn by_order(
        &self,
        request: &RequestFacts<'_>,
        entry_points: u32,
        route: Option<RouteId>,
    ) -> Option<RouteId> {
        let least = route.map(|route| self.part(route).rule_length(route.route));
        let mut best: Option<(i64, RouteId)> = None;
        let hosts = [
            self.record(request.host, |part| &part.hosts),
            self.wildcard(request.host),
            self.any(),
        ];
        for (number, value) in hosts.into_iter().flatten() {
            let part = &self.parts[number];
            let above = best.map(|(priority, _)| priority).or(least);
            let found = part.first_match(value, request, entry_points, above);
            best = found
                .map(|(priority, route)| (priority, RouteId { part: index(number), route }))
                .or(best);
        }
        best.map(|(_, route)| route)
    }
}

impl Part {
    /// The first ordered rule of a host that matches and has a priority above another one.
    fn first_match(
        &self,
        value: u32,
        request: &RequestFacts<'_>,
        entry_points: u32,
        above: Option<i64>,
    ) -> Option<(i64, u32)> {
        let ordered = &self.ordered[self.ordered_of(value).range()];
        let higher = ordered
            .iter()
            .take_while(|entry| above.is_none_or(|above| entry.rule.priority > above));
        let mut matching = higher.filter(|OrderedEntry { rule, route }| {
            self.is_served(*route, entry_points) && rule.condition.holds(request)
        });
        matching.next().map(|entry| (entry.rule.priority, entry.route))
    }

    /// The length of the rule by host and path. A canonical path has nothing that is escaped within quotes.
    fn rule_length(&self, route: u32) -> i64 {
        let is_bare = self.entry(route).bare;
        let route = self.route(route);
        if is_bare {
            return i64::try_from(route.host.len() + "Host(``)".len()).unwrap_or(i64::MAX);
        }
        let matcher = match route.kind {
            PathKind::Exact => "Path",
            PathKind::Prefix => "PathPrefix",
        };
        rule_length(route.host, route.wildcard, matcher, route.path.len())
    }
}
