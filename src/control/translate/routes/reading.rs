//! What is kept of one Ingress.

use super::Name;
use super::backends::Backends;
use super::clients::Clients;
use super::secrets::Secrets;
use crate::control::translate::annotations::field;
use crate::control::translate::backend_place::BackendPlace;
use crate::control::translate::clients::CLIENT_CA;
use crate::control::translate::findings::Reported;
use crate::control::translate::middleware::{AskedBy, Dependency};
use crate::control::translate::object_ref;
use crate::control::translate::report::{Problem, Report};
use crate::model::middleware::Step;
use crate::model::{
    BackendId, DefaultBackend, Diagnostic, HostPattern, Ingress, Kind, NamedStep, ObjectRef, Rule,
    TcpRule,
};
use crate::pki::client_certificate::Authority;
use std::sync::Arc;

/// One Ingress, ours or not.
#[derive(Debug)]
pub(super) struct Reading {
    /// Shared with its rules and the model.
    pub(super) ingress: Arc<Ingress>,
    /// Why it is not for us, if so.
    pub(super) foreign: Option<Box<Problem>>,
    /// What there is to be said of its class, if it is for us.
    pub(super) warning: Option<Box<Problem>>,
    pub(super) served: Served,
    /// What is wrong with it and with what it refers to.
    pub(super) found: Reported,
}

/// What an Ingress asks for.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Served {
    pub(super) rules: Box<[Arc<Rule>]>,
    /// `spec.defaultBackend`, for each of its [`Way`]s.
    ///
    /// [`Way`]: crate::control::translate::entry_points::Way
    pub(super) defaults: Box<[DefaultBackend]>,
    /// The routes of connections.
    pub(super) tcp: Box<[TcpServed]>,
    pub(super) tls: Box<[Certificate]>,
    /// What is asked of clients; boxed, because few Ingresses ask.
    pub(super) clients: Option<Box<Clients>>,
    /// The backends of its steps.
    pub(super) step_backends: Box<[StepUse]>,
    /// What it has to be read again for, sorted.
    pub(super) dependencies: Box<[Dependency]>,
    /// What is wrong with the Ingress itself.
    pub(super) problems: Box<[Diagnostic]>,
}

/// A route of connections.
#[derive(Debug, PartialEq)]
pub(super) struct TcpServed {
    pub(super) rule: Arc<TcpRule>,
    pub(super) backends: Box<[Arc<BackendId>]>,
    /// For each its position in `services`.
    pub(super) places: Box<[usize]>,
}

/// A step with a backend, and what asks for it.
#[derive(Debug, PartialEq)]
pub(super) struct StepUse {
    pub(super) step: Arc<NamedStep>,
    pub(super) backend: Arc<BackendId>,
    pub(super) asked: Arc<AskedBy>,
}

/// One of `spec.tls` that names a Secret.
#[derive(Debug, PartialEq)]
pub(super) struct Certificate {
    /// Position in `spec.tls`.
    pub(super) position: usize,
    pub(super) secret: Name,
    /// The hosts that it is for.
    pub(super) hosts: Box<[HostPattern]>,
}

impl Served {
    /// Its backends, sorted, each once.
    pub(super) fn backends(&self) -> Vec<&Arc<BackendId>> {
        let of_rules = self.rules.iter().map(|rule| &rule.backend);
        let of_default = self.defaults.iter().map(|default| &default.backend);
        let of_steps = self.step_backends.iter().map(|used| &used.backend);
        let of_tcp = self.tcp.iter().flat_map(|route| &route.backends);
        let mut all: Vec<_> = of_rules.chain(of_default).chain(of_steps).chain(of_tcp).collect();
        // Those that stand together are mostly the same one.
        all.dedup_by(|a, b| Arc::ptr_eq(a, b));
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The hosts of its rules and default backends, as often as they name them.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &HostPattern> {
        let of_defaults = self.defaults.iter().flat_map(|default| &default.hosts);
        of_defaults.chain(self.rules.iter().map(|rule| &rule.host))
    }

    /// The hosts of those that lead to a backend, with [`HostPattern::Any`] for the default backends.
    pub(super) fn hosts_of<'s>(
        &'s self,
        backend: &'s BackendId,
    ) -> impl Iterator<Item = &'s HostPattern> {
        let rules = self.rules.iter().filter(|rule| *rule.backend == *backend);
        let defaults = self.defaults.iter().filter(|default| *default.backend == *backend);
        let of_defaults =
            defaults.flat_map(|default| default.hosts.iter().chain([&HostPattern::Any]));
        of_defaults.chain(rules.map(|rule| &rule.host))
    }

    /// Makes this Ingress that of all its rules.
    pub(super) fn belong_to(&mut self, ingress: &Arc<Ingress>) {
        for rule in &mut self.rules {
            Arc::make_mut(rule).ingress = Arc::clone(ingress);
        }
        for default in &mut self.defaults {
            default.ingress = Arc::clone(ingress);
        }
    }

    /// Takes the rules and routes of an equal one, which the model shares.
    pub(super) fn keep(&mut self, other: &mut Self) {
        std::mem::swap(&mut self.rules, &mut other.rules);
        std::mem::swap(&mut self.defaults, &mut other.defaults);
        std::mem::swap(&mut self.tcp, &mut other.tcp);
    }

    /// Whether it asks for the same as another one.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.rules == other.rules && self.defaults == other.defaults && self.tcp == other.tcp
    }
}

/// The problem of a step's backend, with what the step does without it.
fn of_step(StepUse { step, asked, .. }: &StepUse, problem: &Problem) -> Problem {
    let named = match asked.is_list {
        true => format!("Middleware {}", step.name),
        false => "a server".to_owned(),
    };
    let reason = format!("names {named}, whose backend is unusable: {}", problem.reason);
    let problem = Problem { reason, ..problem.clone() };
    let step = match &step.step {
        Step::Exempt(exemption) => &exemption.step.step,
        step => step,
    };
    match step {
        Step::Errors(_) => problem.served("responses of the pod are passed on unchanged"),
        Step::RateLimit(_) => problem.served("each node counts by itself"),
        Step::ForwardAuth(_) => problem.but("requests get 502"),
        _ => problem,
    }
}

impl Reading {
    /// One that asks for nothing yet.
    pub(super) fn new(ingress: Arc<Ingress>, foreign: Option<Box<Problem>>) -> Self {
        let (served, found) = (Served::default(), Reported::default());
        Self { ingress, foreign, warning: None, served, found }
    }

    /// Adds what is wrong with the backends of its routes of connections.
    fn add_tcp(&self, backends: &Backends, report: &mut Report<'_>) {
        for TcpServed { rule, backends: own, places } in &self.served.tcp {
            for (&service, backend) in places.iter().zip(own) {
                if let Some(problem) = backends.problem(backend) {
                    let problem = problem.clone().but("connections are refused");
                    let place = BackendPlace::Route { route: rule.position, service };
                    report.add(&place.field(problem.field), problem);
                }
            }
        }
    }

    /// What is wrong with it and with what it refers to, in no order.
    pub(super) fn findings(
        &self,
        backends: &Backends,
        secrets: &Secrets<crate::pki::certificate::Certificate>,
        authorities: &Secrets<Authority>,
    ) -> Vec<Diagnostic> {
        let object = object_ref(&self.ingress);
        let mut findings = self.served.problems.to_vec();
        let mut report = Report::new(&object, &mut findings);
        for problem in self.foreign.iter().chain(&self.warning) {
            report.add(problem.field, Problem::clone(problem));
        }
        let kind = self.ingress.kind;
        let of_rules =
            self.served.rules.iter().map(|rule| (BackendPlace::of(kind, rule), &rule.backend));
        let of_default =
            self.served.defaults.iter().map(|own| (BackendPlace::Default, &own.backend));
        self.add_tcp(backends, &mut report);
        for (place, backend) in of_rules.chain(of_default) {
            if let Some(problem) = backends.problem(backend) {
                report.add(&place.field(problem.field), problem.clone());
            }
        }
        for Certificate { position, secret, hosts: _ } in &self.served.tls {
            if let Some(problem) = secrets.problem(secret) {
                let place = match kind {
                    Kind::IngressRoute | Kind::IngressRouteTcp => "spec.tls.secretName".to_owned(),
                    _ => format!("spec.tls[{position}].secretName"),
                };
                report.add(&place, problem.clone());
            }
        }
        let namespace = &self.ingress.namespace;
        let authority = self.served.clients.as_ref().and_then(|own| own.secret(namespace));
        if let Some(problem) = authority.and_then(|secret| authorities.problem(&secret)) {
            let place = match kind {
                Kind::IngressRoute => "spec.tls.options".to_owned(),
                _ => field(CLIENT_CA),
            };
            report.add(&place, problem.clone());
        }
        for used in &self.served.step_backends {
            if let Some(problem) = backends.problem(&used.backend) {
                let service = used.asked.service.as_ref();
                let service = service.map(|name| ObjectRef::new(Kind::Service, &name.0, &name.1));
                let mut report = Report::new(service.as_ref().unwrap_or(&object), &mut findings);
                report.add(&used.asked.field, of_step(used, problem));
            }
        }
        findings
    }
}
