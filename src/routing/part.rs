//! A part of the table: some of the hosts, with all that their requests need.
//!
//! A part stands alone: it numbers its own routes, Ingresses and backends. So a change recompiles the
//! parts of the hosts that it touches, and the next table shares all others with this one. It stores its
//! text in one block and refers to it by position. A host whose only rule is `/`, the common case, needs no
//! more than its record in the map of hosts.

use super::hosts::HostMap;
use super::{
    Backend, HostEntry, IngressEntry, NONE, ONE_ROUTE, PathEntry, Route, RouteEntry, Span, paths,
};
use crate::model::{Algorithm, Timeouts};
use http::HeaderValue;
use std::sync::Arc;

/// Some of the hosts.
pub(super) struct Part {
    pub(super) text: Box<str>,
    /// Exact hosts, by name.
    pub(super) hosts: HostMap,
    /// Wildcard hosts, by the name behind `*.`.
    pub(super) wildcards: HostMap,
    /// Rules without host. Its default is the default backend for every host.
    pub(super) any: Option<u32>,
    pub(super) host_entries: Box<[HostEntry]>,
    pub(super) paths: Box<[PathEntry]>,
    pub(super) routes: Box<[RouteEntry]>,
    pub(super) ingresses: Box<[IngressEntry]>,
    /// The values of `Strict-Transport-Security`, each once.
    pub(super) hsts: Box<[Option<HeaderValue>]>,
    /// The timeouts set by Ingresses, without duplicates.
    pub(super) timeouts: Box<[Timeouts]>,
    /// How Ingresses have their requests spread, each once.
    pub(super) algorithms: Box<[Algorithm]>,
    /// Those that its routes lead to.
    pub(super) backends: Box<[Arc<Backend>]>,
}

impl Part {
    /// The route of a path on a host, of which `value` is the record; and the default backend of that host.
    pub(super) fn find(&self, value: u32, path: &str) -> (Option<u32>, Option<u32>) {
        if value & ONE_ROUTE != 0 {
            return (Some(value & !ONE_ROUTE), None);
        }
        let host = &self.host_entries[value as usize];
        (self.find_path(host, path), (host.default != NONE).then_some(host.default))
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

    pub(super) fn host_count(&self) -> usize {
        self.hosts.len() + self.wildcards.len()
    }

    pub(super) fn has_wildcards(&self) -> bool {
        self.wildcards.len() > 0
    }

    pub(super) fn entry(&self, route: u32) -> &RouteEntry {
        &self.routes[route as usize]
    }

    pub(super) fn ingress(&self, route: u32) -> &IngressEntry {
        &self.ingresses[self.entry(route).ingress as usize]
    }

    pub(super) fn backend(&self, route: u32) -> &Arc<Backend> {
        &self.backends[self.entry(route).backend as usize]
    }

    /// Describes a route.
    pub(super) fn route(&self, route: u32) -> Route<'_> {
        let (entry, ingress) = (self.entry(route), self.ingress(route));
        Route {
            namespace: self.text(ingress.namespace),
            ingress: self.text(ingress.name),
            host: if entry.wildcard { &self.wildcards } else { &self.hosts }.name(entry.host),
            wildcard: entry.wildcard,
            position: (entry.rule != NONE)
                .then_some((entry.rule as usize, entry.position as usize)),
            kind: entry.kind,
            path: self.text(entry.path),
        }
    }

    fn text(&self, span: Span) -> &str {
        &self.text[span.range()]
    }
}
