//! A file put in its place, or in that of another one, whole or not at all: for what the next process
//! reads.
//!
//! Written beside its place, synced and renamed, so that a reader sees the old file or the new one,
//! after a crash too. Two processes may share the directory while one replaces the other: each writes
//! a file of its own name first.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// When a file that was begun has been given up: its process was killed. No write takes a tenth of
/// that.
const GIVEN_UP: Duration = Duration::from_secs(600);

/// Lets `write` fill a new file of this mode, and puts it in the place of `directory/name`.
///
/// # Errors
/// What the file system or `write` says; the file that was there is there still.
pub fn replace(
    directory: &Path,
    name: &str,
    mode: u32,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    clear(directory, name);
    let draft = directory.join(draft(name));
    let written = fill(&draft, mode, write).and_then(|()| fs::rename(&draft, directory.join(name)));
    if let Err(error) = written {
        // It may never have come into being.
        let _ = fs::remove_file(&draft);
        return Err(error);
    }
    // The rename itself lasts only when the directory is synced.
    File::open(directory)?.sync_all()
}

/// Lets `write` fill a new file of this mode, and moves it to `path` unless a file exists there by then: of
/// several processes that try at once the first one succeeds, and that is not an error.
///
/// # Errors
/// What the file system or `write` says.
pub fn create(
    path: &Path,
    mode: u32,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let draft = path.with_file_name(draft(&name));
    let written = fill(&draft, mode, write).and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    // It may never have come into being.
    let _ = fs::remove_file(&draft);
    written
}

fn fill(path: &Path, mode: u32, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    write(&mut file)?;
    file.sync_all()
}

/// A name that no other process chooses: process numbers repeat between containers.
fn draft(name: &str) -> String {
    let random = RandomState::new().hash_one(std::process::id());
    format!("{}{random:016x}", beginning(name))
}

fn beginning(name: &str) -> String {
    format!(".{name}.")
}

/// Removes what processes that were killed have left. Whatever goes wrong here costs space alone.
fn clear(directory: &Path, name: &str) {
    let beginning = beginning(name);
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_str().is_some_and(|file| file.starts_with(&beginning));
        let begun = entry.metadata().and_then(|metadata| metadata.modified());
        let age = begun.ok().and_then(|begun| SystemTime::now().duration_since(begun).ok());
        if ours && age.is_some_and(|age| age > GIVEN_UP) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::os::unix::fs::PermissionsExt as _;
    use tempfile::TempDir;

    fn names(folder: &TempDir) -> Vec<String> {
        let entries = fs::read_dir(folder.path()).expect("readable");
        let names = entries.map(|entry| entry.expect("readable").file_name());
        let mut names: Vec<_> = names.map(|name| name.to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn whoever_has_the_old_file_open_reads_it_to_its_end() {
        let folder = TempDir::new().expect("temporary directory");
        let path = folder.path().join("f");
        replace(folder.path(), "f", 0o600, |file| file.write_all(b"old")).expect("written");
        let mode = fs::metadata(&path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let mut old = File::open(&path).expect("it is there");
        replace(folder.path(), "f", 0o600, |file| file.write_all(b"new")).expect("written");
        let mut text = String::new();
        old.read_to_string(&mut text).expect("readable");
        assert_eq!((text.as_str(), fs::read(&path).expect("readable")), ("old", b"new".to_vec()));
        assert_eq!(names(&folder), ["f"]);
    }

    #[test]
    fn a_write_that_fails_leaves_what_was_there_and_nothing_else() {
        let folder = TempDir::new().expect("temporary directory");
        replace(folder.path(), "f", 0o600, |file| file.write_all(b"old")).expect("written");
        let failed = replace(folder.path(), "f", 0o600, |file| {
            file.write_all(b"half")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert_eq!(failed.expect_err("it failed").kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read(folder.path().join("f")).expect("readable"), b"old");
        assert_eq!(names(&folder), ["f"]);
    }

    #[test]
    fn what_a_killed_process_has_left_is_removed_and_what_another_one_writes_is_not() {
        let folder = TempDir::new().expect("temporary directory");
        for (name, age) in [(".f.0", 2 * GIVEN_UP), (".f.1", GIVEN_UP / 2), (".g.0", 2 * GIVEN_UP)]
        {
            let file = File::create(folder.path().join(name)).expect("a new file");
            file.set_modified(SystemTime::now() - age).expect("a time");
        }
        replace(folder.path(), "f", 0o600, |_| Ok(())).expect("written");
        assert_eq!(names(&folder), [".f.1", ".g.0", "f"]);
    }
}
