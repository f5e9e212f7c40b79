//! Chance, for waits and names that are to differ from node to node. Not for secrets.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Any number. The seeds of hash maps are random enough to keep nodes apart.
pub(super) fn word() -> u32 {
    u32::try_from(RandomState::new().hash_one(()) >> 32).unwrap_or(u32::MAX)
}

/// A number from 0 to 1.
pub(super) fn fraction() -> f64 {
    f64::from(word()) / f64::from(u32::MAX)
}

/// An interval within a tenth of `base`, by a number from 0 to 1.
pub(super) fn spread(base: Duration, random: f64) -> Duration {
    base.mul_f64(0.9 + 0.2 * random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_is_from_0_to_1() {
        assert!((0..100).map(|_| fraction()).all(|r| (0.0..=1.0).contains(&r)));
    }

    #[test]
    fn an_interval_is_spread_by_a_tenth() {
        let base = Duration::from_secs(10);
        assert_eq!(spread(base, 0.0), Duration::from_secs(9));
        assert_eq!(spread(base, 1.0), Duration::from_secs(11));
    }
}
