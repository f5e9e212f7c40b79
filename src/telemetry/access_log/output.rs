//! Where lines go. A file is followed by its name: who renames or removes it (logrotate without a signal) gets
//! a new one.

use super::super::writer::Open;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Where the lines go.
pub enum Output {
    /// Standard output.
    Stdout,
    /// The end of a file. Without a reader a FIFO takes nothing, as a file that is stuck.
    File(PathBuf),
    /// Anything else.
    Other(Box<dyn Write + Send>),
}

impl Output {
    /// Opens it now, so that mistakes are told at the start; a FIFO when the thread runs.
    pub(super) fn open(self) -> io::Result<Open> {
        let output: Box<dyn Write + Send> = match self {
            // Without the buffer and the lock of `Stdout`, which the end of the process would wait for.
            Self::Stdout => Box::new(File::from(io::stdout().as_fd().try_clone_to_owned()?)),
            Self::File(path) if is_fifo(&path) => {
                return Ok(Box::new(move || Ok(Box::new(append(&path)?) as _)));
            }
            Self::File(path) => Box::new(FollowedFile::open(path)?),
            Self::Other(output) => output,
        };
        Ok(Box::new(|| Ok(output)))
    }
}

fn is_fifo(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.file_type().is_fifo())
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// A file by its name. Whether that is still the same file is asked in `flush`, which the writer calls before
/// each batch and once a second without one: never within a line.
struct FollowedFile {
    path: PathBuf,
    file: File,
    /// Which file that is. `None` for what is no regular file: a terminal, `/dev/null`.
    opened: Option<FileId>,
    failing: bool,
}

/// Device and inode.
#[derive(Clone, Copy, PartialEq, Eq)]
struct FileId(u64, u64);

impl FileId {
    fn of(file: &Metadata) -> Self {
        Self(file.dev(), file.ino())
    }
}

impl FollowedFile {
    fn open(path: PathBuf) -> io::Result<Self> {
        let file = append(&path)?;
        let opened = identify(&file);
        Ok(Self { path, file, opened, failing: false })
    }

    /// Opens the file again if its name stands for another one, or for none. The old one stays in use while
    /// that fails.
    fn follow(&mut self) {
        let Some(opened) = self.opened else { return };
        if std::fs::metadata(&self.path).is_ok_and(|file| FileId::of(&file) == opened) {
            self.failing = false;
            return;
        }
        // A FIFO without a reader would be waited for.
        let again = if is_fifo(&self.path) {
            Err(io::Error::other("it is a FIFO now"))
        } else {
            append(&self.path)
        };
        match again {
            Ok(file) => {
                self.opened = identify(&file);
                self.file = file;
                self.failing = false;
                tracing::info!(path = %self.path.display(), "the access log is written to a new file");
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    let path = self.path.display();
                    tracing::warn!(%path, %error, "the access log cannot be opened again: the old file stays in use");
                }
            }
        }
    }
}

fn identify(file: &File) -> Option<FileId> {
    let file = file.metadata().ok().filter(Metadata::is_file)?;
    Some(FileId::of(&file))
}

impl Write for FollowedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.follow();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_that_was_renamed_or_removed_is_made_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("access.log");
        let mut file = FollowedFile::open(path.clone()).expect("a new file");
        let mut write = |text: &str| {
            file.flush().expect("a file");
            file.write_all(text.as_bytes()).expect("room");
        };
        write("a\n");
        fs::rename(&path, folder.path().join("access.log.1")).expect("a file");
        write("b\n");
        fs::remove_file(&path).expect("a new file");
        write("c\n");
        write("d\n");
        // What has come in its place is taken as it is.
        fs::rename(&path, folder.path().join("access.log.2")).expect("a file");
        fs::write(&path, "x\n").expect("a new file");
        write("e\n");
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).expect("a file");
        assert_eq!(
            [read("access.log.1"), read("access.log.2"), read("access.log")],
            ["a\n", "c\nd\n", "x\ne\n"].map(str::to_owned)
        );
    }

    #[test]
    fn the_old_file_stays_in_use_while_there_can_be_no_new_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let inner = folder.path().join("logs");
        fs::create_dir(&inner).expect("a folder");
        let mut file = FollowedFile::open(inner.join("access.log")).expect("a new file");
        fs::rename(&inner, folder.path().join("old")).expect("a folder");
        file.flush().expect("a file");
        file.write_all(b"a\n").expect("room");
        assert!(file.failing);
        fs::create_dir(&inner).expect("a folder");
        file.flush().expect("a file");
        file.write_all(b"b\n").expect("room");
        assert!(!file.failing);
        let read = |path: &Path| fs::read_to_string(path.join("access.log")).expect("a file");
        assert_eq!((read(&folder.path().join("old")), read(&inner)), ("a\n".into(), "b\n".into()));
    }
}
