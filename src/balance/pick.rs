//! The choice itself.
//!
//! Ordinarily it is two draws and a comparison. Only where a draw meets an endpoint that is ejected,
//! or one has been tried already, it is asked which ones are left out; that list is made anew only
//! when an ejection has begun or ended since.

use super::health;
use super::{Endpoint, EndpointSet, Moment, scale};
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
        let changes = health::changes();
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
    ///
    /// Of two draws the one with less load, by an eighth or more: smaller differences are chance, and
    /// would send everything to the same one. An endpoint that is drawn when its ejection is over is
    /// the pick, as the one probe of it.
    pub fn pick(
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

    /// How many endpoints are left out now. Not for every request.
    pub fn ejected(&self) -> u32 {
        match self.usable.iter().any(|endpoint| endpoint.is_ejected()) {
            true => self.left_out().as_ref().map_or(0, |list| list.count),
            false => 0,
        }
    }

    /// Picks among those that are neither left out nor tried, or else among those not tried.
    fn pick_around(
        &self,
        random: u64,
        now: Moment,
        tried: &[Arc<Endpoint>],
    ) -> Option<&Arc<Endpoint>> {
        // A set may be old when a request is to be sent again.
        let is_new = |at: usize| {
            let drawn = &self.usable[at];
            !drawn.has_left() && !tried.iter().any(|endpoint| endpoint.id == drawn.id)
        };
        let left_out = self.left_out();
        let is_in = |at: usize| !left_out.as_ref().is_some_and(|list| list.has(at));
        let is_good = |at: usize| is_in(at) && is_new(at);
        let count = u32::try_from(self.usable.len()).ok().filter(|&count| count > 0)?;
        let mut draws = Draws { random, count };
        let Some(first) = draws.one(is_good).or_else(|| draws.scan(is_good)) else {
            return draws.one(is_new).or_else(|| draws.scan(is_new)).map(|at| &self.usable[at]);
        };
        let second = draws.one(|at| at != first && is_good(at)).unwrap_or(first);
        Some(less_loaded(&self.usable[first], &self.usable[second], now))
    }

    /// Those that may be picked, one after the other: neither left out nor tried.
    pub(super) fn candidates(
        &self,
        tried: &[Arc<Endpoint>],
    ) -> impl Iterator<Item = &Arc<Endpoint>> {
        let left_out = self.left_out();
        self.usable.iter().enumerate().filter_map(move |(at, endpoint)| {
            let is_out = left_out.as_ref().is_some_and(|list| list.has(at));
            let is_tried = tried.iter().any(|other| other.id == endpoint.id);
            (!is_out && !is_tried && !endpoint.has_left()).then_some(endpoint)
        })
    }

    /// The list in force. Whoever finds it old makes it anew; all see the one or the other, whole.
    fn left_out(&self) -> Guard<Option<Arc<LeftOut>>> {
        let list = self.left_out.load();
        if list.as_ref().is_some_and(|list| list.changes == health::changes()) {
            return list;
        }
        self.left_out.store(Some(Arc::new(LeftOut::of(&self.usable))));
        self.left_out.load()
    }
}

/// Positions drawn at random.
struct Draws {
    random: u64,
    count: u32,
}

impl Draws {
    /// The next, as SplitMix64 makes numbers of one.
    fn next(&mut self) -> usize {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        scale(mixed >> 32, self.count) as usize
    }

    /// One that fits, unless none is found soon.
    fn one(&mut self, fits: impl Fn(usize) -> bool) -> Option<usize> {
        (0..DRAWS).map(|_| self.next()).find(|&at| fits(at))
    }

    /// One that fits, if there is any: the first behind a drawn one.
    fn scan(&mut self, fits: impl Fn(usize) -> bool) -> Option<usize> {
        let (count, start) = (self.count as usize, self.next());
        (start..count).chain(0..start).find(|&at| fits(at))
    }
}

fn less_loaded<'a>(a: &'a Arc<Endpoint>, b: &'a Arc<Endpoint>, now: Moment) -> &'a Arc<Endpoint> {
    // Loads are products of two 32-bit numbers; a saturated one is beyond comparison.
    if b.load(now).saturating_mul(8) < a.load(now).saturating_mul(7) { b } else { a }
}
