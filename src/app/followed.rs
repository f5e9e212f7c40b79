//! Files that are looked at again and again: read when they have changed, and told of when they cannot
//! be used.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Device, inode, size, and when it was written, in nanoseconds too.
pub(super) type Stamp = (u64, u64, u64, i64, i64);

/// What the file at a path is known again by, if there is one.
pub(super) fn stamp(path: &Path) -> Option<Stamp> {
    let file = std::fs::metadata(path).ok()?;
    Some((file.dev(), file.ino(), file.size(), file.mtime(), file.mtime_nsec()))
}

/// What was seen of a file, or of several that belong together (`S`).
#[derive(Debug)]
pub(super) struct Followed<S> {
    /// What was read, so that only what has changed is read again.
    seen: Option<S>,
    /// What is wrong with what is there now, and whether it was told.
    failing: Option<(String, bool)>,
}

impl<S: PartialEq> Followed<S> {
    /// With what was there when it was read, and was good.
    pub(super) fn new(seen: Option<S>) -> Self {
        Self { seen, failing: None }
    }

    /// Whether it is to be read: it is another one, or what is wrong with it may be right by now.
    pub(super) fn is_due(&mut self, now: Option<S>) -> bool {
        let is_due = now != self.seen || self.failing.is_some();
        self.seen = now;
        is_due
    }

    /// Notes that it can be used. Says whether it was told that it cannot.
    pub(super) fn succeed(&mut self) -> bool {
        self.failing.take().is_some_and(|(_, told)| told)
    }

    /// Notes why it cannot be used. Says whether that is to be told now: at the second look, for files
    /// are not replaced in one step, and once.
    pub(super) fn fail(&mut self, why: &str) -> bool {
        let before = self.failing.take();
        let again = before.as_ref().is_some_and(|(before, _)| before == why);
        self.failing = Some((why.to_owned(), again));
        again && before.is_some_and(|(_, told)| !told)
    }

    /// Whether it cannot be used, as was told.
    pub(super) fn is_failing(&self) -> bool {
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
        assert!(!file.fail("gone") && !file.is_failing(), "another mistake, another look");
        assert!(!file.succeed(), "nothing was told of it");
        assert!(!file.is_due(Some(2)));
        file.fail("gone");
        file.fail("gone");
        assert!(file.succeed() && !file.is_failing());
    }
}
