//! A log file by its name, as `tail -F`: renamed, removed and made again, or truncated, it is followed.

use super::entry::LogEntry;
use super::filter::LogFilter;
use super::prefix;
use super::printer::MOST_LINE;
use crate::cli::Failure;
use jiff::{SignedDuration, Timestamp};
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Bytes that are read at once.
pub(super) const PIECE: usize = 64 * 1024;

/// The old file is read for so long after another one took its name: the writer looks for that once a second.
const OLD_FILE: Duration = Duration::from_millis(2500);

/// Lines are in the order of their end, but for what workers hold back for a moment; a search for a time goes on for so long.
const DISORDER: SignedDuration = SignedDuration::from_secs(60);

/// Where the wanted lines begin.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Beginning {
    /// So many wanted lines from the end. `None`: all.
    pub(super) last: Option<usize>,
    pub(super) since: Option<Timestamp>,
}

/// What has become of a file of which all is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AtEnd {
    /// There may be more later.
    Same,
    /// It is read from its beginning now.
    Another,
}

/// The file.
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    position: u64,
    /// Since when its name has stood for another file.
    replaced: Option<Instant>,
}

impl LogFile {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::Error::other("it is a directory"));
        }
        Ok(Self { path: path.to_owned(), file, position: 0, replaced: None })
    }

    /// Goes to where the wanted lines begin. A file that has no end, such as a FIFO, is read as it comes.
    pub(super) fn go_to(
        &mut self,
        filter: &LogFilter,
        beginning: Beginning,
    ) -> Result<(), Failure> {
        let file = self.file.metadata()?;
        if !file.is_file() || (beginning.last.is_none() && beginning.since.is_none()) {
            return Ok(());
        }
        self.position = Search { file: &mut self.file, filter, beginning }.start(file.len())?;
        self.file.seek(SeekFrom::Start(self.position))?;
        Ok(())
    }

    /// The next bytes; none at the end.
    pub(super) fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(piece)?;
        self.position += u64::try_from(length).unwrap_or_default();
        Ok(length)
    }

    /// Looks whether the name still stands for this file, with at least what was read of it. While the name stands for
    /// none, more may come in the old one.
    pub(super) fn at_end(&mut self) -> io::Result<AtEnd> {
        let own = self.file.metadata()?;
        if !own.is_file() {
            return Ok(AtEnd::Same);
        }
        if own.len() < self.position {
            self.go_to_start()?;
            return Ok(AtEnd::Another);
        }
        let Ok(named) = std::fs::metadata(&self.path) else { return Ok(AtEnd::Same) };
        if is_same(&own, &named) {
            self.replaced = None;
            return Ok(AtEnd::Same);
        }
        if self.replaced.get_or_insert_with(Instant::now).elapsed() < OLD_FILE {
            return Ok(AtEnd::Same);
        }
        match File::open(&self.path) {
            Ok(file) => {
                *self = Self {
                    path: std::mem::take(&mut self.path),
                    file,
                    position: 0,
                    replaced: None,
                };
                Ok(AtEnd::Another)
            }
            // It was removed again, or may not be read yet.
            Err(_) => Ok(AtEnd::Same),
        }
    }

    fn go_to_start(&mut self) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        self.position = 0;
        Ok(())
    }
}

fn is_same(a: &Metadata, b: &Metadata) -> bool {
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// A search from the end of a file, piece by piece, for the first line that is wanted.
struct Search<'s> {
    file: &'s mut File,
    filter: &'s LogFilter,
    beginning: Beginning,
}

impl Search<'_> {
    /// Where the first wanted line begins, in a file of this length.
    fn start(self, length: u64) -> Result<u64, Failure> {
        let mut found = 0;
        // The bytes from `end` to the beginning of the last line that was looked at.
        let (mut end, mut rest) = (length, Vec::new());
        if self.beginning.last == Some(0) {
            return Ok(length);
        }
        while end > 0 {
            let start = end.saturating_sub(PIECE as u64);
            let mut bytes = vec![0; usize::try_from(end - start).unwrap_or_default()];
            self.file.seek(SeekFrom::Start(start))?;
            self.file.read_exact(&mut bytes)?;
            bytes.append(&mut rest);
            let mut line_end = bytes.len();
            while let Some(newline) = memchr::memrchr(b'\n', &bytes[..line_end]) {
                let at = start + newline as u64 + 1;
                if let Some(place) = self.look(&bytes[newline + 1..line_end], at, &mut found)? {
                    return Ok(place);
                }
                line_end = newline;
            }
            // What is too long is no line of the log.
            bytes.truncate(if line_end > MOST_LINE { 0 } else { line_end });
            (end, rest) = (start, bytes);
        }
        Ok(self.look(&rest, 0, &mut found)?.unwrap_or(0))
    }

    /// Looks at a line; returns where the wanted ones begin, once that is known.
    fn look(&self, line: &[u8], at: u64, found: &mut usize) -> Result<Option<u64>, Failure> {
        let text = String::from_utf8_lossy(line);
        let Some(entry) = LogEntry::parse(prefix::split(text.trim_end()).1) else {
            return Ok(None);
        };
        let is_before = |since: Timestamp| {
            let earliest = since.checked_sub(DISORDER).unwrap_or(Timestamp::MIN);
            entry.time.is_some_and(|time| time < earliest)
        };
        if self.beginning.since.is_some_and(is_before) {
            return Ok(Some(at + line.len() as u64));
        }
        if self.filter.wants(&entry)? {
            *found += 1;
        }
        Ok((Some(*found) == self.beginning.last).then_some(at))
    }
}
