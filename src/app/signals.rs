//! SIGTERM and SIGINT.

use std::cell::Cell;
use std::io;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask the process to leave. SIGHUP does nothing: manifests are followed anyway.
pub struct Signals {
    runtime: Runtime,
    term: Cell<Option<Signal>>,
    interrupt: Cell<Option<Signal>>,
}

impl Signals {
    /// Begins to catch them. One that comes before it is waited for is not lost.
    pub fn new() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let within = runtime.enter();
        let term = Cell::new(Some(signal(SignalKind::terminate())?));
        let interrupt = Cell::new(Some(signal(SignalKind::interrupt())?));
        drop(within);
        Ok(Self { runtime, term, interrupt })
    }

    /// Waits for one.
    pub(super) fn wait(&self) {
        self.within(None);
    }

    /// Whether there has been one since the last that was seen. Takes a moment.
    pub fn again(&self) -> bool {
        self.within(Some(Duration::from_millis(1)))
    }

    fn within(&self, limit: Option<Duration>) -> bool {
        let (Some(mut term), Some(mut interrupt)) = (self.term.take(), self.interrupt.take())
        else {
            return false;
        };
        let either = async {
            tokio::select! {
                _ = term.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        let caught = self.runtime.block_on(async {
            match limit {
                None => {
                    either.await;
                    true
                }
                Some(limit) => tokio::time::timeout(limit, either).await.is_ok(),
            }
        });
        self.term.set(Some(term));
        self.interrupt.set(Some(interrupt));
        caught
    }
}
