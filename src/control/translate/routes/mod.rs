//! Ingresses to rules and Services to backends, kept up to date.
//!
//! Each Ingress is read once and kept as what it asks for; each Service port and each Secret that
//! one names is looked at once, and knows who names it. An update reads again what changes touch,
//! and no more: an EndpointSlice leads to the backends of its Service, a Service to the findings of
//! the Ingresses that name it. The model is changed in place.
//!
//! What is kept never depends on the order of changes: the first update with everything gives what
//! any sequence of updates to the same objects does.

mod asks;
mod assembly;
mod backends;
mod certificates;
mod clients;
mod missing;
mod ownership;
mod pool;
mod reading;
mod referrer;
mod secrets;
mod serve;
mod serve_routes;
mod serve_tcp;
mod several;
mod slab;
mod source;
mod steps;
mod tls_options;
mod touched;

pub(super) use touched::Touched;

use super::class::Classes;
use super::findings::Findings;
use super::middleware::{self, Changed, Middlewares};
use super::near::{self, Here};
use super::tls_option::DEFAULT;
use super::{Options, object_ref};
use crate::control::objects::Objects;
use crate::model::{BackendId, BackendSpec, Delta, HostClients, Kind, Model, ObjectRef, TlsSecret};
use crate::pki::client_certificate::Authority;
use asks::Asks;
use assembly::Assembly;
use backends::Backends;
use clients::Policies;
use pool::Pool;
use reading::{Reading, Served};
use secrets::Secrets;
use slab::Slab;
use source::Source;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// Namespace and name.
type Name = (Arc<str>, Arc<str>);
type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;
type Set<T> = HashSet<T, foldhash::fast::RandomState>;

/// What came of an update.
#[derive(Debug, Default)]
pub(super) struct Update {
    /// The model, if it is another one beside its endpoints.
    pub(super) model: Option<Arc<Model>>,
    /// How it differs from the one before.
    pub(super) delta: Delta,
    /// Whether the Ingresses in the model are others.
    pub(super) ingresses: bool,
    /// Without a new model: backends with other endpoints.
    pub(super) endpoints: Vec<(Arc<BackendId>, Arc<BackendSpec>)>,
    /// The certificates, if they are others.
    pub(super) certificates: Option<Vec<TlsSecret>>,
    /// What is asked of clients, if it is other than before.
    pub(super) clients: Option<Vec<HostClients>>,
}

/// Everything that was read for the routes.
#[derive(Debug)]
pub(super) struct Routes {
    options: Options,
    classes: Classes,
    readings: Slab<Reading>,
    known: Map<ObjectRef, usize>,
    backends: Backends,
    secrets: Secrets<crate::pki::certificate::Certificate>,
    authorities: Secrets<Authority>,
    policies: Policies,
    /// The Ingresses that ask something of clients.
    asking: usize,
    pool: Pool,
    middlewares: Middlewares,
    assembly: Assembly,
    /// The zone that we are in.
    zone: Option<Arc<str>>,
}

impl Routes {
    /// Knows nothing yet.
    pub(super) fn new(options: &Options) -> Self {
        Self {
            options: options.clone(),
            classes: Classes::new(&Objects::default(), options),
            readings: Slab::default(),
            known: Map::default(),
            backends: Backends::default(),
            secrets: Secrets::default(),
            authorities: Secrets::default(),
            policies: Policies::default(),
            asking: 0,
            pool: Pool::default(),
            middlewares: Middlewares::after(options.first_steps.clone()),
            assembly: Assembly::new(options.hosts, options.entry_points.bits_of_https()),
            zone: None,
        }
    }

    /// The model as it is.
    pub(super) fn model(&self) -> Arc<Model> {
        self.assembly.model()
    }

    /// Reads again what changes have touched. `objects` are those after the changes.
    pub(super) fn update(
        &mut self,
        objects: &Objects,
        mut touched: Touched,
        findings: &mut Findings,
    ) -> Update {
        let touched = &mut touched;
        if touched.classes {
            self.classify(objects, touched);
        }
        let mut has_secrets = self.read_pool(objects, touched);
        self.read_middlewares(objects, touched, findings);
        for object in std::mem::take(&mut touched.sources) {
            match Source::of(objects, &object) {
                Some(source) => self.read(objects, &object, source, touched, findings),
                None => self.forget(&object, touched, findings),
            }
        }
        for secret in &touched.secrets {
            touched.services.extend(self.backends.verified_by(secret));
        }
        self.resolve(objects, touched, findings);
        self.backends.suggest(objects, touched);
        has_secrets |= !touched.secrets.is_empty();
        for secret in std::mem::take(&mut touched.secrets) {
            let checked = self.secrets.check(objects, &secret);
            touched.certificates |= checked.changed;
            touched.readings.extend(checked.readings);
            let checked = self.authorities.check(objects, &secret);
            touched.clients |= checked.changed;
            touched.readings.extend(checked.readings);
        }
        if has_secrets {
            self.report_pool(findings);
        }
        for &number in &touched.readings {
            if let Some(reading) = self.readings.get_mut(number) {
                let now = reading.findings(&self.backends, &self.secrets, &self.authorities);
                findings.replace(&mut reading.found, now);
            }
        }
        let certificates = touched.certificates.then(|| self.certificates());
        let clients = touched.clients || touched.certificates || touched.routes;
        let clients = if clients { self.update_clients(findings) } else { None };
        if touched.routes {
            let (model, delta) =
                self.assembly.update(touched, &self.readings, &self.backends, findings);
            let (model, ingresses) = (Some(model), touched.ours);
            let endpoints = Vec::new();
            return Update { model, delta, ingresses, endpoints, certificates, clients };
        }
        let mut numbers: Vec<usize> = touched.endpoints.iter().copied().collect();
        numbers.sort_unstable();
        let specs = numbers.into_iter().filter_map(|number| self.backends.spec(number));
        let endpoints: Vec<_> =
            specs.map(|(id, spec)| (Arc::clone(id), Arc::clone(spec))).collect();
        self.assembly.store(&endpoints);
        Update { endpoints, certificates, clients, ..Update::default() }
    }

    /// What is asked of clients, if it is other than before.
    fn update_clients(&mut self, findings: &mut Findings) -> Option<Vec<HostClients>> {
        let (readings, authorities) = (&self.readings, &self.authorities);
        self.policies.update(self.asking > 0, readings, authorities, &self.pool, findings)
    }

    /// Touches what a default TLSOption is for, where one may be another.
    fn touch_default_options(&self, touched: &mut Touched) {
        let is_default =
            |object: &ObjectRef| object.kind == Kind::TlsOption && *object.name == *DEFAULT;
        if touched.referenced.iter().any(is_default) {
            let all = self.readings.iter().map(|(_, reading)| &reading.ingress);
            let tcp = all.filter(|ingress| ingress.kind == Kind::IngressRouteTcp);
            touched.sources.extend(tcp.map(|ingress| object_ref(ingress)));
        }
    }

    /// Reads the Middlewares that are touched, and touches the Ingresses that name them.
    fn read_middlewares(
        &mut self,
        objects: &Objects,
        touched: &mut Touched,
        findings: &mut Findings,
    ) {
        let middlewares = std::mem::take(&mut touched.middlewares);
        let secrets = &mut touched.secrets.iter().cloned();
        let services = &mut touched.named.iter().chain(&touched.asking).cloned();
        let others = std::mem::take(&mut touched.referenced);
        let config_maps = std::mem::take(&mut touched.config_maps);
        let changed = Changed { middlewares, secrets, config_maps, objects: others, services };
        let Options { details, middlewares: policy, .. } = self.options;
        let reading = middleware::Reading { details, policy };
        let mut numbers = self.middlewares.update(objects, changed, reading, findings);
        for service in &touched.asking {
            numbers.extend(self.backends.users_of(service));
        }
        for reading in numbers.into_iter().filter_map(|number| self.readings.get(number)) {
            touched.sources.insert(object_ref(&reading.ingress));
        }
    }

    /// Reads the Services that are touched, and, if our zone has changed, those that depend
    /// on it. Our zone is what our Node says, or else what endpoints on it say.
    fn resolve(&mut self, objects: &Objects, touched: &mut Touched, findings: &mut Findings) {
        loop {
            let node = self.options.node.as_deref();
            let label = node.and_then(|node| near::zone_of(objects, node));
            let zone = label.or_else(|| self.backends.zone());
            if zone != self.zone.as_deref() {
                self.zone = zone.map(Arc::from);
                touched.services.extend(self.backends.by_zone());
            }
            if touched.services.is_empty() {
                return;
            }
            let here = Here {
                loopback: self.options.loopback_endpoints,
                external_names: self.options.external_names,
                details: self.options.details,
                prefer: self.options.prefer,
                node,
                zone: self.zone.as_deref(),
            };
            for service in std::mem::take(&mut touched.services) {
                self.backends.resolve(objects, &service, &here, touched, findings);
            }
        }
    }

    /// The classes of ours that are gone and still served by.
    pub(super) fn classes_gone(&self) -> &BTreeSet<Arc<str>> {
        self.classes.gone()
    }

    /// Serves no longer by these.
    pub(super) fn give_up(&mut self, classes: &[Arc<str>]) {
        classes.iter().for_each(|class| self.classes.give_up(class));
    }

    /// Reads the classes, and touches each Ingress that is ours and was not, or the other way
    /// round, or is not for another reason, or is by a class that is gone or there again.
    fn classify(&mut self, objects: &Objects, touched: &mut Touched) {
        self.classes = self.classes.after(objects);
        for (_, reading) in self.readings.iter() {
            let object = object_ref(&reading.ingress);
            let named = Source::of(objects, &object).map(|source| source.class());
            if named.is_some_and(|named| {
                self.classes.claim(&named).err().as_ref() != reading.foreign.as_deref()
                    || self.classes.warning(&named).as_ref() != reading.warning.as_deref()
                    || (reading.foreign.is_none()
                        && self.classes.has_status(&named) != reading.ingress.has_status)
            }) {
                touched.sources.insert(object);
            }
        }
    }

    /// What one of ours asks for.
    fn serve_source(
        &mut self,
        objects: &Objects,
        object: &ObjectRef,
        number: usize,
        source: Source<'_>,
        touched: &mut Touched,
    ) -> (Served, Asks) {
        match source {
            Source::Ingress(source) => {
                self.serve(objects, &object.namespace, number, source, touched)
            }
            Source::IngressRoute(source) if object.kind == Kind::IngressRouteTcp => {
                self.serve_tcp(objects, object, number, source, touched)
            }
            Source::IngressRoute(source) => {
                self.serve_routes(objects, object, number, source, touched)
            }
        }
    }

    fn read(
        &mut self,
        objects: &Objects,
        object: &ObjectRef,
        source: Source<'_>,
        touched: &mut Touched,
        findings: &mut Findings,
    ) {
        let created = source.metadata().creation_timestamp.as_ref();
        let created = created.map_or(i64::MAX, |time| time.0.as_second());
        let named = source.class();
        let foreign = self.classes.claim(&named).err().map(Box::new);
        let known = self.known.get(object).copied();
        let is_known = known.is_some();
        let number = known.unwrap_or_else(|| {
            let ingress = Arc::new(Asks::default().of(object, created));
            let number = self.readings.insert(Reading::new(ingress, foreign.clone()));
            self.known.insert(object.clone(), number);
            number
        });
        let (mut served, mut asks) = match foreign.is_none() {
            true => self.serve_source(objects, object, number, source, touched),
            false => Default::default(),
        };
        asks.has_status = foreign.is_none() && self.classes.has_status(&named);
        let reading = self.readings.get_mut(number).expect("a known number has its reading");
        let (was_ours, is_ours) = (is_known && reading.foreign.is_none(), foreign.is_none());
        let is_moved = was_ours != is_ours || (was_ours && reading.ingress.created != created);
        let is_asking_else = !asks.are_of(&reading.ingress);
        let ingress = match is_moved || is_asking_else || reading.ingress.created != created {
            true => Arc::new(asks.of(object, created)),
            false => Arc::clone(&reading.ingress),
        };
        served.belong_to(&ingress);
        if is_moved || is_asking_else || !reading.served.is_same(&served) {
            touched.routes = true;
            touched.ours |= is_moved || ingress.has_status != reading.ingress.has_status;
            if was_ours {
                touched.leave(&reading.ingress, &reading.served);
            }
            touched.came.extend(is_ours.then_some(number));
        } else {
            served.keep(&mut reading.served);
        }
        // Its place counts as well: of two that claim a host, the older one has it.
        let has_tls = !(served.tls.is_empty() && reading.served.tls.is_empty());
        touched.certificates |= reading.served.tls != served.tls || (is_moved && has_tls);
        touched.clients |= reading.served.clients != served.clients;
        reading.ingress = ingress;
        reading.warning = match foreign {
            None => self.classes.warning(&named).map(Box::new),
            Some(_) => None,
        };
        reading.foreign = foreign;
        let before = std::mem::replace(&mut reading.served, served);
        self.asking += usize::from(reading.served.clients.is_some());
        self.asking -= usize::from(before.clients.is_some());
        touched.readings.insert(number);
        self.release(number, &object.namespace, &before, touched, findings);
    }
}
