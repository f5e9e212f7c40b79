//! Draws by weight.

/// The one of `all` that a number stands for, each with a share of its weight; nothing if all weights are 0. `random`
/// is drawn from all numbers that there are.
pub fn drawn_by_weight<T>(
    all: impl Iterator<Item = T> + Clone,
    weight: impl Fn(&T) -> u32,
    random: u64,
) -> Option<T> {
    let sum: u64 = all.clone().map(|one| u64::from(weight(&one))).sum();
    let mut rest = random.checked_rem(sum)?;
    let mut all = all;
    all.find(|one| match rest.checked_sub(u64::from(weight(one))) {
        Some(left) => {
            rest = left;
            false
        }
        None => true,
    })
}
