//! The objects of a cluster as the watch knows them: written by its tasks, read by the reconciler.
//!
//! Of the Secrets only those that an Ingress, a Service or a Middleware refers to keep their content. One
//! that a later one refers to is fetched again: see [`Cluster::take_missing`].

mod source;

use super::counts::{count, count_all, identities};
use super::references::{Part, References, config_maps_of, references_of, stripped};
use super::scope::Scope;
use super::vanishing::{Bequest, Held};
use crate::control::objects::{Object, Objects};
use crate::control::source::Wake;
use crate::control::write_back::NodeAddresses;
use crate::model::{Kind, ObjectRef};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;
use tokio::sync::watch;

/// State of a cluster.
#[derive(Debug)]
pub struct Cluster {
    state: Mutex<State>,
    /// Notified when the last scope has been listed.
    on_synced: OnceLock<OnSynced>,
    /// How often a Secret without content was found to be needed.
    wanted: watch::Sender<u64>,
    /// How often something has changed, or come to be listed.
    changes: watch::Sender<u64>,
    /// Everything that is followed.
    scopes: Box<[Scope]>,
    pub(super) bequest: Bequest,
}

/// Called when everything has been listed.
struct OnSynced(Box<dyn Fn() + Send + Sync>);

impl fmt::Debug for OnSynced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnSynced")
    }
}

#[derive(Debug)]
struct State {
    objects: Objects,
    /// Kinds that have not been listed yet.
    pending: BTreeSet<Scope>,
    /// Changes since the last poll, each object once.
    changed: BTreeSet<ObjectRef>,
    /// How many times other objects refer to a Secret.
    references: HashMap<ObjectRef, References>,
    /// How many times Ingresses name a ConfigMap.
    config_maps: BTreeMap<ObjectRef, usize>,
    /// Those that were listed before all else was. `None` from then on: the others are, or were, `pending`.
    early: Option<BTreeSet<Scope>>,
    wake: Option<Sender<Wake>>,
    /// Secrets that an object refers to and whose content was not kept.
    missing: BTreeSet<ObjectRef>,
    /// The same, also while they are fetched, and since when.
    fetched: BTreeMap<ObjectRef, Instant>,
    held: Held,
}

impl Cluster {
    pub(in crate::control) fn new(scopes: &[Scope]) -> Self {
        Self {
            state: Mutex::new(State {
                objects: Objects::default(),
                pending: scopes.iter().cloned().collect(),
                changed: BTreeSet::new(),
                references: HashMap::new(),
                config_maps: BTreeMap::new(),
                early: Some(BTreeSet::new()),
                wake: None,
                missing: BTreeSet::new(),
                fetched: BTreeMap::new(),
                held: Held::default(),
            }),
            on_synced: OnceLock::new(),
            wanted: watch::Sender::new(0),
            changes: watch::Sender::new(0),
            scopes: scopes.into(),
            bequest: Bequest::default(),
        }
    }

    /// Calls `notify` whenever a list has come and nothing is missing any more. The first one
    /// that is given stays.
    pub fn on_synced(&self, notify: impl Fn() + Send + Sync + 'static) {
        // A second one is never given: one App follows a cluster.
        let _ = self.on_synced.set(OnSynced(Box::new(notify)));
    }

    /// Puts a whole list in the place of what is known of its scope.
    pub(in crate::control) fn swap(&self, scope: &Scope, items: Vec<Object>) {
        let mut state = self.lock();
        let known = state.missing.len();
        let mut gone = identities(&state.objects, scope);
        let mut changed = false;
        for item in items {
            let identity = item.identity();
            gone.remove(&identity);
            changed |= state.put(identity, item);
        }
        for identity in gone {
            changed |= state.remove(identity);
        }
        self.listed(&mut state, scope);
        self.settle(&state, changed, known);
    }

    /// Waits no longer for a ConfigMap that Ingresses name, which may not be read or is not named any more.
    pub(super) fn do_without(&self, scope: &Scope) {
        if !self.scopes.contains(scope) {
            self.listed(&mut self.lock(), scope);
        }
    }

    /// After everything else the ConfigMaps that Ingresses name are awaited: routes without them may answer 503,
    /// where an earlier process still serves.
    fn listed(&self, state: &mut State, scope: &Scope) {
        if !state.pending.remove(scope) {
            state.early.as_mut().map(|early| early.insert(scope.clone()));
        }
        if state.pending.is_empty()
            && let Some(early) = state.early.take()
        {
            let named = wanted(&state.config_maps, &self.scopes).map(Scope::of);
            state.pending = named.filter(|named| !early.contains(named)).collect();
        }
        if state.pending.is_empty() {
            self.on_synced.get().into_iter().for_each(|told| (told.0)());
        }
        self.changes.send_modify(|times| *times += 1);
    }

    /// Puts an object in place.
    pub(in crate::control) fn apply(&self, object: Object) {
        let mut state = self.lock();
        let known = state.missing.len();
        let changed = state.put(object.identity(), object);
        self.settle(&state, changed, known);
    }

    /// Removes an object.
    pub(super) fn remove(&self, identity: &ObjectRef) {
        let mut state = self.lock();
        let changed = state.remove(identity.clone());
        self.settle(&state, changed, usize::MAX);
    }

    /// Keeps the certificate in a Secret, as if an object referred to it. Called before anything is listed.
    pub(super) fn keep(&self, secret: ObjectRef) {
        self.lock().references.entry(secret).or_default().add(Part::Certificate);
    }

    /// Everything that is known now.
    pub fn objects(&self) -> Objects {
        self.lock().objects.clone()
    }

    /// The Secrets of a scope whose content has to be fetched; each is told once.
    pub(super) fn take_missing(&self, scope: &Scope) -> BTreeSet<ObjectRef> {
        let mut state = self.lock();
        let all = std::mem::take(&mut state.missing);
        let ours = |secret: &ObjectRef| scope.covers(&secret.namespace, &secret.name);
        let (ours, others) = all.into_iter().partition(ours);
        state.missing = others;
        ours
    }

    /// Records that the missing objects have come, or do not exist.
    pub(super) fn poke(&self) {
        let mut state = self.lock();
        let State { missing, fetched, .. } = &mut *state;
        fetched.retain(|secret, _| missing.contains(secret));
        self.settle(&state, true, usize::MAX);
    }

    /// Resolves when a Secret is missing; marks those before this call as seen.
    pub(super) fn wanted(&self) -> watch::Receiver<u64> {
        self.wanted.subscribe()
    }

    /// Resolves when everything has been listed once.
    pub async fn wait_listed(&self) {
        self.wait_until(Self::is_synced).await;
    }

    /// Resolves when all Ingresses have been listed.
    pub(super) async fn wait_ingresses(&self) {
        self.wait_until(|cluster| cluster.progress(Kind::Ingress).1).await;
    }

    async fn wait_until(&self, is_so: impl Fn(&Self) -> bool) {
        let mut changes = self.changes();
        while !is_so(self) {
            // Its sender is here.
            let _ = changes.changed().await;
        }
    }

    /// The ConfigMaps that Ingresses name and that are not followed anyway.
    pub(super) fn named_config_maps(&self) -> BTreeSet<ObjectRef> {
        wanted(&self.lock().config_maps, &self.scopes).cloned().collect()
    }

    /// The `metadata.uid` of an object.
    pub fn uid(&self, object: &ObjectRef) -> Option<Arc<str>> {
        self.lock().objects.get(object)?.metadata().uid.as_deref().map(Arc::from)
    }

    /// The addresses of every Node.
    pub fn nodes(&self) -> Vec<NodeAddresses> {
        let state = self.lock();
        state.objects.nodes().iter().map(|(.., node)| NodeAddresses::of(node)).collect()
    }

    /// How many objects of a scope are held. Looks at each of its kind.
    pub(super) fn count(&self, scope: &Scope) -> usize {
        count(&self.lock().objects, scope)
    }

    /// How many objects of a kind are held, and whether all of it has been listed.
    pub(super) fn progress(&self, kind: Kind) -> (usize, bool) {
        let state = self.lock();
        let synced = !state.pending.iter().any(|pending| pending.kind == kind);
        (count_all(&state.objects, kind), synced)
    }

    /// Tells the reconciler. Where more Secrets are missing than the `known` ones, they are fetched
    /// first, because their Ingress would be reported for the lack of them; the regular look ends
    /// that wait.
    fn settle(&self, state: &State, changed: bool, known: usize) {
        if changed {
            self.changes.send_modify(|times| *times += 1);
        }
        if state.missing.len() > known {
            self.wanted.send_modify(|times| *times += 1);
        } else if changed && let Some(wake) = &state.wake {
            // The receiver is gone only when the process is leaving.
            let _ = wake.send(Wake::Change);
        }
    }

    /// Changes what is said of whole kinds.
    pub(super) fn with_held(&self, change: impl FnOnce(&mut Held)) {
        let mut state = self.lock();
        change(&mut state.held);
        self.settle(&state, true, usize::MAX);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Those that no scope has.
fn wanted<'s>(
    named: &'s BTreeMap<ObjectRef, usize>,
    scopes: &'s [Scope],
) -> impl Iterator<Item = &'s ObjectRef> {
    let has = |named: &ObjectRef, scope: &Scope| {
        scope.kind == named.kind && scope.covers(&named.namespace, &named.name)
    };
    named.keys().filter(move |named| !scopes.iter().any(|scope| has(named, scope)))
}

/// The state on disk.
impl Cluster {
    /// Everything that is followed.
    pub fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    /// Whether everything has been listed once.
    pub fn is_synced(&self) -> bool {
        self.lock().pending.is_empty()
    }

    /// The objects, if everything has been listed once.
    pub fn snapshot(&self) -> Option<Objects> {
        let state = self.lock();
        state.pending.is_empty().then(|| state.objects.clone())
    }

    /// Resolves when an object changes or a list arrives; marks those before this call as seen.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Inserts objects of an earlier process for everything that has not been listed yet; a list replaces
    /// them. `covered` is what that process had listed. Returns how many objects were inserted.
    ///
    /// # Errors
    /// The first scope that is still to be listed and was not covered. Nothing is restored then,
    /// because everything in it would be taken for gone.
    pub fn restore(&self, covered: &[Scope], mut objects: Vec<Object>) -> Result<usize, Scope> {
        let mut state = self.lock();
        let lacks = |wanted: &&Scope| !covered.iter().any(|scope| scope.includes(wanted));
        if let Some(lacking) = state.pending.iter().find(lacks) {
            return Err(lacking.clone());
        }
        // Ingresses and Services first: they say which Secrets are kept.
        objects.sort_by_key(Object::kind);
        let mut restored = 0;
        for object in objects {
            let identity = object.identity();
            // ConfigMaps are followed once the Ingresses that name them are known.
            if state.awaits(&identity) || identity.kind == Kind::ConfigMap {
                state.put(identity, object);
                restored += 1;
            }
        }
        self.settle(&state, restored > 0, usize::MAX);
        Ok(restored)
    }
}

impl State {
    /// Returns whether it is other than what was there.
    fn put(&mut self, identity: ObjectRef, object: Object) -> bool {
        let object = stripped(object, self.references.get(&identity));
        for (secret, part) in references_of(&identity, &object) {
            let known = self.objects.secrets().get(&secret.namespace, &secret.name);
            let was_whole = self.references.get(&secret).is_some_and(References::are_of_all);
            let lacks = known
                .is_some_and(|secret| secret.data.is_none() || (part == Part::Whole && !was_whole));
            if lacks && !self.awaits(&secret) {
                self.missing.insert(secret.clone());
                self.fetched.insert(secret.clone(), Instant::now());
            }
            self.references.entry(secret).or_default().add(part);
        }
        for config_map in config_maps_of(&identity, &object) {
            *self.config_maps.entry(config_map).or_default() += 1;
        }
        let before = self.objects.get(&identity);
        self.unrefer(&identity, before.as_ref());
        if before.as_ref() == Some(&object) {
            // Others point to the one that is there: with both, a list read again would double all.
            return false;
        }
        self.objects.insert_as(&identity, object);
        self.changed.insert(identity);
        true
    }

    /// Whether the list with this object is still to come.
    fn awaits(&self, of: &ObjectRef) -> bool {
        let is_in = |scope: &Scope| scope.kind == of.kind && scope.covers(&of.namespace, &of.name);
        self.pending.iter().any(is_in)
    }

    /// Returns whether it was there.
    fn remove(&mut self, identity: ObjectRef) -> bool {
        let Some(before) = self.objects.remove(&identity) else {
            return false;
        };
        self.unrefer(&identity, Some(&before));
        self.changed.insert(identity);
        true
    }

    /// Takes back what an object that is gone, or was replaced, referred to.
    fn unrefer(&mut self, identity: &ObjectRef, before: Option<&Object>) {
        for (secret, part) in before.into_iter().flat_map(|before| references_of(identity, before))
        {
            if let Some(references) = self.references.get_mut(&secret) {
                references.remove(part);
                if references.are_none() {
                    self.references.remove(&secret);
                }
            }
        }
        for config_map in before.into_iter().flat_map(|before| config_maps_of(identity, before)) {
            if let Some(times) = self.config_maps.get_mut(&config_map) {
                *times -= 1;
                if *times == 0 {
                    self.config_maps.remove(&config_map);
                }
            }
        }
    }
}
