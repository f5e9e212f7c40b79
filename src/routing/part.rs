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
use crate::model::{Algorithm, Chain, EntryPoints, Kind, RuleHash, Timeouts, by_element};
use http::HeaderValue;
use std::sync::Arc;

/// A route for a path of a host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) route: u32,
    /// Whether it is of an IngressRoute that does not name the entry point: it is served there if nothing else is.
    pub(super) is_also: bool,
}

/// What a part has for a path of one of its hosts.
pub(super) struct Found {
    /// By host and path.
    pub(super) route: Option<Candidate>,
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
    /// The hashes of the rules of IngressRoutes, in the order of their routes.
    pub(super) rule_hashes: Box<[(u32, RuleHash)]>,
    /// The rules with an order of their own, of each host the highest priority first.
    pub(super) ordered: Box<[OrderedEntry]>,
    /// Whether some of its routes are of IngressRoutes, whose order is the length of their rules.
    pub(super) has_ingress_routes: bool,
    /// Those that its routes lead to.
    pub(super) backends: Box<[Arc<Backend>]>,
}

impl Part {
    /// What there is for a path on a host, of which `value` is the record, at one of some entry points.
    pub(super) fn find(&self, value: u32, path: &str, entry_points: u32) -> Found {
        if value & ONE_ROUTE != 0 {
            let route = Candidate { route: value & !ONE_ROUTE, is_also: false };
            return Found { route: Some(route), default: None };
        }
        let host = &self.host_entries[value as usize];
        let default = (host.default != NONE).then(|| self.served(host.default, entry_points));
        Found {
            route: self.find_path(host, path, entry_points),
            default: default.flatten().map(|found| found.route),
        }
    }

    /// Whether a rule of a host, of which `value` is the record, names one of some entry points. Costs a look at the
    /// paths of the host, up to the first that does.
    pub(super) fn serves(&self, value: u32, entry_points: u32) -> bool {
        if value & ONE_ROUTE != 0 {
            return true;
        }
        let host = &self.host_entries[value as usize];
        let is_served = |found: Option<Candidate>| found.is_some_and(|found| !found.is_also);
        let paths = &self.paths[host.exact().start..host.prefix().end];
        let ordered = &self.ordered[host.ordered.range()];
        paths.iter().any(|path| is_served(self.served(path.route, entry_points)))
            || ordered.iter().any(|one| is_served(self.served_by_order(one.route, entry_points)))
    }

    /// Whether the default backend of such a host is there for one of some entry points.
    pub(super) fn has_default(&self, value: u32, entry_points: u32) -> bool {
        if value & ONE_ROUTE != 0 {
            return false;
        }
        let default = self.host_entries[value as usize].default;
        default != NONE && self.served(default, entry_points).is_some()
    }

    /// The ordered rules of a host, of which `value` is the record.
    pub(super) fn ordered_of(&self, value: u32) -> Run {
        match value & ONE_ROUTE {
            0 => self.host_entries[value as usize].ordered,
            _ => Run::default(),
        }
    }

    /// An Exact path before a Prefix, and then the longest; where a rule of an IngressRoute is among them, the longest
    /// of all.
    fn find_path(&self, host: &HostEntry, path: &str, entry_points: u32) -> Option<Candidate> {
        let mut best: Option<Candidate> = None;
        let exact = &self.paths[host.exact()];
        if let Ok(position) = exact.binary_search_by(|entry| self.text(entry.text).cmp(path)) {
            best = self.served(exact[position].route, entry_points);
            if best.is_some() && !self.has_ingress_routes {
                return best;
            }
        }
        let prefixes = &self.paths[host.prefix()];
        let after =
            prefixes.partition_point(|entry| by_element(self.text(entry.text), path).is_le());
        let mut next = after.checked_sub(1).and_then(|at| prefixes.get(at));
        while let Some(prefix) = next {
            if paths::is_under(path, self.text(prefix.text))
                && let Some(found) = self.served(prefix.route, entry_points)
            {
                best = best.filter(|best| !self.precedes(found, self, *best)).or(Some(found));
                if !found.is_also {
                    return best;
                }
            }
            next = (prefix.parent != NONE).then(|| &self.paths[prefix.parent as usize]);
        }
        best
    }

    /// Whether a route comes before another one, of the same part or another, that is more specific.
    pub(super) fn precedes(&self, found: Candidate, part: &Self, other: Candidate) -> bool {
        let by_length = || {
            let is_by_length =
                self.is_of_ingress_route(found.route) || part.is_of_ingress_route(other.route);
            is_by_length && self.rule_length(found.route) > part.rule_length(other.route)
        };
        match (found.is_also, other.is_also) {
            (false, true) => true,
            (true, false) => false,
            _ => by_length(),
        }
    }

    pub(super) fn is_of_ingress_route(&self, route: u32) -> bool {
        self.has_ingress_routes && self.ingress(route).object == Kind::IngressRoute
    }

    /// The one of the routes for a path, which begin with `first`, that is served at one of some entry points:
    /// one that names it before one that is served there as well.
    fn served(&self, first: u32, entry_points: u32) -> Option<Candidate> {
        let entry = self.entry(first);
        if entry.entry_points == 0 {
            return Some(Candidate { route: first, is_also: false });
        }
        let mut also = None;
        for (entry, route) in self.routes[first as usize..].iter().zip(first..) {
            let named = self.named(entry);
            if named.own & entry_points != 0 {
                return Some(Candidate { route, is_also: false });
            }
            also = also.or((named.also & entry_points != 0).then_some(route));
            if !entry.more {
                break;
            }
        }
        also.map(|route| Candidate { route, is_also: self.is_of_ingress_route(route) })
    }

    fn named(&self, entry: &RouteEntry) -> EntryPoints {
        const NONE: EntryPoints = EntryPoints { own: 0, also: 0 };
        self.entry_points.get(usize::from(entry.entry_points)).copied().unwrap_or(NONE)
    }

    /// An ordered rule, if it is served at one of some entry points.
    pub(super) fn served_by_order(&self, route: u32, entry_points: u32) -> Option<Candidate> {
        let named = self.named(self.entry(route));
        match (named.own & entry_points, named.also & entry_points) {
            (0, 0) => None,
            (0, _) => Some(Candidate { route, is_also: self.is_of_ingress_route(route) }),
            _ => Some(Candidate { route, is_also: false }),
        }
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
            rule_hash: self.rule_hash(route),
            entry_points: self.named(entry).own | self.named(entry).also,
        }
    }

    fn rule_hash(&self, route: u32) -> Option<&RuleHash> {
        let found = self.rule_hashes.binary_search_by_key(&route, |(route, _)| *route).ok()?;
        Some(&self.rule_hashes[found].1)
    }

    fn text(&self, span: Span) -> &str {
        &self.text[span.range()]
    }
}
