//! Health: what fails several times in a row is left out for a while (ejected), and what fails its
//! checks until it passes one.
//!
//! The number of failures is the operator's; spans are those of [`BASE`] and [`LONGEST`]. How many
//! endpoints may be out at once is for the set to say, at each pick.

use super::{Moment, scale};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// How long the first ejection lasts; each further one without an answer in between twice as long.
/// A container that crashed is back after a second or two.
const BASE: Duration = Duration::from_secs(2);

/// The longest ejection: a pod that is repaired waits a minute at most for its probe.
const LONGEST: Duration = Duration::from_secs(60);

/// By how many hundredths a span is shortened or lengthened, so that workers and nodes do not all
/// probe at once.
const JITTER: u32 = 20;

/// How often any endpoint of this process was ejected or came back: who counts the ejected ones
/// knows by it whether the count still holds.
static CHANGES: AtomicU32 = AtomicU32::new(0);

/// The changes so far. To be read before the state that is to be counted.
pub(super) fn changes() -> u32 {
    CHANGES.load(Ordering::Acquire)
}

/// The health of one endpoint, as its requests show it.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// When it may be probed; 0 for one that is not ejected.
    until: AtomicU64,
    /// Failures since the last answer.
    failures: AtomicU32,
    /// Ejections, and probes, since the last answer.
    ejections: AtomicU32,
    /// Whether it has failed its checks, if it is checked.
    unfit: AtomicBool,
}

impl Health {
    /// Whether it is to be left out: until it has answered, however long that takes, and for as long
    /// as it fails its checks.
    pub(super) fn is_out(&self) -> bool {
        self.is_ejected() || self.unfit.load(Ordering::Acquire)
    }

    fn is_ejected(&self) -> bool {
        self.until.load(Ordering::Acquire) != 0
    }

    /// Notes what its checks have come to. Returns whether that is news.
    ///
    /// An ejection is not ended by it: what answers its checks may still fail its requests.
    pub(super) fn set_fit(&self, fit: bool) -> bool {
        let is_news = self.unfit.swap(!fit, Ordering::AcqRel) == fit;
        if is_news {
            CHANGES.fetch_add(1, Ordering::Release);
        }
        is_news
    }

    /// Notes an answer. Returns whether that ends an ejection.
    pub(super) fn succeed(&self) -> bool {
        // The common case writes nothing.
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
        if !self.is_ejected() || self.until.swap(0, Ordering::AcqRel) == 0 {
            return false;
        }
        self.ejections.store(0, Ordering::Relaxed);
        CHANGES.fetch_add(1, Ordering::Release);
        true
    }

    /// Notes a failure; the last of `most` in a row ejects. Returns whether this one did. With 0
    /// none does.
    ///
    /// Failures of an ejected endpoint change nothing: requests that were on their way to it, and
    /// probes, which have counted when they were sent.
    pub(super) fn fail(&self, now: Moment, most: u32, random: u64) -> bool {
        if most == 0 || self.is_ejected() {
            return false;
        }
        if self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1) < most {
            return false;
        }
        let until = now.after(span(0, random)).millis();
        if self.until.compare_exchange(0, until, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return false;
        }
        self.failures.store(0, Ordering::Relaxed);
        self.ejections.store(1, Ordering::Relaxed);
        CHANGES.fetch_add(1, Ordering::Release);
        true
    }

    /// Takes the right to probe it, if it is due and passes its checks: one caller of all workers gets it. The probe counts
    /// as failed until it is answered, so that the next one is due after twice the time, even if
    /// nobody ever hears of this one.
    pub(super) fn probe(&self, now: Moment, random: u64) -> bool {
        let until = self.until.load(Ordering::Acquire);
        if until == 0 || until > now.millis() || self.unfit.load(Ordering::Acquire) {
            return false;
        }
        let next = now.after(span(self.ejections.load(Ordering::Relaxed), random)).millis();
        let won =
            self.until.compare_exchange(until, next, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if won {
            self.ejections.fetch_add(1, Ordering::Relaxed);
        }
        won
    }
}

/// How long an ejection lasts after so many others.
fn span(before: u32, random: u64) -> Duration {
    let whole = BASE.saturating_mul(1 << before.min(16)).min(LONGEST);
    whole * (100 - JITTER + scale(random, 2 * JITTER + 1)) / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::default().after(Duration::from_millis(millis))
    }

    /// A random number for no jitter, and those for the least and the most.
    const EVEN: u64 = 1 << 31;
    const LEAST: u64 = 0;
    const MOST: u64 = u32::MAX as u64;

    #[test]
    fn the_last_of_several_failures_in_a_row_ejects() {
        let health = Health::default();
        assert!(!health.fail(at(1), 3, EVEN) && !health.fail(at(2), 3, EVEN));
        assert!(!health.succeed(), "an answer in between begins the count again");
        assert!(!health.fail(at(3), 3, EVEN) && !health.fail(at(4), 3, EVEN));
        assert!(!health.is_ejected());
        assert!(health.fail(at(5), 3, EVEN) && health.is_ejected());
        assert!(!health.fail(at(6), 3, EVEN), "it is ejected once");
    }

    #[test]
    fn with_zero_nothing_is_ejected() {
        let health = Health::default();
        assert!((0..100).all(|n| !health.fail(at(n), 0, EVEN)));
        assert!(!health.is_ejected());
    }

    #[test]
    fn one_probe_is_let_through_when_the_time_is_over_and_its_answer_ends_the_ejection() {
        let health = Health::default();
        assert!(health.fail(at(1_000), 1, EVEN));
        assert!(!health.probe(at(2_999), EVEN), "not before");
        assert!(health.probe(at(3_000), EVEN));
        assert!(!health.probe(at(3_000), EVEN), "one alone");
        assert!(health.is_ejected(), "until it is answered");
        assert!(health.succeed());
        assert!(!health.is_ejected() && !health.probe(at(90_000), EVEN));
        assert!(!health.succeed(), "it ends once");
    }

    #[test]
    fn spans_double_up_to_a_minute_and_begin_again_after_an_answer() {
        let health = Health::default();
        let mut now = 1;
        assert!(health.fail(at(now), 1, EVEN));
        for seconds in [2, 4, 8, 16, 32, 60, 60] {
            now += seconds * 1_000;
            assert!(!health.probe(at(now - 1), EVEN), "{seconds}");
            assert!(health.probe(at(now), EVEN), "{seconds}");
            assert!(!health.fail(at(now), 1, EVEN), "the probe has counted already");
        }
        assert!(health.succeed());
        assert!(health.fail(at(now), 1, EVEN));
        assert!(health.probe(at(now + 2_000), EVEN));
    }

    #[test]
    fn spans_are_spread_by_a_fifth() {
        let millis = |before, random| span(before, random).as_millis();
        assert_eq!((millis(0, LEAST), millis(0, EVEN), millis(0, MOST)), (1_600, 2_000, 2_400));
        assert_eq!(millis(u32::MAX, MOST), 72_000);
    }

    #[test]
    fn what_fails_its_checks_is_out_until_it_passes_one_and_requests_do_not_probe_it() {
        let health = Health::default();
        assert!(!health.set_fit(true), "that is how it begins");
        assert!(health.set_fit(false) && !health.set_fit(false));
        assert!(health.is_out() && !health.probe(at(90_000), EVEN));
        assert!(!health.succeed() && health.is_out(), "an answer to a visitor is no check");
        assert!(health.set_fit(true) && !health.is_out());
    }

    #[test]
    fn a_check_that_is_passed_does_not_end_an_ejection() {
        let health = Health::default();
        assert!(health.fail(at(1), 1, EVEN) && health.set_fit(false));
        assert!(health.set_fit(true) && health.is_out());
        assert!(health.succeed() && !health.is_out());
    }
}
