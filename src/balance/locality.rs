//! Endpoints that come first: those on our node or in our zone.
//!
//! The better of two near ones takes the request, unless one drawn from the far ones would have it done
//! in less than half of the time. That time is worked out from requests in flight and from latency, of
//! both with care, so that a pod near by is not left for chance:
//!
//! - [`HEADROOM`] requests are taken to be in flight everywhere. A few more here than there are no
//!   reason to leave; a pod that hangs, of which no answer says how slow it is, is left after so many
//!   again. Most application servers have fewer workers in a pod (gunicorn's advice is twice the cores
//!   and one, PHP-FPM's and Puma's defaults are 5), so that what waits in them shows in their latency
//!   before.
//! - A far pod is asked rarely, and what is not asked for long looks fast, because estimates decay. So a
//!   far estimate decays to that of the near pod and not below what was measured last: it is asked
//!   again when it may be as good, and not because nothing is known of it. One that was never asked is
//!   taken to be as fast as the near one, up to [`UNKNOWN`]: a slower one has the others tried.

use super::p2c::{Among, Draws};
use super::{Endpoint, EndpointSet, Moment};
use std::sync::Arc;

/// Requests in flight that every endpoint is taken to have. See the head of this file.
const HEADROOM: u64 = 16;

/// How many times as long a near endpoint may take. One that is saturated soon takes more than that; an
/// answer of ordinary slowness, which estimates keep for seconds, does not. A hop to another node is
/// below a millisecond, and is not what this is about: it is the traffic between nodes, and zones.
const PATIENCE: u64 = 2;

/// What a far endpoint is taken to take that was never asked, in microseconds, if the near one takes
/// longer. Pods that answer within twice that are left alone; others have each far one asked once.
const UNKNOWN: u32 = 25_000;

/// Which of the usable endpoints of a set come first.
#[derive(Debug, Default)]
pub(super) struct Locality {
    /// Positions of those that do and of those that do not. Both are empty where all are alike.
    near: Box<[u32]>,
    far: Box<[u32]>,
    /// Whether all do.
    all_near: bool,
}

impl Locality {
    /// By position, whether each does.
    pub(super) fn of(is_near: &[bool]) -> Self {
        let of = |wanted| {
            let all = (0..).zip(is_near).filter(move |(_, near)| **near == wanted);
            all.map(|(at, _)| at).collect::<Box<[u32]>>()
        };
        let (near, far) = (of(true), of(false));
        if near.is_empty() || far.is_empty() {
            return Self { all_near: far.is_empty() && !near.is_empty(), ..Self::default() };
        }
        Self { near, far, all_near: false }
    }

    /// Whether some come first and others do not.
    pub(super) fn is_mixed(&self) -> bool {
        !self.near.is_empty()
    }

    /// Whether any comes first.
    pub(super) fn has_near(&self) -> bool {
        self.all_near || self.is_mixed()
    }

    /// Whether that at a position comes first.
    pub(super) fn is_near(&self, position: usize) -> bool {
        let position = u32::try_from(position).unwrap_or(u32::MAX);
        self.all_near || self.near.binary_search(&position).is_ok()
    }

    /// Those that come first, where not all do.
    pub(super) fn near(&self) -> &[u32] {
        &self.near
    }

    /// The others.
    pub(super) fn far(&self) -> &[u32] {
        &self.far
    }
}

impl EndpointSet {
    /// Picks a near endpoint by load, or a far one where that is much better, or where no near one is
    /// left.
    pub(super) fn pick_near(
        &self,
        random: u64,
        now: Moment,
        tried: &[Arc<Endpoint>],
    ) -> Option<&Arc<Endpoint>> {
        let (near, far) = (Among::These(self.places.near()), Among::These(self.places.far()));
        let mut draws = Draws(random);
        // An endpoint drawn after its ejection is probed, as elsewhere.
        let drawn = [draws.next(near), draws.next(near), draws.next(far)];
        let is_due = |&at: &usize| {
            let endpoint = &self.usable[at];
            endpoint.is_ejected() && self.is_new(at, tried) && endpoint.health.probe(now, random)
        };
        if let Some(probed) = drawn.into_iter().flatten().find(is_due) {
            return Some(&self.usable[probed]);
        }
        let is_good = |at: usize| self.is_good(at, tried);
        let Some(local) = self.better_of_two(near, &mut draws, now, is_good) else {
            let other = self.better_of_two(far, &mut draws, now, is_good);
            return match other {
                Some(at) => Some(&self.usable[at]),
                None => self.pick_around(random, now, tried),
            };
        };
        let local = &self.usable[local];
        let other = draws.one(far, is_good).map(|at| &self.usable[at]);
        Some(other.filter(|other| is_much_better(other, local, now)).unwrap_or(local))
    }
}

/// Whether a far endpoint has a request done in less than half of the time of a near one.
fn is_much_better(far: &Endpoint, near: &Endpoint, now: Moment) -> bool {
    let of_near = near.latency.micros(now);
    let of_far = match far.latency.last() {
        Some(last) if last <= of_near => last,
        Some(_) => far.latency.micros(now).max(of_near),
        None => of_near.min(UNKNOWN),
    };
    let time = |endpoint: &Endpoint, latency: u32| {
        (u64::from(endpoint.in_flight()) + HEADROOM).saturating_mul(u64::from(latency))
    };
    time(near, of_near) > time(far, of_far).saturating_mul(PATIENCE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::tests::{at, eject, numbers, spec};
    use crate::balance::{InFlight, Strategy};
    use crate::model::{EndpointSpec, EndpointState};
    use crate::net::random;
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;
    use std::time::Duration;

    /// A set of this many endpoints, of which the first `near` are near.
    fn mk_set(near: u8, count: u8) -> EndpointSet {
        let spec = |last| EndpointSpec { near: last <= near, ..spec(last, EndpointState::Ready) };
        EndpointSet::new(&(1..=count).map(spec).collect(), None)
    }

    fn picked(set: &EndpointSet, now: Moment) -> Vec<usize> {
        let position = |random| {
            let picked = set.pick(Strategy::LeastLoad, random, now, &[]).expect("not empty");
            set.usable().iter().position(|other| Arc::ptr_eq(other, picked)).expect("of this set")
        };
        let mut all: Vec<usize> = numbers().map(position).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    #[test]
    fn near_ones_take_everything_while_they_are_no_worse() {
        let set = mk_set(2, 6);
        assert_eq!(picked(&set, at(0)), [0, 1]);
        assert!(set.is_near(&set.usable()[1]) && !set.is_near(&set.usable()[2]));
        assert!(set.has_near());
    }

    #[test]
    fn where_all_or_none_are_near_they_are_alike() {
        let (none, all) = (mk_set(0, 3), mk_set(3, 3));
        for set in [&none, &all] {
            assert_eq!(picked(set, at(0)), [0, 1, 2]);
        }
        assert!(!none.has_near() && !none.is_near(&none.usable()[0]));
        assert!(all.has_near() && all.is_near(&all.usable()[0]));
    }

    #[test]
    fn what_is_left_out_near_by_is_replaced_by_what_is_far_and_probed() {
        let set = mk_set(2, 6);
        eject(&set, &[0], at(1));
        assert_eq!(picked(&set, at(2)), [1]);
        eject(&set, &[1], at(1));
        assert_eq!(picked(&set, at(2)), [2, 3, 4, 5]);
        assert_eq!(picked(&set, at(5_000)), [0, 1, 2, 3, 4, 5], "a probe each");
        assert!(set.usable()[0].answered());
        assert_eq!(picked(&set, at(5_000)), [0]);
    }

    #[test]
    fn what_was_tried_near_by_is_followed_by_what_is_far() {
        let set = mk_set(1, 3);
        let mut tried = vec![Arc::clone(&set.usable()[0])];
        for random in numbers().take(2) {
            let next = set.pick(Strategy::LeastLoad, random, at(0), &tried).expect("one is left");
            tried.push(Arc::clone(next));
        }
        assert!(set.pick(Strategy::LeastLoad, 1, at(0), &tried).is_none());
    }

    #[test]
    fn a_pod_near_by_that_hangs_is_left_after_some_requests() {
        let set = mk_set(1, 4);
        let mut hanging = Vec::new();
        for random in numbers().take(1_000) {
            let picked = set.pick(Strategy::LeastLoad, random, at(0), &[]).expect("not empty");
            if set.is_near(picked) {
                hanging.push(InFlight::begin(picked));
            }
        }
        assert_eq!(hanging.len(), 17);
    }

    #[test]
    fn a_far_pod_of_which_nothing_is_known_for_long_is_not_taken_for_fast() {
        let set = mk_set(1, 2);
        for endpoint in set.usable() {
            for _ in 0..4 {
                endpoint.took(Duration::from_millis(50), at(1));
            }
        }
        set.usable()[0].took(Duration::from_millis(50), at(600_000));
        set.usable()[0].took(Duration::from_millis(50), at(600_000));
        set.usable()[0].took(Duration::from_millis(50), at(600_000));
        assert_eq!(picked(&set, at(600_000)), [0]);
    }

    #[test]
    fn far_pods_that_were_never_asked_are_tried_if_the_near_one_is_slow() {
        for (millis, expected) in [(40, vec![0]), (400, vec![1, 2])] {
            let set = mk_set(1, 3);
            for _ in 0..4 {
                set.usable()[0].took(Duration::from_millis(millis), at(1));
            }
            assert_eq!(picked(&set, at(1)), expected, "{millis} ms");
        }
    }

    /// A pod: so many requests at once, the others wait in the order in which they came. When each of
    /// its servers is free again, in microseconds.
    struct Pod(Vec<u64>);

    impl Pod {
        /// When a request that comes now is done.
        fn serve(&mut self, now: u64, takes: u64) -> u64 {
            let first = self.0.iter_mut().min().expect("a pod has servers");
            *first = now.max(*first) + takes;
            *first
        }
    }

    /// What came of a load: the share of the near pod, in percent, and time taken, in microseconds.
    #[derive(Debug)]
    struct Came {
        share: f64,
        mean: f64,
        p99: u64,
    }

    /// Four pods with eight servers each and 10 ms a request, which is 800 requests a second a pod;
    /// requests come at random, so many a second, for a minute. `varied`: service times are spread
    /// exponentially, or else constant.
    fn simulate(near: u8, rate: f64, varied: bool) -> Came {
        const PODS: u8 = 4;
        let set = mk_set(near, PODS);
        let mut pods: Vec<Pod> = (0..PODS).map(|_| Pod(vec![0; 8])).collect();
        let mut seed = 1u64;
        let mut random = || random::step(&mut seed);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a model"
        )]
        let spread = |random: u64, mean: f64| {
            (-((random >> 11) as f64 / (1u64 << 53) as f64).max(1e-12).ln() * mean) as u64
        };
        let mut under_way: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
        let mut begun: Vec<Option<(InFlight, u64)>> = Vec::new();
        let (mut now, mut times, mut local) = (0u64, Vec::new(), 0u32);
        while now < 60_000_000 {
            now += spread(random(), 1e6 / rate);
            while under_way.peek().is_some_and(|Reverse((done, _))| *done <= now) {
                let Some(Reverse((done, number))) = under_way.pop() else { break };
                let (sent, start) = begun[number].take().expect("it ends once");
                let moment = Moment::default().after(Duration::from_micros(done));
                sent.endpoint().took(Duration::from_micros(done - start), moment);
                times.push(done - start);
            }
            let moment = Moment::default().after(Duration::from_micros(now));
            let picked = set.pick(Strategy::LeastLoad, random(), moment, &[]).expect("not empty");
            let at = set.usable().iter().position(|e| Arc::ptr_eq(e, picked)).expect("of this set");
            local += u32::from(at == 0);
            let takes = if varied { spread(random(), 1e4) } else { 10_000 };
            let done = pods[at].serve(now, takes);
            under_way.push(Reverse((done, begun.len())));
            begun.push(Some((InFlight::begin(picked), now)));
        }
        times.sort_unstable();
        #[expect(clippy::cast_precision_loss, reason = "a model")]
        let mean = times.iter().sum::<u64>() as f64 / times.len() as f64;
        #[expect(clippy::cast_precision_loss, reason = "a model")]
        let share = f64::from(local) * 100.0 / begun.len() as f64;
        Came { share, mean, p99: times[times.len() * 99 / 100] }
    }

    #[test]
    fn what_a_pod_near_by_can_do_stays_with_it() {
        // An eighth and a half of what it can do. Where service times vary as much as they do here,
        // a slow answer costs it some requests.
        for (rate, varied, least) in
            [(100.0, false, 99.0), (400.0, false, 95.0), (100.0, true, 90.0), (400.0, true, 88.0)]
        {
            let (near, balanced) = (simulate(1, rate, varied), simulate(0, rate, varied));
            assert!(near.share > least, "{rate} {varied}: {near:?}");
            assert!(near.mean < balanced.mean * 1.02, "{rate} {varied}: {near:?} {balanced:?}");
        }
    }

    #[test]
    fn what_a_pod_near_by_cannot_do_goes_elsewhere() {
        // Half again as much as it can do, and two and a half times as much: with all pods together
        // that is little and much.
        for (rate, varied) in [(1_200.0, false), (2_000.0, false), (1_200.0, true), (2_000.0, true)]
        {
            let (near, balanced) = (simulate(1, rate, varied), simulate(0, rate, varied));
            let most = 820.0 / rate * 100.0;
            assert!((25.0..most).contains(&near.share), "{rate} {varied}: {near:?}");
            assert!(near.mean < balanced.mean * 1.5, "{rate} {varied}: {near:?} {balanced:?}");
            assert!(near.p99 < balanced.p99 * 2, "{rate} {varied}: {near:?} {balanced:?}");
        }
    }
}
