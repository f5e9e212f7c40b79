//! What one Ingress asks for, and what it takes to have it and to give it up.

use super::asks::Asks;
use super::clients::Clients;
use super::reading::{Certificate, Served, StepUse};
use super::steps::{Finished, Steps};
use super::tls_options::{ANSWER_503, TlsOptions};
use super::{Name, Routes, Touched};
use crate::control::objects::Objects;
use crate::control::translate::annotations::Annotations;
use crate::control::translate::clients::{ClientsRead, read_break_glass};
use crate::control::translate::entry_points::Way;
use crate::control::translate::fields::BackendRead;
use crate::control::translate::findings::Findings;
use crate::control::translate::ingress::OwnStep;
use crate::control::translate::middleware::{
    Asking, Dependency, StepBackend, Subject, UsedBackend,
};
use crate::control::translate::report::{Report, leave_out_details};
use crate::control::translate::{class, ingress, object_ref};
use crate::model::{
    BackendId, BackendKey, Chain, DefaultBackend, Diagnostic, HostPattern, Ingress, Matching,
    ObjectRef, PortKey, Rule,
};
use k8s_openapi::api::networking::v1::Ingress as Source;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A backend, and the steps of its requests.
type Acquired = (Arc<BackendId>, Option<Chain>);

/// The rules of an Ingress, each for each of its ways. `acquire` finds backend and steps, of which a path may have
/// one of its own.
fn rules<'s>(
    read: Vec<ingress::RuleRead<'s>>,
    ways: &[Way],
    ingress: &Arc<Ingress>,
    mut acquire: impl FnMut(&BackendRead<'s>, usize, Option<&OwnStep>) -> Acquired,
) -> Box<[Arc<Rule>]> {
    let mut rules = Vec::new();
    for ingress::RuleRead { rule, host, is_alias, paths } in read {
        for ingress::PathRead { position, pattern, ordered, own, backend } in paths {
            for (number, Way { entry_points, .. }) in ways.iter().enumerate() {
                let (backend, middlewares) = acquire(&backend, number, own.as_ref());
                let (entry_points, ordered) = (*entry_points, ordered.clone());
                rules.push(Arc::new(Rule {
                    host: host.clone(),
                    path: pattern.clone(),
                    backend,
                    ingress: Arc::clone(ingress),
                    rule,
                    position,
                    matching: Matching { entry_points, ordered, is_alias, ..Matching::default() },
                    middlewares,
                }));
            }
        }
    }
    rules.into()
}

/// Its default backends, the same way.
fn defaults<'s>(
    read: Option<(BackendRead<'s>, Vec<HostPattern>)>,
    ways: &[Way],
    ingress: &Arc<Ingress>,
    mut acquire: impl FnMut(&BackendRead<'s>, usize, Option<&OwnStep>) -> Acquired,
) -> Box<[DefaultBackend]> {
    let mut defaults = Vec::new();
    if let Some((read, hosts)) = read {
        for (number, Way { entry_points, .. }) in ways.iter().enumerate() {
            let (backend, middlewares) = acquire(&read, number, None);
            let (hosts, entry_points) = (hosts.clone(), *entry_points);
            let ingress = Arc::clone(ingress);
            defaults.push(DefaultBackend { backend, ingress, hosts, entry_points, middlewares });
        }
    }
    defaults.into()
}

/// Adds what the TLSOption asks of clients that an Ingress names, and what becomes of its hosts in break-glass.
fn ask_clients(
    read: &mut ingress::IngressRead<'_>,
    objects: &Objects,
    object: &ObjectRef,
    source: &Source,
    dependencies: &mut BTreeSet<Dependency>,
    problems: &mut Vec<Diagnostic>,
) {
    let annotations = Annotations::of(&source.metadata);
    let mut options = TlsOptions { objects, object, dependencies, problems, then: ANSWER_503 };
    read.ask(options.of_annotation(annotations));
    let clients = read.clients.as_mut().map(|(clients, _)| clients);
    read_break_glass(annotations, clients, &mut Report::new(object, problems));
}

impl Routes {
    /// What an Ingress of ours asks for. Its rules are still those of the Ingress as it was.
    pub(super) fn serve(
        &mut self,
        objects: &Objects,
        namespace: &Arc<str>,
        number: usize,
        source: &Source,
        touched: &mut Touched,
    ) -> (Served, Asks) {
        let reading = self.readings.get(number).expect("a known number has its reading");
        let (object, ingress) = (object_ref(&reading.ingress), Arc::clone(&reading.ingress));
        let mut problems: Vec<Diagnostic> = Vec::new();
        let mut report = Report::new(&object, &mut problems);
        let mut read =
            ingress::read(source, &self.options.https, &self.options.entry_points, &mut report);
        let policy = self.options.middlewares;
        let asking = Asking::of_ingress(namespace, Annotations::of(&source.metadata), policy);
        let ways = match class::is_solver(source) {
            true => Way::plain(read.entry_points),
            false => self.options.entry_points.ways(read.entry_points),
        };
        let mut of_options = BTreeSet::new();
        ask_clients(&mut read, objects, &object, source, &mut of_options, &mut problems);
        let mut report = Report::new(&object, &mut problems);
        let hosts = read.hosts();
        let subject = Subject { objects, name: &object.name, hosts: &hosts };
        let mut steps = Steps::of_ingress(&self.middlewares, asking, subject, &ways, &mut report);
        read.refused = read.refused.or(steps.broken());
        // The request would be refused after the redirect to TLS, so it is refused at once.
        read.https.redirect &= read.refused.is_none();
        let mut acquire = |backend: &BackendRead<'_>, way: usize, own: Option<&OwnStep>| {
            let refused = read.refused.or(steps.broken_way(way));
            let (service, port, broken): (Arc<str>, _, _) = match backend {
                BackendRead::Service { name, port } => {
                    let of_service =
                        steps.of_service(objects, &self.middlewares, name, &mut problems);
                    ((*name).into(), port.clone(), refused.or(of_service))
                }
                BackendRead::Broken { service, broken } => {
                    (service.as_str().into(), PortKey::Number(0), refused.or(Some(*broken)))
                }
            };
            let chain = broken.is_none().then(|| steps.chain(&service, way, own)).flatten();
            let key = BackendKey { namespace: Arc::clone(namespace), service, port, variant: None };
            (self.backends.acquire(key, broken, number, touched), chain)
        };
        let rules = rules(std::mem::take(&mut read.rules), &ways, &ingress, &mut acquire);
        let defaults = defaults(read.default.take(), &ways, &ingress, &mut acquire);
        let Finished { backends, mut dependencies, is_unresolved } = steps.finish();
        dependencies.extend(of_options);
        let dependencies: Box<[_]> = dependencies.into_iter().collect();
        let step_backends =
            self.step_backends(&backends, &dependencies, is_unresolved, number, touched);
        let tls = self.certificates_of(namespace, number, std::mem::take(&mut read.tls), touched);
        let clients = self.clients_of(namespace, number, read.clients.take(), touched);
        leave_out_details(&mut problems, self.options.details);
        let mut served = Served { rules, defaults, tls, clients, ..Served::default() };
        (served.step_backends, served.dependencies) = (step_backends, dependencies);
        served.problems = problems.into();
        (served, Asks::of_read(read))
    }

    /// The backends of its steps, which it uses from now on as those of its rules.
    pub(super) fn step_backends(
        &mut self,
        backends: &[UsedBackend],
        dependencies: &[Dependency],
        is_unresolved: bool,
        number: usize,
        touched: &mut Touched,
    ) -> Box<[StepUse]> {
        self.middlewares.acquire(number, dependencies, is_unresolved);
        let mut used = Vec::with_capacity(backends.len());
        for UsedBackend { step, backend, asked } in backends {
            let backend = match backend {
                StepBackend::Service(key) => {
                    self.backends.acquire(key.clone(), None, number, touched)
                }
                StepBackend::Own(own) => self.backends.acquire_own(own, number, touched),
            };
            let (step, asked) = (Arc::clone(step), Arc::clone(asked));
            used.push(StepUse { step, backend, asked });
        }
        used.into()
    }

    /// The Secrets of its certificates, which it uses from now on.
    pub(super) fn certificates_of(
        &mut self,
        namespace: &Arc<str>,
        number: usize,
        tls: Vec<ingress::TlsRead<'_>>,
        touched: &mut Touched,
    ) -> Box<[Certificate]> {
        let mut all = Vec::with_capacity(tls.len());
        for ingress::TlsRead { position, secret_name, hosts } in tls {
            let secret = (Arc::clone(namespace), secret_name.into());
            if self.secrets.acquire(&secret, number) {
                touched.secrets.insert(secret.clone());
            }
            all.push(Certificate { position, secret, hosts: hosts.into() });
        }
        all.into()
    }

    /// What it asks of clients, with the Secret of the authority, which it uses from now on.
    fn clients_of(
        &mut self,
        namespace: &Arc<str>,
        number: usize,
        read: Option<(ClientsRead, Vec<HostPattern>)>,
        touched: &mut Touched,
    ) -> Option<Box<Clients>> {
        let (read, hosts) = read?;
        let clients = Box::new(Clients { read, hosts: hosts.into() });
        self.acquire_authority(clients.secret(namespace), number, touched);
        Some(clients)
    }

    /// Uses the Secret with the authority of its clients from now on, if it names one.
    pub(super) fn acquire_authority(
        &mut self,
        secret: Option<Name>,
        number: usize,
        touched: &mut Touched,
    ) {
        if let Some(secret) = secret
            && self.authorities.acquire(&secret, number)
        {
            touched.secrets.insert(secret);
        }
    }

    /// Forgets an Ingress that is gone.
    pub(super) fn forget(
        &mut self,
        object: &ObjectRef,
        touched: &mut Touched,
        findings: &mut Findings,
    ) {
        let number = self.known.remove(object);
        let Some((number, mut reading)) =
            number.and_then(|number| Some((number, self.readings.remove(number)?)))
        else {
            return;
        };
        findings.replace(&mut reading.found, Vec::new());
        touched.certificates |= !reading.served.tls.is_empty();
        touched.clients |= reading.served.clients.is_some();
        self.asking -= usize::from(reading.served.clients.is_some());
        if reading.foreign.is_none() {
            touched.routes = true;
            touched.ours = true;
            touched.leave(&reading.ingress, &reading.served);
        }
        self.release(number, &object.namespace, &reading.served, touched, findings);
    }

    /// Gives up what an Ingress used before and does not use now.
    pub(super) fn release(
        &mut self,
        number: usize,
        namespace: &Arc<str>,
        before: &Served,
        touched: &mut Touched,
        findings: &mut Findings,
    ) {
        let now = self.readings.get(number).map(|reading| &reading.served);
        let kept = now.map(Served::backends).unwrap_or_default();
        for backend in before.backends() {
            if kept.binary_search(&backend).is_err() {
                self.backends.release(backend, number, touched, findings);
            }
        }
        for Certificate { position: _, secret, hosts: _ } in &before.tls {
            let is_kept = |now: &Served| now.tls.iter().any(|other| other.secret == *secret);
            if !now.is_some_and(is_kept) {
                self.secrets.release(secret, number);
            }
        }
        for dependency in &before.dependencies {
            if !now.is_some_and(|now| now.dependencies.contains(dependency)) {
                self.middlewares.release(number, dependency);
            }
        }
        if now.is_none_or(|now| now.dependencies.is_empty()) {
            self.middlewares.settle(number);
        }
        let named = |served: &Served, namespace| served.clients.as_ref()?.secret(namespace);
        if let Some(authority) = named(before, namespace)
            && now.and_then(|now| named(now, namespace)).as_ref() != Some(&authority)
        {
            self.authorities.release(&authority, number);
        }
    }
}
