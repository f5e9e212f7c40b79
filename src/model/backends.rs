//! The backends of a model, by what rules name them by.

use super::{BackendKey, BackendSpec, Broken, SharedMap};
use std::sync::Arc;

/// What tells backends apart. It is the same in every model, whatever else there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BackendId {
    /// Which Service port.
    pub key: BackendKey,
    /// Why it can have no endpoints, if the rule itself is the reason.
    pub broken: Option<Broken>,
}

impl BackendId {
    /// That of a Service port that the rule itself does not break.
    pub fn of(key: BackendKey) -> Arc<Self> {
        Arc::new(Self { key, broken: None })
    }
}

/// The backends, in the order of their keys. A copy shares all of them, and a change of one costs about the same
/// however many others there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backends(SharedMap<Arc<BackendId>, Arc<BackendSpec>>);

impl Backends {
    /// One of them.
    pub fn get(&self, id: &BackendId) -> Option<&Arc<BackendSpec>> {
        self.0.get(id)
    }

    /// Adds one, or puts it in the place of what was known of it.
    pub fn insert(&mut self, id: Arc<BackendId>, backend: Arc<BackendSpec>) {
        self.0.insert(id, backend);
    }

    /// Removes one.
    pub fn remove(&mut self, id: &BackendId) {
        self.0.remove(id);
    }

    /// All of them, with what tells them apart.
    pub fn entries(&self) -> impl Iterator<Item = (&Arc<BackendId>, &Arc<BackendSpec>)> {
        self.0.iter()
    }

    /// All of them, in the same order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<BackendSpec>> {
        self.0.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many chunks there are, and how many of them another one has as well.
    #[cfg(test)]
    pub(crate) fn sharing(&self, other: &Self) -> (usize, usize) {
        self.0.sharing(&other.0)
    }
}

impl FromIterator<(Arc<BackendId>, Arc<BackendSpec>)> for Backends {
    fn from_iter<I: IntoIterator<Item = (Arc<BackendId>, Arc<BackendSpec>)>>(all: I) -> Self {
        Self(all.into_iter().collect())
    }
}

/// None of which a rule breaks.
impl FromIterator<BackendSpec> for Backends {
    fn from_iter<I: IntoIterator<Item = BackendSpec>>(all: I) -> Self {
        let all = all.into_iter();
        all.map(|backend| (BackendId::of(backend.key.clone()), Arc::new(backend))).collect()
    }
}

#[cfg(test)]
impl std::ops::Index<usize> for Backends {
    type Output = BackendSpec;

    fn index(&self, position: usize) -> &BackendSpec {
        self.iter().nth(position).expect("a backend at this position")
    }
}

#[cfg(test)]
impl std::ops::Index<&Arc<BackendId>> for Backends {
    type Output = BackendSpec;

    fn index(&self, id: &Arc<BackendId>) -> &BackendSpec {
        self.get(id).expect("a backend that a rule names")
    }
}
