//! How many planes of single tests run at one time: each takes 350 MB and most of a core while it
//! starts.

use std::sync::{Condvar, Mutex, PoisonError};

/// Planes beside the shared one.
const PLACES: usize = 2;

static FREE: Mutex<usize> = Mutex::new(PLACES);
static FREED: Condvar = Condvar::new();

/// The right to run a plane, until this is dropped.
pub(crate) struct Place(());

impl Place {
    /// Waits for one that is free.
    pub(crate) fn wait() -> Self {
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        let free = FREED.wait_while(free, |free| *free == 0);
        *free.unwrap_or_else(PoisonError::into_inner) -= 1;
        Self(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *FREE.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        FREED.notify_one();
    }
}
