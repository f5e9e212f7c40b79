//! Host and path to route.
//!
//! Precedence (networking/v1 IngressRule and HTTPIngressPath): an exact host before a wildcard
//! before a rule without host; within a host an Exact path before every Prefix, then the longest
//! Prefix. A host whose rules do not match the path does not hide the next less specific one. What
//! no rule matches goes to the default backend of the host, then of all hosts.
//!
//! The rules of IngressRoutes compete by their length instead, as in Traefik, with one another and with those of
//! Ingresses. Where there are rules with an order of their own, `ordered` has the last word.

use super::hosts::{HostMap, hash};
use super::part::{Candidate, Part};
use super::{RouteId, Table, index};
use crate::model::RequestFacts;

/// What of a request is asked beyond host and path.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'r> {
    /// The entry points that it comes through, as bits.
    pub entry_points: u32,
    /// The request, for rules with conditions; without it none of these is found.
    pub request: Option<RequestFacts<'r>>,
}

impl Asked<'_> {
    /// Through any entry point.
    pub const ANY: Self = Self { entry_points: u32::MAX, request: None };
}

impl Table {
    /// Finds the route of a request by host and path alone. `host` is normalised (`model::Host`), `path` canonical
    /// (`model::CanonicalPath`).
    pub fn lookup(&self, host: &str, path: &str) -> Option<RouteId> {
        self.find(host, path, &Asked::ANY)
    }

    /// Finds the route of a request.
    pub fn find(&self, host: &str, path: &str, asked: &Asked<'_>) -> Option<RouteId> {
        let (route, default) = self.by_path(host, path, asked.entry_points);
        let found = match &asked.request {
            Some(request) if self.counts.has_ordered() => {
                self.by_order(request, asked.entry_points, route)
            }
            _ => None,
        };
        let route = route.map(|(part, found)| RouteId { part: index(part), route: found.route });
        found.or(route).or(default)
    }

    /// The route by host and path, with its part, and the default backend.
    fn by_path(
        &self,
        host: &str,
        path: &str,
        entry_points: u32,
    ) -> (Option<(usize, Candidate)>, Option<RouteId>) {
        let mut default = None;
        let mut best: Option<(usize, Candidate)> = None;
        for level in 0..3 {
            let host = match level {
                0 => self.record(host, |part| &part.hosts),
                1 => self.wildcard(host),
                _ => self.any(),
            };
            let Some((number, value)) = host else { continue };
            let part = &*self.parts[number];
            let found = part.find(value, path, entry_points);
            default = default.or(found.default.map(|route| RouteId { part: index(number), route }));
            let precedes = |found| match best {
                None => true,
                Some((of, best)) => part.precedes(found, &self.parts[of], best),
            };
            best =
                found.route.filter(|found| precedes(*found)).map(|found| (number, found)).or(best);
            // The less specific host comes first for a rule of an IngressRoute alone.
            if best.is_some_and(|(of, best)| !self.parts[of].is_of_ingress_route(best.route)) {
                break;
            }
        }
        (best, default)
    }

    /// The part that has this name, and its value there.
    pub(super) fn record(&self, name: &str, map: fn(&Part) -> &HostMap) -> Option<(usize, u32)> {
        let hash = hash(name);
        let part = number(hash, self.parts.len());
        Some((part, map(&self.parts[part]).get(hash, name)?))
    }

    /// A wildcard stands for exactly one label, and a label is not empty.
    pub(super) fn wildcard(&self, host: &str) -> Option<(usize, u32)> {
        if !self.counts.has_wildcards() {
            return None;
        }
        let dot = host.bytes().position(|byte| byte == b'.').filter(|&dot| dot > 0)?;
        self.record(&host[dot + 1..], |part| &part.wildcards)
    }

    pub(super) fn any(&self) -> Option<(usize, u32)> {
        let last = self.parts.len() - 1;
        Some((last, self.parts[last].any?))
    }
}

/// Which of so many parts has the names with this hash. The last one has none, and the others are a power of
/// two. The map within a part goes by the other bits.
pub(super) fn number(hash: u64, parts: usize) -> usize {
    (hash >> 32) as usize & (parts - 2)
}
