//! Random numbers for spreading load and time: SplitMix64 (Steele, Lea and Flood, 2014). Not for
//! secrets.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

/// Increment of the generator's state: an odd number without a pattern.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// Every bit of the number changes about half of the result's.
pub fn mix(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The `n`th number that follows from a seed; the first has the number 1.
pub fn nth(seed: u64, n: u64) -> u64 {
    mix(seed.wrapping_add(n.wrapping_mul(GAMMA)))
}

/// The next number, and the state for the one after it.
pub fn step(state: &mut u64) -> u64 {
    *state = state.wrapping_add(GAMMA);
    mix(*state)
}

/// A generator for one thread.
#[derive(Debug)]
pub struct Random(Cell<u64>);

impl Random {
    /// Keyed by the system's randomness, so that workers and nodes draw differently.
    pub fn seeded() -> Self {
        Self(Cell::new(RandomState::new().hash_one(0)))
    }

    /// The next number.
    pub fn next(&self) -> u64 {
        let mut state = self.0.get();
        let number = step(&mut state);
        self.0.set(state);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_splitmix64_one_by_one_and_by_their_places() {
        // The first three of the reference implementation for the seed 0.
        let expected = [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f];
        let mut state = 0;
        assert_eq!([0; 3].map(|_: u64| step(&mut state)), expected);
        assert_eq!([1, 2, 3].map(|n| nth(0, n)), expected);
        let random = Random(Cell::new(0));
        assert_eq!([0; 3].map(|_: u64| random.next()), expected);
    }
}
