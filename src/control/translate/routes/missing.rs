//! The Services that rules name and that do not exist, and which ones may have been meant.
//!
//! A Service that comes is compared with the few that are missing, and one that is missing now with those of
//! its namespace. Nothing is compared where many are missing: a namespace that is being deleted must not
//! compare all with all.

use super::{Name, Set};
use crate::control::objects::Objects;
use crate::control::suggest::similarity_of;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Missing Services of a namespace for which names are suggested. More of them are no slip of the
/// keyboard.
const MOST_MISSING: usize = 16;

/// Services of a namespace that are compared with one that is missing, which takes some milliseconds. With
/// more of them, none is suggested.
const MOST_NAMES: usize = 10_000;

/// A name and how near it is.
type Near = (f64, Arc<str>);

/// What is missing, by namespace.
#[derive(Debug, Default)]
pub(super) struct Missing {
    namespaces: BTreeMap<Arc<str>, Namespace>,
    /// Namespaces where fewer are missing than at the last report.
    fewer: BTreeSet<Arc<str>>,
    /// Names that were compared: the work.
    compared: u64,
}

#[derive(Debug, Default)]
struct Namespace {
    /// With the nearest name of those that exist.
    names: BTreeMap<Arc<str>, Option<Near>>,
    /// Whether nothing is suggested.
    silent: bool,
}

/// Names of Services in one namespace, to look at.
#[derive(Default)]
struct ToLook {
    changed: Vec<Arc<str>>,
    unsaid: BTreeSet<Arc<str>>,
}

impl Missing {
    /// Notes whether a Service that rules name exists. Returns whether it is missing only now.
    pub(super) fn set(&mut self, service: &Name, is_missing: bool) -> bool {
        let (namespace, name) = service;
        if is_missing {
            let all = self.namespaces.entry(Arc::clone(namespace)).or_default();
            let is_new = !all.names.contains_key(name);
            if is_new {
                all.names.insert(Arc::clone(name), None);
            }
            return is_new;
        }
        if let Some(all) = self.namespaces.get_mut(namespace)
            && all.names.remove(name).is_some()
        {
            if all.names.is_empty() {
                self.namespaces.remove(namespace);
            } else {
                self.fewer.insert(Arc::clone(namespace));
            }
        }
        false
    }

    /// Takes which Services have come or gone, and of which missing ones nothing was said yet. Returns of
    /// which it is reported again, and which name may have been intended.
    pub(super) fn look(
        &mut self,
        objects: &Objects,
        changed: Set<Name>,
        unsaid: Set<Name>,
    ) -> BTreeMap<Name, Option<Arc<str>>> {
        let mut all: BTreeMap<Arc<str>, ToLook> = BTreeMap::new();
        for namespace in std::mem::take(&mut self.fewer) {
            all.entry(namespace).or_default();
        }
        for (namespace, name) in changed {
            all.entry(namespace).or_default().changed.push(name);
        }
        for (namespace, name) in unsaid {
            all.entry(namespace).or_default().unsaid.insert(name);
        }
        let mut said = BTreeMap::new();
        for (namespace, to_look) in all {
            if let Some(missing) = self.namespaces.get_mut(&namespace) {
                let mut say = |name: &Arc<str>, near: Option<&Near>| {
                    let near = near.map(|(_, name)| Arc::clone(name));
                    said.insert((Arc::clone(&namespace), Arc::clone(name)), near);
                };
                missing.look(objects, &namespace, to_look, &mut self.compared, &mut say);
            }
        }
        said
    }
}

impl Namespace {
    fn look(
        &mut self,
        objects: &Objects,
        namespace: &str,
        to_look: ToLook,
        compared: &mut u64,
        say: &mut dyn FnMut(&Arc<str>, Option<&Near>),
    ) {
        let ToLook { changed, mut unsaid } = to_look;
        let services = objects.services();
        let silent = self.names.len() > MOST_MISSING || services.count(namespace) > MOST_NAMES;
        let is_other = silent != std::mem::replace(&mut self.silent, silent);
        if is_other {
            unsaid.extend(self.names.keys().cloned());
        }
        let (come, gone): (Vec<_>, Vec<_>) =
            changed.into_iter().partition(|name| services.get(namespace, name).is_some());
        if !silent {
            let is_gone =
                |near: &Option<Near>| near.as_ref().is_some_and(|(_, name)| gone.contains(name));
            let lost = self.names.iter().filter(|(_, near)| is_gone(near));
            unsaid.extend(lost.map(|(name, _)| Arc::clone(name)));
        }
        for name in &unsaid {
            let Some(near) = self.names.get_mut(name) else { continue };
            *near = None;
            if !silent {
                for candidate in services.names(namespace) {
                    *compared += 1;
                    take_nearer(near, name, candidate);
                }
            }
            say(name, near.as_ref());
        }
        if silent {
            return;
        }
        for (name, near) in &mut self.names {
            let mut is_nearer = false;
            for candidate in &come {
                *compared += 1;
                is_nearer |= take_nearer(near, name, candidate);
            }
            if is_nearer {
                say(name, near.as_ref());
            }
        }
    }
}

/// Keeps the nearer of two, and of two that are equally near the first by name. Returns whether it is the
/// candidate.
fn take_nearer(near: &mut Option<Near>, wanted: &str, candidate: &str) -> bool {
    let Some(similarity) = similarity_of(candidate, wanted) else { return false };
    let is_nearer = near.as_ref().is_none_or(|(highest, name)| {
        similarity > *highest || (similarity >= *highest && candidate < &**name)
    });
    if is_nearer {
        *near = Some((similarity, candidate.into()));
    }
    is_nearer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::objects::Object;
    use crate::model::{Kind, ObjectRef};
    use k8s_openapi::api::core::v1::Service;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    const MANY: usize = 2_000;

    fn mk_service(name: &str) -> Object {
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        Object::from(Service { metadata, ..Service::default() })
    }

    fn mk_name(name: &str) -> Name {
        ("default".into(), name.into())
    }

    /// Takes a Service away that a rule names. Returns what is reported again.
    fn delete(missing: &mut Missing, objects: &mut Objects, name: &str) -> usize {
        objects.remove(&ObjectRef::new(Kind::Service, "default", name));
        let service = mk_name(name);
        assert!(missing.set(&service, true));
        let one = || -> Set<Name> { [service.clone()].into_iter().collect() };
        missing.look(objects, one(), one()).len()
    }

    #[test]
    fn services_that_are_deleted_one_by_one_cost_the_same_each() {
        let mut objects = Objects::default();
        let name = |number: usize| format!("service-{number}");
        for number in 0..MANY {
            objects.insert(mk_service(&name(number)));
        }
        let mut missing = Missing::default();
        let mut said = 0;
        for number in 0..MANY {
            said += delete(&mut missing, &mut objects, &name(number));
        }
        // The first ones are compared with all, and again when what they were near to goes; they are said
        // again when there are too many.
        let (few, all) = (MOST_MISSING as u64, MANY as u64);
        assert!(missing.compared <= few * (few + 1) * all, "{} names compared", missing.compared);
        assert!(said <= MANY + MOST_MISSING * (MOST_MISSING + 2), "{said} problems written");
        let before = missing.compared;
        objects.insert(mk_service("another"));
        missing.look(&objects, [mk_name("another")].into_iter().collect(), Set::default());
        assert_eq!(missing.compared, before, "nothing is compared with many");
    }

    #[test]
    fn what_comes_is_compared_with_the_few_that_are_missing_and_what_goes_with_nobody_else() {
        let mut objects = Objects::default();
        for name in ["payments", "blue", "green"] {
            objects.insert(mk_service(name));
        }
        let mut missing = Missing::default();
        let wanted = mk_name("paymets");
        assert!(missing.set(&wanted, true) && !missing.set(&wanted, true));
        let one = |name: &str| -> Set<Name> { [mk_name(name)].into_iter().collect() };
        let none = Set::default;
        let meant = |said: BTreeMap<Name, Option<Arc<str>>>| {
            said.get(&wanted).map(|near| near.as_deref().map(str::to_owned))
        };
        let near = |name: &str| Some(Some(name.to_owned()));
        assert_eq!(meant(missing.look(&objects, none(), one("paymets"))), near("payments"));
        objects.insert(mk_service("unrelated"));
        assert_eq!(meant(missing.look(&objects, one("unrelated"), none())), None);
        objects.insert(mk_service("PAYMETS"));
        assert_eq!(meant(missing.look(&objects, one("PAYMETS"), none())), near("PAYMETS"));
        objects.remove(&ObjectRef::new(Kind::Service, "default", "PAYMETS"));
        assert_eq!(meant(missing.look(&objects, one("PAYMETS"), none())), near("payments"));
        objects.remove(&ObjectRef::new(Kind::Service, "default", "payments"));
        assert_eq!(meant(missing.look(&objects, one("payments"), none())), Some(None));
        assert_eq!(missing.compared, 3 + 1 + 1 + 4 + 3);
    }

    #[test]
    fn names_are_suggested_again_when_few_are_missing() {
        let mut objects = Objects::default();
        objects.insert(mk_service("wanted-0"));
        let mut missing = Missing::default();
        let names: Vec<Name> =
            (1..=MOST_MISSING + 1).map(|at| mk_name(&format!("wanted-{at}"))).collect();
        names.iter().for_each(|name| assert!(missing.set(name, true)));
        let said = missing.look(&objects, Set::default(), names.iter().cloned().collect());
        assert!(said.len() == names.len() && said.values().all(Option::is_none));
        missing.set(&names[0], false);
        let said = missing.look(&objects, Set::default(), Set::default());
        assert!(said.len() == MOST_MISSING && said.values().all(Option::is_some));
    }
}
