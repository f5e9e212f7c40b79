//! Which endpoint of a Service takes a request.
//!
//! An [`EndpointSet`] is immutable and replaced as a whole when an EndpointSlice changes; the
//! [`Endpoint`]s in it carry live state and pass from set to set while their address stays. An address
//! that was gone in between is another endpoint, which has nothing of the first.
//!
//! Of two endpoints drawn at random the one with less load takes the request (power of two choices);
//! load is requests in flight times how long answers take of late. Those that fail several times in
//! a row are left out for a while, but never more than half of a set.

mod endpoint;
mod health;
mod latency;
mod leaving;
mod moment;
mod pick;
mod queue;
#[cfg(test)]
mod tests;

pub use endpoint::{Endpoint, InFlight};
pub use moment::Moment;
pub use queue::Queue;

use crate::model::{EndpointSpec, EndpointState};
use arc_swap::ArcSwapOption;
use pick::LeftOut;
use std::sync::Arc;

/// The endpoints of one Service port at one moment.
#[derive(Debug, Default)]
pub struct EndpointSet {
    /// Those that take requests: the ready ones, or, when none is ready, the terminating ones that
    /// still serve (what kube-proxy does). Sorted by address.
    usable: Box<[Arc<Endpoint>]>,
    /// Others that took requests before, for their state, should they do so again. Sorted likewise.
    resting: Box<[Arc<Endpoint>]>,
    /// How many there are of each state, usable or not.
    counts: [u32; EndpointState::ALL.len()],
    /// What it was built for.
    specs: Arc<[EndpointSpec]>,
    /// The endpoints that are left out; nothing until one of them is.
    left_out: ArcSwapOption<LeftOut>,
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
        let usable = of_state(state).map(|spec| {
            known(spec).unwrap_or_else(|| Arc::new(Endpoint::beside(spec.addr, used.iter())))
        });
        let resting = specs.iter().filter(|spec| spec.state != state).filter_map(known);
        let counts = EndpointState::ALL.map(|state| {
            u32::try_from(of_state(state).count()).expect("fewer endpoints than 32 bits can count")
        });
        Self {
            usable: sorted(usable.collect()),
            resting: sorted(resting.collect()),
            counts,
            specs: Arc::clone(specs),
            left_out: ArcSwapOption::empty(),
        }
    }

    fn find(&self, spec: &EndpointSpec) -> Option<Arc<Endpoint>> {
        [&self.usable, &self.resting].into_iter().find_map(|endpoints| {
            let found = endpoints.binary_search_by(|endpoint| endpoint.addr.cmp(&spec.addr));
            found.ok().map(|position| Arc::clone(&endpoints[position]))
        })
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
