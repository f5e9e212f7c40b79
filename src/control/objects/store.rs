//! Values by namespace and name.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Values by namespace and name, in that order. Cluster-wide objects are in the namespace "".
pub struct Store<T> {
    namespaces: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Arc<T>>>,
    len: usize,
}

impl<T> Store<T> {
    /// Nothing.
    pub(super) const fn new() -> Self {
        Self { namespaces: BTreeMap::new(), len: 0 }
    }

    /// The object of this name.
    pub fn get(&self, namespace: &str, name: &str) -> Option<&Arc<T>> {
        self.namespaces.get(namespace)?.get(name)
    }

    /// Every object, in the order of namespace and name.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>, &Arc<T>)> {
        self.namespaces.iter().flat_map(|(namespace, objects)| {
            objects.iter().map(move |(name, object)| (namespace, name, object))
        })
    }

    /// The names in one namespace, sorted.
    pub fn names(&self, namespace: &str) -> impl Iterator<Item = &str> {
        self.namespaces.get(namespace).into_iter().flat_map(BTreeMap::keys).map(|name| &**name)
    }

    /// How many objects there are in one namespace.
    pub fn count(&self, namespace: &str) -> usize {
        self.namespaces.get(namespace).map_or(0, BTreeMap::len)
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.namespaces.is_empty()
    }

    pub(super) fn insert(
        &mut self,
        namespace: &Arc<str>,
        name: &Arc<str>,
        value: Arc<T>,
    ) -> Option<Arc<T>> {
        let objects = match self.namespaces.get_mut(namespace) {
            Some(objects) => objects,
            None => self.namespaces.entry(Arc::clone(namespace)).or_default(),
        };
        let previous = objects.insert(Arc::clone(name), value);
        self.len += usize::from(previous.is_none());
        previous
    }

    pub(super) fn remove(&mut self, namespace: &str, name: &str) -> Option<Arc<T>> {
        let objects = self.namespaces.get_mut(namespace)?;
        let removed = objects.remove(name);
        self.len -= usize::from(removed.is_some());
        if objects.is_empty() {
            self.namespaces.remove(namespace);
        }
        removed
    }
}

impl<T> Default for Store<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for Store<T> {
    fn clone(&self) -> Self {
        Self { namespaces: self.namespaces.clone(), len: self.len }
    }
}

impl<T: PartialEq> PartialEq for Store<T> {
    fn eq(&self, other: &Self) -> bool {
        self.namespaces == other.namespaces
    }
}
