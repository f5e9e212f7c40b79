//! Host and path to route.
//!
//! Precedence (networking/v1 IngressRule and HTTPIngressPath): an exact host before a wildcard
//! before a rule without host; within a host an Exact path before every Prefix, then the longest
//! Prefix. A host whose rules do not match the path does not hide the next less specific one. What
//! no rule matches goes to the default backend of the host, then of all hosts.

use super::{HostEntry, NONE, PathEntry, RouteId, Table, paths};
use hashbrown::HashTable;
use std::hash::BuildHasher;

impl Table {
    /// Finds the route of a request. `host` is normalised (`model::Host`), `path` canonical
    /// (`model::CanonicalPath`).
    pub fn lookup(&self, host: &str, path: &str) -> Option<RouteId> {
        let exact = self.find_host(&self.hosts, host);
        // A wildcard stands for exactly one label, and a label is not empty.
        let wildcard = match host.bytes().position(|byte| byte == b'.') {
            Some(dot) if dot > 0 && !self.wildcards.is_empty() => {
                self.find_host(&self.wildcards, &host[dot + 1..])
            }
            _ => None,
        };
        let hosts = [exact, wildcard, Some(&self.any)];
        let mut known = hosts.iter().copied().flatten();
        let route = known.find_map(|entry| self.find_path(entry, path)).or_else(|| {
            let defaults = hosts.iter().copied().flatten().map(|entry| entry.default);
            defaults.into_iter().find(|&route| route != NONE)
        });
        route.map(RouteId)
    }

    fn find_host<'a>(&self, hosts: &'a HashTable<HostEntry>, name: &str) -> Option<&'a HostEntry> {
        let hash = self.hasher.hash_one(name.as_bytes());
        hosts.find(hash, |entry| self.text(entry.name) == name)
    }

    fn find_path(&self, host: &HostEntry, path: &str) -> Option<u32> {
        let exact = &self.paths[host.exact()];
        if let Ok(position) = exact.binary_search_by(|entry| self.text(entry.text).cmp(path)) {
            return Some(exact[position].route);
        }
        let prefixes = &self.paths[host.prefix()];
        // Most hosts have the one rule `/`.
        if let [PathEntry { text, route, .. }] = prefixes
            && text.len == 0
        {
            return Some(*route);
        }
        let after =
            prefixes.partition_point(|entry| paths::compare(self.text(entry.text), path).is_le());
        let mut candidate = prefixes.get(after.checked_sub(1)?)?;
        while !paths::is_under(path, self.text(candidate.text)) {
            if candidate.parent == NONE {
                return None;
            }
            candidate = &self.paths[candidate.parent as usize];
        }
        Some(candidate.route)
    }
}
