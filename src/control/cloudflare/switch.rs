//! The switch of break-glass: one word in a file or a ConfigMap, followed for as long as the process runs.
//!
//! It opens the ports to everybody, so whatever is not the word `on` is off: an empty text, a word that is mistyped,
//! a file that cannot be read, a ConfigMap or key that is gone. An API server that is away tells nothing, and what it
//! told last counts.

use super::failure::Failure;
use super::own::{self, Followed};
use super::refresh_intervals::RefreshIntervals;
use crate::config::ListOrigin;
use crate::control::quote::quote;
use crate::net::shutdown::{ShutdownSignal, Stage};
use crate::telemetry::BreakGlassCells;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// How often the log says that it is on.
const REMIND: Duration = Duration::from_secs(60);

/// How often a file without events is looked at: the switch counts within a second.
const LOOK: Duration = Duration::from_millis(500);

/// Why a switch cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SwitchError {
    /// Another text; in quotes, shortened.
    #[error("{0} is neither \"on\" nor \"off\"")]
    Word(String),
    /// There is no text.
    #[error("it does not exist")]
    Absent,
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
}

/// Reads what a switch says; white space around it counts for nothing.
///
/// # Errors
/// If it is another one.
pub fn is_on(text: &str) -> Result<bool, SwitchError> {
    match text.trim() {
        "on" => Ok(true),
        "off" => Ok(false),
        other => Err(SwitchError::Word(quote(other))),
    }
}

/// Reads a switch once: the file, or `text`, what is under the ConfigMap's key.
///
/// # Errors
/// Why it counts as off.
pub fn read(origin: &ListOrigin, text: Option<&str>) -> Result<bool, SwitchError> {
    match origin {
        ListOrigin::File(path) => of_file(path),
        _ => of_text(text),
    }
}

fn of_file(path: &Path) -> Result<bool, SwitchError> {
    let bytes = own::read(path).map_err(|failure| match failure {
        Failure::Absent => SwitchError::Absent,
        other => SwitchError::Unreadable(other.to_string()),
    })?;
    is_on(&String::from_utf8_lossy(&bytes))
}

fn of_text(text: Option<&str>) -> Result<bool, SwitchError> {
    text.ok_or(SwitchError::Absent).and_then(is_on)
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
    pub texts: watch::Receiver<Option<Arc<str>>>,
    /// How long connections have to end once it is off.
    pub drain: Duration,
    /// Its metrics.
    pub cells: Arc<BreakGlassCells>,
    /// Does what is to be done, from the keeper's thread, and from [`SwitchKeeper::new`] if it is on already.
    pub publish: Box<dyn Fn(Switched) + Send>,
}

/// Follows the switch.
pub struct SwitchKeeper {
    source: Source,
    place: String,
    drain: Duration,
    cells: Arc<BreakGlassCells>,
    publish: Box<dyn Fn(Switched) + Send>,
    on: bool,
    problem: Option<SwitchError>,
    cut_at: Option<Instant>,
    remind_at: Instant,
}

enum Source {
    File(Followed),
    ConfigMap(watch::Receiver<Option<Arc<str>>>),
}

enum Event {
    Look,
    Cut,
    Remind,
}

impl SwitchKeeper {
    /// Reads the switch for the first time, and puts it in force.
    pub fn new(setup: SwitchSetup) -> Self {
        let SwitchSetup { origin, texts, drain, cells, publish } = setup;
        let (source, place) = match origin {
            ListOrigin::File(path) => {
                let place = path.display().to_string();
                (Source::File(Followed::new(path)), place)
            }
            ListOrigin::ConfigMap { namespace, name, key } => {
                (Source::ConfigMap(texts), format!("{namespace}/{name}/{key}"))
            }
            // Not made from a configuration.
            ListOrigin::Published { .. } | ListOrigin::Networks(_) => {
                (Source::ConfigMap(texts), String::new())
            }
        };
        let (cut_at, remind_at) = (None, Instant::now());
        let (on, problem) = (false, None);
        let mut keeper =
            Self { source, place, drain, cells, publish, on, problem, cut_at, remind_at };
        keeper.look();
        keeper
    }

    /// Follows it until shutdown, on a runtime with I/O and time.
    pub async fn run(mut self, mut shutdown: ShutdownSignal) {
        let live = async {
            loop {
                match self.next().await {
                    Event::Look => self.look(),
                    Event::Cut => {
                        self.cut_at = None;
                        (self.publish)(Switched::Cut);
                    }
                    Event::Remind => self.remind(),
                }
            }
        };
        tokio::select! {
            biased;
            () = shutdown.reached(Stage::Draining) => {}
            () = live => {}
        }
    }

    async fn next(&mut self) -> Event {
        let at = async |moment: Option<Instant>| match moment {
            Some(moment) => sleep_until(moment).await,
            None => std::future::pending().await,
        };
        let pace = RefreshIntervals { look: LOOK, ..RefreshIntervals::default() };
        let looks = async {
            match &mut self.source {
                Source::File(followed) => followed.due(&pace).await,
                Source::ConfigMap(texts) => {
                    if texts.changed().await.is_err() {
                        // The control thread has ended: nothing will come any more.
                        std::future::pending::<()>().await;
                    }
                }
            }
        };
        tokio::select! {
            () = looks => Event::Look,
            () = at(self.cut_at) => Event::Cut,
            () = at(self.on.then_some(self.remind_at)) => Event::Remind,
        }
    }

    fn look(&mut self) {
        let read = match &mut self.source {
            Source::File(followed) => of_file(&followed.path),
            Source::ConfigMap(texts) => of_text(texts.borrow_and_update().as_deref()),
        };
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
}
