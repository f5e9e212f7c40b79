//! What was read of the Middlewares, kept up to date: each is read once, and again when it or something that it needs
//! has changed.

use super::{Content, Name, Need, OwnBackend, Read, Resolved, lists, object_ref, read};
use crate::config::MiddlewarePolicy;
use crate::control::objects::Objects;
use crate::control::translate::findings::{Findings, Reported};
use crate::control::translate::report::leave_out_details;
use crate::model::middleware::NamedStep;
use crate::model::{Kind, ObjectRef};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// What an Ingress has to be read again for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::control::translate) enum Dependency {
    /// Every Middleware of this id, there or not.
    Id(Arc<str>),
    /// A Service that names Middlewares, or that an annotation names.
    Service(Name),
    /// A Secret that an annotation names.
    Secret(Name),
    /// Another object of Traefik that is referred to, there or not; without a namespace, by its id.
    Object(ObjectRef),
    /// A ConfigMap that an annotation names.
    ConfigMap(Name),
}

/// All Middlewares, and the Ingresses that name them, by number.
#[derive(Debug, Default)]
pub(in crate::control::translate) struct Middlewares {
    known: BTreeMap<Name, Known>,
    by_id: BTreeMap<Arc<str>, BTreeSet<Name>>,
    needed: Map<Need, BTreeSet<Name>>,
    users: Map<Dependency, BTreeSet<usize>>,
    /// Ingresses that name one that does not exist: what is nearest may be another one at any time.
    unresolved: BTreeSet<usize>,
    /// Steps that the configuration puts before those of every route.
    first: Vec<Arc<NamedStep>>,
}

/// One Middleware.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) content: Kept,
    needs: BTreeSet<Need>,
    found: Reported,
}

/// What is kept of a Middleware. Steps are shared by all routes that name it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kept {
    Unusable,
    Nothing,
    Step(Arc<NamedStep>, Option<Arc<OwnBackend>>),
    Chain(Arc<[super::Member]>),
}

/// How Middlewares are read.
#[derive(Clone, Copy)]
pub(in crate::control::translate) struct Reading {
    /// Whether to say what makes no difference.
    pub(in crate::control::translate) details: bool,
    pub(in crate::control::translate) policy: MiddlewarePolicy,
}

/// What has become of a Middleware that was read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    None,
    Content,
    /// It has come or gone.
    Existence,
}

/// What is touched of the objects that Middlewares depend on.
pub(in crate::control::translate) struct Changed<'t> {
    /// Middlewares that have come, gone or changed.
    pub(in crate::control::translate) middlewares: BTreeSet<Name>,
    /// Secrets likewise.
    pub(in crate::control::translate) secrets: &'t mut dyn Iterator<Item = Name>,
    /// Other objects of Traefik.
    pub(in crate::control::translate) objects: BTreeSet<ObjectRef>,
    /// ConfigMaps likewise.
    pub(in crate::control::translate) config_maps: BTreeSet<Name>,
    /// Services that have come or gone, or name other Middlewares.
    pub(in crate::control::translate) services: &'t mut dyn Iterator<Item = Name>,
}

impl Middlewares {
    /// None, behind steps of every route.
    pub(in crate::control::translate) fn after(first: Vec<Arc<NamedStep>>) -> Self {
        Self { first, ..Self::default() }
    }

    /// What every route begins with.
    pub(in crate::control::translate) fn first(&self) -> Resolved {
        Resolved { steps: self.first.clone(), ..Resolved::default() }
    }

    /// Reads again what changes touch. Returns the Ingresses that have to be read again for it.
    pub(in crate::control::translate) fn update(
        &mut self,
        objects: &Objects,
        changed: Changed<'_>,
        reading: Reading,
        findings: &mut Findings,
    ) -> BTreeSet<usize> {
        let Changed { middlewares: mut names, secrets, config_maps, objects: others, services } =
            changed;
        let mut numbers = BTreeSet::new();
        for object in others {
            let id = lists::id(&object.namespace, &object.name);
            let by_id = ObjectRef::new(object.kind, "", &id);
            for named in [object, by_id] {
                numbers.extend(self.users.get(&Dependency::Object(named)).into_iter().flatten());
            }
        }
        for secret in secrets {
            let users = self.users.get(&Dependency::Secret(secret.clone()));
            numbers.extend(users.into_iter().flatten());
            names.extend(self.needed.get(&(Kind::Secret, secret)).into_iter().flatten().cloned());
        }
        for config_map in config_maps {
            let users = self.users.get(&Dependency::ConfigMap(config_map));
            numbers.extend(users.into_iter().flatten());
        }
        for service in services {
            let users = self.users.get(&Dependency::Service(service.clone()));
            numbers.extend(users.into_iter().flatten());
            let need = (Kind::Service, service);
            names.extend(self.needed.get(&need).into_iter().flatten().cloned());
        }
        for name in names {
            let change = self.read_again(objects, &name, reading, findings);
            if change != Change::None {
                let id: Arc<str> = lists::id(&name.0, &name.1).into();
                numbers.extend(self.users.get(&Dependency::Id(id)).into_iter().flatten());
            }
            if change == Change::Existence {
                // What is nearest to a missing one may be another one now.
                numbers.extend(&self.unresolved);
            }
        }
        numbers
    }

    fn read_again(
        &mut self,
        objects: &Objects,
        name: &Name,
        reading: Reading,
        findings: &mut Findings,
    ) -> Change {
        let before = self.known.remove(name);
        let (content_before, needs_before, mut found) = match before {
            Some(Known { content, needs, found }) => (Some(content), needs, found),
            None => (None, BTreeSet::new(), Reported::default()),
        };
        let mut now = Vec::new();
        let source = objects.traefik(Kind::Middleware).get(&name.0, &name.1);
        let read = source.map(|source| read(objects, reading.policy, name, source, &mut now));
        leave_out_details(&mut now, reading.details);
        findings.replace(&mut found, now);
        let needs = read.as_ref().map(|read| read.needs.clone()).unwrap_or_default();
        self.note_needs(name, &needs_before, &needs);
        let content = read.map(|read| keep(name, read, content_before.as_ref()));
        let change = match (&content, &content_before) {
            (now, before) if now.is_some() != before.is_some() => Change::Existence,
            (now, before) if now != before => Change::Content,
            _ => Change::None,
        };
        if change == Change::Existence {
            self.note_id(name, content.is_some());
        }
        if let Some(content) = content {
            self.known.insert(name.clone(), Known { content, needs, found });
        }
        change
    }

    fn note_id(&mut self, name: &Name, is_there: bool) {
        let id: Arc<str> = lists::id(&name.0, &name.1).into();
        let all = self.by_id.entry(Arc::clone(&id)).or_default();
        if is_there {
            all.insert(name.clone());
        } else {
            all.remove(name);
        }
        if all.is_empty() {
            self.by_id.remove(&id);
        }
    }

    fn note_needs(&mut self, name: &Name, before: &BTreeSet<Need>, now: &BTreeSet<Need>) {
        for gone in before.difference(now) {
            if let Some(names) = self.needed.get_mut(gone) {
                names.remove(name);
                if names.is_empty() {
                    self.needed.remove(gone);
                }
            }
        }
        for new in now.difference(before) {
            self.needed.entry(new.clone()).or_default().insert(name.clone());
        }
    }

    /// What is known of a Middleware.
    pub(super) fn get(&self, name: &Name) -> Option<&Kept> {
        self.known.get(name).map(|known| &known.content)
    }

    /// The Middlewares of an id, in their order.
    pub(super) fn of_id(&self, id: &str) -> impl Iterator<Item = &Name> {
        self.by_id.get(id).into_iter().flatten()
    }

    /// All ids.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.by_id.keys().map(|id| &**id)
    }

    /// All names.
    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        self.known.keys()
    }

    /// Notes what an Ingress depends on, and whether it misses something.
    pub(in crate::control::translate) fn acquire(
        &mut self,
        user: usize,
        dependencies: &[Dependency],
        is_unresolved: bool,
    ) {
        for dependency in dependencies {
            self.users.entry(dependency.clone()).or_default().insert(user);
        }
        if is_unresolved {
            self.unresolved.insert(user);
        } else {
            self.unresolved.remove(&user);
        }
    }

    /// Takes a user of a dependency away.
    pub(in crate::control::translate) fn release(&mut self, user: usize, dependency: &Dependency) {
        if let Some(users) = self.users.get_mut(dependency) {
            users.remove(&user);
            if users.is_empty() {
                self.users.remove(dependency);
            }
        }
    }

    /// Forgets that an Ingress misses something.
    pub(in crate::control::translate) fn settle(&mut self, user: usize) {
        self.unresolved.remove(&user);
    }
}

/// Keeps what was read. A step that is the same stays where it is: buckets and verdicts belong to it.
fn keep(name: &Name, read: Read, before: Option<&Kept>) -> Kept {
    let Read { content, backend, needs: _ } = read;
    let kept = match content {
        Content::Unusable => Kept::Unusable,
        Content::Nothing => Kept::Nothing,
        Content::Chain(members) => Kept::Chain(members.into()),
        Content::Step(step) => {
            let object = object_ref(name);
            let shown = format!("{}/{}", object.namespace, object.name).into();
            let middleware = NamedStep { name: shown, step };
            Kept::Step(Arc::new(middleware), backend.map(Arc::new))
        }
    };
    match before {
        Some(before) if *before == kept => before.clone(),
        _ => kept,
    }
}
