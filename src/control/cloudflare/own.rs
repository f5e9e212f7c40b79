//! A list of the operator's: its text, and how a change of its file is noticed.

use super::answer::{List, MOST_BYTES, text};
use super::failure::Failure;
use super::refresh_intervals::RefreshIntervals;
use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

/// The result of a poll of the list.
pub(super) type ListBytes = Result<Vec<u8>, Failure>;

/// The same, to compare: nothing is said twice of a text that has not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen(Result<Vec<u8>, String>);

impl Seen {
    pub(super) fn of(found: &ListBytes) -> Self {
        Self(match found {
            Ok(bytes) => Ok(bytes.clone()),
            Err(failure) => Err(failure.to_string()),
        })
    }
}

/// Reads the file, one byte more than a list may have at most.
pub(super) fn read(path: &Path) -> ListBytes {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Failure::Absent,
        _ => Failure::Unreadable(error),
    };
    // Opening a pipe would wait for somebody to write.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(Failure::Unreadable(io::Error::other("it is not a file")));
    }
    let mut bytes = Vec::new();
    let limit = MOST_BYTES as u64 + 1;
    File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)).map_err(failed)?;
    Ok(bytes)
}

/// The networks in what was found.
pub(super) fn parse(found: ListBytes) -> Result<List, Failure> {
    Ok(text(&found?)?)
}

/// A file that is followed.
pub(super) struct Followed {
    pub(super) path: PathBuf,
    changed: Arc<Notify>,
    next_look: Instant,
    /// Held for as long as we look.
    _watcher: Option<RecommendedWatcher>,
}

impl Followed {
    pub(super) fn new(path: PathBuf) -> Self {
        let changed = Arc::new(Notify::new());
        let watcher = watch(&path, Arc::clone(&changed)).map_err(|error| {
            tracing::warn!(%error, ?path, "file change notifications are not available; polling instead");
        });
        // The first look is at once: the file may have changed since the process began.
        Self { path, changed, next_look: Instant::now(), _watcher: watcher.ok() }
    }

    /// Waits until the file should be looked at.
    pub(super) async fn due(&mut self, pace: &RefreshIntervals) {
        tokio::select! {
            () = self.changed.notified() => sleep(pace.quiet).await,
            () = sleep_until(self.next_look) => {}
        }
        self.next_look = Instant::now() + pace.look;
    }
}

/// The directory is watched and not the file, because editors replace files, and a mounted
/// ConfigMap changes by a link beside it.
fn watch(path: &Path, changed: Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let read = matches!(&event, Ok(event) if event.kind.is_access()
            && event.kind != EventKind::Access(AccessKind::Close(AccessMode::Write)));
        if !read {
            changed.notify_one();
        }
    })?;
    watcher.watch(parent.unwrap_or(Path::new(".")), RecursiveMode::NonRecursive)?;
    Ok(watcher)
}
