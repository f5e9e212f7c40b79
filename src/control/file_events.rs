//! What the file system reports of paths.

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::path::{Path, PathBuf};

/// Calls `changed` for whatever happens to the paths, for as long as the watcher lives.
/// `None`, after a word in the log, if the system reports nothing.
pub(super) fn follow(
    paths: &[PathBuf],
    changed: impl Fn() + Send + 'static,
) -> Option<RecommendedWatcher> {
    let told = move |event: notify::Result<notify::Event>| {
        let written = EventKind::Access(AccessKind::Close(AccessMode::Write));
        let read = matches!(&event, Ok(event) if event.kind.is_access() && event.kind != written);
        if !read {
            changed();
        }
    };
    let watched = notify::recommended_watcher(told).and_then(|mut watcher| {
        let mut places = paths.iter().map(|path| place(path));
        places.try_for_each(|(path, mode)| watcher.watch(path, mode))?;
        Ok(watcher)
    });
    watched
        .inspect_err(|error| {
            tracing::warn!(%error, ?paths, "file change notifications are not available; polling instead");
        })
        .ok()
}

/// Where to watch for changes of `path`: a file is watched through its directory, because editors
/// replace files, and a mounted ConfigMap changes by a link beside it.
fn place(path: &Path) -> (&Path, RecursiveMode) {
    if path.is_dir() {
        return (path, RecursiveMode::Recursive);
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    (parent.unwrap_or(Path::new(".")), RecursiveMode::NonRecursive)
}
