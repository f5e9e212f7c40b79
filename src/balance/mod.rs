//! Which endpoint of a Service takes a request.
//!
//! An [`EndpointSet`] is immutable and replaced as a whole when an EndpointSlice changes; the
//! [`Endpoint`]s in it carry live state and pass from set to set while their address stays.

mod endpoint;

pub use endpoint::{Endpoint, InFlight};

use crate::model::{EndpointSpec, EndpointState};
use std::sync::Arc;

/// The endpoints of one Service port at one moment.
#[derive(Debug, Default)]
pub struct EndpointSet {
    /// Those that take requests: the ready ones, or, when none is ready, the terminating ones that
    /// still serve (what kube-proxy does).
    usable: Box<[Arc<Endpoint>]>,
    /// How many there are of each state, usable or not.
    counts: [u32; EndpointState::ALL.len()],
    /// What it was built for.
    specs: Arc<[EndpointSpec]>,
}

impl EndpointSet {
    /// Builds the set for `specs`, keeping the live state that `previous` has of an address.
    pub fn new(specs: &Arc<[EndpointSpec]>, previous: Option<&Self>) -> Self {
        let of_state = |state| specs.iter().filter(move |spec| spec.state == state);
        let state = if of_state(EndpointState::Ready).next().is_some() {
            EndpointState::Ready
        } else {
            EndpointState::Terminating
        };
        let known = |spec: &EndpointSpec| {
            let set = previous?;
            let found = set.usable.binary_search_by(|endpoint| endpoint.addr.cmp(&spec.addr));
            found.ok().map(|position| Arc::clone(&set.usable[position]))
        };
        let mut usable: Vec<_> = of_state(state)
            .map(|spec| known(spec).unwrap_or_else(|| Arc::new(Endpoint::new(spec.addr))))
            .collect();
        usable.sort_by_key(|endpoint| endpoint.addr);
        usable.dedup_by_key(|endpoint| endpoint.addr);
        let counts = EndpointState::ALL.map(|state| {
            u32::try_from(of_state(state).count()).expect("fewer endpoints than 32 bits can count")
        });
        Self { usable: usable.into(), counts, specs: Arc::clone(specs) }
    }

    /// Whether it was built for these very specs. To ask costs nothing, however many there are; the
    /// answer may be no for others that are equal.
    pub fn is_of(&self, specs: &Arc<[EndpointSpec]>) -> bool {
        Arc::ptr_eq(&self.specs, specs)
    }

    /// How many endpoints of this state there are, usable or not.
    pub fn count(&self, state: EndpointState) -> u32 {
        self.counts[state as usize]
    }

    /// The endpoints that may be picked, sorted by address.
    pub fn usable(&self) -> &[Arc<Endpoint>] {
        &self.usable
    }

    /// Picks by the power of two choices: of two endpoints drawn at random the one with fewer
    /// requests in flight. `random` is a fresh random number; `tried` are addresses to avoid.
    ///
    /// When all have been tried, none is left to pick.
    pub fn pick(&self, random: u64, tried: &[Arc<Endpoint>]) -> Option<&Arc<Endpoint>> {
        if !tried.is_empty() {
            return self.pick_untried(random, tried);
        }
        let count = u32::try_from(self.usable.len()).ok().filter(|&count| count > 0)?;
        let first = scale(random, count);
        if count == 1 {
            return self.usable.first();
        }
        // The second draw is among the others, so that the two always differ.
        let second = (first + 1 + scale(random.rotate_left(32), count - 1)) % count;
        Some(less_loaded(&self.usable[first as usize], &self.usable[second as usize]))
    }

    fn pick_untried(&self, random: u64, tried: &[Arc<Endpoint>]) -> Option<&Arc<Endpoint>> {
        let is_new = |e: &&Arc<Endpoint>| !tried.iter().any(|t| t.addr == e.addr);
        let left = u32::try_from(self.usable.iter().filter(is_new).count()).ok()?;
        if left == 0 {
            return None;
        }
        self.usable.iter().filter(is_new).nth(scale(random, left) as usize)
    }
}

fn less_loaded<'a>(a: &'a Arc<Endpoint>, b: &'a Arc<Endpoint>) -> &'a Arc<Endpoint> {
    if b.in_flight() < a.in_flight() { b } else { a }
}

/// Maps the low half of a random number onto `0..bound` without a division.
fn scale(random: u64, bound: u32) -> u32 {
    let low = random & u64::from(u32::MAX);
    u32::try_from((low * u64::from(bound)) >> 32).expect("a product of 32-bit numbers, halved")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::EndpointAddr;
    use std::collections::BTreeMap;

    fn spec(last: u8, state: EndpointState) -> EndpointSpec {
        let addr = EndpointAddr::new([10, 0, 0, last].into(), 80);
        EndpointSpec { addr, state, node: None, zone: None }
    }

    /// A fixed sequence that visits the whole range.
    fn numbers() -> impl Iterator<Item = u64> {
        (0..4000u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    #[test]
    fn ready_endpoints_hide_terminating_ones_and_not_ready_ones_are_never_used() {
        use EndpointState::{NotReady, Ready, Terminating};
        let set = |states: &[EndpointState]| {
            let specs: Vec<_> = (1..).zip(states).map(|(last, &state)| spec(last, state)).collect();
            let set = EndpointSet::new(&specs.into(), None);
            set.usable().iter().map(|endpoint| endpoint.addr.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(set(&[Terminating, Ready, NotReady]), ["10.0.0.2:80"]);
        assert_eq!(set(&[Terminating, NotReady, NotReady]), ["10.0.0.1:80"]);
        assert!(set(&[NotReady]).is_empty());
        assert!(EndpointSet::new(&Arc::default(), None).pick(1, &[]).is_none());
    }

    #[test]
    fn load_is_spread_evenly_and_follows_requests_in_flight() {
        let specs = (1..=4).map(|last| spec(last, EndpointState::Ready)).collect();
        let set = EndpointSet::new(&specs, None);
        let mut picked = BTreeMap::<_, usize>::new();
        for random in numbers() {
            *picked.entry(set.pick(random, &[]).expect("not empty").addr).or_default() += 1;
        }
        assert!(picked.values().all(|&count| (800..1200).contains(&count)), "{picked:?}");

        let busy: Vec<_> = (0..9).map(|_| InFlight::begin(&set.usable()[0])).collect();
        let idle = numbers()
            .all(|random| set.pick(random, &[]).expect("not empty").addr != set.usable()[0].addr);
        assert!(idle, "the busiest of four never wins a choice of two");
        drop(busy);
        assert_eq!(set.usable()[0].in_flight(), 0);
    }

    #[test]
    fn tried_endpoints_are_not_picked_again() {
        let specs = (1..=3).map(|last| spec(last, EndpointState::Ready)).collect();
        let set = EndpointSet::new(&specs, None);
        let mut tried = Vec::new();
        for random in numbers().take(3) {
            tried.push(Arc::clone(set.pick(random, &tried).expect("one is left")));
        }
        assert!(set.pick(7, &tried).is_none());
    }

    #[test]
    fn an_address_that_stays_keeps_its_state() {
        let both = [spec(1, EndpointState::Ready), spec(2, EndpointState::Ready)];
        let old = EndpointSet::new(&both.clone().into(), None);
        let request = InFlight::begin(&old.usable()[1]);
        let new = EndpointSet::new(&both[1..].into(), Some(&old));
        assert_eq!(new.usable()[0].in_flight(), 1);
        drop(request);
        assert_eq!(new.usable()[0].in_flight(), 0);
    }
}
