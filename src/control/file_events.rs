//! What the file system reports of the paths of a directory.

use crate::control::source::Wake;
use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;

/// Sends a [`Wake::Change`] for whatever happens to the paths, for as long as the watcher lives.
/// `None`, after a word in the log, if the system reports nothing.
pub(super) fn follow(paths: &[PathBuf], wake: Sender<Wake>) -> Option<RecommendedWatcher> {
    let changed = move |event: notify::Result<notify::Event>| {
        let written = EventKind::Access(AccessKind::Close(AccessMode::Write));
        let read = matches!(&event, Ok(event) if event.kind.is_access() && event.kind != written);
        if !read {
            // The receiver is gone only when the process is leaving.
            let _ = wake.send(Wake::Change);
        }
    };
    let watched = notify::recommended_watcher(changed).and_then(|mut watcher| {
        let mut places = paths.iter().map(|path| place(path));
        places.try_for_each(|(path, mode)| watcher.watch(path, mode))?;
        Ok(watcher)
    });
    watched
        .inspect_err(|error| {
            tracing::warn!(%error, "file change notifications are not available; polling instead");
        })
        .ok()
}

/// Where to watch for changes of `path`: a file is watched through its directory, because editors
/// replace files.
fn place(path: &Path) -> (&Path, RecursiveMode) {
    if path.is_dir() {
        return (path, RecursiveMode::Recursive);
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    (parent.unwrap_or(Path::new(".")), RecursiveMode::NonRecursive)
}
