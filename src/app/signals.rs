//! The signals that a process obeys (signal(7)).
//!
//! - SIGTERM, SIGINT: it leaves. Listeners close, requests in flight finish, exit code 0.
//! - the same once more: what is left is cut at once, and logged as cut.
//! - SIGHUP: the configuration is read anew, and a successor inside the process takes over; see
//!   [`super::succession`]. The file of the access log is opened anew with it. Only `ravelin run` does
//!   that; others end by it, as programs do whose terminal is closed.
//! - SIGKILL cannot be caught: connections are reset, and other processes at the same addresses serve
//!   on.

use std::cell::RefCell;
use std::future::pending;
use std::io;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long a look at what has been caught takes.
const LOOK: Duration = Duration::from_millis(1);

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// To leave.
    Leave,
    /// To read the configuration anew.
    Reload,
}

/// The signals that are caught.
pub struct Signals {
    runtime: Runtime,
    caught: RefCell<Caught>,
}

struct Caught {
    term: Signal,
    interrupt: Signal,
    hangup: Option<Signal>,
}

impl Signals {
    /// Begins to catch SIGTERM and SIGINT. One that comes before it is waited for is not lost.
    ///
    /// # Errors
    /// Where the system has no files left.
    pub fn new() -> io::Result<Self> {
        Self::catching(false)
    }

    /// Likewise, and SIGHUP too.
    ///
    /// # Errors
    /// As [`Signals::new`].
    pub fn with_reload() -> io::Result<Self> {
        Self::catching(true)
    }

    fn catching(hangup: bool) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let within = runtime.enter();
        let term = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        let hangup = hangup.then(|| signal(SignalKind::hangup())).transpose()?;
        drop(within);
        Ok(Self { runtime, caught: RefCell::new(Caught { term, interrupt, hangup }) })
    }

    /// Waits for one.
    pub(super) fn wait(&self) -> Asked {
        self.runtime.block_on(self.caught.borrow_mut().next(true))
    }

    /// One that has come since the last that was seen, if there is one. Takes a moment.
    pub(super) fn look(&self) -> Option<Asked> {
        self.look_for(true)
    }

    /// Whether it was asked to leave since the last time that was seen; anything else is left for later.
    /// Takes a moment.
    pub fn again(&self) -> bool {
        self.look_for(false).is_some()
    }

    fn look_for(&self, reload: bool) -> Option<Asked> {
        let mut caught = self.caught.borrow_mut();
        let next = async { tokio::time::timeout(LOOK, caught.next(reload)).await.ok() };
        self.runtime.block_on(next)
    }
}

impl Caught {
    async fn next(&mut self, reload: bool) -> Asked {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) if reload => hangup.recv().await,
                _ => pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = self.term.recv() => Asked::Leave,
            _ = self.interrupt.recv() => Asked::Leave,
            _ = hangup => Asked::Reload,
        }
    }
}
