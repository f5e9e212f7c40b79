//! The Service ports that rules name, each once, and who names them.

mod slot;

use super::missing::Missing;
use super::slab::Slab;
use super::{Map, Name, Touched};
use crate::control::objects::Objects;
use crate::control::translate::findings::{Findings, Reported};
use crate::control::translate::middleware::OwnBackend;
use crate::control::translate::names::{Names, ServiceName};
use crate::control::translate::near::Here;
use crate::control::translate::protocol::LastRead;
use crate::control::translate::report::Problem;
use crate::control::translate::service::{self, PortRead, ServiceRead};
use crate::control::translate::wanted::Wanted;
use crate::model::{BackendId, BackendKey, BackendSpec, Broken, PortKey, Treatment};
use slot::Slot;
use std::collections::{BTreeMap, BTreeSet};
use std::mem::take;
use std::sync::Arc;

/// The backends. Rules name them by identity; here they have numbers.
#[derive(Debug, Default)]
pub(super) struct Backends {
    slots: Slab<Slot>,
    by_id: Map<Arc<BackendId>, usize>,
    services: Map<Name, InUse>,
    missing: Missing,
    /// The Services, by the Secret with the CAs for their certificates.
    by_authorities: Map<Name, BTreeSet<Arc<str>>>,
    /// The zones that endpoints on our node say that it is in, and how many Services' do.
    zones: BTreeMap<Arc<str>, usize>,
    /// Of nodes and zones.
    names: Names,
}

/// A Service that rules name.
#[derive(Debug, Default)]
struct InUse {
    /// Its ports that rules name.
    slots: Vec<usize>,
    /// About the Service and its slices.
    found: Reported,
    /// The Secret with the CAs for its certificates.
    authorities: LastRead,
    /// Whether it matters in which zone we are.
    by_zone: bool,
    /// The zone that its endpoints say our node is in.
    zone: Option<Arc<str>>,
}

impl Backends {
    /// The identity of a backend, of which `user` is from now on one of the users. `broken`: why it
    /// can have no endpoints, if the rule itself is the reason, which has been reported.
    pub(super) fn acquire(
        &mut self,
        key: BackendKey,
        broken: Option<Broken>,
        user: usize,
        touched: &mut Touched,
    ) -> Arc<BackendId> {
        let slot = self.slot(BackendId { key, broken }, true, touched);
        slot.users.insert(user);
        Arc::clone(&slot.id)
    }

    /// The same, with what is asked of the port.
    pub(super) fn acquire_as(
        &mut self,
        key: BackendKey,
        broken: Option<Broken>,
        wanted: Wanted,
        user: usize,
        touched: &mut Touched,
    ) -> Arc<BackendId> {
        let slot = self.slot(BackendId { key, broken }, true, touched);
        slot.users.insert(user);
        if slot.wanted != wanted {
            slot.wanted = wanted;
            let BackendKey { namespace, service, .. } = &slot.id.key;
            touched.services.insert((Arc::clone(namespace), Arc::clone(service)));
        }
        Arc::clone(&slot.id)
    }

    /// The same for a backend that a Middleware describes itself.
    pub(super) fn acquire_own(
        &mut self,
        own: &OwnBackend,
        user: usize,
        touched: &mut Touched,
    ) -> Arc<BackendId> {
        let OwnBackend { key, state, protocol } = own;
        let id = BackendId { key: key.clone(), broken: None };
        let slot = self.slot(id, false, touched);
        slot.users.insert(user);
        let id = Arc::clone(&slot.id);
        let (state, protocol) = (state.clone(), protocol.clone());
        let read = PortRead { state, protocol, problem: None };
        if let Some(&number) = self.by_id.get(&id)
            && let Some(slot) = self.slots.get_mut(number)
        {
            slot.take(number, read, &Treatment::default(), false, touched);
        }
        id
    }

    /// A backend, which is there from now on. `is_port`: whether it is a port of a Service.
    fn slot(&mut self, id: BackendId, is_port: bool, touched: &mut Touched) -> &mut Slot {
        let known = self.by_id.get(&id).copied();
        let number = known.unwrap_or_else(|| {
            let id = Arc::new(id);
            let number = self.slots.insert(Slot::new(Arc::clone(&id)));
            if is_port && id.broken.is_none() {
                let service = (Arc::clone(&id.key.namespace), Arc::clone(&id.key.service));
                self.services.entry(service.clone()).or_default().slots.push(number);
                touched.services.insert(service);
            }
            self.by_id.insert(id, number);
            touched.states.insert(number);
            touched.replaced.insert(number);
            number
        });
        self.slots.get_mut(number).expect("a backend is kept under its identity")
    }

    /// The Ingresses that name a Service, by number.
    pub(super) fn users_of(&self, service: &Name) -> impl Iterator<Item = usize> {
        let slots = self.services.get(service).into_iter().flat_map(|in_use| &in_use.slots);
        slots.filter_map(|&slot| self.slots.get(slot)).flat_map(|slot| slot.users.iter().copied())
    }

    /// Takes a user away. A backend without users is forgotten.
    pub(super) fn release(
        &mut self,
        id: &Arc<BackendId>,
        user: usize,
        touched: &mut Touched,
        findings: &mut Findings,
    ) {
        let Some(&number) = self.by_id.get(id) else {
            return;
        };
        let Some(slot) = self.slots.get_mut(number) else {
            return;
        };
        slot.users.remove(&user);
        if !slot.users.is_empty() {
            return;
        }
        self.slots.remove(number);
        self.by_id.remove(id);
        touched.gone.push(Arc::clone(id));
        let service = (Arc::clone(&id.key.namespace), Arc::clone(&id.key.service));
        let in_use = self.services.get_mut(&service).filter(|_| id.broken.is_none());
        let Some(in_use) = in_use else {
            return;
        };
        in_use.slots.retain(|&other| other != number);
        if in_use.slots.is_empty() {
            findings.replace(&mut in_use.found, Vec::new());
            let secret = in_use.authorities.name.take();
            let zone = in_use.zone.take();
            count(&mut self.zones, zone, None);
            self.services.remove(&service);
            self.follow(&service, secret, None);
            self.set_missing(&service, false, touched);
        } else {
            // What there is to say of it may have been about this port.
            touched.services.insert(service);
        }
    }

    /// Reads a Service and its slices, if it is in use.
    pub(super) fn resolve(
        &mut self,
        objects: &Objects,
        service: &Name,
        here: &Here<'_>,
        touched: &mut Touched,
        findings: &mut Findings,
    ) {
        let Some(in_use) = self.services.get_mut(service) else {
            return;
        };
        let slots = &self.slots;
        let port = |&slot: &usize| slots.get(slot).map(|slot| (&slot.id.key.port, &slot.wanted));
        let ports: Vec<(&PortKey, &Wanted)> = in_use.slots.iter().filter_map(port).collect();
        let name = ServiceName { namespace: &service.0, name: &service.1 };
        let secret = in_use.authorities.name.take();
        let (names, last) = (&mut self.names, &mut in_use.authorities);
        let read = service::read(objects, name, ports.into_iter(), here, names, last);
        let is_missing = read.is_none();
        let ServiceRead { ports, findings: found, treatment, by_zone, zone } =
            read.unwrap_or_else(|| {
                let missing = |_: &usize| PortRead::broken(Broken::ServiceMissing, None);
                let ports = in_use.slots.iter().map(missing).collect();
                ServiceRead { ports, ..ServiceRead::default() }
            });
        findings.replace(&mut in_use.found, found);
        in_use.by_zone = by_zone;
        let before = std::mem::replace(&mut in_use.zone, zone.clone());
        count(&mut self.zones, before, zone);
        for (&number, port_read) in in_use.slots.iter().zip(ports) {
            if let Some(slot) = self.slots.get_mut(number) {
                slot.take(number, port_read, &treatment, is_missing, touched);
            }
        }
        let slots = &self.slots;
        let is_silent = |&slot: &usize| slots.get(slot).is_some_and(|slot| slot.problem.is_none());
        if is_missing && in_use.slots.iter().any(is_silent) {
            // A port of it is new, while the Service was missing before.
            touched.unsaid.insert(service.clone());
        }
        let now = in_use.authorities.name.clone();
        self.follow(service, secret, now);
        self.set_missing(service, is_missing, touched);
    }

    /// The zone that endpoints on our node say that it is in; of several the first by name.
    pub(super) fn zone(&self) -> Option<&str> {
        self.zones.keys().next().map(|zone| &**zone)
    }

    /// The Services to which it matters in which zone we are.
    pub(super) fn by_zone(&self) -> impl Iterator<Item = Name> {
        let matters = self.services.iter().filter(|(_, in_use)| in_use.by_zone);
        matters.map(|(name, _)| name.clone())
    }

    /// Notes which Secret with CAs a Service names, and which it named before.
    fn follow(&mut self, service: &Name, before: Option<Arc<str>>, now: Option<Arc<str>>) {
        if before == now {
            return;
        }
        let (namespace, name) = service;
        if let Some(before) = before.map(|before| (Arc::clone(namespace), before))
            && let Some(services) = self.by_authorities.get_mut(&before)
        {
            services.remove(name);
            if services.is_empty() {
                self.by_authorities.remove(&before);
            }
        }
        if let Some(now) = now {
            let services = self.by_authorities.entry((Arc::clone(namespace), now));
            services.or_default().insert(Arc::clone(name));
        }
    }

    /// The Services whose certificates are verified with the CAs in a Secret.
    pub(super) fn verified_by(&self, secret: &Name) -> impl Iterator<Item = Name> {
        let services = self.by_authorities.get(secret).into_iter().flatten();
        services.map(|service| (Arc::clone(&secret.0), Arc::clone(service)))
    }

    fn set_missing(&mut self, service: &Name, is_missing: bool, touched: &mut Touched) {
        if self.missing.set(service, is_missing) {
            touched.unsaid.insert(service.clone());
        }
    }

    /// Says of the Services that are missing that they are, and which names are near.
    pub(super) fn suggest(&mut self, objects: &Objects, touched: &mut Touched) {
        let (named, unsaid) = (take(&mut touched.named), take(&mut touched.unsaid));
        for (service, near) in self.missing.look(objects, named, unsaid) {
            let problem = Arc::new(service::missing(&service.0, &service.1, near.as_deref()));
            for &slot in self.services.get(&service).iter().flat_map(|in_use| &in_use.slots) {
                if let Some(slot) = self.slots.get_mut(slot) {
                    slot.set_problem(Some(Arc::clone(&problem)), touched);
                }
            }
        }
    }

    /// What is wrong with a backend, for every rule that names it.
    pub(super) fn problem(&self, id: &BackendId) -> Option<&Problem> {
        self.slots.get(*self.by_id.get(id)?)?.problem.as_deref()
    }

    /// What is known of a backend, as the model shares it.
    pub(super) fn spec(&self, number: usize) -> Option<(&Arc<BackendId>, &Arc<BackendSpec>)> {
        let Slot { id, spec, .. } = self.slots.get(number)?;
        Some((id, spec))
    }

    /// The Ingresses that name a backend, by number.
    pub(super) fn users(&self, number: usize) -> impl Iterator<Item = usize> {
        self.slots.get(number).into_iter().flat_map(|slot| slot.users.iter().copied())
    }
}

/// Counts a Service under another zone than before.
fn count(zones: &mut BTreeMap<Arc<str>, usize>, before: Option<Arc<str>>, now: Option<Arc<str>>) {
    if before == now {
        return;
    }
    if let Some(now) = now {
        *zones.entry(now).or_default() += 1;
    }
    if let Some(before) = before
        && let Some(services) = zones.get_mut(&before)
    {
        *services -= 1;
        if *services == 0 {
            zones.remove(&before);
        }
    }
}
