//! Files that are followed: read again when they have changed, and reported when they cannot be used.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Identifies a version of a file, without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileIdentity {
    device: u64,
    inode: u64,
    size: u64,
    /// Time of the last write: seconds, and nanoseconds of the second.
    written: (i64, i64),
}

impl FileIdentity {
    /// The identity of the file at `path`; `None` if there is none.
    pub fn of(path: &Path) -> Option<Self> {
        let file = std::fs::metadata(path).ok()?;
        let written = (file.mtime(), file.mtime_nsec());
        Some(Self { device: file.dev(), inode: file.ino(), size: file.size(), written })
    }
}

/// The identity of a file, or of several that belong together (`S`).
#[derive(Debug)]
pub struct Followed<S> {
    /// The identity of what was read, so that only changes are read again.
    seen: Option<S>,
    /// What is wrong with what is there now, and whether it was told.
    failing: Option<(String, bool)>,
}

impl<S: PartialEq> Followed<S> {
    /// With what was there when it was read, and was good.
    pub fn new(seen: Option<S>) -> Self {
        Self { seen, failing: None }
    }

    /// Whether it is to be read: it is another one, or what is wrong with it may be right by now.
    pub fn is_due(&mut self, now: Option<S>) -> bool {
        let is_due = now != self.seen || self.failing.is_some();
        self.seen = now;
        is_due
    }

    /// Records that it can be used. Returns whether a failure was reported before.
    pub fn succeed(&mut self) -> bool {
        self.failing.take().is_some_and(|(_, told)| told)
    }

    /// Records why it cannot be used. Returns whether to report that now: at the second poll, because files
    /// are not replaced in one step, and only once.
    pub fn fail(&mut self, why: &str) -> bool {
        let before = self.failing.take();
        let again = before.as_ref().is_some_and(|(before, _)| before == why);
        self.failing = Some((why.to_owned(), again));
        again && before.is_some_and(|(_, told)| !told)
    }

    /// Whether a failure is currently reported.
    pub fn is_failing(&self) -> bool {
        matches!(self.failing, Some((_, true)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_wrong_is_told_once_at_the_second_look_and_read_until_it_is_right() {
        let mut file = Followed::new(Some(1));
        assert!(!file.is_due(Some(1)) && file.is_due(Some(2)));
        assert!(!file.fail("half written") && !file.is_failing());
        assert!(file.is_due(Some(2)));
        assert!(file.fail("half written") && file.is_failing());
        assert!(file.is_due(Some(2)) && !file.fail("half written") && file.is_failing());
        assert!(!file.fail("gone") && !file.is_failing(), "another mistake, another poll");
        assert!(!file.succeed(), "nothing was told of it");
        assert!(!file.is_due(Some(2)));
        file.fail("gone");
        file.fail("gone");
        assert!(file.succeed() && !file.is_failing());
    }
}
