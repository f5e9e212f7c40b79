//! The switch of break-glass: one word in a file or a ConfigMap, followed for as long as the process runs.
//!
//! It opens the ports to everybody, so whatever is not the word `on` is off: an empty text, a word that is mistyped,
//! a file that cannot be read, a ConfigMap or key that is gone. An API server that is away tells nothing, and what it
//! told last counts.

use super::failure::Failure;
use super::own::{Found, OwnText, TextReceiver, read_file};
use super::refresh_intervals::{RefreshIntervals, at};
use crate::config::ListOrigin;
use crate::control::quote::quote;
use crate::net::shutdown::{ShutdownSignal, Stage};
use crate::telemetry::{BreakGlassCells, ListFailure};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::Instant;

/// How often the log says that it is on.
const REMIND: Duration = Duration::from_secs(60);

/// How often a file without events is looked at: the switch counts within a second.
const LOOK: Duration = Duration::from_millis(500);

/// Reads what a switch says; white space around it counts for nothing.
///
/// # Errors
/// If it is another word, which is quoted and shortened.
pub fn is_on(text: &str) -> Result<bool, Failure> {
    match text.trim() {
        "on" => Ok(true),
        "off" => Ok(false),
        other => {
            let words = format!("{} is neither \"on\" nor \"off\"", quote(other));
            Err(Failure::new(ListFailure::Syntax, words))
        }
    }
}

/// Reads a switch once: the file, or `text`, what is under the ConfigMap's key.
///
/// # Errors
/// Why it counts as off.
pub fn read(origin: &ListOrigin, text: Option<&str>) -> Result<bool, Failure> {
    match origin {
        ListOrigin::File(path) => said(read_file(path)),
        _ => text.ok_or_else(Failure::absent).and_then(is_on),
    }
}

fn said(found: Found) -> Result<bool, Failure> {
    is_on(&String::from_utf8_lossy(&found?))
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switched {
    /// Admit every address.
    On,
    /// Admit the sets alone, and ask the others to leave.
    Off,
    /// Cut those who have not left.
    Cut,
}

/// What a [`SwitchKeeper`] is made of.
pub struct SwitchSetup {
    /// A file or a ConfigMap.
    pub origin: ListOrigin,
    /// The text under the ConfigMap's key whenever the control thread has read it.
    pub texts: TextReceiver,
    /// How long connections have to end once it is off.
    pub drain: Duration,
    /// Its metrics.
    pub cells: Arc<BreakGlassCells>,
    /// Does what is to be done, from the keeper's thread, and from [`SwitchKeeper::new`] if it is on already.
    pub publish: Box<dyn Fn(Switched) + Send>,
}

/// Follows the switch.
pub struct SwitchKeeper {
    text: OwnText,
    place: String,
    drain: Duration,
    cells: Arc<BreakGlassCells>,
    publish: Box<dyn Fn(Switched) + Send>,
    on: bool,
    problem: Option<Failure>,
    cut_at: Option<Instant>,
    remind_at: Instant,
}

impl SwitchKeeper {
    /// Reads the switch for the first time, and puts it in force.
    pub fn new(setup: SwitchSetup) -> Self {
        let SwitchSetup { origin, texts, drain, cells, publish } = setup;
        let mut keeper = Self {
            text: OwnText::new(&origin, texts),
            place: origin.place(),
            drain,
            cells,
            publish,
            on: false,
            problem: None,
            cut_at: None,
            remind_at: Instant::now(),
        };
        keeper.look();
        keeper
    }

    /// Follows it until shutdown, on a runtime with I/O and time.
    pub async fn run(mut self, mut shutdown: ShutdownSignal) {
        let pace = RefreshIntervals { look: LOOK, ..RefreshIntervals::default() };
        let live = async {
            loop {
                let (cut, remind) = (self.cut_at, self.on.then_some(self.remind_at));
                tokio::select! {
                    () = self.text.news(&pace) => self.look(),
                    () = at(cut) => {
                        self.cut_at = None;
                        (self.publish)(Switched::Cut);
                    }
                    () = at(remind) => self.remind(),
                }
            }
        };
        shutdown.interrupt(Stage::Draining, live).await;
    }

    fn look(&mut self) {
        let read = said(self.text.read());
        self.cells.unreadable.store(read.is_err(), Relaxed);
        let problem = read.as_ref().err().cloned();
        if let Some(error) = problem.as_ref().filter(|_| problem != self.problem) {
            let switch = &self.place;
            tracing::error!(
                switch,
                %error,
                "the switch of break-glass cannot be read, so it is OFF: write \"on\" or \"off\""
            );
        }
        self.problem = problem;
        self.turn(read.unwrap_or(false));
    }

    fn turn(&mut self, on: bool) {
        if std::mem::replace(&mut self.on, on) == on {
            return;
        }
        let switch = &self.place;
        if on {
            (self.publish)(Switched::On);
            self.remind();
        } else {
            (self.publish)(Switched::Off);
            self.cut_at = Some(Instant::now() + self.drain);
            let drain = self.drain;
            tracing::warn!(
                switch,
                ?drain,
                "break-glass is OFF: the admission sets count again, and other connections close"
            );
        }
    }

    fn remind(&mut self) {
        self.remind_at = Instant::now() + REMIND;
        let switch = &self.place;
        tracing::error!(
            switch,
            open = self.cells.open.load(Relaxed),
            "BREAK-GLASS IS ON: every address is admitted, with or without Cloudflare; write \"off\" to the switch \
                as soon as Cloudflare is back"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_word_opens() {
        for (text, expected) in [("on", true), ("on\n", true), (" off\r\n", false)] {
            assert_eq!(is_on(text), Ok(expected), "{text:?}");
        }
        for text in ["", "On", "ON", "true", "1", "yes", "onn", "on off", "\"on\"", "no"] {
            assert!(is_on(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_switch_that_cannot_be_read_says_so_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let origin = ListOrigin::File(folder.path().to_owned());
        let error = read(&origin, None).expect_err("no file");
        assert_eq!(error.to_string(), "it cannot be read: it is not a file");
    }
}
