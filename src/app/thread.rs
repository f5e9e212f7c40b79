//! A thread of the process, whose end wakes who waits for it.

use super::wakeup::Wakeup;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

/// A thread that runs, or has run.
#[derive(Debug)]
pub(super) struct Thread {
    handle: JoinHandle<()>,
    ended: Arc<AtomicBool>,
}

/// Notes the end of a thread, by a panic too.
struct End {
    ended: Arc<AtomicBool>,
    wakeup: Wakeup,
}

impl Drop for End {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        self.wakeup.notify();
    }
}

impl Thread {
    /// Starts a thread; `wakeup` is told when it has ended.
    pub(super) fn spawn(
        wakeup: &Wakeup,
        name: &str,
        run: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let ended = Arc::<AtomicBool>::default();
        let end = End { ended: Arc::clone(&ended), wakeup: wakeup.clone() };
        let handle = Builder::new().name(name.to_owned()).spawn(move || {
            let _end = end;
            run();
        })?;
        Ok(Self { handle, ended })
    }

    /// Whether it has nothing more to do: it can be joined without a wait.
    pub(super) fn is_finished(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        self.handle.thread().name().unwrap_or("unnamed")
    }

    /// Waits for its end, and reports a panic.
    pub(super) fn join(self) {
        let name = self.name().to_owned();
        if self.handle.join().is_err() {
            tracing::error!(thread = name, "thread panicked");
        }
    }
}
