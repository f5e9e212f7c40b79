//! A door between two threads of a test.

use super::PATIENCE;
use std::sync::{Arc, Condvar, Mutex};

/// Closed until somebody opens it; then open for ever.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// Lets everybody through who waits or will.
    pub(crate) fn open(&self) {
        *self.0.0.lock().expect("no holder panics") = true;
        self.0.1.notify_all();
    }

    /// Waits until it is open.
    pub(crate) fn wait(&self) {
        let guard = self.0.0.lock().expect("no holder panics");
        let (open, _) =
            self.0.1.wait_timeout_while(guard, PATIENCE, |open| !*open).expect("no holder panics");
        assert!(*open, "nobody opened the gate");
    }
}
