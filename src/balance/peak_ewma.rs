//! How long an endpoint takes to begin its answers: a moving average that follows peaks at once and
//! forgets them slowly (peak EWMA, as in Finagle and linkerd2-proxy), or sooner, where several answers
//! in a row say that it is over.

use super::Moment;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Time in which what is known loses its weight to a third, in milliseconds: that of Finagle and
/// linkerd2-proxy.
const DECAY_MS: f32 = 10_000.0;

/// Below this, in milliseconds, the estimate is used unchanged: it would be wrong by less than
/// a hundredth.
const UNCHANGED_MS: u32 = 100;

/// Least estimate, in microseconds, and that of an endpoint of which nothing is known. Differences
/// below are those of our own scheduling; and with nothing as the least, a pod that has just come
/// would get every request until its first answer.
const LEAST: u32 = 1_000;

/// How much one answer can raise the estimate. One report that takes a minute must not keep a pod
/// without requests for a minute; a pod that has become slow shows it three times over.
const MOST_RISE: u32 = 8;

/// So many times [`UNCHANGED_MS`] in a row in which every answer took less than a third of the estimate halve
/// it: a pod that was slow and is well again shows that. Times without an answer do not count. Fewer
/// would forget a pod that stalls now and then, or is full at every other moment.
const RUN: u32 = 8;

/// Bits of their number.
const RUN_BITS: u32 = 3;

/// The longest estimate, in microseconds: nine minutes.
const MOST: u32 = u32::MAX >> RUN_BITS;

/// The average: microseconds in the upper half, with the number of times in a row beside them, and when
/// that was so, in milliseconds, in the lower.
/// The clock of the latter wraps after 49 days; what has not been asked for half of that is estimated
/// wrongly once. Two answers at the same time may become one: it is an estimate.
#[derive(Debug)]
pub(super) struct Latency(AtomicU64);

impl Latency {
    /// Nothing is known but what is known of `others`: as slow as the slowest of them. It gets its
    /// share soon, and not the rush that the pod with the least would get.
    pub(super) fn beside<'a>(others: impl Iterator<Item = &'a Self>) -> Self {
        let slowest =
            others.map(|other| other.0.load(Ordering::Relaxed)).max_by_key(|both| unpack(*both).0);
        Self(AtomicU64::new(slowest.unwrap_or(pack(LEAST, 0, 0))))
    }

    /// The estimate, in microseconds: at least 1 000.
    pub(super) fn micros(&self, now: Moment) -> u32 {
        let (micros, _, since) = unpack(self.0.load(Ordering::Relaxed));
        decayed(micros, 0, low(now).wrapping_sub(since))
    }

    /// The estimate as it was after the last answer, however long ago, in microseconds; `None` if there
    /// was none, here or where the estimate comes from.
    pub(super) fn last(&self) -> Option<u32> {
        let (micros, _, since) = unpack(self.0.load(Ordering::Relaxed));
        (since != 0).then_some(micros.max(LEAST))
    }

    /// Adds what an answer took.
    pub(super) fn add(&self, took: Duration, now: Moment) {
        let before = self.0.load(Ordering::Relaxed);
        let (micros, run, since) = unpack(before);
        let sample = u32::try_from(took.as_micros()).unwrap_or(MOST).clamp(LEAST, MOST);
        let elapsed = low(now).wrapping_sub(since);
        let (micros, run) = match (sample < micros / 3, elapsed >= UNCHANGED_MS) {
            (true, true) if run + 1 == RUN => (micros / 2, 0),
            (true, true) => (micros, run + 1),
            (true, false) => (micros, run),
            (false, _) => (micros, 0),
        };
        let estimate = decayed(micros, sample.min(micros), elapsed);
        let estimate = estimate.max(sample.min(micros.saturating_mul(MOST_RISE)));
        // Without time between them, answers in quick succession would count for nothing.
        let since = if estimate == micros && elapsed < UNCHANGED_MS { since } else { low(now) };
        // The common case writes nothing.
        let after = pack(estimate, run, since);
        if after != before {
            self.0.store(after, Ordering::Relaxed);
        }
    }
}

/// What `micros` has become when for so many milliseconds it was `towards`.
fn decayed(micros: u32, towards: u32, elapsed: u32) -> u32 {
    if elapsed < UNCHANGED_MS {
        return micros;
    }
    // Half a clock ahead is a clock behind: another worker has written meanwhile.
    if elapsed > u32::MAX / 2 {
        return micros;
    }
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let (above, weight) =
        (micros.saturating_sub(towards) as f32, (-(elapsed as f32) / DECAY_MS).exp());
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at most what it was: a product with a number from 0 to 1"
    )]
    let left = (above * weight) as u32;
    towards.saturating_add(left).max(LEAST)
}

fn pack(micros: u32, run: u32, millis: u32) -> u64 {
    u64::from(micros.min(MOST) << RUN_BITS | run) << 32 | u64::from(millis)
}

fn unpack(both: u64) -> (u32, u32, u32) {
    let (upper, millis) = halves(both);
    (upper >> RUN_BITS, upper & (RUN - 1), millis)
}

fn halves(both: u64) -> (u32, u32) {
    #[expect(clippy::cast_possible_truncation, reason = "the halves of it")]
    let halves = ((both >> 32) as u32, both as u32);
    halves
}

fn low(moment: Moment) -> u32 {
    halves(moment.millis()).1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::default().after(Duration::from_millis(millis))
    }

    fn unknown() -> Latency {
        Latency::beside([].into_iter())
    }

    #[test]
    fn a_slow_answer_counts_at_once_and_is_forgotten_slowly() {
        let latency = unknown();
        assert_eq!(latency.micros(at(0)), LEAST);
        latency.add(Duration::from_millis(5), at(1_000));
        assert_eq!(latency.micros(at(1_000)), 5_000);
        latency.add(Duration::from_millis(40), at(1_001));
        assert_eq!(latency.micros(at(1_001)), 40_000);
        // A third after the time of decay, whether or not there are requests.
        let third = latency.micros(at(11_001));
        assert!((14_000..15_500).contains(&third), "{third}");
        for millis in 1_001..11_001 {
            latency.add(Duration::from_millis(21), at(millis));
        }
        let third = latency.micros(at(11_001));
        assert!((27_500..29_500).contains(&third), "towards 21 ms: {third}");
    }

    #[test]
    fn fast_answers_for_a_while_halve_the_estimate_and_a_slow_one_begins_the_while_again() {
        let latency = unknown();
        let millis = Duration::from_millis;
        (0..4).for_each(|_| latency.add(millis(400), at(1_000)));
        // Thousands of answers, at no more than so many moments.
        let mut now = 1_000;
        let mut after = |took, moments| {
            for _ in 0..moments {
                now += 100;
                (0..100).for_each(|_| latency.add(millis(took), at(now)));
            }
            latency.micros(at(now)) / 1_000
        };
        assert!((360..400).contains(&after(5, 7)));
        assert!((360..400).contains(&after(390, 1)), "one that is no faster than a third");
        assert!((340..400).contains(&after(5, 7)));
        assert!((160..200).contains(&after(5, 1)));
        assert!((5..15).contains(&after(5, 5 * 8)), "not below what they took");
    }

    #[test]
    fn one_answer_raises_the_estimate_only_so_far_and_several_do_raise_it() {
        let latency = unknown();
        let minute = Duration::from_secs(60);
        let seen: Vec<_> = (0..3)
            .map(|n| {
                latency.add(minute, at(n));
                latency.micros(at(n))
            })
            .collect();
        assert_eq!(seen, [8_000, 64_000, 512_000]);
    }

    #[test]
    fn silence_ends_at_the_least_estimate() {
        let latency = unknown();
        latency.add(Duration::from_millis(7), at(50));
        assert_eq!(latency.micros(at(3_600_000)), LEAST);
    }

    #[test]
    fn a_new_endpoint_begins_as_slow_as_the_slowest_of_the_others() {
        let (slow, fast) = (unknown(), unknown());
        slow.add(Duration::from_millis(8), at(10));
        fast.add(Duration::from_millis(2), at(20));
        let new = Latency::beside([&slow, &fast].into_iter());
        assert_eq!(new.micros(at(30)), 8_000);
    }

    #[test]
    fn a_clock_that_is_a_little_behind_and_one_that_has_wrapped_do_no_harm() {
        let latency = unknown();
        let late = u64::from(u32::MAX) - 10;
        latency.add(Duration::from_millis(8), at(late));
        assert_eq!(latency.micros(at(late - 300)), 8_000);
        let third = latency.micros(at(late + 10_000));
        assert!((2_800..3_100).contains(&third), "{third}");
    }
}
