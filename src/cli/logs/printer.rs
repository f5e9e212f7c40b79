//! Bytes of a log to lines, and those that are wanted to standard output.

use super::entry::LogEntry;
use super::filter::LogFilter;
use super::prefix;
use super::pretty::Pretty;
use crate::cli::{Failure, complain};
use std::collections::VecDeque;
use std::io::{self, Write};

/// Longest line that is read: ravelin's own are below 24 KiB.
pub(super) const MOST_LINE: usize = 256 * 1024;

/// Why printing ends.
#[derive(Debug)]
pub(super) enum Stopped {
    Failed(Failure),
    /// Nobody reads any more (`| head`).
    Unread,
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Unread,
            _ => Self::Failed(error.into()),
        }
    }
}

/// Prints lines as they come.
pub(super) struct LinePrinter<W: Write> {
    filter: LogFilter,
    /// `None`: lines are printed as they are.
    pretty: Option<Pretty>,
    output: W,
    /// The beginning of a line whose end has not come yet.
    begun: Vec<u8>,
    /// The line is longer than lines are: it is passed over to its end.
    too_long: bool,
    /// The last lines, if only so many are wanted of an input that ends.
    last: Option<LastLines>,
    counts: LineCounts,
}

/// At most so many lines.
struct LastLines {
    most: usize,
    lines: VecDeque<String>,
}

/// How many lines there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LineCounts {
    /// Of the access log.
    pub(super) of_log: u64,
    pub(super) others: u64,
}

impl<W: Write> LinePrinter<W> {
    pub(super) fn new(filter: LogFilter, pretty: Option<Pretty>, output: W) -> Self {
        let (begun, counts) = (Vec::new(), LineCounts::default());
        Self { filter, pretty, output, begun, too_long: false, last: None, counts }
    }

    /// Keeps the last lines alone, until the input ends.
    pub(super) fn keep_last(&mut self, most: usize) {
        self.last = Some(LastLines { most, lines: VecDeque::new() });
    }

    /// Takes the next bytes.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(), Stopped> {
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, behind) = (&rest[..end], &rest[end + 1..]);
            rest = behind;
            if std::mem::take(&mut self.too_long) {
                continue;
            }
            if self.begun.is_empty() {
                self.line(line)?;
            } else {
                self.begun.extend_from_slice(line);
                let line = std::mem::take(&mut self.begun);
                self.line(&line)?;
            }
        }
        if self.too_long {
            return Ok(());
        }
        self.begun.extend_from_slice(rest);
        if self.begun.len() > MOST_LINE {
            self.begun.clear();
            self.too_long = true;
            self.counts.others += 1;
        }
        Ok(())
    }

    /// Takes what has come as a whole line: the input has ended. Returns how many lines there were.
    pub(super) fn finish(&mut self) -> Result<LineCounts, Stopped> {
        let line = std::mem::take(&mut self.begun);
        self.line(&line)?;
        if let Some(last) = self.last.take() {
            for line in last.lines {
                self.output.write_all(line.as_bytes())?;
            }
        }
        self.flush()?;
        Ok(self.counts)
    }

    /// Forgets the beginning of a line whose end will not come: another file has taken the place of its own.
    pub(super) fn forget_begun(&mut self) {
        self.begun.clear();
        self.too_long = false;
    }

    pub(super) fn flush(&mut self) -> Result<(), Stopped> {
        Ok(self.output.flush()?)
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Stopped> {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end();
        if line.is_empty() {
            return Ok(());
        }
        let (prefix, text) = prefix::split(line);
        if let Some(dropped) = dropped_lines(text) {
            complain(&format!(
                "{dropped} lines were dropped: the process wrote faster than they were read here"
            ));
            return Ok(());
        }
        let Some(entry) = LogEntry::parse(text) else {
            self.counts.others += 1;
            return Ok(());
        };
        self.counts.of_log += 1;
        if !self.filter.wants(&entry)? {
            return Ok(());
        }
        let text = match &self.pretty {
            Some(pretty) => pretty.write(prefix, &entry),
            None => format!("{line}\n"),
        };
        if let Some(last) = &mut self.last {
            last.lines.push_back(text);
            if last.lines.len() > last.most {
                last.lines.pop_front();
            }
            return Ok(());
        }
        Ok(self.output.write_all(text.as_bytes())?)
    }
}

/// What the stream of a process says of lines that it could not hand over in time.
fn dropped_lines(line: &str) -> Option<&str> {
    line.strip_prefix("{\"dropped_lines\":")?.strip_suffix('}')
}
