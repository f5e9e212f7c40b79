//! The signals that a process obeys (signal(7)).
//!
//! - SIGTERM, SIGINT: it leaves. Listeners close, requests in flight finish, exit code 0.
//! - the same once more: what is left is cut at once, and logged as cut.
//! - SIGHUP: the configuration is reloaded, and a successor inside the process takes over; see
//!   [`super::reload`]. The access log file is reopened as well. Only `ravelin run` does
//!   that; others end by it, as programs do whose terminal is closed.
//! - SIGKILL cannot be caught: connections are reset, and other processes at the same addresses serve
//!   on.

use super::wakeup::Wakeup;
use std::future::pending;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The request of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// To leave.
    Leave,
    /// Reload the configuration.
    Reload,
}

/// The signals that are caught, on a thread of their own that lasts as long as the process.
#[derive(Debug)]
pub struct Signals(Arc<Caught>);

/// Signals that have been caught and not handled yet.
#[derive(Debug, Default)]
struct Caught {
    term: AtomicBool,
    interrupt: AtomicBool,
    hangup: AtomicBool,
    /// Wakes the thread that waits for them.
    wakeup: Mutex<Wakeup>,
}

/// Where the signals come from.
struct Streams {
    term: Signal,
    interrupt: Signal,
    hangup: Option<Signal>,
}

impl Signals {
    /// Starts to catch SIGTERM and SIGINT. A signal that arrives before it is awaited is not lost.
    ///
    /// # Errors
    /// Where the system has no files or threads left.
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
        let caught = Arc::<Caught>::default();
        let (streams, noting) = (Streams { term, interrupt, hangup }, Arc::clone(&caught));
        let follow = move || runtime.block_on(streams.follow(&noting));
        thread::Builder::new().name("signals".to_owned()).spawn(follow)?;
        Ok(Self(caught))
    }

    /// From now on, signals wake those who wait on this channel, and no longer those on another one.
    pub fn wake(&self, wakeup: &Wakeup) {
        *self.0.wakeup.lock().unwrap_or_else(PoisonError::into_inner) = wakeup.clone();
    }

    /// One that has come since the last that was seen, if there is one.
    pub(super) fn look(&self) -> Option<Asked> {
        if self.again() {
            return Some(Asked::Leave);
        }
        self.0.hangup.swap(false, Ordering::AcqRel).then_some(Asked::Reload)
    }

    /// Whether it was asked to leave since the last time that was seen; anything else is left for later.
    pub fn again(&self) -> bool {
        let is_caught = |flag: &AtomicBool| flag.swap(false, Ordering::AcqRel);
        is_caught(&self.0.term) || is_caught(&self.0.interrupt)
    }
}

impl Caught {
    fn note(&self, flag: &AtomicBool) {
        flag.store(true, Ordering::Release);
        let wakeup = self.wakeup.lock().unwrap_or_else(PoisonError::into_inner).clone();
        wakeup.notify();
    }
}

impl Streams {
    async fn follow(mut self, caught: &Caught) {
        loop {
            let hangup = async {
                match &mut self.hangup {
                    Some(hangup) => hangup.recv().await,
                    None => pending().await,
                }
            };
            let flag = tokio::select! {
                _ = self.term.recv() => &caught.term,
                _ = self.interrupt.recv() => &caught.interrupt,
                _ = hangup => &caught.hangup,
            };
            caught.note(flag);
        }
    }
}
