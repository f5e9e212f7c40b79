//! What is kept of a request body that has been passed on.

use bytes::Bytes;
use std::cell::Cell;

/// The most bytes that are kept of one body. Calls, forms and JSON documents are shorter as a rule;
/// what is longer is an upload, and to send that twice would cost what it is meant to save.
pub(super) const MOST_BYTES: usize = 64 * 1024;

/// The most pieces that are kept of one body. A piece holds on to the whole buffer that it was read
/// into, which has 8 KiB at least: with this bound a client that sends byte by byte holds no more than
/// one who sends the most bytes. Those come in less than ten pieces.
pub(super) const MOST_PIECES: usize = 16;

/// The most bytes that one worker keeps of all bodies: as much as 256 of the longest, or many
/// thousands of usual ones. Bodies beyond that are not kept.
pub(super) const MOST_OF_WORKER: usize = 256 * MOST_BYTES;

thread_local! {
    /// What this worker keeps, in bytes.
    static IN_USE: Cell<usize> = const { Cell::new(0) };
}

/// The pieces of one body, from its beginning.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pieces: Vec<Bytes>,
    bytes: usize,
    /// Something of the body is missing, or nobody will ask for it any more.
    closed: bool,
}

impl Kept {
    /// Keeps a further piece, or gives up on the whole.
    pub(super) fn push(&mut self, piece: &Bytes) {
        let len = piece.len();
        if self.closed || len == 0 {
            return;
        }
        let of_worker = IN_USE.get() + len;
        if self.bytes + len > MOST_BYTES
            || self.pieces.len() == MOST_PIECES
            || of_worker > MOST_OF_WORKER
        {
            self.closed = true;
            self.clear();
            return;
        }
        IN_USE.set(of_worker);
        self.bytes += len;
        self.pieces.push(piece.clone());
    }

    /// Keeps nothing more. What there is stays for a reader that is on its way through it.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// Whether the body cannot be read again from its beginning.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Forgets the pieces.
    pub(super) fn clear(&mut self) {
        self.pieces = Vec::new();
        IN_USE.set(IN_USE.get().saturating_sub(std::mem::take(&mut self.bytes)));
    }

    /// A piece by its number.
    pub(super) fn get(&self, at: usize) -> Option<&Bytes> {
        self.pieces.get(at)
    }

    /// How many pieces there are.
    pub(super) fn len(&self) -> usize {
        self.pieces.len()
    }

    /// The bytes of the pieces from this one on.
    pub(super) fn bytes_from(&self, at: usize) -> u64 {
        self.pieces.iter().skip(at).map(|piece| piece.len() as u64).sum()
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

    #[test]
    fn as_much_is_kept_as_the_bounds_say_and_then_nothing() {
        let whole = Bytes::from(vec![1; MOST_BYTES]);
        let mut kept = Kept::default();
        kept.push(&whole);
        assert!(!kept.is_closed() && kept.bytes_from(0) == MOST_BYTES as u64);
        kept.push(&Bytes::from_static(b"x"));
        assert!(kept.is_closed() && kept.len() == 0);

        let mut kept = Kept::default();
        (0..MOST_PIECES).for_each(|_| kept.push(&Bytes::from_static(b"x")));
        assert!(!kept.is_closed());
        kept.push(&Bytes::from_static(b"x"));
        assert!(kept.is_closed());

        let mut all = Vec::new();
        while all.last().is_none_or(|kept: &Kept| !kept.is_closed()) {
            let mut kept = Kept::default();
            kept.push(&whole);
            all.push(kept);
        }
        assert_eq!(all.len(), MOST_OF_WORKER / MOST_BYTES + 1);
        drop(all);
        assert_eq!(IN_USE.get(), 0, "what is forgotten makes room");
    }
}
