//! The Secrets that Ingresses name, each looked at once, and who names them.

use super::{Map, Name};
use crate::control::objects::Objects;
use crate::control::translate::report::Problem;
use crate::control::translate::secret;
use crate::pki::certificate::Certificate;
use crate::pki::client_certificate::Authority;
use k8s_openapi::api::core::v1::Secret;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a Secret is named for.
pub(super) trait Content: Sized {
    /// Reads it out of the Secret, if there is one.
    fn read(namespace: &str, name: &str, secret: Option<&Secret>) -> Result<Self, Problem>;

    /// Whether another one is the same.
    fn is_same(&self, other: &Self) -> bool;
}

impl Content for Certificate {
    fn read(namespace: &str, name: &str, secret: Option<&Secret>) -> Result<Self, Problem> {
        secret::read(namespace, name, secret)
    }

    fn is_same(&self, other: &Self) -> bool {
        Self::is_same(self, other)
    }
}

impl Content for Authority {
    fn read(namespace: &str, name: &str, secret: Option<&Secret>) -> Result<Self, Problem> {
        secret::read_authority(namespace, name, secret)
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }
}

/// The Secrets in use.
#[derive(Debug)]
pub(super) struct Secrets<C>(Map<Name, InUse<C>>);

#[derive(Debug)]
struct InUse<C> {
    content: Option<Arc<C>>,
    problem: Option<Problem>,
    /// The Ingresses that name it, by number.
    users: BTreeSet<usize>,
}

/// What looking at a Secret came to.
#[derive(Debug, Default)]
pub(super) struct Checked {
    /// Whether the content is another one.
    pub(super) changed: bool,
    /// The Ingresses whose findings are others, by number.
    pub(super) readings: Vec<usize>,
}

impl<C> Default for Secrets<C> {
    fn default() -> Self {
        Self(Map::default())
    }
}

impl<C: Content> Secrets<C> {
    /// Adds a user. Returns whether it is the first: the Secret has to be looked at.
    pub(super) fn acquire(&mut self, name: &Name, user: usize) -> bool {
        let new = || InUse { content: None, problem: None, users: BTreeSet::new() };
        let in_use = self.0.entry(name.clone()).or_insert_with(new);
        let is_first = in_use.users.is_empty();
        in_use.users.insert(user);
        is_first
    }

    /// Takes a user away. A Secret without users is forgotten.
    pub(super) fn release(&mut self, name: &Name, user: usize) {
        if let Some(in_use) = self.0.get_mut(name) {
            in_use.users.remove(&user);
            if in_use.users.is_empty() {
                self.0.remove(name);
            }
        }
    }

    /// Reads a Secret, if it is in use.
    pub(super) fn check(&mut self, objects: &Objects, wanted: &Name) -> Checked {
        let Some(in_use) = self.0.get_mut(wanted) else {
            return Checked::default();
        };
        let (namespace, name) = wanted;
        let secret = objects.secrets().get(namespace, name).map(|secret| &**secret);
        let (content, problem) = match C::read(namespace, name, secret) {
            Ok(content) => (Some(Arc::new(content)), None),
            Err(problem) => (None, Some(problem)),
        };
        let is_same = match (&content, &in_use.content) {
            (Some(now), Some(before)) => now.is_same(before),
            (now, before) => now.is_none() == before.is_none(),
        };
        in_use.content = content;
        let mut readings = Vec::new();
        if in_use.problem != problem {
            in_use.problem = problem;
            readings.extend(&in_use.users);
        }
        Checked { changed: !is_same, readings }
    }

    /// What is in a Secret, if it can be used.
    pub(super) fn content(&self, name: &Name) -> Option<&Arc<C>> {
        self.0.get(name)?.content.as_ref()
    }

    /// What is wrong with a Secret, for every Ingress that names it.
    pub(super) fn problem(&self, name: &Name) -> Option<&Problem> {
        self.0.get(name)?.problem.as_ref()
    }
}
