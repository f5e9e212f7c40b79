//! A part of the table: some of the hosts, with all that their requests need.
//!
//! A part stands alone: it numbers its own routes, Ingresses and backends. So a change recompiles the
//! parts of the hosts that it touches, and the next table shares all others with this one. It stores its
//! text in one block and refers to it by position. A host whose only rule is `/`, the common case, needs no
//! more than its record in the map of hosts.

use super::hosts::HostMap;
use super::{
    Backend, HostEntry, IngressEntry, NONE, ONE_ROUTE, OrderedEntry, PathEntry, Route, RouteEntry,
    Run, Span, paths,
};
use crate::model::{Algorithm, Chain, EntryPoints, Timeouts};
use http::HeaderValue;
use std::sync::Arc;

/// What a part has for a path of one of its hosts.
pub(super) struct Found {
    /// By host and path.
    pub(super) route: Option<u32>,
    /// The default backend of the host.
    pub(super) default: Option<u32>,
}

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
    /// The steps that routes ask for, each list once.
    pub(super) chains: Box<[Chain]>,
    /// The entry points that routes name, each once; the first are all of them.
    pub(super) entry_points: Box<[EntryPoints]>,
    /// The rules with an order of their own, of each host the highest priority first.
    pub(super) ordered: Box<[OrderedEntry]>,
    /// Those that its routes lead to.
    pub(super) backends: Box<[Arc<Backend>]>,
}

impl Part {
    /// What there is for a path on a host, of which `value` is the record, at one of some entry points.
    pub(super) fn find(&self, value: u32, path: &str, entry_points: u32) -> Found {
        if value & ONE_ROUTE != 0 {
            return Found { route: Some(value & !ONE_ROUTE), default: None };
        }
        let host = &self.host_entries[value as usize];
        Found {
            route: self.find_path(host, path, entry_points),
            default: (host.default != NONE)
                .then(|| self.served(host.default, entry_points))
                .flatten(),
        }
    }

    /// The ordered rules of a host, of which `value` is the record.
    pub(super) fn ordered_of(&self, value: u32) -> Run {
        match value & ONE_ROUTE {
            0 => self.host_entries[value as usize].ordered,
            _ => Run::default(),
        }
    }

    fn find_path(&self, host: &HostEntry, path: &str, entry_points: u32) -> Option<u32> {
        let exact = &self.paths[host.exact()];
        if let Ok(position) = exact.binary_search_by(|entry| self.text(entry.text).cmp(path))
            && let Some(route) = self.served(exact[position].route, entry_points)
        {
            return Some(route);
        }
        let prefixes = &self.paths[host.prefix()];
        let after =
            prefixes.partition_point(|entry| paths::compare(self.text(entry.text), path).is_le());
        let mut candidate: &PathEntry = prefixes.get(after.checked_sub(1)?)?;
        loop {
            if paths::is_under(path, self.text(candidate.text))
                && let Some(route) = self.served(candidate.route, entry_points)
            {
                return Some(route);
            }
            if candidate.parent == NONE {
                return None;
            }
            candidate = &self.paths[candidate.parent as usize];
        }
    }

    /// The one of the routes for a path, which begin with `first`, that is served at one of some entry points:
    /// one that names it before one that is served there as well.
    fn served(&self, first: u32, entry_points: u32) -> Option<u32> {
        let entry = self.entry(first);
        if entry.entry_points == 0 {
            return Some(first);
        }
        let mut also = None;
        for (entry, route) in self.routes[first as usize..].iter().zip(first..) {
            let named = self.named(entry);
            if named.own & entry_points != 0 {
                return Some(route);
            }
            also = also.or((named.also & entry_points != 0).then_some(route));
            if !entry.more {
                break;
            }
        }
        also
    }

    fn named(&self, entry: &RouteEntry) -> EntryPoints {
        const NONE: EntryPoints = EntryPoints { own: 0, also: 0 };
        self.entry_points.get(usize::from(entry.entry_points)).copied().unwrap_or(NONE)
    }

    /// Whether an ordered rule is served at one of some entry points.
    pub(super) fn is_served(&self, route: u32, entry_points: u32) -> bool {
        let named = self.named(self.entry(route));
        (named.own | named.also) & entry_points != 0
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
            object: ingress.object,
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
