//! Host and path to route.
//!
//! Precedence (networking/v1 IngressRule and HTTPIngressPath): an exact host before a wildcard
//! before a rule without host; within a host an Exact path before every Prefix, then the longest
//! Prefix. A host whose rules do not match the path does not hide the next less specific one. What
//! no rule matches goes to the default backend of the host, then of all hosts.
//!
//! Where there are rules with an order of their own, `ordered` has the last word.

use super::hosts::{HostMap, hash};
use super::part::Part;
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
        match &asked.request {
            Some(request) if self.has_ordered => {
                self.by_order(request, asked.entry_points, route).or(route).or(default)
            }
            _ => route.or(default),
        }
    }

    /// The route by host and path, and the default backend.
    fn by_path(
        &self,
        host: &str,
        path: &str,
        entry_points: u32,
    ) -> (Option<RouteId>, Option<RouteId>) {
        let mut default = None;
        let mut visit = |(part, value): (usize, u32)| {
            let found = self.parts[part].find(value, path, entry_points);
            let id = |route| RouteId { part: index(part), route };
            default = default.or(found.default.map(id));
            found.route.map(id)
        };
        let route = self.record(host, |part| &part.hosts).and_then(&mut visit);
        let route = route.or_else(|| self.wildcard(host).and_then(&mut visit));
        let route = route.or_else(|| self.any().and_then(visit));
        (route, default)
    }

    /// The part that has this name, and its value there.
    pub(super) fn record(&self, name: &str, map: fn(&Part) -> &HostMap) -> Option<(usize, u32)> {
        let hash = hash(name);
        let part = number(hash, self.parts.len());
        Some((part, map(&self.parts[part]).get(hash, name)?))
    }

    /// A wildcard stands for exactly one label, and a label is not empty.
    pub(super) fn wildcard(&self, host: &str) -> Option<(usize, u32)> {
        if !self.has_wildcards {
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
