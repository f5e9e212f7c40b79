//! Host and path to route.
//!
//! Precedence (networking/v1 IngressRule and HTTPIngressPath): an exact host before a wildcard
//! before a rule without host; within a host an Exact path before every Prefix, then the longest
//! Prefix. A host whose rules do not match the path does not hide the next less specific one. What
//! no rule matches goes to the default backend of the host, then of all hosts.

use super::hosts::{HostMap, hash};
use super::part::Part;
use super::{RouteId, Table};

impl Table {
    /// Finds the route of a request. `host` is normalised (`model::Host`), `path` canonical
    /// (`model::CanonicalPath`).
    pub fn lookup(&self, host: &str, path: &str) -> Option<RouteId> {
        let mut default = None;
        let mut visit = |(part, value): (usize, u32)| {
            let (route, of_host) = self.parts[part].find(value, path);
            let id = |route| RouteId { part: super::index(part), route };
            default = default.or(of_host.map(id));
            route.map(id)
        };
        let route = self.record(host, |part| &part.hosts).and_then(&mut visit);
        let route = route.or_else(|| self.wildcard(host).and_then(&mut visit));
        let route = route.or_else(|| self.any().and_then(visit));
        route.or(default)
    }

    /// The part that has this name, and its value there.
    fn record(&self, name: &str, map: fn(&Part) -> &HostMap) -> Option<(usize, u32)> {
        let hash = hash(name);
        let part = number(hash, self.parts.len());
        Some((part, map(&self.parts[part]).get(hash, name)?))
    }

    /// A wildcard stands for exactly one label, and a label is not empty.
    fn wildcard(&self, host: &str) -> Option<(usize, u32)> {
        if !self.has_wildcards {
            return None;
        }
        let dot = host.bytes().position(|byte| byte == b'.').filter(|&dot| dot > 0)?;
        self.record(&host[dot + 1..], |part| &part.wildcards)
    }

    fn any(&self) -> Option<(usize, u32)> {
        let last = self.parts.len() - 1;
        Some((last, self.parts[last].any?))
    }
}

/// Which of so many parts has the names with this hash. The last one has none, and the others are a power of
/// two. The map within a part goes by the other bits.
pub(super) fn number(hash: u64, parts: usize) -> usize {
    (hash >> 32) as usize & (parts - 2)
}
