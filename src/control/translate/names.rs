//! Names that many have in common, each kept once.

use std::collections::HashSet;
use std::sync::Arc;

/// So many names are kept before it is looked at which are still in use.
const FIRST_LOOK: usize = 64;

/// Which Service it is.
#[derive(Clone, Copy)]
pub(super) struct ServiceName<'n> {
    pub(super) namespace: &'n Arc<str>,
    pub(super) name: &'n Arc<str>,
}

/// Names in use.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: HashSet<Arc<str>, foldhash::fast::RandomState>,
    /// How many were in use at the last cleanup.
    used: usize,
}

impl Names {
    /// The name, shared with its other holders. Names without a holder are dropped when
    /// there are twice as many as at the last cleanup.
    pub(super) fn share(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.known.get(name) {
            return Arc::clone(known);
        }
        if self.known.len() >= FIRST_LOOK.max(2 * self.used) {
            self.known.retain(|name| Arc::strong_count(name) > 1);
            self.used = self.known.len();
        }
        let name: Arc<str> = name.into();
        self.known.insert(Arc::clone(&name));
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_once_and_for_as_long_as_it_is_used() {
        let mut names = Names::default();
        let held: Vec<_> = (0..100).map(|number| names.share(&format!("used-{number}"))).collect();
        assert!(Arc::ptr_eq(&held[7], &names.share("used-7")));
        for number in 0..10_000 {
            names.share(&format!("idle-{number}"));
        }
        assert!(names.known.len() <= 2 * held.len() + 1, "{}", names.known.len());
        assert!(held.iter().all(|name| Arc::ptr_eq(name, &names.share(name))));
    }
}
