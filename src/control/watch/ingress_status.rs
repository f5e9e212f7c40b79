//! What the status of each Ingress says, and whether we wrote it. Kept beside the objects, whose
//! translation does not depend on it: a status that is written must not pass for a change.

use super::scope::Scope;
use crate::control::write_back::IngressRef;
use crate::model::ObjectRef;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// By namespace and name.
type Name = (Arc<str>, Arc<str>);

/// The statuses of all Ingresses, of any class.
#[derive(Debug, Default)]
pub struct IngressStatuses {
    all: Mutex<BTreeMap<Name, IngressRef>>,
    changes: watch::Sender<u64>,
}

impl IngressStatuses {
    /// Increases with each change.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Visits every Ingress, in the order of namespace and name.
    pub fn each(&self, see: impl FnMut(&IngressRef)) {
        self.lock().values().for_each(see);
    }

    /// The `metadata.uid` of an Ingress.
    pub fn uid(&self, namespace: &Arc<str>, name: &Arc<str>) -> Option<Arc<str>> {
        let key = (Arc::clone(namespace), Arc::clone(name));
        self.lock().get(&key).map(|ingress| Arc::clone(&ingress.uid))
    }

    /// Puts a whole list in the place of what is known of its scope.
    pub(super) fn swap(&self, scope: &Scope, ingresses: Vec<IngressRef>) {
        let mut all = self.lock();
        all.retain(|(namespace, name), _| !scope.covers(namespace, name));
        all.extend(ingresses.into_iter().map(|ingress| (key(&ingress), ingress)));
        self.changed(all);
    }

    pub(super) fn apply(&self, ingress: IngressRef) {
        let mut all = self.lock();
        let key = key(&ingress);
        if all.get(&key) != Some(&ingress) {
            all.insert(key, ingress);
            self.changed(all);
        }
    }

    pub(super) fn remove(&self, identity: &ObjectRef) {
        let mut all = self.lock();
        let key = (Arc::clone(&identity.namespace), Arc::clone(&identity.name));
        if all.remove(&key).is_some() {
            self.changed(all);
        }
    }

    /// The audience may read at once.
    fn changed(&self, all: MutexGuard<'_, BTreeMap<Name, IngressRef>>) {
        drop(all);
        self.changes.send_modify(|times| *times += 1);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Name, IngressRef>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(ingress: &IngressRef) -> Name {
    (Arc::clone(&ingress.namespace), Arc::clone(&ingress.name))
}
