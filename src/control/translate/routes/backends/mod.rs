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
use crate::model::{BackendKey, BackendSpec, Broken, Delta, PortKey, Treatment};
use slot::Slot;
use std::collections::{BTreeMap, BTreeSet};
use std::mem::take;
use std::sync::Arc;

/// The backends, by number.
#[derive(Debug, Default)]
pub(super) struct Backends {
    slots: Slab<Slot>,
    /// By key, and by the reason if the rule itself is why it can have no endpoints.
    by_key: BTreeMap<(BackendKey, Option<Broken>), usize>,
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
    /// The number of a backend, of which `user` is from now on one of the users. `broken`: why it
    /// can have no endpoints, if the rule itself is the reason, which has been reported.
    pub(super) fn acquire(
        &mut self,
        key: BackendKey,
        broken: Option<Broken>,
        user: usize,
        touched: &mut Touched,
    ) -> usize {
        let known = self.by_key.get(&(key.clone(), broken)).copied();
        let number = known.unwrap_or_else(|| {
            let number = self.slots.insert(Slot::new(key.clone(), broken));
            if broken.is_none() {
                let service = (Arc::clone(&key.namespace), Arc::clone(&key.service));
                self.services.entry(service.clone()).or_default().slots.push(number);
                touched.services.insert(service);
            }
            self.by_key.insert((key, broken), number);
            touched.backends = true;
            number
        });
        if let Some(slot) = self.slots.get_mut(number) {
            slot.users.insert(user);
        }
        number
    }

    /// The same, with what is asked of the port.
    pub(super) fn acquire_as(
        &mut self,
        key: BackendKey,
        broken: Option<Broken>,
        wanted: Wanted,
        user: usize,
        touched: &mut Touched,
    ) -> usize {
        let service = (Arc::clone(&key.namespace), Arc::clone(&key.service));
        let number = self.acquire(key, broken, user, touched);
        if let Some(slot) = self.slots.get_mut(number)
            && slot.wanted != wanted
        {
            slot.wanted = wanted;
            touched.services.insert(service);
        }
        number
    }

    /// The same for a backend that a Middleware describes itself.
    pub(super) fn acquire_own(
        &mut self,
        own: &OwnBackend,
        user: usize,
        touched: &mut Touched,
    ) -> usize {
        let OwnBackend { key, state, protocol } = own;
        let known = self.by_key.get(&(key.clone(), None)).copied();
        let number = known.unwrap_or_else(|| {
            let number = self.slots.insert(Slot::new(key.clone(), None));
            self.by_key.insert((key.clone(), None), number);
            touched.backends = true;
            number
        });
        if let Some(slot) = self.slots.get_mut(number) {
            slot.users.insert(user);
            let (state, protocol) = (state.clone(), protocol.clone());
            let read = PortRead { state, protocol, problem: None };
            slot.take(number, read, &Treatment::default(), false, touched);
        }
        number
    }

    /// The Ingresses that name a Service, by number.
    pub(super) fn users_of(&self, service: &Name) -> impl Iterator<Item = usize> {
        let slots = self.services.get(service).into_iter().flat_map(|in_use| &in_use.slots);
        slots.filter_map(|&slot| self.slots.get(slot)).flat_map(|slot| slot.users.iter().copied())
    }

    /// Takes a user away. A backend without users is forgotten.
    pub(super) fn release(
        &mut self,
        number: usize,
        user: usize,
        touched: &mut Touched,
        findings: &mut Findings,
    ) {
        let Some(slot) = self.slots.get_mut(number) else {
            return;
        };
        slot.users.remove(&user);
        if !slot.users.is_empty() {
            return;
        }
        let Some(Slot { key, broken, .. }) = self.slots.remove(number) else {
            return;
        };
        let service = (Arc::clone(&key.namespace), Arc::clone(&key.service));
        self.by_key.remove(&(key, broken));
        touched.backends = true;
        let Some(in_use) = self.services.get_mut(&service).filter(|_| broken.is_none()) else {
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
        let port = |&slot: &usize| slots.get(slot).map(|slot| (&slot.key.port, &slot.wanted));
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
    pub(super) fn problem(&self, number: usize) -> Option<&Problem> {
        self.slots.get(number)?.problem.as_deref()
    }

    /// Puts the backends of now, sorted, in the place of those of the last model. Returns where each
    /// of the latter is now; what it says of those that are gone means nothing. `from` is set to where each
    /// was.
    pub(super) fn place(
        &mut self,
        model: &mut Vec<BackendSpec>,
        from: &mut Vec<usize>,
    ) -> Vec<usize> {
        let mut old: Vec<_> = take(model).into_iter().map(Some).collect();
        let mut to = vec![0; old.len()];
        from.clear();
        model.reserve_exact(self.by_key.len());
        for &number in self.by_key.values() {
            let slot = self.slots.get_mut(number).expect("a backend is kept under its key");
            let was = slot.position.replace(model.len());
            from.push(was.unwrap_or(Delta::CHANGED));
            let known = was.and_then(|position| {
                to[position] = model.len();
                old[position].take()
            });
            model.push(known.unwrap_or_else(|| slot.backend()));
        }
        to
    }

    /// Brings a backend of the model up to date. Returns its position there.
    pub(super) fn update(&self, number: usize, model: &mut [BackendSpec]) -> Option<usize> {
        let slot = self.slots.get(number)?;
        let position = slot.position?;
        let backend = model.get_mut(position)?;
        backend.state.clone_from(&slot.state);
        backend.protocol.clone_from(&slot.protocol);
        backend.treatment.clone_from(&slot.treatment);
        Some(position)
    }

    /// Where a backend stands in the model.
    pub(super) fn position(&self, number: usize) -> usize {
        let position = self.slots.get(number).and_then(|slot| slot.position);
        position.expect("a backend is placed for as long as a rule names it")
    }

    /// A backend with its position in the last model.
    pub(super) fn placed(&self, number: usize) -> Option<(usize, BackendSpec)> {
        let slot = self.slots.get(number)?;
        Some((slot.position?, slot.backend()))
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
