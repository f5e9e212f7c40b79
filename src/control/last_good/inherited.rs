//! Objects of Traefik's kinds in the last-good state, for a start at which the definitions of these kinds are gone.

use super::file::{self, LastGood};
use crate::control::objects::{Object, TRAEFIK_KINDS};
use crate::control::watch::Scope;
use crate::model::ObjectRef;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// Reads the file when it is first asked for: before this process writes it, which it does once all is listed.
#[derive(Debug)]
pub struct Inherited {
    directory: PathBuf,
    /// Those that nobody has asked for yet, and what the earlier process had listed.
    left: Mutex<Option<(Vec<Scope>, Vec<Object>)>>,
}

impl Inherited {
    /// Touches no file yet.
    pub fn new(directory: PathBuf) -> Self {
        Self { directory, left: Mutex::new(None) }
    }

    /// The objects of a scope; each is given once. None if there is no file that can be used, which is logged.
    pub fn take(&self, scope: &Scope) -> Vec<Object> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let (covered, objects) = left.get_or_insert_with(|| self.read());
        if !covered.iter().any(|it| it.includes(scope)) {
            return Vec::new();
        }
        let is_its = |object: &Object| {
            let ObjectRef { kind, namespace, name } = object.identity();
            kind == scope.kind && scope.covers(&namespace, &name)
        };
        let (taken, rest) = std::mem::take(objects).into_iter().partition(is_its);
        *objects = rest;
        taken
    }

    fn read(&self) -> (Vec<Scope>, Vec<Object>) {
        match file::load(&self.directory) {
            Ok(Some(LastGood { header, mut objects, .. })) => {
                let is_optional =
                    |object: &Object| TRAEFIK_KINDS.iter().any(|(kind, _)| *kind == object.kind());
                objects.retain(is_optional);
                (header.scopes, objects)
            }
            Ok(None) => (Vec::new(), Vec::new()),
            Err(refusal) => {
                tracing::warn!(
                    directory = ?self.directory,
                    reason = %refusal,
                    "the last-good state is not usable: objects of kinds without a definition are not restored"
                );
                (Vec::new(), Vec::new())
            }
        }
    }
}
