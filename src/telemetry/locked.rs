//! Cells of several fields that one thread writes now and then, and the scrape reads as a whole.

use std::sync::{Mutex, PoisonError};

/// Cells behind one lock, which the request path never takes.
#[derive(Debug, Default)]
pub struct Locked<C>(Mutex<C>);

impl<C: Clone> Locked<C> {
    /// The state now.
    pub fn read(&self) -> C {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the state; a scrape sees all of it or nothing.
    pub fn update(&self, change: impl FnOnce(&mut C)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
