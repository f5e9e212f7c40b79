//! What one IngressRoute asks for.

use super::asks::Asks;
use super::reading::{Served, StepUse};
use super::referrer::Referrer;
use super::steps::{Finished, RouteList, Steps};
use super::{Name, Routes, Touched};
use crate::config::MiddlewarePolicy;
use crate::control::objects::{Objects, TraefikObject};
use crate::control::translate::annotations::Annotations;
use crate::control::translate::clients;
use crate::control::translate::entry_points::Way;
use crate::control::translate::ingress::OwnStep;
use crate::control::translate::ingress_route::{
    self, Asked, IngressRouteRead, Placed, RouteRead, ServiceRead, Target,
};
use crate::control::translate::middleware::{
    AskedBy, Asking, Dependency, OwnBackend, Reference, UsedBackend,
};
use crate::control::translate::report::{Problem, Report, leave_out_details};
use crate::control::translate::servers_transport;
use crate::control::translate::wanted::{TransportTls, Wanted};
use crate::model::middleware::{ServiceChoice, Step};
use crate::model::{
    BackendId, BackendKey, BackendState, Broken, Diagnostic, Ingress, Kind, Matching, NamedStep,
    ObjectRef, PortKey, Protocol, Rule, Timeouts, Why,
};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What the routes so far come to.
#[derive(Default)]
pub(super) struct Found {
    rules: Vec<Arc<Rule>>,
    pub(super) backends: Vec<UsedBackend>,
    pub(super) dependencies: BTreeSet<Dependency>,
    is_unresolved: bool,
    /// The Services among several, each with the step that chooses.
    leaves: Vec<(Arc<NamedStep>, Arc<BackendId>)>,
    pub(super) problems: Vec<Diagnostic>,
}

/// Where requests of a route go.
pub(super) enum Destination {
    Port(BackendKey, Wanted),
    /// A step has to answer, or nothing does.
    Nowhere {
        is_noop: bool,
    },
    Broken(Arc<str>, Broken),
    /// To one of several, by a choice that its last step makes; with what all of them are called.
    Several(Arc<str>, ServiceChoice, Vec<Leaf>),
}

/// A Service among several.
pub(super) type Leaf = (BackendKey, Wanted);

impl Destination {
    fn of(choice: Result<ServiceChoice, Broken>, name: Arc<str>, leaves: Vec<Leaf>) -> Self {
        match choice {
            Ok(choice) => Self::Several(name, choice, leaves),
            Err(broken) => Self::Broken(name, broken),
        }
    }
}

/// The object whose routes are read, and what it may look at.
#[derive(Clone, Copy)]
pub(super) struct Within<'w> {
    pub(super) objects: &'w Objects,
    pub(super) object: &'w ObjectRef,
    asking: Asking<'w>,
    pub(super) policy: MiddlewarePolicy,
    ways: &'w [Way<'w>],
    /// Why no route of it is served.
    refused: Option<Broken>,
    /// That of the object.
    number: usize,
    /// In how many TraefikServices it is.
    pub(super) depth: usize,
}

impl Routes {
    /// What an IngressRoute of ours asks for.
    pub(super) fn serve_routes(
        &mut self,
        objects: &Objects,
        object: &ObjectRef,
        number: usize,
        source: &TraefikObject,
        touched: &mut Touched,
    ) -> (Served, Asks) {
        let mut found = Found::default();
        let points = self.options.entry_points.clone();
        let mut report = Report::new(object, &mut found.problems);
        let read = ingress_route::read(source, &self.options.https, &points, &mut report);
        let policy = self.options.middlewares;
        let annotations = Annotations::of(&source.metadata);
        let asking = Asking::of_route(&object.namespace, annotations, policy);
        let clients = clients::read(annotations, &mut Report::new(object, &mut found.problems));
        let (mut clients, missing) = found.clients(objects, object, clients, &read, policy);
        let asked = clients.as_mut().map(|clients| &mut clients.read);
        clients::read_break_glass(
            annotations,
            asked,
            &mut Report::new(object, &mut found.problems),
        );
        let IngressRouteRead { routes, entry_points, tls, asks, .. } = read;
        let ways = points.ways(entry_points.entry_points);
        let (ways, refused) = (&ways[..], asks.refused.or(missing));
        let within = Within { objects, object, asking, policy, ways, refused, number, depth: 0 };
        let reading = self.readings.get(number).expect("a known number has its reading");
        let ingress = Arc::clone(&reading.ingress);
        for route in routes {
            self.serve_route(&within, &route, &ingress, &mut found, touched);
        }
        let authority = clients.as_ref().and_then(|clients| clients.secret(&object.namespace));
        self.acquire_authority(authority, number, touched);
        let tls = tls.and_then(|tls| tls.certificate).into_iter().collect();
        let tls = self.certificates_of(&object.namespace, number, tls, touched);
        let Found { rules, backends, dependencies, is_unresolved, leaves, mut problems } = found;
        leave_out_details(&mut problems, self.options.details);
        let dependencies: Box<[Dependency]> = dependencies.into_iter().collect();
        let mut step_backends =
            self.step_backends(&backends, &dependencies, is_unresolved, number, touched).into_vec();
        let asked =
            Arc::new(AskedBy { field: "spec.routes".into(), service: None, is_list: false });
        let used = |(step, backend)| StepUse { step, backend, asked: Arc::clone(&asked) };
        step_backends.extend(leaves.into_iter().map(used));
        let step_backends = step_backends.into();
        let (rules, problems) = (rules.into(), problems.into());
        let defaults = Box::default();
        let mut served = Served { rules, defaults, tls, clients, ..Served::default() };
        (served.step_backends, served.dependencies) = (step_backends, dependencies);
        served.problems = problems;
        (served, Asks::of_read(asks))
    }

    /// Adds what one of its routes asks for.
    fn serve_route(
        &mut self,
        within: &Within<'_>,
        route: &RouteRead<'_>,
        ingress: &Arc<Ingress>,
        found: &mut Found,
        touched: &mut Touched,
    ) {
        let place = format!("spec.routes[{}].middlewares", route.position);
        let mut report = Report::new(within.object, &mut found.problems);
        let list = RouteList { names: &route.middlewares, place: &place };
        let Within { asking, ways, .. } = within;
        let steps = Steps::of_route(&self.middlewares, *asking, list, ways, &mut report);
        let destination = within.destination(route, found);
        let hash = Arc::new(route.hash());
        let refused = within.refused.or(route.broken).or(steps.broken());
        for (way, Way { entry_points, .. }) in ways.iter().enumerate() {
            let refused = refused.or(steps.broken_way(way));
            let (backend, last) = self.backend_of(&destination, within, refused, found, touched);
            let is_served = refused.is_none() && !matches!(destination, Destination::Broken(..));
            let chain = is_served.then(|| steps.chain("", way, last.as_ref())).flatten();
            for (position, placed) in route.places.iter().enumerate() {
                let Placed { host, path, is_bare, ordered } = placed.clone();
                let (entry_points, hash) = (*entry_points, Some(Arc::clone(&hash)));
                let matching = Matching { entry_points, ordered, is_bare, hash, is_alias: false };
                found.rules.push(Arc::new(Rule {
                    host,
                    path,
                    backend: Arc::clone(&backend),
                    ingress: Arc::clone(ingress),
                    rule: route.position,
                    position,
                    matching,
                    middlewares: chain.clone(),
                }));
            }
        }
        let Finished { backends, dependencies, is_unresolved } = steps.finish();
        found.backends.extend(backends);
        found.dependencies.extend(dependencies);
        found.is_unresolved |= is_unresolved;
    }

    /// The backend of a route, and the step that its requests pass last.
    fn backend_of(
        &mut self,
        destination: &Destination,
        within: &Within<'_>,
        refused: Option<Broken>,
        found: &mut Found,
        touched: &mut Touched,
    ) -> (Arc<BackendId>, Option<OwnStep>) {
        let number = within.number;
        let key = |service: Arc<str>| BackendKey {
            namespace: Arc::clone(&within.object.namespace),
            service,
            port: PortKey::Number(0),
            variant: None,
        };
        match destination {
            Destination::Port(key, wanted) => {
                let wanted = wanted.clone();
                (self.backends.acquire_as(key.clone(), refused, wanted, number, touched), None)
            }
            Destination::Broken(service, broken) => {
                let broken = refused.or(Some(*broken));
                let key = key(Arc::clone(service));
                (self.backends.acquire(key, broken, number, touched), None)
            }
            Destination::Nowhere { .. } if refused.is_some() => {
                (self.backends.acquire(key("noop@internal".into()), refused, number, touched), None)
            }
            Destination::Several(name, ..) if refused.is_some() => {
                (self.backends.acquire(key(Arc::clone(name)), refused, number, touched), None)
            }
            Destination::Several(name, choice, leaves) => {
                let step = Step::Services(Box::new(choice.clone()));
                let step = Arc::new(NamedStep { name: Arc::clone(name), step });
                for (leaf, wanted) in leaves {
                    let backend = self.backends.acquire_as(
                        leaf.clone(),
                        None,
                        wanted.clone(),
                        number,
                        touched,
                    );
                    found.leaves.push((Arc::clone(&step), backend));
                }
                let key = key(Arc::clone(name));
                let state = BackendState::Resolved(Arc::new([]));
                let own = OwnBackend { key, state, protocol: Protocol::Http };
                let last = OwnStep { step, is_alone: false };
                (self.backends.acquire_own(&own, number, touched), Some(last))
            }
            Destination::Nowhere { is_noop } => {
                let key = key("noop@internal".into());
                let state = BackendState::Resolved(Arc::new([]));
                let own = OwnBackend { key, state, protocol: Protocol::Http };
                let noop = NamedStep { name: "noop@internal".into(), step: Step::Noop };
                let last = is_noop.then(|| OwnStep { step: Arc::new(noop), is_alone: false });
                (self.backends.acquire_own(&own, number, touched), last)
            }
        }
    }
}

impl Within<'_> {
    /// The same for a TraefikService that it names.
    pub(super) fn nested<'n>(&'n self, object: &'n ObjectRef) -> Within<'n> {
        Within { object, depth: self.depth + 1, ..*self }
    }

    /// Where the requests of a route go.
    fn destination(&self, route: &RouteRead<'_>, found: &mut Found) -> Destination {
        let place = format!("spec.routes[{}].services", route.position);
        match &route.services[..] {
            [] => {
                let mut report = Report::new(self.object, &mut found.problems);
                if route.middlewares.is_empty() && route.broken.is_none() {
                    let reason = "is empty: requests get 503";
                    let problem = Problem::error(Why::Invalid, "", reason, "name a Service");
                    report.add(&place, problem);
                }
                Destination::Nowhere { is_noop: false }
            }
            [one] => self.service(one, &format!("{place}[0]"), found),
            several => {
                let name = format!("{}[{}]", self.object.name, route.position);
                let mut leaves = Vec::new();
                let choice = self.weighted(several, None, &place, found, &mut leaves);
                Destination::of(choice, name.into(), leaves)
            }
        }
    }

    pub(super) fn service(
        &self,
        read: &ServiceRead<'_>,
        place: &str,
        found: &mut Found,
    ) -> Destination {
        let (reference, port) = match &read.target {
            Target::Noop => return Destination::Nowhere { is_noop: true },
            Target::Unusable(name, broken) => return Destination::Broken((*name).into(), *broken),
            Target::TraefikService(named) => {
                let mut leaves = Vec::new();
                let name = format!("TraefikService/{}", named.name);
                let choice = self.traefik_service(*named, place, found, &mut leaves);
                return Destination::of(choice, name.into(), leaves);
            }
            Target::Service(reference, port) => (*reference, port.clone()),
        };
        let Some((namespace, service)) = self.name(reference) else {
            let problem = ingress_route::forbidden("a Service", "requests get 503");
            Report::new(self.object, &mut found.problems)
                .add(&format!("{place}.namespace"), problem);
            return Destination::Broken(reference.name.into(), Broken::Restricted);
        };
        let of_transport = format!("{place}.serversTransport");
        match self.wanted(&read.asked, &namespace, &of_transport, found) {
            Ok(wanted) => {
                let variant = variant(&read.asked);
                Destination::Port(BackendKey { namespace, service, port, variant }, wanted)
            }
            Err(broken) => Destination::Broken(service, broken),
        }
    }

    /// Namespace and name of what a reference means, unless that is forbidden.
    pub(super) fn name(&self, reference: Reference<'_>) -> Option<Name> {
        self.referrer(&self.object.namespace).name(reference)
    }

    fn referrer<'n>(&'n self, namespace: &'n Arc<str>) -> Referrer<'n> {
        Referrer { objects: self.objects, namespace, policy: self.policy }
    }

    /// What is asked of a Service of a namespace, with its ServersTransport looked up.
    fn wanted(
        &self,
        asked: &Asked<'_>,
        namespace: &Arc<str>,
        place: &str,
        found: &mut Found,
    ) -> Result<Wanted, Broken> {
        let (mut tls, mut timeouts) = (None, None);
        if let Some(name) = asked.transport {
            let referrer = self.referrer(namespace);
            let object = referrer.own(Kind::ServersTransport, name, &mut found.dependencies);
            let (own, limits) = self.transport(&object, place, found)?;
            (tls, timeouts) = (Some(Arc::new(own)), limits);
        }
        let Asked { scheme, host, .. } = *asked;
        let (algorithm, check) = (asked.algorithm(), asked.check.clone());
        Ok(Wanted { scheme, tls, timeouts, algorithm, host, check })
    }

    fn transport(
        &self,
        object: &ObjectRef,
        place: &str,
        found: &mut Found,
    ) -> Result<(TransportTls, Option<Timeouts>), Broken> {
        found.dependencies.insert(Dependency::Object(object.clone()));
        let Some(read) = servers_transport::read(self.objects, object, &mut found.problems) else {
            let kind = object.kind.as_str();
            let problem = ingress_route::missing(kind, &object.namespace, &object.name);
            Report::new(self.object, &mut found.problems).add(place, problem);
            return Err(Broken::ProtocolUnusable);
        };
        found.dependencies.extend(read.dependencies);
        let tls = read.tls.ok_or(Broken::ProtocolUnusable)?;
        Ok((tls, read.timeouts))
    }
}

/// What tells two backends of one port apart, for which different things are asked.
fn variant(asked: &Asked<'_>) -> Option<Arc<str>> {
    let Asked { scheme, transport, strategy, sticky, host, check } = asked;
    let scheme = scheme.map(|scheme| scheme.as_str().to_owned());
    let transport = transport.map(|name| format!("ServersTransport {name}"));
    let sticky = sticky.as_ref().map(|cookie| format!("cookie {cookie:?}"));
    let host = host.map(|host| format!("Host {host:?}"));
    let strategy = strategy.as_ref().map(ToString::to_string);
    let check = check.as_ref().map(|check| format!("{check:?}"));
    let all = [scheme, transport, strategy, sticky, host, check];
    let all: Vec<String> = all.into_iter().flatten().collect();
    (!all.is_empty()).then(|| all.join(", ").into())
}
