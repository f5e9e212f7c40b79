//! The steps of the routes of one Ingress: those that it names, and behind them those that the Service of a route
//! names.

use crate::control::objects::Objects;
use crate::control::translate::annotations::Annotations;
use crate::control::translate::entry_points::Way;
use crate::control::translate::ingress::OwnStep;
use crate::control::translate::middleware::{
    Asking, Dependency, Middlewares, OWN_LIST, ROUTER_LIST, Reference, Resolved, SERVICE_LIST,
    Subject, UsedBackend, read_annotated,
};
use crate::control::translate::report::Report;
use crate::model::{Broken, Chain, Diagnostic, Kind, NamedStep, ObjectRef};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The steps, while the routes are read.
pub(super) struct Steps<'a> {
    asking: Asking<'a>,
    own: Resolved,
    /// Those of the entry points, which come before.
    ways: Vec<Resolved>,
    /// For each of the ways.
    chains: Vec<Option<Chain>>,
    services: BTreeMap<Arc<str>, OfService>,
    dependencies: BTreeSet<Dependency>,
    is_unresolved: bool,
}

/// What a Service adds.
struct OfService {
    /// For each of the ways.
    chains: Vec<Option<Chain>>,
    backends: Vec<UsedBackend>,
    broken: Option<Broken>,
}

/// The list of a route of an IngressRoute.
#[derive(Clone, Copy)]
pub(super) struct RouteList<'l> {
    pub(super) names: &'l [Reference<'l>],
    /// Its field.
    pub(super) place: &'l str,
}

/// What is left of the steps, when every route has its own.
pub(super) struct Finished {
    pub(super) backends: Vec<UsedBackend>,
    pub(super) dependencies: BTreeSet<Dependency>,
    pub(super) is_unresolved: bool,
}

/// The steps of each way, and then the others.
fn chains(ways: &[Resolved], others: &[Arc<NamedStep>]) -> Vec<Option<Chain>> {
    let chain = |way: &Resolved| {
        let steps: Vec<_> = way.steps.iter().chain(others).cloned().collect();
        (!steps.is_empty()).then(|| steps.into())
    };
    ways.iter().map(chain).collect()
}

fn broken(resolved: &Resolved) -> Option<Broken> {
    resolved.is_broken.then_some(Broken::MiddlewareUnusable)
}

impl<'a> Steps<'a> {
    /// Those that an Ingress names.
    pub(super) fn of_ingress(
        middlewares: &Middlewares,
        asking: Asking<'a>,
        subject: Subject<'_>,
        ways: &[Way<'_>],
        report: &mut Report<'_>,
    ) -> Self {
        let mut own = Resolved::default();
        for list in [ROUTER_LIST, OWN_LIST] {
            middlewares.resolve(asking, list, &mut own, report);
        }
        read_annotated(asking, subject, &mut own, report);
        Self::new(middlewares, asking, own, ways, report)
    }

    /// Those that a route of an IngressRoute names.
    pub(super) fn of_route(
        middlewares: &Middlewares,
        asking: Asking<'a>,
        list: RouteList<'_>,
        ways: &[Way<'_>],
        report: &mut Report<'_>,
    ) -> Self {
        let mut own = Resolved::default();
        middlewares.resolve_route(asking, list.names, list.place, &mut own, report);
        Self::new(middlewares, asking, own, ways, report)
    }

    fn new(
        middlewares: &Middlewares,
        asking: Asking<'a>,
        mut own: Resolved,
        ways: &[Way<'_>],
        report: &mut Report<'_>,
    ) -> Self {
        let mut dependencies = std::mem::take(&mut own.dependencies);
        let mut is_unresolved = own.is_unresolved;
        let ways = ways.iter().map(|way| {
            let mut resolved = middlewares.first();
            middlewares.resolve_entry_point(asking, way, &mut resolved, report);
            dependencies.append(&mut resolved.dependencies);
            is_unresolved |= resolved.is_unresolved;
            resolved
        });
        let ways: Vec<Resolved> = ways.collect();
        let chains = chains(&ways, &own.steps);
        let services = BTreeMap::new();
        Self { asking, own, ways, chains, services, dependencies, is_unresolved }
    }

    /// Why no route of the Ingress is served.
    pub(super) fn broken(&self) -> Option<Broken> {
        broken(&self.own)
    }

    /// Why none is served on the entry points of one way.
    pub(super) fn broken_way(&self, way: usize) -> Option<Broken> {
        self.ways.get(way).and_then(broken)
    }

    /// Reads what a Service adds. Returns why no route to it is served.
    pub(super) fn of_service(
        &mut self,
        objects: &Objects,
        middlewares: &Middlewares,
        name: &str,
        findings: &mut Vec<Diagnostic>,
    ) -> Option<Broken> {
        if let Some(known) = self.services.get(name) {
            return known.broken;
        }
        let namespace = self.asking.namespace;
        let service = objects.services().get(namespace, name)?;
        let annotations = Annotations::of(&service.metadata);
        annotations.get(SERVICE_LIST)?;
        let name: Arc<str> = name.into();
        let object = ObjectRef {
            kind: Kind::Service,
            namespace: Arc::clone(namespace),
            name: Arc::clone(&name),
        };
        let mut resolved = Resolved::default();
        let asking = self.asking.of_service(&name, annotations);
        let mut report = Report::new(&object, findings);
        middlewares.resolve(asking, SERVICE_LIST, &mut resolved, &mut report);
        self.is_unresolved |= resolved.is_unresolved;
        let broken = broken(&resolved);
        self.dependencies.append(&mut resolved.dependencies);
        self.dependencies.insert(Dependency::Service((Arc::clone(namespace), Arc::clone(&name))));
        let steps: Vec<_> = self.own.steps.iter().cloned().chain(resolved.steps).collect();
        let chains = chains(&self.ways, &steps);
        let of_service = OfService { chains, backends: resolved.backends, broken };
        self.services.insert(name, of_service);
        broken
    }

    /// The steps of a route to this Service, on the entry points of one way, and the one that its path alone has.
    pub(super) fn chain(&self, service: &str, way: usize, own: Option<&OwnStep>) -> Option<Chain> {
        let chains = self.services.get(service).map_or(&self.chains, |of| &of.chains);
        let chain = chains.get(way).cloned().flatten();
        let before: &[_] = match own {
            None => return chain,
            Some(own) if own.is_alone => self.ways.get(way).map_or(&[], |way| &way.steps),
            Some(_) => chain.as_deref().unwrap_or_default(),
        };
        Some(before.iter().chain(own.map(|own| &own.step)).cloned().collect())
    }

    /// What the Ingress needs for them.
    pub(super) fn finish(self) -> Finished {
        let is_used = self.broken().is_none();
        let of_services = self.services.into_values().filter(|service| service.broken.is_none());
        let mut backends = self.own.backends;
        backends.extend(self.ways.into_iter().flat_map(|way| way.backends));
        backends.extend(of_services.flat_map(|service| service.backends));
        backends.retain(|_| is_used);
        Finished { backends, dependencies: self.dependencies, is_unresolved: self.is_unresolved }
    }
}
