//! Which requests are traced.

use super::propagation::Incoming;
use crate::config::{ParentPolicy, SampleRate, Tracing};
use crate::net::addr::AddrRanges;
use std::cell::Cell;
use std::net::IpAddr;

/// The length of the window in which parents' decisions are counted, in milliseconds.
const WINDOW_MS: u64 = 1000;

/// What was decided, and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// The sender has decided to trace it.
    ByParent,
    /// Our rate has.
    ByRate,
    /// The sender has decided not to.
    NotByParent,
    /// Our rate has.
    NotByRate,
}

/// Decides for the requests of one worker.
#[derive(Debug)]
pub(super) struct Sampler {
    rate: SampleRate,
    policy: ParentPolicy,
    trusted: AddrRanges,
    /// Requests that are traced in a window because their senders say so.
    limit: u64,
    /// Number of the window, and how many there were in it.
    window: Cell<(u64, u64)>,
}

impl Sampler {
    /// `workers` share what parents may have traced.
    pub(super) fn new(config: &Tracing, workers: usize) -> Self {
        Self {
            rate: config.sample_rate,
            policy: config.parent,
            trusted: AddrRanges::new(&config.parent_from),
            limit: u64::from(config.parent_limit).div_ceil(workers.max(1) as u64),
            window: Cell::new((0, 0)),
        }
    }

    /// Whether a request without a decision is traced. `random` is a random number.
    #[inline(always)]
    pub(super) fn draws(&self, random: u64) -> bool {
        self.rate.draws(random)
    }

    /// Whether what a client says of its trace counts at all.
    pub(super) fn hears(&self, client: IpAddr) -> bool {
        self.policy != ParentPolicy::Ignore || self.trusted.contains(client)
    }

    /// Decides about a request that belongs to a trace. `now_ms` is the worker's clock. The second value says whether a
    /// sender's decision was not obeyed because there were too many.
    pub(super) fn decide(
        &self,
        incoming: &Incoming,
        client: IpAddr,
        now_ms: u64,
        random: u64,
    ) -> (Decision, bool) {
        let mut limited = false;
        match incoming.sampled {
            Some(false) => return (Decision::NotByParent, false),
            Some(true) => {
                let counts = self.policy == ParentPolicy::Obey
                    || self.trusted.contains(client)
                    || self.has_room(now_ms);
                if counts {
                    return (Decision::ByParent, false);
                }
                limited = true;
            }
            None => {}
        }
        let decision = if self.draws(random) { Decision::ByRate } else { Decision::NotByRate };
        (decision, limited)
    }

    fn has_room(&self, now_ms: u64) -> bool {
        let now = now_ms / WINDOW_MS;
        let (window, used) = self.window.get();
        let used = if window == now { used } else { 0 };
        let has_room = used < self.limit;
        self.window.set((now, used + u64::from(has_room)));
        has_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::random::nth;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 9));

    fn sampler(rate: f64, change: impl Fn(&mut Tracing)) -> Sampler {
        let sample_rate = SampleRate::new(rate).expect("a rate");
        let mut config = Tracing { sample_rate, ..Tracing::default() };
        change(&mut config);
        Sampler::new(&config, 2)
    }

    fn told(sampled: Option<bool>) -> Incoming {
        Incoming { ids: None, sampled }
    }

    #[test]
    fn the_rate_is_that_of_all_requests() {
        for (rate, least, most) in
            [(0.0, 0, 0), (0.01, 900, 1100), (0.5, 49_000, 51_000), (1.0, 100_000, 100_000)]
        {
            let sampler = sampler(rate, |_| {});
            let drawn = (0..100_000).filter(|&n| sampler.draws(nth(7, n))).count();
            assert!((least..=most).contains(&drawn), "{rate}: {drawn}");
        }
        assert!(sampler(1.0, |_| {}).draws(u64::MAX));
    }

    #[test]
    fn a_sender_is_obeyed_up_to_a_bound_for_each_second() {
        let sampler = sampler(0.0, |config| config.parent_limit = 5);
        let decide = |at| sampler.decide(&told(Some(true)), CLIENT, at, 0);
        // Three of five for each of two workers.
        let first = [0; 4].map(decide);
        let (yes, no) = ((Decision::ByParent, false), (Decision::NotByRate, true));
        assert_eq!(first, [yes, yes, yes, no]);
        assert_eq!([999, 1000, 1999, 1001, 1500].map(decide), [no, yes, yes, yes, no]);
        assert_eq!(decide(100_000), yes);
        // Not to be traced is for each to decide.
        let not = sampler.decide(&told(Some(false)), CLIENT, 100_000, 0);
        assert_eq!(not, (Decision::NotByParent, false));
    }

    #[test]
    fn who_is_trusted_is_always_obeyed_and_others_by_policy() {
        let from = |config: &mut Tracing| {
            config.parent = ParentPolicy::Ignore;
            config.parent_from = vec!["192.0.2.0/24".parse().expect("a network")];
        };
        let other = "198.51.100.1".parse().expect("an address");
        let ignoring = sampler(0.0, from);
        assert!(ignoring.hears(CLIENT) && !ignoring.hears(other));
        for _ in 0..1000 {
            let decision = ignoring.decide(&told(Some(true)), CLIENT, 0, 0);
            assert_eq!(decision, (Decision::ByParent, false));
        }
        let obeying = sampler(0.0, |config| config.parent = ParentPolicy::Obey);
        for _ in 0..1000 {
            let decision = obeying.decide(&told(Some(true)), other, 0, 0);
            assert_eq!(decision, (Decision::ByParent, false));
        }
        let none = sampler(0.0, |config| config.parent_limit = 0);
        assert_eq!(none.decide(&told(Some(true)), other, 0, 0), (Decision::NotByRate, true));
    }

    #[test]
    fn without_a_decision_the_rate_counts() {
        let (all, none) = (sampler(1.0, |_| {}), sampler(0.0, |_| {}));
        assert_eq!(all.decide(&told(None), CLIENT, 0, 9), (Decision::ByRate, false));
        assert_eq!(none.decide(&told(None), CLIENT, 0, 9), (Decision::NotByRate, false));
    }
}
