//! What the log says while nothing is served: what is missing, as one block, in the order in which to fix it. At
//! the start at once; later when it has been the same for a while, because `kubectl apply` makes an Ingress some
//! moments before its pods are ready.

use crate::control::translate::Obstacle;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long other obstacles must last before they are told.
const SETTLE: Duration = Duration::from_secs(2);

/// What is in the way, and what was told of it.
#[derive(Debug, Default)]
pub(super) struct Guide {
    now: Arc<[Obstacle]>,
    told: Option<Arc<[Obstacle]>>,
    since: Option<Instant>,
}

/// What there is to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tell {
    /// What is missing.
    Missing(Arc<[Obstacle]>),
    /// That something is served, after it was told that nothing is.
    Served,
}

impl Guide {
    /// Takes what is in the way from now on.
    pub(super) fn note(&mut self, obstacles: Arc<[Obstacle]>, now: Instant) {
        if self.now != obstacles || self.told.is_none() {
            (self.now, self.since) = (obstacles, Some(now));
        }
    }

    /// How long to wait for what is to be told next, and at most for `most`.
    pub(super) fn wait(&self, most: Duration, now: Instant) -> Duration {
        let due = self.since.map(|since| (since + SETTLE).saturating_duration_since(now));
        due.map_or(most, |due| due.min(most))
    }

    /// What is to be told now, if anything.
    pub(super) fn next(&mut self, now: Instant) -> Option<Tell> {
        let since = self.since?;
        let is_first = self.told.is_none();
        if !is_first && !self.now.is_empty() && now.duration_since(since) < SETTLE {
            return None;
        }
        self.since = None;
        let before = self.told.replace(Arc::clone(&self.now)).unwrap_or_default();
        match (before == self.now, self.now.is_empty()) {
            (true, _) => None,
            (false, true) => Some(Tell::Served),
            (false, false) => Some(Tell::Missing(Arc::clone(&self.now))),
        }
    }
}

impl Tell {
    /// Writes it into the log.
    pub(super) fn log(&self) {
        match self {
            Self::Served => tracing::info!("a route is served now"),
            Self::Missing(obstacles) => {
                let steps = obstacles.len();
                tracing::warn!(steps, "no route is served; these are missing, the first one first");
                for (at, Obstacle { missing, fix }) in obstacles.iter().enumerate() {
                    tracing::warn!(step = at + 1, missing, fix, "no route is served: missing");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_obstacles(texts: &[&str]) -> Arc<[Obstacle]> {
        let each =
            texts.iter().map(|text| Obstacle { missing: (*text).to_owned(), fix: String::new() });
        each.collect()
    }

    #[test]
    fn it_is_told_once_at_the_start_and_again_when_other_things_are_missing_for_a_while() {
        let (mut guide, start) = (Guide::default(), Instant::now());
        assert_eq!(guide.next(start), None);
        let first = mk_obstacles(&["class", "service"]);
        guide.note(Arc::clone(&first), start);
        assert_eq!(guide.next(start), Some(Tell::Missing(Arc::clone(&first))));
        guide.note(Arc::clone(&first), start + SETTLE);
        assert_eq!(guide.next(start + 2 * SETTLE), None, "it is the same");
        // Passes while an application is installed.
        guide.note(mk_obstacles(&["pods"]), start + 2 * SETTLE);
        assert_eq!(guide.next(start + 2 * SETTLE), None);
        guide.note(mk_obstacles(&["service"]), start + 3 * SETTLE);
        let regular = 9 * SETTLE;
        assert_eq!(guide.wait(regular, start + 3 * SETTLE), SETTLE);
        assert_eq!(guide.next(start + 3 * SETTLE), None);
        let second = mk_obstacles(&["service"]);
        assert_eq!(guide.next(start + 4 * SETTLE), Some(Tell::Missing(second)));
        guide.note(Arc::default(), start + 4 * SETTLE);
        assert_eq!(guide.next(start + 4 * SETTLE), Some(Tell::Served), "good news do not wait");
        assert_eq!(guide.next(start + 9 * SETTLE), None);
        assert_eq!(guide.wait(regular, start), regular);
    }

    #[test]
    fn nothing_is_told_where_something_is_served_from_the_start() {
        let (mut guide, start) = (Guide::default(), Instant::now());
        guide.note(Arc::default(), start);
        assert_eq!(guide.next(start), None);
        // A roll-out with no ready pod for a moment.
        guide.note(mk_obstacles(&["pods"]), start + SETTLE);
        guide.note(Arc::default(), start + SETTLE + SETTLE / 2);
        assert_eq!(guide.next(start + 9 * SETTLE), None);
    }
}
