//! A text of the operator's, in a file or a ConfigMap: reading it, and how a change is noticed.

use super::answer::MOST_BYTES;
use super::failure::Failure;
use super::refresh_intervals::{RefreshIntervals, at};
use crate::config::ListOrigin;
use crate::control::file_events::follow;
use crate::pki::file::read_up_to;
use crate::telemetry::ListFailure;
use notify::RecommendedWatcher;
use std::io;
use std::path::{Path, PathBuf};
use std::slice;
use std::sync::Arc;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

/// The text under a ConfigMap's key; `None` if the key does not exist.
pub(super) type TextReceiver = watch::Receiver<Option<Arc<str>>>;

/// The result of a look at a text.
pub(super) type Found = Result<Vec<u8>, Failure>;

/// Reads a file of the operator's.
pub(super) fn read_file(path: &Path) -> Found {
    read_up_to(path, MOST_BYTES as u64 + 1).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::absent(),
        _ => Failure::new(ListFailure::Unreadable, format!("it cannot be read: {error}")),
    })
}

/// A text that is followed.
pub(super) enum OwnText {
    File {
        path: PathBuf,
        changed: Arc<Notify>,
        next_look: Instant,
        /// Held for as long as we look.
        _watcher: Option<RecommendedWatcher>,
    },
    ConfigMap(TextReceiver),
}

impl OwnText {
    /// Follows the file, or else the ConfigMap whose text comes by `texts`.
    pub(super) fn new(origin: &ListOrigin, texts: TextReceiver) -> Self {
        let ListOrigin::File(path) = origin else { return Self::ConfigMap(texts) };
        let changed = Arc::new(Notify::new());
        let told = Arc::clone(&changed);
        let _watcher = follow(slice::from_ref(path), move || told.notify_one());
        // The first look is at once: the file may have changed since the process began.
        Self::File { path: path.clone(), changed, next_look: Instant::now(), _watcher }
    }

    /// Waits until there is something to look at.
    pub(super) async fn news(&mut self, pace: &RefreshIntervals) {
        match self {
            Self::File { changed, next_look, .. } => {
                tokio::select! {
                    () = changed.notified() => sleep(pace.quiet).await,
                    () = at(Some(*next_look)) => {}
                }
                *next_look = Instant::now() + pace.look;
            }
            Self::ConfigMap(texts) => {
                if texts.changed().await.is_err() {
                    // The control thread has ended: nothing will come any more.
                    at(None).await;
                }
            }
        }
    }

    /// Reads it now.
    pub(super) fn read(&mut self) -> Found {
        match self {
            Self::File { path, .. } => read_file(path),
            Self::ConfigMap(texts) => {
                let text = texts.borrow_and_update();
                text.as_deref().map(|text| text.into()).ok_or_else(Failure::absent)
            }
        }
    }
}
