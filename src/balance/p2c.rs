//! The choice itself.
//!
//! Ordinarily it is two draws and a comparison. Only where a draw meets an endpoint that is ejected,
//! or one has been tried already, it returns which ones are left out; that list is rebuilt only
//! when an ejection has begun or ended since.

use super::outlier;
use super::{Endpoint, EndpointSet, Moment, Strategy, scale};
use crate::net::random;
use arc_swap::Guard;
use std::sync::Arc;

/// Draws before the endpoints are gone through one by one. With half of them left out, one pick in
/// sixteen comes to that.
const DRAWS: usize = 4;

/// Which endpoints of a set are left out: at most half of them, rounded down.
#[derive(Debug)]
pub(super) struct LeftOut {
    /// The changes of health that it knows of.
    changes: u32,
    count: u32,
    /// By position among the usable ones, a bit each.
    bits: Box<[u64]>,
}

impl LeftOut {
    fn of(usable: &[Arc<Endpoint>]) -> Self {
        // Before the states: one that changes meanwhile is seen the next time.
        let changes = outlier::changes();
        let mut bits = vec![0; usable.len().div_ceil(64)];
        let ejected = usable.iter().enumerate().filter(|(_, endpoint)| endpoint.is_ejected());
        let mut count = 0;
        for (position, _) in ejected.take(usable.len() / 2) {
            bits[position / 64] |= 1 << (position % 64);
            count += 1;
        }
        Self { changes, count, bits: bits.into() }
    }

    fn has(&self, position: usize) -> bool {
        self.bits.get(position / 64).is_some_and(|bits| bits >> (position % 64) & 1 != 0)
    }
}

impl EndpointSet {
    /// Picks an endpoint that is not among `tried`; none when all are. `random` is a fresh random
    /// number.
    pub fn pick(
        &self,
        choice: Strategy,
        random: u64,
        now: Moment,
        tried: &[Arc<Endpoint>],
    ) -> Option<&Arc<Endpoint>> {
        if matches!(choice, Strategy::LeastLoad) && !self.places.is_mixed() {
            return self.pick_by_load(random, now, tried);
        }
        self.pick_otherwise(choice, random, now, tried)
    }

    /// Of two draws the one with less load, by an eighth or more: smaller differences are chance, and
    /// would send everything to the same one. An endpoint that is drawn when its ejection is over is
    /// the pick, as the one probe of it.
    pub(super) fn pick_by_load(
        &self,
        random: u64,
        now: Moment,
        tried: &[Arc<Endpoint>],
    ) -> Option<&Arc<Endpoint>> {
        if !tried.is_empty() {
            return self.pick_around(random, now, tried);
        }
        let count = u32::try_from(self.usable.len()).ok()?;
        if count < 2 {
            return self.usable.first();
        }
        let first = scale(random, count);
        // The second draw is among the others, so that the two always differ.
        let second = (first + 1 + scale(random.rotate_left(32), count - 1)) % count;
        let (first, second) = (&self.usable[first as usize], &self.usable[second as usize]);
        if !first.is_ejected() && !second.is_ejected() {
            return Some(less_loaded(first, second, now));
        }
        let probed = [first, second].into_iter().find(|drawn| drawn.health.probe(now, random));
        probed.or_else(|| self.pick_around(random, now, tried))
    }

    /// How many endpoints are ejected now. Not for every request.
    pub fn ejected(&self) -> u32 {
        match self.usable.iter().any(|endpoint| endpoint.is_ejected()) {
            true => self.left_out().as_ref().map_or(0, |list| list.count),
            false => 0,
        }
    }

    /// Picks among those that are neither left out nor tried, or else among those not tried.
    pub(super) fn pick_around(
        &self,
        random: u64,
        now: Moment,
        tried: &[Arc<Endpoint>],
    ) -> Option<&Arc<Endpoint>> {
        let is_new = |at| self.is_new(at, tried);
        let all = Among::All(self.usable.len());
        let mut draws = Draws(random);
        let good = self.better_of_two(all, &mut draws, now, |at| self.is_good(at, tried));
        let found = good.or_else(|| draws.one(all, is_new)).or_else(|| draws.scan(all, is_new));
        found.map(|at| &self.usable[at])
    }

    /// Of those that fit the less loaded of two, if there are two.
    pub(super) fn better_of_two(
        &self,
        among: Among<'_>,
        draws: &mut Draws,
        now: Moment,
        fits: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let first = draws.one(among, &fits).or_else(|| draws.scan(among, &fits))?;
        let second = draws.one(among, |at| at != first && fits(at)).unwrap_or(first);
        let is_less = has_less_load(&self.usable[second], &self.usable[first], now);
        Some(if is_less { second } else { first })
    }

    /// Whether the endpoint at a position may be tried.
    pub(super) fn is_new(&self, at: usize, tried: &[Arc<Endpoint>]) -> bool {
        self.usable[at].is_new_to(tried)
    }

    /// Whether it is left out now.
    pub(super) fn is_left_out(&self, at: usize) -> bool {
        // Only those ejected can be: the list is looked at for them alone.
        self.usable[at].is_ejected() && self.left_out().as_ref().is_some_and(|list| list.has(at))
    }

    /// Whether it is neither left out nor tried.
    pub(super) fn is_good(&self, at: usize, tried: &[Arc<Endpoint>]) -> bool {
        self.is_new(at, tried) && !self.is_left_out(at)
    }

    /// Those that may be picked, one after the other: neither left out nor tried.
    pub(super) fn candidates(
        &self,
        tried: &[Arc<Endpoint>],
    ) -> impl Iterator<Item = &Arc<Endpoint>> {
        let all = self.usable.iter().enumerate();
        all.filter(|(at, _)| self.is_good(*at, tried)).map(|(_, endpoint)| endpoint)
    }

    /// The list in force. A reader that finds it stale rebuilds it; all readers see a complete list, old or new.
    fn left_out(&self) -> Guard<Option<Arc<LeftOut>>> {
        let list = self.left_out.load();
        if list.as_ref().is_some_and(|list| list.changes == outlier::changes()) {
            return list;
        }
        self.left_out.store(Some(Arc::new(LeftOut::of(&self.usable))));
        self.left_out.load()
    }
}

/// Positions among the usable endpoints.
#[derive(Clone, Copy)]
pub(super) enum Among<'s> {
    /// All of them, so many.
    All(usize),
    /// These.
    These(&'s [u32]),
}

impl Among<'_> {
    pub(super) fn count(self) -> usize {
        match self {
            Self::All(count) => count,
            Self::These(positions) => positions.len(),
        }
    }

    /// The endpoint at a position.
    pub(super) fn position(self, number: usize) -> usize {
        match self {
            Self::All(_) => number,
            Self::These(positions) => positions[number] as usize,
        }
    }
}

/// Positions drawn at random, from this number on.
pub(super) struct Draws(pub(super) u64);

impl Draws {
    /// The next, as SplitMix64 makes numbers of one; of an empty list none.
    pub(super) fn next(&mut self, among: Among<'_>) -> Option<usize> {
        self.number(among).map(|number| among.position(number))
    }

    fn number(&mut self, among: Among<'_>) -> Option<usize> {
        let count = u32::try_from(among.count()).ok().filter(|&count| count > 0)?;
        Some(scale(random::step(&mut self.0) >> 32, count) as usize)
    }

    /// A fitting endpoint, unless a few draws find none.
    pub(super) fn one(&mut self, among: Among<'_>, fits: impl Fn(usize) -> bool) -> Option<usize> {
        (0..DRAWS).find_map(|_| self.next(among).filter(|&at| fits(at)))
    }

    /// A fitting endpoint, if there is any: the first behind a drawn position.
    pub(super) fn scan(&mut self, among: Among<'_>, fits: impl Fn(usize) -> bool) -> Option<usize> {
        let start = self.number(among)?;
        let numbers = (start..among.count()).chain(0..start);
        numbers.map(|number| among.position(number)).find(|&at| fits(at))
    }
}

fn less_loaded<'a>(a: &'a Arc<Endpoint>, b: &'a Arc<Endpoint>, now: Moment) -> &'a Arc<Endpoint> {
    if has_less_load(b, a, now) { b } else { a }
}

/// Whether one has less load than another, by an eighth or more.
fn has_less_load(one: &Endpoint, other: &Endpoint, now: Moment) -> bool {
    // Loads are products of two 32-bit numbers; a saturated one is beyond comparison.
    one.load(now).saturating_mul(8) < other.load(now).saturating_mul(7)
}
