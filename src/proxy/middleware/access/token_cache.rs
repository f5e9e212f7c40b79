//! Tokens that one worker has verified.
//!
//! Only good tokens are kept, so nobody can fill it without an identity. A verdict counts for the keys that it was
//! made with: when a team's keys change, all of its tokens are verified again. Whole tokens are compared, not hashes.

use crate::pki::access::{KeySet, Verified};
use crate::telemetry::StepCells;
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// Most tokens of one worker: users of one node who are active at once.
const MOST_TOKENS: usize = 4096;

/// Most bytes of their texts. With 1 KiB each, as usual, both bounds are the same.
const MOST_BYTES: usize = 4 << 20;

/// The tokens of one worker.
#[derive(Debug, Default)]
pub(crate) struct TokenCache {
    tokens: HashMap<Box<[u8]>, Entry, RandomState>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    keys: Arc<KeySet>,
    verified: Rc<Verified>,
}

impl TokenCache {
    /// The verdict on a token, if it was made with these keys. No allocation.
    pub(super) fn get(&self, token: &[u8], keys: &Arc<KeySet>) -> Option<Rc<Verified>> {
        let entry = self.tokens.get(token)?;
        Arc::ptr_eq(&entry.keys, keys).then(|| Rc::clone(&entry.verified))
    }

    /// Keeps a verdict. Where there is no room, those that have expired go, and then all.
    pub(super) fn put(
        &mut self,
        token: &[u8],
        keys: &Arc<KeySet>,
        verified: &Rc<Verified>,
        now: u64,
        cells: &StepCells,
    ) {
        let before = self.tokens.len();
        if self.is_full(token.len()) {
            self.tokens.retain(|_, entry| entry.verified.check_time(now).is_ok());
            self.bytes = self.tokens.keys().map(|token| token.len()).sum();
        }
        if self.is_full(token.len()) {
            self.tokens.clear();
            self.bytes = 0;
        }
        let entry = Entry { keys: Arc::clone(keys), verified: Rc::clone(verified) };
        if self.tokens.insert(token.into(), entry).is_none() {
            self.bytes += token.len();
        }
        let change = self.tokens.len().cast_signed().wrapping_sub(before.cast_signed());
        cells.access_tokens.add(i64::try_from(change).unwrap_or_default());
    }

    fn is_full(&self, more: usize) -> bool {
        self.tokens.len() >= MOST_TOKENS || self.bytes + more > MOST_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::access::tests::{NOW, sample};

    const AFTER: u64 = NOW + 2 * 3600;

    fn number(of: usize, bytes: usize) -> Vec<u8> {
        let mut token = vec![b'a'; bytes];
        token[..8].copy_from_slice(&of.to_le_bytes());
        token
    }

    #[test]
    fn a_verdict_counts_for_the_keys_that_it_was_made_with() {
        let (keys, verified) = sample();
        let (keys, verified) = (Arc::new(keys), Rc::new(verified));
        let (mut cache, cells) = (TokenCache::default(), StepCells::default());
        cache.put(b"token", &keys, &verified, NOW, &cells);
        assert!(cache.get(b"token", &keys).is_some_and(|kept| Rc::ptr_eq(&kept, &verified)));
        for other in [&b"tokens"[..], b"toke", b""] {
            assert_eq!(cache.get(other, &keys), None);
        }
        let others = Arc::new(sample().0);
        assert_eq!(cache.get(b"token", &others), None);
        cache.put(b"token", &others, &verified, NOW, &cells);
        assert_eq!((cache.get(b"token", &keys), cells.access_tokens.now()), (None, 1));
        assert!(cache.get(b"token", &others).is_some());
    }

    #[test]
    fn tokens_and_their_bytes_are_bounded() {
        let (keys, verified) = sample();
        let (keys, verified) = (Arc::new(keys), Rc::new(verified));
        for (bytes, most) in [(64, MOST_TOKENS), (16 * 1024, MOST_BYTES / (16 * 1024))] {
            let (mut cache, cells) = (TokenCache::default(), StepCells::default());
            let mut put = |of, now| cache.put(&number(of, bytes), &keys, &verified, now, &cells);
            (0..most).for_each(|of| put(of, NOW));
            assert_eq!(cells.access_tokens.now(), i64::try_from(most).expect("few"));
            put(most, NOW);
            assert_eq!(cells.access_tokens.now(), 1, "none of them had expired");
            (0..most - 1).for_each(|of| put(of, NOW));
            put(most + 1, AFTER);
            assert_eq!((cells.access_tokens.now(), cache.bytes), (1, bytes), "all had expired");
        }
    }
}
