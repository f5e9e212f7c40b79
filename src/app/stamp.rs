//! What a file is known again by, so that it is read only when it has changed.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Device, inode, size, and when it was written, in nanoseconds too.
pub(super) type Stamp = (u64, u64, u64, i64, i64);

/// That of the file at a path, if there is one.
pub(super) fn stamp(path: &Path) -> Option<Stamp> {
    let file = std::fs::metadata(path).ok()?;
    Some((file.dev(), file.ino(), file.size(), file.mtime(), file.mtime_nsec()))
}
