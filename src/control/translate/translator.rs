//! The translation that is kept up to date, change by change.

use super::findings::{Findings, Reported};
use super::guidance::{self, Obstacle};
use super::routes::{Routes, Touched, Update};
use super::{Options, addresses};
use crate::control::objects::Objects;
use crate::control::source::Changes;
use crate::model::{
    BackendId, BackendSpec, ClusterAddresses, Delta, Diagnostic, Kind, Model, ObjectRef,
};
use crate::model::{HostClients, TlsSecret};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Findings, sorted, each once.
pub type FindingList = Arc<[Arc<Diagnostic>]>;

/// The effect of changes. Each part is present only if it changed, and all of them at the first time.
#[derive(Debug, Default)]
pub struct Effect {
    /// What is to be served, if more is to be done than to store `endpoints`.
    pub model: Option<Arc<Model>>,
    /// How `model` differs from the one before.
    pub delta: Delta,
    /// Whether the Ingresses in `model` are others, or in another order.
    pub ingresses: bool,
    /// Without a new model: backends that have other endpoints.
    pub endpoints: Vec<(Arc<BackendId>, Arc<BackendSpec>)>,
    /// The certificates that Ingresses name, in the order of the first Ingress that does.
    pub certificates: Option<Vec<TlsSecret>>,
    /// The client certificate policies, by host, sorted.
    pub clients: Option<Vec<HostClients>>,
    /// The addresses from the cluster.
    pub addresses: Option<ClusterAddresses>,
    /// What is not served as written, of files and objects.
    pub findings: Option<FindingList>,
    /// What keeps the cluster from being served, the first to fix first; empty if something is served.
    pub obstacles: Option<Arc<[Obstacle]>>,
}

/// Objects, and what was read of them.
///
/// What it gives is the same as of a new one that is told all objects at once, whatever the changes
/// that led to them, but for classes that are gone and still served by. It costs what the changes touch. Holding the last
/// model while the next changes are applied makes them cost a copy of what they change in it.
#[derive(Debug)]
pub struct Translator {
    options: Options,
    objects: Objects,
    routes: Routes,
    findings: Findings,
    /// What was told last.
    addresses: Option<ClusterAddresses>,
    /// About Nodes and the ConfigMaps.
    of_addresses: Reported,
    /// About the source.
    of_source: Reported,
    /// About what else keeps requests from us.
    around: Reported,
    /// That nothing is served.
    of_serving: Reported,
    /// Why nothing is.
    obstacles: Arc<[Obstacle]>,
}

impl Translator {
    /// Knows no objects yet.
    pub fn new(options: Options) -> Self {
        Self {
            objects: Objects::default(),
            routes: Routes::new(&options),
            findings: Findings::default(),
            addresses: None,
            of_addresses: Reported::default(),
            of_source: Reported::default(),
            around: Reported::default(),
            of_serving: Reported::default(),
            obstacles: Arc::default(),
            options,
        }
    }

    /// The deleted IngressClasses of ravelin whose Ingresses are still served.
    pub fn classes_gone(&self) -> &BTreeSet<Arc<str>> {
        self.routes.classes_gone()
    }

    /// Stops serving the Ingresses of deleted classes.
    pub fn give_up(&mut self, classes: &[Arc<str>]) -> Effect {
        self.routes.give_up(classes);
        self.update(Changes::default(), Touched::of_classes())
    }

    /// Applies changes.
    pub fn apply(&mut self, changes: Changes) -> Effect {
        self.update(changes, Touched::default())
    }

    fn update(&mut self, changes: Changes, mut touched: Touched) -> Effect {
        let is_first = self.addresses.is_none();
        let mut addresses_touched = is_first;
        let mut around_touched = is_first;
        for change in changes.objects {
            let (identity, now) = (change.identity.clone(), change.object.clone());
            let before = self.objects.apply(change);
            addresses_touched |= matches!(identity.kind, Kind::Node | Kind::ConfigMap);
            around_touched |= guidance::concerns(before.as_ref(), now.as_ref());
            touched.note(&identity, before.as_ref(), now.as_ref());
        }
        let Update { model, delta, ingresses, endpoints, certificates, clients } =
            self.routes.update(&self.objects, touched, &mut self.findings);
        let addresses = if addresses_touched { self.read_addresses() } else { None };
        if let Some(mut findings) = changes.findings {
            let texts = &self.options.texts;
            let is_ours = |object: &ObjectRef| texts.iter().any(|(_, key)| key.object() == *object);
            findings.retain(|finding| {
                // A ConfigMap that nobody names is not ours, whatever is in it.
                finding.object.kind != Kind::ConfigMap || is_ours(&finding.object)
            });
            self.findings.replace(&mut self.of_source, findings);
        }
        if around_touched {
            let found = guidance::around(&self.objects, &self.options);
            self.findings.replace(&mut self.around, found);
        }
        let obstacles = self.read_obstacles();
        let changed = self.findings.take_changed();
        Effect {
            model: if is_first { model.or_else(|| Some(Arc::default())) } else { model },
            delta,
            ingresses: ingresses || is_first,
            endpoints,
            certificates: if is_first {
                certificates.or_else(|| Some(Vec::new()))
            } else {
                certificates
            },
            clients: if is_first { clients.or_else(|| Some(Vec::new())) } else { clients },
            addresses,
            findings: (changed || is_first).then(|| self.findings.list()),
            obstacles: obstacles.or_else(|| is_first.then(Arc::default)),
        }
    }

    /// What is to be served, as the changes so far have it. Drop it before the next ones.
    pub fn model(&self) -> Arc<Model> {
        self.routes.model()
    }

    /// What keeps the cluster from being served, if it is other than before.
    fn read_obstacles(&mut self) -> Option<Arc<[Obstacle]>> {
        self.options.guidance.as_ref()?;
        let (objects, options) = (&self.objects, &self.options);
        let model = self.routes.model();
        // As long as it is among the findings, it is not one of their causes.
        let found = guidance::obstacles(objects, &model, &self.findings, options);
        // `check` lists the errors beside it.
        let is_listed = options.details && guidance::has_errors(&self.findings);
        let finding = guidance::finding(&found, options).filter(|_| !is_listed);
        self.findings.replace(&mut self.of_serving, finding.into_iter().collect());
        if *self.obstacles == *found {
            return None;
        }
        self.obstacles = found.into();
        Some(Arc::clone(&self.obstacles))
    }

    /// The addresses, if they are other than before.
    fn read_addresses(&mut self) -> Option<ClusterAddresses> {
        let (addresses, found) = addresses(&self.objects, &self.options);
        self.findings.replace(&mut self.of_addresses, found);
        if self.addresses.as_ref() == Some(&addresses) {
            return None;
        }
        self.addresses = Some(addresses.clone());
        Some(addresses)
    }
}
