//! The Ingresses of a model, the oldest first.

use super::{Ingress, Kind, SharedMap};
use std::cmp::Ordering;
use std::sync::Arc;

/// The Ingresses, in the order of their age. A copy shares all of them, and one more or one less costs
/// about the same however many there are.
#[derive(Clone, Debug, Default)]
pub struct Ingresses(SharedMap<ByAge, ()>);

impl Ingresses {
    /// Adds one. It takes the place of another one of the same age and name.
    pub fn insert(&mut self, ingress: Arc<Ingress>) {
        self.0.insert(ByAge(ingress), ());
    }

    /// Removes the one of this age and name.
    pub fn remove(&mut self, ingress: &Arc<Ingress>) {
        self.0.remove(&ByAge(Arc::clone(ingress)));
    }

    /// All of them, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Ingress>> {
        self.0.iter().map(|(ByAge(ingress), ())| ingress)
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

impl PartialEq for Ingresses {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for Ingresses {}

impl FromIterator<Ingress> for Ingresses {
    fn from_iter<I: IntoIterator<Item = Ingress>>(all: I) -> Self {
        Self(all.into_iter().map(|ingress| (ByAge(Arc::new(ingress)), ())).collect())
    }
}

#[cfg(test)]
impl std::ops::Index<usize> for Ingresses {
    type Output = Ingress;

    fn index(&self, position: usize) -> &Ingress {
        self.iter().nth(position).expect("an Ingress at this position")
    }
}

impl Ingress {
    /// The order of Ingresses: of two that ask for the same the first one wins.
    pub fn by_age(&self, other: &Self) -> Ordering {
        fn key(ingress: &Ingress) -> (i64, &str, &str, Kind) {
            (ingress.created, &ingress.namespace, &ingress.name, ingress.kind)
        }
        match std::ptr::eq(self, other) {
            true => Ordering::Equal,
            false => key(self).cmp(&key(other)),
        }
    }
}

/// An Ingress by its age: the same one, whatever it asks for.
#[derive(Clone, Debug)]
struct ByAge(Arc<Ingress>);

impl Ord for ByAge {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.by_age(&other.0)
    }
}

impl PartialOrd for ByAge {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ByAge {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for ByAge {}
