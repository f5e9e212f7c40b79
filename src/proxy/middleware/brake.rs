//! A brake for those who try passwords: failures of each visitor are counted, and then answered at once.

use super::StepAnswer;
use super::client::masked;
use crate::error::Reason;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

/// Failures of one visitor within [`WINDOW`] after which no password of theirs is looked at that was not found
/// right before. A person who has forgotten theirs tries less often, and a page that asks for much at once with
/// an old one comes to its log-in anyway.
const MOST_FAILURES: u32 = 10;

/// Failures after which nothing passes, so that those who share an address with somebody who is logged in cannot
/// go on to guess.
const MOST_GUESSES: u32 = 100;

/// From the first failure to when all are forgotten.
const WINDOW: Duration = Duration::from_secs(60);

/// Visitors that are counted, at most. What is forgotten beyond that begins at nothing.
const MOST_VISITORS: usize = 16 * 1024;

/// How often those whose window is over are looked for, where there is no room.
const SWEEP: Duration = Duration::from_secs(1);

/// Bits of an IPv6 address that are one visitor's.
const IPV6_BITS: u8 = 64;

/// The network that counts as one visitor; requests without an address are all of one.
pub(super) fn visitor(address: Option<IpAddr>) -> IpAddr {
    let unknown = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    address.map_or(unknown, |address| masked(address, Some(IPV6_BITS)))
}

/// The answer to a visitor who has failed too often, for so long.
pub(super) fn throttled(left: Duration) -> StepAnswer {
    StepAnswer::of(Reason::AuthThrottled).with_retry_after(left)
}

/// What a visitor may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Show any credentials.
    Free,
    /// Show those that were found right before; for so long.
    Braked(Duration),
    /// Nothing, for so long.
    Blocked(Duration),
}

/// The failures of visitors.
#[derive(Debug, Default)]
pub(super) struct Brake {
    failures: HashMap<IpAddr, Failures, foldhash::fast::RandomState>,
    swept: Option<Instant>,
}

#[derive(Debug)]
struct Failures {
    count: u32,
    since: Instant,
}

impl Brake {
    /// How a visitor stands.
    pub(super) fn standing(&self, visitor: IpAddr, now: Instant) -> Standing {
        let Some(Failures { count, since }) = self.failures.get(&visitor) else {
            return Standing::Free;
        };
        let left = WINDOW.saturating_sub(now.saturating_duration_since(*since));
        match *count {
            _ if left.is_zero() => Standing::Free,
            MOST_GUESSES.. => Standing::Blocked(left),
            MOST_FAILURES.. => Standing::Braked(left),
            _ => Standing::Free,
        }
    }

    /// Counts a failure, or an attempt that may become one.
    pub(super) fn count(&mut self, visitor: IpAddr, now: Instant) {
        self.make_room(visitor, now);
        let fresh = Failures { count: 0, since: now };
        let failures = self.failures.entry(visitor).or_insert(fresh);
        if now.saturating_duration_since(failures.since) >= WINDOW {
            *failures = Failures { count: 0, since: now };
        }
        failures.count = failures.count.saturating_add(1);
    }

    /// Takes an attempt back that was none.
    pub(super) fn forgive(&mut self, visitor: IpAddr) {
        if let Some(failures) = self.failures.get_mut(&visitor) {
            failures.count = failures.count.saturating_sub(1);
            if failures.count == 0 {
                self.failures.remove(&visitor);
            }
        }
    }

    fn make_room(&mut self, visitor: IpAddr, now: Instant) {
        if self.failures.len() < MOST_VISITORS || self.failures.contains_key(&visitor) {
            return;
        }
        if self.swept.is_none_or(|swept| now.saturating_duration_since(swept) >= SWEEP) {
            self.swept = Some(now);
            self.failures.retain(|_, one| now.saturating_duration_since(one.since) < WINDOW);
        }
        if self.failures.len() >= MOST_VISITORS
            && let Some(any) = self.failures.keys().next().copied()
        {
            self.failures.remove(&any);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        visitor(Some(text.parse().expect("an address")))
    }

    #[test]
    fn failures_brake_their_visitor_for_a_while_and_guesses_block_it() {
        let (mut brake, start) = (Brake::default(), Instant::now());
        let (one, other) = (ip("2001:db8::1"), ip("2001:db8:0:1::1"));
        for _ in 0..MOST_FAILURES {
            assert_eq!(brake.standing(one, start), Standing::Free);
            brake.count(one, start);
        }
        let later = start + Duration::from_secs(20);
        assert_eq!(brake.standing(one, later), Standing::Braked(Duration::from_secs(40)));
        assert_eq!(brake.standing(ip("2001:db8::ffff"), later), brake.standing(one, later));
        assert_eq!(brake.standing(other, later), Standing::Free);
        for _ in MOST_FAILURES..MOST_GUESSES {
            brake.count(one, later);
        }
        assert_eq!(brake.standing(one, later), Standing::Blocked(Duration::from_secs(40)));
        assert_eq!(brake.standing(one, start + WINDOW), Standing::Free);
        brake.count(one, start + WINDOW);
        assert_eq!(brake.standing(one, start + WINDOW), Standing::Free);
    }

    #[test]
    fn an_attempt_that_is_right_is_forgotten() {
        let (mut brake, now) = (Brake::default(), Instant::now());
        brake.count(ip("192.0.2.1"), now);
        brake.forgive(ip("::ffff:192.0.2.1"));
        assert!(brake.failures.is_empty());
    }

    #[test]
    fn the_visitors_that_are_counted_are_bounded() {
        let (mut brake, now) = (Brake::default(), Instant::now());
        for number in (0_u32..).take(MOST_VISITORS + 1000) {
            brake.count(IpAddr::V4(number.into()), now);
        }
        assert_eq!(brake.failures.len(), MOST_VISITORS);
        brake.count(ip("192.0.2.1"), now + WINDOW);
        assert_eq!(brake.failures.len(), 1, "whose window is over has left");
    }
}
