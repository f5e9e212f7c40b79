//! Host and path to route.
//!
//! Precedence (networking/v1 IngressRule and HTTPIngressPath): an exact host before a wildcard
//! before a rule without host; within a host an Exact path before every Prefix, then the longest
//! Prefix. A host whose rules do not match the path does not hide the next less specific one. What
//! no rule matches goes to the default backend of the host, then of all hosts.

use super::hosts::HostMap;
use super::{HostEntry, NONE, ONE_ROUTE, PathEntry, RouteId, Table, paths};

impl Table {
    /// Finds the route of a request. `host` is normalised (`model::Host`), `path` canonical
    /// (`model::CanonicalPath`).
    pub fn lookup(&self, host: &str, path: &str) -> Option<RouteId> {
        let mut default = None;
        let mut visit = |value: u32| {
            if value & ONE_ROUTE != 0 {
                return Some(value & !ONE_ROUTE);
            }
            let host = &self.host_entries[value as usize];
            let route = self.find_path(host, path);
            default = default.or((host.default != NONE).then_some(host.default));
            route
        };
        let route = self.hosts.get(host).and_then(&mut visit);
        let route = route.or_else(|| wildcard(&self.wildcards, host).and_then(&mut visit));
        let route = route.or_else(|| self.any.and_then(visit));
        route.or(default).map(RouteId)
    }

    fn find_path(&self, host: &HostEntry, path: &str) -> Option<u32> {
        let exact = &self.paths[host.exact()];
        if let Ok(position) = exact.binary_search_by(|entry| self.text(entry.text).cmp(path)) {
            return Some(exact[position].route);
        }
        let prefixes = &self.paths[host.prefix()];
        let after =
            prefixes.partition_point(|entry| paths::compare(self.text(entry.text), path).is_le());
        let mut candidate: &PathEntry = prefixes.get(after.checked_sub(1)?)?;
        while !paths::is_under(path, self.text(candidate.text)) {
            if candidate.parent == NONE {
                return None;
            }
            candidate = &self.paths[candidate.parent as usize];
        }
        Some(candidate.route)
    }
}

/// A wildcard stands for exactly one label, and a label is not empty.
fn wildcard(wildcards: &HostMap, host: &str) -> Option<u32> {
    if wildcards.len() == 0 {
        return None;
    }
    let dot = host.bytes().position(|byte| byte == b'.').filter(|&dot| dot > 0)?;
    wildcards.get(&host[dot + 1..])
}
