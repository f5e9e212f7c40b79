//! Chance that can be repeated.

/// Another seed than that of every run, if it is set.
pub(crate) const SEED: &str = "RAVELIN_TRAEFIK_SEED";

/// The numbers for something of this name.
pub(crate) fn seeded(name: &str) -> Random {
    let seed: u64 = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok()).unwrap_or(15);
    let sum = |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte));
    Random(seed.wrapping_mul(0x9e37_79b9) ^ name.bytes().fold(0, sum))
}

/// Numbers that depend on the seed alone (SplitMix64).
pub(crate) struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 33).expect("31 bits") % bound
    }

    pub(crate) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub(crate) fn of<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.below(texts.len())]
    }

    /// So many texts, fewer than a bound, put together.
    pub(crate) fn some(&mut self, texts: &[&str], bound: usize, between: &str) -> String {
        let count = self.below(bound);
        let chosen: Vec<&str> = (0..count).map(|_| self.of(texts)).collect();
        chosen.join(between)
    }
}
