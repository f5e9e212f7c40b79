//! The nonces of a `digestAuth`: given to every client, without memory, and counted for those who log in.
//!
//! A nonce carries its number and its time, under a keyed hash. Only one that somebody has logged in with is
//! remembered, with the counts that were used: nobody else can fill the memory. Where there is no room, the oldest
//! nonce goes, and with it all that are older: a count that was used is never taken for a new one.

use super::super::brake::Brake;
use crate::telemetry::StepCells;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a nonce is good. Clients ask for another one without their user.
const LIFE: Duration = Duration::from_secs(600);

/// Nonces that are remembered, at most: about 1 MiB.
const MOST: usize = 16 * 1024;

/// Bytes of number, time and keyed hash.
const NUMBER: usize = 8;
const TIME: usize = 8;
const TAG: usize = 16;

/// Counts below the highest that may still come: requests on several connections overtake each other.
const WINDOW: u32 = u128::BITS;

/// The state of one middleware.
pub struct Nonces {
    key: hmac::Key,
    started: Instant,
    kept: Mutex<Kept>,
    cells: Arc<StepCells>,
}

impl std::fmt::Debug for Nonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nonces").finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
pub(super) struct Kept {
    /// The number of the next nonce.
    next: u64,
    used: BTreeMap<u64, Counts>,
    /// All up to this number that are not among those are refused.
    floor: Option<u64>,
    pub(super) brake: Brake,
}

/// The counts of a nonce that were used.
#[derive(Debug)]
struct Counts {
    issued: u64,
    highest: u32,
    /// Bit `n`: `highest - n` was used.
    seen: u128,
}

/// A nonce that is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nonce {
    number: u64,
    /// Milliseconds since the state was made.
    issued: u64,
}

impl Nonces {
    /// None yet, under a key that nobody knows.
    pub(in crate::proxy::middleware) fn new(now: Instant, cells: &Arc<StepCells>) -> Option<Self> {
        let random = aws_lc_rs::rand::SystemRandom::new();
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &random).ok()?;
        let cells = Arc::clone(cells);
        Some(Self { key, started: now, kept: Mutex::default(), cells })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new one, as text.
    pub(super) fn issue(&self, now: Instant) -> String {
        let number = {
            let mut kept = self.lock();
            kept.next += 1;
            kept.next
        };
        let mut bytes = [0; NUMBER + TIME + TAG];
        let (head, tag) = bytes.split_at_mut(NUMBER + TIME);
        head[..NUMBER].copy_from_slice(&number.to_be_bytes());
        head[NUMBER..].copy_from_slice(&self.time(now).to_be_bytes());
        tag.copy_from_slice(&hmac::sign(&self.key, head).as_ref()[..TAG]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// What every challenge has beside its nonce.
    pub(super) fn opaque(&self) -> String {
        URL_SAFE_NO_PAD.encode(&hmac::sign(&self.key, b"opaque").as_ref()[..TAG])
    }

    /// The nonce that a text is, if we have issued it.
    pub(super) fn read(&self, text: &[u8]) -> Option<Nonce> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (head, tag) = bytes.split_at_checked(NUMBER + TIME)?;
        let right = hmac::sign(&self.key, head);
        let is_ours: bool = subtle::ConstantTimeEq::ct_eq(&right.as_ref()[..TAG], tag).into();
        let (number, issued) = head.split_at(NUMBER);
        let number = u64::from_be_bytes(number.try_into().ok()?);
        let issued = u64::from_be_bytes(issued.try_into().ok()?);
        is_ours.then_some(Nonce { number, issued })
    }

    /// Uses a nonce for a request with this count. Says whether it may be: once, and in time.
    pub(super) fn take(&self, nonce: Nonce, count: u32, now: Instant) -> bool {
        let now = self.time(now);
        let mut kept = self.lock();
        let before = kept.used.len() as i64;
        let may_be = kept.take(nonce, count, now);
        self.cells.digest_nonces.add(kept.used.len() as i64 - before);
        may_be
    }

    fn time(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.started).as_millis()).unwrap_or(u64::MAX)
    }
}

impl Drop for Nonces {
    fn drop(&mut self) {
        self.cells.digest_nonces.add(-(self.lock().used.len() as i64));
    }
}

impl Kept {
    /// Whether somebody has logged in with a nonce.
    pub(super) fn knows(&self, nonce: Nonce) -> bool {
        self.used.contains_key(&nonce.number)
    }

    fn take(&mut self, nonce: Nonce, count: u32, now: u64) -> bool {
        let is_over = |issued: u64| u128::from(now.saturating_sub(issued)) >= LIFE.as_millis();
        if is_over(nonce.issued) || count == 0 {
            return false;
        }
        if let Some(counts) = self.used.get_mut(&nonce.number) {
            return counts.take(count);
        }
        if self.floor.is_some_and(|floor| nonce.number <= floor) {
            return false;
        }
        while let Some(oldest) = self.used.first_entry()
            && is_over(oldest.get().issued)
        {
            oldest.remove();
        }
        if self.used.len() >= MOST
            && let Some((number, _)) = self.used.pop_first()
        {
            self.floor = Some(number);
            if nonce.number <= number {
                return false;
            }
        }
        self.used.insert(nonce.number, Counts { issued: nonce.issued, highest: count, seen: 1 });
        true
    }
}

impl Counts {
    fn take(&mut self, count: u32) -> bool {
        if count > self.highest {
            let shift = count - self.highest;
            self.seen = self.seen.checked_shl(shift).unwrap_or(0) | 1;
            self.highest = count;
            return true;
        }
        let below = self.highest - count;
        let bit = 1_u128.checked_shl(below).unwrap_or(0);
        let is_new = below < WINDOW && self.seen & bit == 0;
        self.seen |= bit;
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh(now: Instant) -> Nonces {
        Nonces::new(now, &Arc::default()).expect("random bytes")
    }

    fn issued(nonces: &Nonces, now: Instant) -> Nonce {
        nonces.read(nonces.issue(now).as_bytes()).expect("it is ours")
    }

    #[test]
    fn a_nonce_is_known_by_its_hash_alone() {
        let now = Instant::now();
        let (nonces, others) = (fresh(now), fresh(now));
        let text = nonces.issue(now);
        assert_ne!(text, nonces.issue(now));
        assert!(nonces.read(text.as_bytes()).is_some());
        assert_eq!(others.read(text.as_bytes()), None);
        assert_eq!(nonces.read(&text.as_bytes()[1..]), None);
        for text in ["", "AAAA", "#"] {
            assert_eq!(nonces.read(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(nonces.opaque(), nonces.opaque());
    }

    #[test]
    fn each_count_of_a_nonce_is_for_one_request_in_whatever_order_they_come() {
        let now = Instant::now();
        let nonces = fresh(now);
        let nonce = issued(&nonces, now);
        let take = |count| nonces.take(nonce, count, now);
        assert!(!take(0));
        for (count, expected) in [
            (2, true),
            (2, false),
            (1, true),
            (1, false),
            (5, true),
            (4, true),
            (4, false),
            (3, true),
        ] {
            assert_eq!(take(count), expected, "{count}");
        }
        assert!(take(5 + WINDOW));
        assert!(!take(5), "too old to know");
        assert!(take(6));
        assert!(take(u32::MAX) && !take(u32::MAX) && take(u32::MAX - 1) && !take(7));
    }

    #[test]
    fn a_nonce_is_good_for_its_time() {
        let start = Instant::now();
        let nonces = fresh(start);
        let nonce = issued(&nonces, start);
        assert!(nonces.take(nonce, 1, start + LIFE - Duration::from_millis(1)));
        assert!(!nonces.take(nonce, 2, start + LIFE));
    }

    #[test]
    fn what_gives_way_is_never_good_again() {
        let now = Instant::now();
        let nonces = fresh(now);
        let unused = issued(&nonces, now);
        let first = issued(&nonces, now);
        assert!(nonces.take(first, 1, now));
        for _ in 0..MOST {
            assert!(nonces.take(issued(&nonces, now), 1, now));
        }
        let held = || (nonces.lock().used.len(), nonces.cells.digest_nonces.now());
        assert_eq!(held(), (MOST, MOST as i64));
        assert!(!nonces.take(first, 1, now), "it was used");
        assert!(!nonces.take(first, 2, now));
        assert!(!nonces.take(unused, 1, now), "nobody knows whether it was used");
        // Those that are over make room.
        let later = now + LIFE;
        assert!(nonces.take(issued(&nonces, later), 1, later));
        assert_eq!(held(), (1, 1));
        let cells = Arc::clone(&nonces.cells);
        drop(nonces);
        assert_eq!(cells.digest_nonces.now(), 0);
    }
}
