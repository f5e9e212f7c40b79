//! Load balancing: which endpoint of a Service takes a request.
//!
//! An [`EndpointSet`] is immutable and replaced as a whole when an EndpointSlice changes. The
//! [`Endpoint`]s in it carry live state and move from set to set while their address stays. An address
//! that was removed and added again is a new endpoint with fresh state.
//!
//! The default is power of two choices: of two random endpoints, the one with less load takes the
//! request. Load is requests in flight times recent response latency. Endpoints on the same node or in
//! the same zone can be preferred. A [`Strategy`] selects another strategy: hash of a key, cookie, or
//! round robin. Endpoints that fail several times in a row are ejected for a while, but never more than
//! half of a set.
//!
//! **Invariant**: pure decisions without I/O; imports neither HTTP nor Kubernetes types (`tests/layering`).

mod clock;
mod consistent_hash;
mod endpoint;
mod locality;
mod outlier;
mod p2c;
mod peak_ewma;
mod queue;
mod retire;
mod strategies;
mod strategy;
#[cfg(test)]
mod tests;

pub use clock::Moment;
pub use endpoint::{Endpoint, InFlight};
pub use queue::Queue;
pub use strategy::{AffinityToken, Key, Strategy};

use crate::model::{EndpointSpec, EndpointState};
use arc_swap::ArcSwapOption;
use consistent_hash::Ring;
use locality::Locality;
use p2c::LeftOut;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

/// The endpoints of one Service port at one moment.
#[derive(Debug, Default)]
pub struct EndpointSet {
    /// Those that take requests: the ready ones, or, when none is ready, the terminating ones that
    /// still serve (what kube-proxy does). Sorted by address.
    usable: Box<[Arc<Endpoint>]>,
    /// Those that end and still serve, while others are ready: for visitors whose cookie names them.
    /// Sorted likewise.
    ending: Box<[Arc<Endpoint>]>,
    /// Others that took requests before, for their state, should they do so again. Sorted likewise.
    resting: Box<[Arc<Endpoint>]>,
    /// How many there are of each state, usable or not.
    counts: [u32; EndpointState::ALL.len()],
    /// What it was built for.
    specs: Arc<[EndpointSpec]>,
    /// The endpoints that are left out; nothing until one of them is.
    left_out: ArcSwapOption<LeftOut>,
    /// Which of the usable ones come first.
    places: Locality,
    /// Whose turn it is, where they take turns.
    turn: AtomicU32,
    /// For keys and cookies; built on first use.
    ring: OnceLock<Box<Ring>>,
}

impl EndpointSet {
    /// Builds the set for `specs`, keeping the live state that `previous` has of an address, usable
    /// there and here or not.
    pub fn new(specs: &Arc<[EndpointSpec]>, previous: Option<&Self>) -> Self {
        let of_state = |state| specs.iter().filter(move |spec| spec.state == state);
        let state = if of_state(EndpointState::Ready).next().is_some() {
            EndpointState::Ready
        } else {
            EndpointState::Terminating
        };
        let known = |spec: &EndpointSpec| previous?.find(spec);
        let used = previous.map_or(&[][..], |set| &set.usable);
        let found = |spec: &EndpointSpec| {
            known(spec).unwrap_or_else(|| Arc::new(Endpoint::beside(spec.addr, used.iter())))
        };
        let mut usable: Vec<_> = of_state(state).map(|spec| (found(spec), spec.near)).collect();
        usable.sort_by_key(|(endpoint, _)| endpoint.addr);
        usable.dedup_by_key(|(endpoint, _)| endpoint.addr);
        let (usable, near): (Vec<_>, Vec<bool>) = usable.into_iter().unzip();
        let is_ending =
            |spec: &&EndpointSpec| spec.state == EndpointState::Terminating && spec.state != state;
        let ending = specs.iter().filter(is_ending).map(found);
        let resting = specs.iter().filter(|spec| spec.state != state && !is_ending(spec));
        let counts = EndpointState::ALL.map(|state| {
            u32::try_from(of_state(state).count()).expect("fewer endpoints than 32 bits can count")
        });
        let set = Self {
            usable: usable.into(),
            ending: sorted(ending.collect()),
            resting: sorted(resting.filter_map(known).collect()),
            counts,
            specs: Arc::clone(specs),
            left_out: ArcSwapOption::empty(),
            places: Locality::of(&near),
            turn: AtomicU32::new(previous.map_or(0, |set| set.turn.load(Ordering::Relaxed))),
            ring: OnceLock::new(),
        };
        // Rebuilt here so that workers never pay for it.
        if previous.is_some_and(|set| set.ring.get().is_some()) {
            set.ring();
        }
        set
    }

    /// The live state of an endpoint of this set, if it takes requests or has taken some.
    pub fn find(&self, spec: &EndpointSpec) -> Option<Arc<Endpoint>> {
        [&self.usable, &self.ending, &self.resting].into_iter().find_map(|endpoints| {
            let found = endpoints.binary_search_by(|endpoint| endpoint.addr.cmp(&spec.addr));
            found.ok().map(|position| Arc::clone(&endpoints[position]))
        })
    }

    fn ring(&self) -> &Ring {
        let make = || Box::new(Ring::of(&self.usable, self.places.near(), &self.ending));
        self.ring.get_or_init(make)
    }

    /// Whether it was built for these very specs. To ask costs nothing, however many there are; the
    /// answer may be no for others that are equal.
    pub fn is_of(&self, specs: &Arc<[EndpointSpec]>) -> bool {
        Arc::ptr_eq(&self.specs, specs)
    }

    /// What it was built for.
    pub fn specs(&self) -> &[EndpointSpec] {
        &self.specs
    }

    /// How many endpoints of this state there are, usable or not.
    pub fn count(&self, state: EndpointState) -> u32 {
        self.counts[state as usize]
    }

    /// The endpoints that may be picked, sorted by address.
    pub fn usable(&self) -> &[Arc<Endpoint>] {
        &self.usable
    }

    /// Whether any of the endpoints is or would be preferred as local.
    pub fn has_near(&self) -> bool {
        self.places.has_near()
    }

    /// Whether this endpoint is preferred as local. Costs a search.
    pub fn is_near(&self, endpoint: &Endpoint) -> bool {
        let position = self.usable.binary_search_by(|other| other.addr.cmp(&endpoint.addr));
        position.is_ok_and(|position| self.places.is_near(position))
    }

    /// Whether none of the usable ones is left that was not tried.
    pub fn all_tried(&self, tried: &[Arc<Endpoint>]) -> bool {
        let is_usable = |endpoint: &&Arc<Endpoint>| {
            let found = self.usable.binary_search_by(|other| other.addr.cmp(&endpoint.addr));
            found.is_ok_and(|position| self.usable[position].id == endpoint.id)
        };
        tried.len() >= self.usable.len()
            && tried.iter().filter(is_usable).count() >= self.usable.len()
    }
}

fn sorted(mut endpoints: Vec<Arc<Endpoint>>) -> Box<[Arc<Endpoint>]> {
    endpoints.sort_by_key(|endpoint| endpoint.addr);
    endpoints.dedup_by_key(|endpoint| endpoint.addr);
    endpoints.into()
}

/// Maps the low half of a random number onto `0..bound` without a division.
fn scale(random: u64, bound: u32) -> u32 {
    let low = random & u64::from(u32::MAX);
    u32::try_from((low * u64::from(bound)) >> 32).expect("a product of 32-bit numbers, halved")
}
