//! From the lists of an Ingress or a Service to the steps of its routes.

use super::kept::{Dependency, Kept, Middlewares};
use super::lists::{self, Named, Reference};
use super::{Name, OwnBackend};
use crate::config::MiddlewarePolicy;
use crate::control::quote::quote;
use crate::control::suggest::nearest;
use crate::control::translate::annotations::{Annotations, field};
use crate::control::translate::entry_points::Way;
use crate::control::translate::report::{Problem, Report};
use crate::model::middleware::{NamedStep, Step};
use crate::model::{BackendKey, Why};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Chains within chains: more is a mistake.
const MOST_DEPTH: usize = 16;

/// Steps of one list. Each costs every request of the route.
const MOST_STEPS: usize = 64;

/// Middlewares that are looked at for one list: chains of chains multiply.
const MOST_LOOKS: usize = 512;

/// Who names Middlewares.
#[derive(Clone, Copy)]
pub(in crate::control::translate) struct Asking<'a> {
    pub(in crate::control::translate) namespace: &'a Arc<str>,
    pub(super) annotations: Annotations<'a>,
    pub(super) policy: MiddlewarePolicy,
    /// What its findings call its routes.
    routes: &'static str,
    /// The name of the Service, if it is one.
    of_service: Option<&'a str>,
}

impl<'a> Asking<'a> {
    /// An Ingress.
    pub(in crate::control::translate) fn of_ingress(
        namespace: &'a Arc<str>,
        annotations: Annotations<'a>,
        policy: MiddlewarePolicy,
    ) -> Self {
        Self {
            namespace,
            annotations,
            policy,
            routes: "the routes of this Ingress",
            of_service: None,
        }
    }

    /// An IngressRoute, each of whose routes names its own.
    pub(in crate::control::translate) fn of_route(
        namespace: &'a Arc<str>,
        annotations: Annotations<'a>,
        policy: MiddlewarePolicy,
    ) -> Self {
        Self {
            routes: "requests of this route",
            ..Self::of_ingress(namespace, annotations, policy)
        }
    }

    /// A Service of its namespace.
    pub(in crate::control::translate) fn of_service<'s>(
        self,
        name: &'s str,
        annotations: Annotations<'s>,
    ) -> Asking<'s>
    where
        'a: 's,
    {
        let of_service = Some(name);
        Asking { annotations, routes: "the routes to this Service", of_service, ..self }
    }

    fn service(&self) -> Option<Name> {
        self.of_service.map(|name| (Arc::clone(self.namespace), name.into()))
    }
}

/// The result of lists.
#[derive(Debug, Default)]
pub(in crate::control::translate) struct Resolved {
    pub(in crate::control::translate) steps: Vec<Arc<NamedStep>>,
    /// The backends of its steps.
    pub(in crate::control::translate) backends: Vec<UsedBackend>,
    pub(in crate::control::translate) dependencies: BTreeSet<Dependency>,
    /// Whether something in them is not usable, so that no route is served.
    pub(in crate::control::translate) is_broken: bool,
    /// Whether something in them does not exist.
    pub(in crate::control::translate) is_unresolved: bool,
}

/// A backend that a step sends requests to.
#[derive(Clone, Debug)]
pub(in crate::control::translate) enum StepBackend {
    /// A port of a Service.
    Service(BackendKey),
    /// One of its own.
    Own(Arc<OwnBackend>),
}

impl StepBackend {
    /// That of a step: one of its own, or the Service that it names, if there is any.
    pub(super) fn of(step: &Step, own: Option<Arc<OwnBackend>>) -> Option<Self> {
        own.map(Self::Own).or_else(|| step.backend().cloned().map(Self::Service))
    }
}

/// A backend that a step of routes needs.
#[derive(Clone, Debug)]
pub(in crate::control::translate) struct UsedBackend {
    pub(in crate::control::translate) step: Arc<NamedStep>,
    pub(in crate::control::translate) backend: StepBackend,
    pub(in crate::control::translate) asked: Arc<AskedBy>,
}

/// What asks for a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::control::translate) struct AskedBy {
    /// The field of the Ingress, or of the Service, or of the configuration.
    pub(in crate::control::translate) field: Box<str>,
    /// The Service that has the field, if it is not the Ingress.
    pub(in crate::control::translate) service: Option<Name>,
    /// Whether it names a Middleware, and does not ask for the step by itself.
    pub(in crate::control::translate) is_list: bool,
}

/// One walk through a list.
struct Walk<'w> {
    middlewares: &'w Middlewares,
    asking: Asking<'w>,
    resolved: &'w mut Resolved,
    asked: Arc<AskedBy>,
    /// The chains that are open.
    open: Vec<Name>,
    looks: usize,
}

impl Middlewares {
    /// Resolves a list of annotations, and reports what cannot be.
    pub(in crate::control::translate) fn resolve(
        &self,
        asking: Asking<'_>,
        annotation: &str,
        resolved: &mut Resolved,
        report: &mut Report<'_>,
    ) {
        let annotations = asking.annotations;
        if annotations.list(annotation).is_empty() {
            return;
        }
        if annotations.ignores(annotation, Some("names Middlewares"), report) {
            return;
        }
        let values = match annotation {
            lists::OWN => lists::of_ours(annotations),
            annotation => lists::of_traefik(annotations, annotation),
        };
        self.walk(asking, values, &field(annotation), resolved, report);
    }

    /// Resolves the list of a route in this field.
    pub(in crate::control::translate) fn resolve_route(
        &self,
        asking: Asking<'_>,
        list: &[Reference<'_>],
        place: &str,
        resolved: &mut Resolved,
        report: &mut Report<'_>,
    ) {
        let named = list.iter().map(|&Reference { namespace, name }| match name.contains('@') {
            true => lists::traefik(name),
            false => Ok(Named::Object(namespace, name)),
        });
        self.walk(asking, named.collect(), place, resolved, report);
    }

    /// Resolves the Middlewares of an entry point, which the configuration names as Traefik's annotations do. It may
    /// name those of any namespace.
    pub(in crate::control::translate) fn resolve_entry_point(
        &self,
        asking: Asking<'_>,
        way: &Way<'_>,
        resolved: &mut Resolved,
        report: &mut Report<'_>,
    ) {
        let policy = MiddlewarePolicy::AnyNamespace;
        let routes = "its routes there";
        let asking = Asking { policy, routes, of_service: None, ..asking };
        let values = way.middlewares.iter().map(|name| lists::traefik(name)).collect();
        let place = format!("entry_point.{}.middlewares", way.name);
        self.walk(asking, values, &place, resolved, report);
    }

    fn walk(
        &self,
        asking: Asking<'_>,
        values: Vec<Result<Named<'_>, Problem>>,
        place: &str,
        resolved: &mut Resolved,
        report: &mut Report<'_>,
    ) {
        let (open, looks) = (Vec::new(), 0);
        let asked = AskedBy { field: place.into(), service: asking.service(), is_list: true };
        let asked = Arc::new(asked);
        let mut walk = Walk { middlewares: self, asking, resolved, asked, open, looks };
        for value in values {
            if let Err(problem) = value.and_then(|named| walk.named(named)) {
                let routes = asking.routes;
                let reason = format!("{}: {routes} answer 503", problem.reason);
                report.add(place, Problem { reason, ..problem });
                walk.resolved.is_broken = true;
            }
            walk.open.clear();
        }
    }

    /// What may have been meant by a name that does not exist.
    fn near(&self, wanted: &str, asking: &Asking<'_>) -> Option<Name> {
        let (namespace, own) = wanted.split_once('/').unwrap_or((asking.namespace, wanted));
        let alike = |name: &&Name| *name.0 == *namespace;
        let names = self.names().filter(alike).map(|(_, name)| &**name);
        if let Some(near) = nearest(own, names) {
            return self
                .names()
                .find(|(space, name)| **space == *namespace && **name == *near)
                .cloned();
        }
        // In another namespace, with the same name.
        self.names().find(|(_, name)| **name == *own).cloned()
    }
}

fn problem(reason: String, fix: impl Into<String>) -> Problem {
    Problem::error(Why::MiddlewareUnusable, "", reason, fix)
}

impl Walk<'_> {
    fn named(&mut self, named: Named<'_>) -> Result<(), Problem> {
        match named {
            Named::Noop => {
                let noop = NamedStep { name: "noop@internal".into(), step: Step::Noop };
                self.push(Arc::new(noop))
            }
            Named::Object(namespace, name) => {
                let namespace =
                    namespace.map_or_else(|| Arc::clone(self.asking.namespace), Arc::from);
                self.object(&(namespace, name.into()))
            }
            Named::Id(id) => self.id(id),
        }
    }

    fn depend(&mut self, id: &str) {
        self.resolved.dependencies.insert(Dependency::Id(id.into()));
    }

    fn id(&mut self, id: &str) -> Result<(), Problem> {
        self.depend(id);
        let mut named = self.middlewares.of_id(id);
        let shown = quote(&format!("{id}@kubernetescrd"));
        match (named.next(), named.next()) {
            (Some(name), None) => self.enter(&name.clone()),
            (Some(one), Some(other)) => {
                let reason = format!(
                    "{shown} names both Middleware {}/{} and Middleware {}/{}",
                    one.0, one.1, other.0, other.1
                );
                let fix = format!(
                    "rename one of them, or name it in {}: NAMESPACE/NAME instead",
                    lists::OWN
                );
                Err(problem(reason, fix))
            }
            (None, _) => {
                self.resolved.is_unresolved = true;
                let near = nearest(id, self.middlewares.ids());
                let fix = match near {
                    Some(near) => {
                        format!("did you mean {}?", quote(&format!("{near}@kubernetescrd")))
                    }
                    None => {
                        "create it: NAMESPACE-NAME of an object of traefik.io/v1alpha1".to_owned()
                    }
                };
                Err(problem(format!("{shown} names no Middleware"), fix))
            }
        }
    }

    fn object(&mut self, name: &Name) -> Result<(), Problem> {
        self.depend(&lists::id(&name.0, &name.1));
        if self.middlewares.get(name).is_some() {
            return self.enter(name);
        }
        self.resolved.is_unresolved = true;
        let wanted = format!("{}/{}", name.0, name.1);
        let fix = match self.middlewares.near(&wanted, &self.asking) {
            Some((namespace, name)) => {
                format!("did you mean {}?", quote(&format!("{namespace}/{name}")))
            }
            None => "create it".to_owned(),
        };
        let within = self.within();
        Err(problem(format!("{within}there is no Middleware {wanted}"), fix))
    }

    /// In which chain it is, for messages.
    fn within(&self) -> String {
        let chain = self.open.last();
        chain.map_or_else(String::new, |(space, name)| format!("in chain {space}/{name}, "))
    }

    fn enter(&mut self, name: &Name) -> Result<(), Problem> {
        let (namespace, own) = name;
        let shown = format!("Middleware {namespace}/{own}");
        let within = self.within();
        let home = self.open.last().map_or(self.asking.namespace, |(namespace, _)| namespace);
        if !self.asking.policy.allows(home, namespace) {
            let reason = format!("{within}{shown} is in another namespace, which is forbidden");
            let fix = format!(
                "copy it into namespace {home}, or set source.middlewares = \"any-namespace\""
            );
            return Err(problem(reason, fix));
        }
        self.looks += 1;
        if self.open.contains(name) {
            let reason = format!("{within}{shown} is a chain that contains itself");
            return Err(problem(reason, "take it out of the chain"));
        }
        if self.open.len() >= MOST_DEPTH || self.looks > MOST_LOOKS {
            let reason = format!("{within}{shown}: chains are nested too deep");
            let fix = format!("nest at most {MOST_DEPTH} chains, and name the steps directly");
            return Err(problem(reason, fix));
        }
        match self.middlewares.get(name).cloned() {
            None | Some(Kept::Unusable) => {
                Err(problem(format!("{within}{shown} cannot be used"), "see the findings about it"))
            }
            Some(Kept::Nothing) => Ok(()),
            Some(Kept::Step(step, backend)) => {
                let backend = StepBackend::of(&step.step, backend);
                let used = backend.map(|backend| UsedBackend {
                    step: Arc::clone(&step),
                    backend,
                    asked: Arc::clone(&self.asked),
                });
                self.resolved.backends.extend(used);
                self.push(step)
            }
            Some(Kept::Chain(members)) => {
                self.open.push(name.clone());
                for member in &*members {
                    let space = member.namespace.as_ref().unwrap_or(namespace);
                    self.object(&(Arc::clone(space), Arc::clone(&member.name)))?;
                }
                self.open.pop();
                Ok(())
            }
        }
    }

    fn push(&mut self, step: Arc<NamedStep>) -> Result<(), Problem> {
        if self.resolved.steps.len() >= MOST_STEPS {
            let reason = format!("the list has more than {MOST_STEPS} steps");
            return Err(problem(reason, "remove some of them"));
        }
        self.resolved.steps.push(step);
        Ok(())
    }
}
