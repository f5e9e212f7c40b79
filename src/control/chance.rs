//! Chance, for waits that are to differ from node to node. Not for secrets.

use std::hash::{BuildHasher, RandomState};

/// A number from 0 to 1. The seeds of hash maps are random enough to keep nodes apart.
pub(super) fn fraction() -> f64 {
    let bits = RandomState::new().hash_one(()) >> 32;
    f64::from(u32::try_from(bits).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_is_from_0_to_1() {
        assert!((0..100).map(|_| fraction()).all(|r| (0.0..=1.0).contains(&r)));
    }
}
