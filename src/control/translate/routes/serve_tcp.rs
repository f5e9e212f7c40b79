//! What one IngressRouteTCP asks for.

use super::asks::Asks;
use super::reading::{Served, TcpServed};
use super::referrer::Referrer;
use super::tls_options::TlsOptions;
use super::{Routes, Touched};
use crate::config::MiddlewarePolicy;
use crate::control::objects::{Objects, TraefikObject};
use crate::control::quote::quote;
use crate::control::translate::clients::{ClientsRead, IssuerName};
use crate::control::translate::ingress_route::forbidden;
use crate::control::translate::middleware::{Dependency, Reference};
use crate::control::translate::report::{Problem, Report, leave_out_details};
use crate::control::translate::secret;
use crate::control::translate::tcp_route::{
    self, IngressRouteTcpRead, TcpRouteRead, TcpServiceRead, TcpTarget, TcpTlsRead, TcpTransport,
};
use crate::control::translate::tls_option::{self, TlsOptionRead, default_protocols};
use crate::control::translate::wanted::{AskedScheme, Wanted};
use crate::model::middleware::{NamedStep, Step};
use crate::model::{
    BackendKey, Broken, Diagnostic, HostPattern, Kind, ObjectRef, Ordered, Severity, TcpDelivery,
    TcpRule, TcpService, TcpTls, TcpTlsEnd, Why,
};
use crate::pki::client_certificate::{Authority, Demand, Mode};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What comes of a route that cannot be served.
const REFUSED: &str = "connections are refused";

/// An IngressRouteTCP whose routes are read, what it may look at, and what it has looked at.
struct TcpReader<'w> {
    objects: &'w Objects,
    object: &'w ObjectRef,
    policy: MiddlewarePolicy,
    entry_points: u32,
    dependencies: BTreeSet<Dependency>,
    problems: Vec<Diagnostic>,
}

/// A Service port that connections of a route go to.
struct Leaf {
    /// Position in `services`.
    position: usize,
    key: BackendKey,
    wanted: Wanted,
    service: TcpService,
}

impl Routes {
    /// What an IngressRouteTCP of ours asks for.
    pub(super) fn serve_tcp(
        &mut self,
        objects: &Objects,
        object: &ObjectRef,
        number: usize,
        source: &TraefikObject,
        touched: &mut Touched,
    ) -> (Served, Asks) {
        let mut problems = Vec::new();
        let points = &self.options.entry_points;
        let read = tcp_route::read(source, points, &mut Report::new(object, &mut problems));
        let IngressRouteTcpRead { routes, entry_points, tls, mut broken } = read;
        let (policy, entry_points) = (self.options.middlewares, entry_points.entry_points.own);
        let takes_http = tls.is_none() && points.have_http(entry_points);
        let dependencies = BTreeSet::new();
        let mut reader =
            TcpReader { objects, object, policy, entry_points, dependencies, problems };
        let (of_tls, of_options) = reader.tls(tls.as_ref());
        broken = broken.or(of_options);
        let mut served = Vec::with_capacity(routes.len());
        for route in &routes {
            if route.is_catch_all && takes_http {
                reader.warn_of_http(route.position);
            }
            let (rule, leaves) = reader.route(route, &of_tls, broken);
            let places = leaves.iter().map(|leaf| leaf.position).collect();
            let backends = leaves.into_iter().map(|Leaf { key, wanted, .. }| {
                self.backends.acquire_as(key, None, wanted, number, touched)
            });
            let backends = backends.collect();
            served.push(TcpServed { rule: Arc::new(rule), backends, places });
        }
        let TcpReader { dependencies, mut problems, .. } = reader;
        leave_out_details(&mut problems, self.options.details);
        let dependencies: Box<[Dependency]> = dependencies.into_iter().collect();
        self.middlewares.acquire(number, &dependencies, false);
        let certificate = tls.and_then(|tls| tls.own.certificate).into_iter().collect();
        let tls = self.certificates_of(&object.namespace, number, certificate, touched);
        let (tcp, problems) = (served.into(), problems.into());
        let served = Served { tcp, tls, dependencies, problems, ..Served::default() };
        (served, Asks::default())
    }
}

impl<'w> TcpReader<'w> {
    fn report(&mut self, place: &str, problem: Problem) {
        Report::new(self.object, &mut self.problems).add(place, problem);
    }

    /// What becomes of TLS, and why no connection is served.
    fn tls(&mut self, tls: Option<&TcpTlsRead<'_>>) -> (TcpTls, Option<Broken>) {
        let Some(TcpTlsRead { is_passed, own, .. }) = tls else {
            return (TcpTls::None, None);
        };
        if *is_passed {
            return (TcpTls::Passthrough, None);
        }
        let namespace = Arc::clone(&self.object.namespace);
        let secret = own.certificate.as_ref().map(|named| (namespace, named.secret_name.into()));
        match self.option(own.option) {
            Ok(option) => {
                let protocols = match &option {
                    None => default_protocols(),
                    Some((_, option)) => option.protocols.clone(),
                };
                let demand =
                    option.map(|(namespace, option)| self.demand(&namespace, &option.clients));
                let demand = demand.unwrap_or_default();
                let end = TcpTlsEnd { demand, protocols, secret };
                (TcpTls::Ended(Box::new(end)), None)
            }
            Err(broken) => {
                let end =
                    TcpTlsEnd { demand: Demand::unsatisfiable(), secret, ..Default::default() };
                (TcpTls::Ended(Box::new(end)), Some(broken))
            }
        }
    }

    /// The TLSOption that is named, or else the default one, with its namespace.
    fn option(
        &mut self,
        named: Option<Reference<'_>>,
    ) -> Result<Option<(Arc<str>, TlsOptionRead)>, Broken> {
        let place = "spec.tls.options";
        let Some(named) = named else {
            let Some(default) = tls_option::default(self.objects) else { return Ok(None) };
            let read = tls_option::read(self.objects, &default, &mut self.problems);
            return Ok(read.map(|read| (default.namespace, read)));
        };
        let referrer = self.referrer();
        let Some(option) = referrer.object(Kind::TlsOption, named, &mut self.dependencies) else {
            self.report(place, forbidden("a TLSOption", REFUSED));
            return Err(Broken::Restricted);
        };
        let Self { objects, object, dependencies, problems, .. } = self;
        let mut options = TlsOptions { objects, object, dependencies, problems, then: REFUSED };
        let read = options.named(&option, place)?;
        Ok(Some((option.namespace, read)))
    }

    /// What is asked of clients, with the CA looked up.
    fn demand(&mut self, namespace: &Arc<str>, clients: &ClientsRead) -> Demand {
        // Break-glass opens hosts of HTTP alone.
        let ClientsRead { mode, issuer, subjects, tls13_only, break_glass: _ } = clients;
        let authority = match issuer {
            _ if *mode == Mode::Off => None,
            Some(IssuerName::Secret(..)) => {
                clients.secret(namespace).and_then(|(namespace, name)| {
                    let of_name = (Arc::clone(&namespace), Arc::clone(&name));
                    self.dependencies.insert(Dependency::Secret(of_name));
                    let found = self.objects.secrets().get(&namespace, &name);
                    let read =
                        secret::read_authority(&namespace, &name, found.map(|found| &**found));
                    read.map_err(|problem| self.report("spec.tls.options", problem)).ok()
                })
            }
            Some(IssuerName::Cloudflare) => Some(Authority::cloudflare()),
            None => None,
        };
        let (mode, subjects, tls13_only) = (*mode, subjects.clone(), *tls13_only);
        Demand { mode, authority: authority.map(Arc::new), subjects, tls13_only }
    }

    /// One of the routes, and the Service ports that it leads to.
    fn route(
        &mut self,
        route: &TcpRouteRead<'_>,
        tls: &TcpTls,
        broken: Option<Broken>,
    ) -> (TcpRule, Vec<Leaf>) {
        let steps = self.steps(route);
        let leaves = self.leaves(route);
        let broken = broken.or(route.broken).or(steps.as_ref().err().copied());
        let broken = broken.or(leaves.as_ref().err().copied());
        // Without them there is nothing that it could be served with by mistake.
        let (steps, leaves) = match broken {
            None => (steps.unwrap_or_default(), leaves.unwrap_or_default()),
            Some(_) => (Vec::new(), Vec::new()),
        };
        let rule = TcpRule {
            position: route.position,
            text: route.text.into(),
            hosts: route.hosts.as_slice().into(),
            is_catch_all: route.is_catch_all,
            ordered: Ordered { priority: route.priority, condition: route.condition.clone() },
            entry_points: self.entry_points,
            tls: tls.clone(),
            steps: steps.into(),
            services: leaves.iter().map(|leaf| leaf.service.clone()).collect(),
            broken,
        };
        (rule, leaves)
    }

    /// The steps of a route.
    fn steps(&mut self, route: &TcpRouteRead<'_>) -> Result<Vec<Arc<NamedStep>>, Broken> {
        let mut steps = Vec::with_capacity(route.middlewares.len());
        for (position, &named) in route.middlewares.iter().enumerate() {
            let place = format!("spec.routes[{}].middlewares[{position}]", route.position);
            let step = self.step(named, &place)?;
            let name = format!("{}/{}", step.0.namespace, step.0.name);
            // Each route counts for itself, as in Traefik.
            let name = match step.1 {
                Step::InFlight(_) => {
                    let ObjectRef { namespace, name: own, .. } = self.object;
                    format!("{name} of IngressRouteTCP {namespace}/{own}, {}", route.text)
                }
                _ => name,
            };
            steps.push(Arc::new(NamedStep { name: name.into(), step: step.1 }));
        }
        Ok(steps)
    }

    fn step(&mut self, named: Reference<'_>, place: &str) -> Result<(ObjectRef, Step), Broken> {
        let referrer = self.referrer();
        let Some(object) = referrer.object(Kind::MiddlewareTcp, named, &mut self.dependencies)
        else {
            self.report(place, forbidden("a MiddlewareTCP", REFUSED));
            return Err(Broken::MiddlewareUnusable);
        };
        self.dependencies.insert(Dependency::Object(object.clone()));
        match tcp_route::read_middleware(self.objects, &object, &mut self.problems) {
            Some(Ok(step)) => Ok((object, step)),
            Some(Err(())) => {
                let reason = format!("{object} cannot be used: {REFUSED}");
                let fix = "see the findings about it";
                self.report(place, Problem::error(Why::MiddlewareUnusable, "", reason, fix));
                Err(Broken::MiddlewareUnusable)
            }
            None => {
                self.report(place, missing(&object, Why::MiddlewareUnusable));
                Err(Broken::MiddlewareUnusable)
            }
        }
    }

    /// The Service ports of a route. One that cannot be used is passed over where there are others, as in Traefik.
    fn leaves(&mut self, route: &TcpRouteRead<'_>) -> Result<Vec<Leaf>, Broken> {
        let place = format!("spec.routes[{}].services", route.position);
        let (mut leaves, mut broken) = (Vec::new(), None);
        for service in &route.services {
            let place = format!("{place}[{}]", service.position);
            match self.leaf(service, &place) {
                Ok(leaf) => leaves.push(leaf),
                Err(unusable) => broken = broken.or(Some(unusable)),
            }
        }
        if leaves.iter().any(|leaf| leaf.service.weight > 0) {
            return Ok(leaves);
        }
        if let Some(broken) = broken {
            return Err(broken);
        }
        let (reason, fix) = match leaves.is_empty() {
            true => ("is empty: connections are refused", "name a Service and its port"),
            false => {
                ("have no weight above 0: connections are refused", "give one of them a weight")
            }
        };
        if route.broken.is_none() {
            self.report(&place, Problem::error(Why::Invalid, "", reason, fix));
        }
        Err(Broken::Unsupported)
    }

    fn leaf(&mut self, service: &TcpServiceRead<'_>, place: &str) -> Result<Leaf, Broken> {
        let (reference, port) = match &service.target {
            TcpTarget::Port(reference, port) => (*reference, port.clone()),
            TcpTarget::Unusable(broken) => return Err(*broken),
        };
        let Some((namespace, name)) = self.referrer().name(reference) else {
            let place = format!("{place}.namespace");
            self.report(&place, forbidden("a Service", REFUSED));
            return Err(Broken::Restricted);
        };
        let transport = match service.transport {
            None => None,
            Some(name) => Some(self.transport(name, &format!("{place}.serversTransport"))?),
        };
        let (of_transport, transport) = match transport {
            None => (None, None),
            Some((object, transport)) => (Some(object), Some(transport)),
        };
        let own = TcpDelivery { proxy_protocol: service.proxy_protocol, ..Default::default() };
        let delivery = transport.as_ref().map_or(own, |transport| transport.delivery);
        let tls = transport.and_then(|transport| transport.tls).filter(|_| service.tls);
        let variant = match (service.tls, of_transport.filter(|_| tls.is_some())) {
            (false, _) => "tcp".to_owned(),
            (true, None) => "tcp, tls".to_owned(),
            (true, Some(object)) => format!("tcp, tls, {object}"),
        };
        let scheme = if service.tls { AskedScheme::Tls } else { AskedScheme::Tcp };
        let key = BackendKey { namespace, service: name, port, variant: Some(variant.into()) };
        let wanted = Wanted { scheme: Some(scheme), tls: tls.map(Arc::new), ..Wanted::default() };
        let (position, weight) = (service.position, service.weight);
        Ok(Leaf { position, key, wanted, service: TcpService { weight, delivery } })
    }

    fn transport(&mut self, name: &str, place: &str) -> Result<(ObjectRef, TcpTransport), Broken> {
        let kind = Kind::ServersTransportTcp;
        let object = self.referrer().own(kind, name, &mut self.dependencies);
        self.dependencies.insert(Dependency::Object(object.clone()));
        let Some(read) = tcp_route::read_transport(self.objects, &object, &mut self.problems)
        else {
            self.report(place, missing(&object, Why::Unsupported));
            return Err(Broken::ProtocolUnusable);
        };
        self.dependencies.extend(read.dependencies);
        read.usable.map(|usable| (object, usable)).ok_or(Broken::ProtocolUnusable)
    }

    fn referrer(&self) -> Referrer<'w> {
        let Self { objects, object, policy, .. } = *self;
        Referrer { objects, namespace: &object.namespace, policy }
    }

    fn warn_of_http(&mut self, position: usize) {
        let place = format!("spec.routes[{position}].match");
        let reason = format!(
            "is {}, and takes every connection without TLS of its entry points, some of which have routes of HTTP: \
             these get none",
            quote(&HostPattern::Any.to_string())
        );
        let fix =
            "name an entry point of its own in entryPoints, of a listener with protocol = \"tcp\"";
        let problem = Problem::error(Why::Shadowed, "", reason, fix).with(Severity::Warning);
        self.report(&place, problem);
    }
}

fn missing(object: &ObjectRef, why: Why) -> Problem {
    let reason = format!("there is no {object}: {REFUSED}");
    Problem::error(why, "", reason, "create it")
}
