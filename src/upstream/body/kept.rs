//! What is kept of a request body that has been passed on.

use crate::net::memory::{Account, HolderKind};
use bytes::Bytes;
use std::cell::Cell;
use std::sync::Arc;

/// The most bytes that are kept of one body. Calls, forms and JSON documents are shorter as a rule;
/// what is longer is an upload, and to send that twice would cost what it is meant to save.
pub(super) const MOST_BYTES: usize = 64 * 1024;

/// The most memory that one worker keeps of all bodies, in bytes, for routes that ask for more of one to be kept.
const MOST_ASKED_OF_WORKER: usize = 4 * MOST_OF_WORKER;

/// The most memory that one worker keeps of all bodies, in bytes: as much as 256 of the longest, or many
/// thousands of usual ones. Bodies beyond that are not kept.
pub(super) const MOST_OF_WORKER: usize = 256 * MOST_BYTES;

/// A piece of at least so many bytes is kept as it is. A shorter one is copied: it holds on to the whole
/// buffer that it was read into, which has twice that at least.
const WORTH_SHARING: usize = 4 * 1024;

thread_local! {
    /// Bytes that this worker keeps.
    static IN_USE: Cell<usize> = const { Cell::new(0) };
}

/// A part of a body.
#[derive(Debug)]
enum Part {
    /// As it was read.
    Shared(Bytes),
    /// Short pieces, one behind the other.
    Copied(Vec<u8>),
}

impl Part {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Copied(bytes) => bytes,
        }
    }

    /// The memory that it holds, in bytes.
    fn held(&self) -> usize {
        match self {
            // At most half of its buffer is another's.
            Self::Shared(bytes) => 2 * bytes.len(),
            Self::Copied(bytes) => bytes.capacity(),
        }
    }

    fn from(&self, at: usize) -> Bytes {
        match self {
            Self::Shared(bytes) => bytes.slice(at..),
            Self::Copied(bytes) => Bytes::copy_from_slice(&bytes[at..]),
        }
    }
}

/// The beginning of one body.
#[derive(Debug)]
pub(super) struct Kept {
    account: Arc<Account>,
    parts: Vec<Part>,
    bytes: usize,
    /// The most of them.
    most: usize,
    /// Bytes charged for it.
    held: usize,
    /// Part of the body is missing, or it is no longer needed.
    closed: bool,
}

impl Kept {
    /// Nothing yet, at the cost of this connection.
    pub(super) fn new(account: Arc<Account>) -> Self {
        Self { account, parts: Vec::new(), bytes: 0, most: MOST_BYTES, held: 0, closed: false }
    }

    /// Keeps a further piece, or gives up on the whole.
    pub(super) fn push(&mut self, piece: &Bytes) {
        let len = piece.len();
        if self.closed || len == 0 {
            return;
        }
        let is_short = len < WORTH_SHARING;
        // A copy's buffer may double; what is short is not worth an exact answer.
        let more = 2 * len;
        let of_worker = if self.most > MOST_BYTES { MOST_ASKED_OF_WORKER } else { MOST_OF_WORKER };
        if self.bytes + len > self.most
            || IN_USE.get() + more > of_worker
            || !self.account.has_room(more)
        {
            self.closed = true;
            self.clear();
            return;
        }
        match (self.parts.last_mut(), is_short) {
            (Some(Part::Copied(bytes)), true) => {
                let before = bytes.capacity();
                bytes.extend_from_slice(piece);
                let grown = bytes.capacity() - before;
                self.charge(grown);
            }
            (_, is_short) => {
                let part = match is_short {
                    true => Part::Copied(piece.to_vec()),
                    false => Part::Shared(piece.clone()),
                };
                self.charge(part.held());
                self.parts.push(part);
            }
        }
        self.bytes += len;
    }

    /// Keeps so many bytes from now on, if that is more than usual.
    pub(super) fn allow(&mut self, most: usize) {
        self.most = self.most.max(most);
    }

    /// All of it.
    pub(super) fn whole(&self) -> Bytes {
        match &self.parts[..] {
            [] => Bytes::new(),
            [one] => one.from(0),
            parts => parts.iter().map(Part::as_slice).collect::<Vec<_>>().concat().into(),
        }
    }

    fn charge(&mut self, bytes: usize) {
        self.held += bytes;
        IN_USE.set(IN_USE.get() + bytes);
        self.account.charge(HolderKind::Replays, bytes);
    }

    /// Keeps nothing more. What there is stays for a reader that is on its way through it.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// Whether the body cannot be read again from its beginning.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Forgets what there is.
    pub(super) fn clear(&mut self) {
        self.parts = Vec::new();
        self.bytes = 0;
        let held = std::mem::take(&mut self.held);
        IN_USE.set(IN_USE.get().saturating_sub(held));
        self.account.release(HolderKind::Replays, held);
    }

    /// The piece that begins at this byte, if it is kept.
    pub(super) fn from(&self, at: usize) -> Option<Bytes> {
        if at >= self.bytes {
            return None;
        }
        let mut before = 0;
        self.parts.iter().find_map(|part| {
            let len = part.as_slice().len();
            before += len;
            (at < before).then(|| part.from(at + len - before))
        })
    }

    /// How many bytes there are.
    pub(super) fn len(&self) -> usize {
        self.bytes
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::memory::{Budget, Ledger};

    fn mk_account(limit: usize) -> Arc<Account> {
        Account::open(&Ledger::new(Budget::new(limit), Arc::default()))
    }

    #[test]
    fn as_much_is_kept_as_the_bounds_say_and_then_nothing() {
        let account = mk_account(1 << 30);
        let mk_kept = || Kept::new(Arc::clone(&account));
        let whole = Bytes::from(vec![1; MOST_BYTES]);
        let mut kept = mk_kept();
        kept.push(&whole);
        assert!(!kept.is_closed() && kept.len() == MOST_BYTES);
        kept.push(&Bytes::from_static(b"x"));
        assert!(kept.is_closed() && kept.len() == 0);

        let mut all = Vec::new();
        while all.last().is_none_or(|kept: &Kept| !kept.is_closed()) {
            let mut kept = mk_kept();
            kept.push(&whole);
            all.push(kept);
        }
        assert_eq!(all.len(), MOST_OF_WORKER / MOST_BYTES / 2 + 1);
        drop(all);
        assert_eq!(IN_USE.get(), 0, "what is forgotten makes room");
        assert_eq!(account.held(), 0);
    }

    #[test]
    fn short_pieces_hold_what_they_are_long_and_not_the_buffers_that_they_came_in() {
        let account = mk_account(1 << 30);
        let mut kept = Kept::new(Arc::clone(&account));
        for _ in 0..1000 {
            kept.push(&Bytes::from(vec![7; 8 * 1024]).slice(..16));
        }
        assert_eq!(kept.len(), 16_000);
        assert!(account.held() <= 32_000, "{} bytes", account.held());
        assert_eq!(kept.parts.len(), 1);
    }

    #[test]
    fn long_and_short_pieces_come_back_in_their_order_from_any_byte() {
        let mut kept = Kept::new(mk_account(1 << 30));
        let text: Vec<u8> = (0..20_000_u32).map(|number| (number % 251) as u8).collect();
        let whole = Bytes::from(text.clone());
        for range in [0..10, 10..30, 30..6_000, 6_000..6_001, 6_001..12_000, 12_000..20_000] {
            kept.push(&whole.slice(range));
        }
        for start in [0, 9, 10, 29, 30, 5_999, 6_000, 6_001, 19_999] {
            let (mut at, mut read) = (start, Vec::new());
            while let Some(piece) = kept.from(at) {
                at += piece.len();
                read.extend_from_slice(&piece);
            }
            assert_eq!(read, text[start..], "from {start}");
        }
    }

    #[test]
    fn nothing_is_kept_where_memory_is_short() {
        let account = mk_account(1024);
        let mut kept = Kept::new(Arc::clone(&account));
        kept.push(&Bytes::from(vec![1; 1024]));
        assert!(kept.is_closed());
        assert_eq!(account.held(), 0);
    }
}
