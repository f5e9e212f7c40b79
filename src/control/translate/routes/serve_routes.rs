//! What one IngressRoute asks for.

use super::asks::Asks;
use super::clients::Clients;
use super::reading::Served;
use super::steps::{Finished, RouteList, Steps};
use super::tls_options::TlsOptions;
use super::{Name, Routes, Touched};
use crate::config::MiddlewarePolicy;
use crate::control::objects::{Objects, TraefikObject};
use crate::control::translate::annotations::Annotations;
use crate::control::translate::clients::{self, ClientsRead};
use crate::control::translate::entry_points::Way;
use crate::control::translate::ingress::OwnStep;
use crate::control::translate::ingress_route::{
    self, Asked, IngressRouteRead, Placed, RouteRead, RouteTls, ServiceRead, Target,
};
use crate::control::translate::middleware::{
    Asking, Dependency, OwnBackend, Reference, UsedBackend, object_id,
};
use crate::control::translate::report::{Problem, Report, leave_out_details};
use crate::control::translate::servers_transport;
use crate::control::translate::wanted::{TransportTls, Wanted};
use crate::model::middleware::Step;
use crate::model::{
    BackendKey, BackendState, Broken, Diagnostic, Kind, Matching, NamedStep, ObjectRef, PortKey,
    Protocol, Rule, Why,
};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Behind the id of an object of Kubernetes, where an object of any provider is named.
const PROVIDER: &str = "@kubernetescrd";

/// What the routes so far come to.
#[derive(Default)]
struct Found {
    rules: Vec<Rule>,
    backends: Vec<UsedBackend>,
    dependencies: BTreeSet<Dependency>,
    is_unresolved: bool,
    problems: Vec<Diagnostic>,
}

impl Found {
    /// What is asked of the clients of its hosts, by annotations and by a TLSOption; and why no route is served.
    fn clients(
        &mut self,
        objects: &Objects,
        object: &ObjectRef,
        own: Option<ClientsRead>,
        tls: Option<&RouteTls<'_>>,
        policy: MiddlewarePolicy,
    ) -> (Option<Box<Clients>>, Option<Broken>) {
        let Some(RouteTls { hosts, option, .. }) = tls else {
            return (None, own.map(|_| Broken::Restricted));
        };
        let mut missing = None;
        let mut read = own;
        if let Some(named) = option {
            let namespace = named.namespace.unwrap_or(&object.namespace);
            let is_own = *namespace == *object.namespace;
            let option = ObjectRef::new(Kind::TlsOption, namespace, named.name);
            let place = "spec.tls.options";
            let Self { dependencies, problems, .. } = self;
            let mut options = TlsOptions { objects, object, dependencies, problems };
            let asked = match is_own || policy == MiddlewarePolicy::AnyNamespace {
                true => options.named(&option, place),
                false => {
                    let problem = ingress_route::forbidden("a TLSOption");
                    Report::new(object, &mut self.problems).add(place, problem);
                    Err(Broken::Restricted)
                }
            };
            match asked {
                Ok(asked) => {
                    read = Some(match read {
                        Some(own) => own.with(asked),
                        None => asked,
                    });
                }
                Err(broken) => missing = Some(broken),
            }
        }
        let hosts = hosts.clone().into();
        (read.map(|read| Box::new(Clients { read, hosts })), missing)
    }
}

/// Where requests of a route go.
enum Destination {
    Port(BackendKey, Wanted),
    /// A step has to answer, or nothing does.
    Nowhere {
        is_noop: bool,
    },
    Broken(Arc<str>, Broken),
}

/// The object whose routes are read, and what it may look at.
struct Within<'w> {
    objects: &'w Objects,
    object: &'w ObjectRef,
    asking: Asking<'w>,
    policy: MiddlewarePolicy,
    ways: &'w [Way<'w>],
    /// Why no route of it is served.
    refused: Option<Broken>,
    /// That of the object.
    number: usize,
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
        let IngressRouteRead { routes, entry_points, tls, asks } = read;
        let policy = self.options.middlewares;
        let annotations = Annotations::of(&source.metadata);
        let asking = Asking::of_route(&object.namespace, annotations, policy);
        let ways = points.ways(entry_points.entry_points);
        let clients = clients::read(annotations, &mut Report::new(object, &mut found.problems));
        let (clients, missing) = found.clients(objects, object, clients, tls.as_ref(), policy);
        let (ways, refused) = (&ways[..], asks.refused.or(missing));
        let within = Within { objects, object, asking, policy, ways, refused, number };
        for route in routes {
            self.serve_route(&within, &route, &mut found, touched);
        }
        let authority = clients.as_ref().and_then(|clients| clients.secret(&object.namespace));
        self.acquire_authority(authority, number, touched);
        let tls = tls.and_then(|tls| tls.certificate).into_iter().collect();
        let tls = self.certificates_of(&object.namespace, number, tls, touched);
        let Found { rules, backends, dependencies, is_unresolved, mut problems } = found;
        leave_out_details(&mut problems, self.options.details);
        let dependencies: Box<[Dependency]> = dependencies.into_iter().collect();
        let step_backends =
            self.step_backends(&backends, &dependencies, is_unresolved, number, touched);
        let (rules, problems) = (rules.into(), problems.into());
        let defaults = Box::default();
        let served =
            Served { rules, defaults, tls, clients, step_backends, dependencies, problems };
        (served, Asks::of_read(asks))
    }

    /// Adds what one of its routes asks for.
    fn serve_route(
        &mut self,
        within: &Within<'_>,
        route: &RouteRead<'_>,
        found: &mut Found,
        touched: &mut Touched,
    ) {
        let place = format!("spec.routes[{}].middlewares", route.position);
        let mut report = Report::new(within.object, &mut found.problems);
        let list = RouteList { names: &route.middlewares, place: &place };
        let Within { asking, ways, .. } = within;
        let steps = Steps::of_route(&self.middlewares, *asking, list, ways, &mut report);
        let destination = within.destination(route, found);
        let refused = within.refused.or(route.broken).or(steps.broken());
        for (way, Way { entry_points, .. }) in ways.iter().enumerate() {
            let refused = refused.or(steps.broken_way(way));
            let (backend, last) = self.backend_of(&destination, within, refused, touched);
            let is_served = refused.is_none() && !matches!(destination, Destination::Broken(..));
            let chain = is_served.then(|| steps.chain("", way, last.as_ref())).flatten();
            for (position, placed) in route.places.iter().enumerate() {
                let Placed { host, path, is_bare, ordered } = placed.clone();
                let entry_points = *entry_points;
                let matching = Matching { entry_points, ordered, is_bare, is_alias: false };
                found.rules.push(Rule {
                    host,
                    path,
                    backend,
                    ingress: 0,
                    rule: route.position,
                    position,
                    matching,
                    middlewares: chain.clone(),
                });
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
        touched: &mut Touched,
    ) -> (usize, Option<OwnStep>) {
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
            [first, ..] => {
                let reason = "has several services, which are not supported yet: requests get 503";
                let problem = Problem::error(Why::Unsupported, "", reason, "name one");
                Report::new(self.object, &mut found.problems).add(&place, problem);
                Destination::Broken(name_of(&first.target), Broken::Unsupported)
            }
        }
    }

    fn service(&self, read: &ServiceRead<'_>, place: &str, found: &mut Found) -> Destination {
        let (reference, port) = match &read.target {
            Target::Noop => return Destination::Nowhere { is_noop: true },
            Target::Unusable(name, broken) => return Destination::Broken((*name).into(), *broken),
            Target::TraefikService(named) => {
                let reason = "is a TraefikService, which is not supported yet: requests get 503";
                let problem = Problem::error(Why::Unsupported, "", reason, "name a Service");
                Report::new(self.object, &mut found.problems)
                    .add(&format!("{place}.kind"), problem);
                return Destination::Broken(named.name.into(), Broken::Unsupported);
            }
            Target::Service(reference, port) => (*reference, port.clone()),
        };
        let Some((namespace, service)) = self.name(reference) else {
            let problem = ingress_route::forbidden("a Service");
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
    fn name(&self, reference: Reference<'_>) -> Option<Name> {
        let own = &self.object.namespace;
        let namespace = reference.namespace.map_or_else(|| Arc::clone(own), Arc::from);
        let is_allowed = namespace == *own || self.policy == MiddlewarePolicy::AnyNamespace;
        is_allowed.then(|| (namespace, reference.name.into()))
    }

    /// What is asked of a Service of a namespace, with its ServersTransport looked up.
    fn wanted(
        &self,
        asked: &Asked<'_>,
        namespace: &Arc<str>,
        place: &str,
        found: &mut Found,
    ) -> Result<Wanted, Broken> {
        let mut tls = None;
        if let Some(name) = asked.transport {
            let object = self.transport_of(name, namespace, found);
            tls = Some(Arc::new(self.transport(&object, place, found)?));
        }
        Ok(Wanted { scheme: asked.scheme, tls, algorithm: asked.algorithm() })
    }

    /// The ServersTransport of a name: in the namespace of the Service (`crd/kubernetes_http.go`,
    /// makeServersTransportKey), or the first of those with an id.
    fn transport_of(&self, name: &str, of: &Arc<str>, found: &mut Found) -> ObjectRef {
        let kind = Kind::ServersTransport;
        let Some(id) = name.strip_suffix(PROVIDER) else {
            return ObjectRef { kind, namespace: Arc::clone(of), name: name.into() };
        };
        found.dependencies.insert(Dependency::Object(ObjectRef::new(kind, "", id)));
        let is_allowed =
            |namespace: &Arc<str>| namespace == of || self.policy == MiddlewarePolicy::AnyNamespace;
        let all = self.objects.traefik(kind).iter();
        let mut named = all.filter(|(namespace, name, _)| {
            object_id(namespace, name) == id && is_allowed(namespace)
        });
        let (namespace, name) = named.next().map_or_else(
            || (Arc::clone(of), Arc::from(name)),
            |(namespace, name, _)| (Arc::clone(namespace), Arc::clone(name)),
        );
        ObjectRef { kind, namespace, name }
    }

    fn transport(
        &self,
        object: &ObjectRef,
        place: &str,
        found: &mut Found,
    ) -> Result<TransportTls, Broken> {
        found.dependencies.insert(Dependency::Object(object.clone()));
        let Some(read) = servers_transport::read(self.objects, object, &mut found.problems) else {
            let kind = object.kind.as_str();
            let problem = ingress_route::missing(kind, &object.namespace, &object.name);
            Report::new(self.object, &mut found.problems).add(place, problem);
            return Err(Broken::ProtocolUnusable);
        };
        for secret in read.secrets {
            found.dependencies.insert(Dependency::Secret((Arc::clone(&object.namespace), secret)));
        }
        read.tls.ok_or(Broken::ProtocolUnusable)
    }
}

/// What tells two backends of one port apart, for which different things are asked.
fn variant(asked: &Asked<'_>) -> Option<Arc<str>> {
    let Asked { scheme, transport, sticky } = asked;
    let scheme = scheme.map(|scheme| scheme.as_str().to_owned());
    let transport = transport.map(|name| format!("ServersTransport {name}"));
    let sticky = sticky.as_ref().map(|cookie| format!("cookie {cookie:?}"));
    let all: Vec<String> = scheme.into_iter().chain(transport).chain(sticky).collect();
    (!all.is_empty()).then(|| all.join(", ").into())
}

fn name_of(target: &Target<'_>) -> Arc<str> {
    match target {
        Target::Service(named, _) | Target::TraefikService(named) => named.name.into(),
        Target::Noop => "noop@internal".into(),
        Target::Unusable(name, _) => (*name).into(),
    }
}
