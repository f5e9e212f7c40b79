//! For tests: how many values of collections this thread has looked at one after the other.
//!
//! A change of one object looks at none of what others have, so that its cost does not grow with what there is.

use std::cell::Cell;

thread_local!(static SEEN: Cell<usize> = const { Cell::new(0) });

/// Notes that a value is looked at, as one of all.
pub(crate) fn count() {
    SEEN.set(SEEN.get() + 1);
}

/// How many there have been.
pub(crate) fn seen() -> usize {
    SEEN.get()
}
