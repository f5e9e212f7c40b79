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

/// `first` after one failure, twice as long after each further one in a row, and never longer than `most`.
pub(super) fn doubled(first: Duration, failures: u32, most: Duration) -> Duration {
    let factor = 2_u32.saturating_pow(failures.saturating_sub(1).min(31));
    first.saturating_mul(factor).min(most)
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
        let base = Duration::from_secs(1000);
        assert_eq!([0.0, 0.5, 1.0].map(|r| spread(base, r).as_secs()), [900, 1000, 1100]);
    }

    #[test]
    fn failures_double_a_pause_up_to_the_longest_one() {
        let most = Duration::from_secs(12 * 3600);
        let minutes = |failures| doubled(Duration::from_secs(60), failures, most).as_secs() / 60;
        assert_eq!([1, 2, 3, 10, 11, 40, u32::MAX].map(minutes), [1, 2, 4, 512, 720, 720, 720]);
        let (first, short) = (Duration::from_secs(60), Duration::from_secs(5));
        assert_eq!(doubled(first, 9, short), short);
    }
}
