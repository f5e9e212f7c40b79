//! What is known of the watch of the cluster, kind by kind: whether it is in step, how old the last
//! proof of that is, and what went wrong. Written by the watch, read by the scrape and by `/readyz`.

use super::last_good::age;
use crate::error::labels;
use crate::model::Kind;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

labels! { fn as_str;
    /// Why a list, a watch or a check came to nothing: label `reason`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum WatchFailure {
        /// No connection, or none that TLS takes.
        Connect = "connect",
        /// The API server owes an answer and is silent.
        Timeout = "timeout",
        /// The answer broke off.
        Broken = "broken",
        /// A watch ended before its time.
        Closed = "closed",
        /// A watch went on past its time.
        Silent = "silent",
        /// Not JSON, not the kind that was asked for, or without bounds.
        Decode = "decode",
        /// 401: the token is not taken.
        Unauthorized = "unauthorized",
        /// 403: RBAC grants no right to it.
        Forbidden = "forbidden",
        /// 404: there is no such kind, because its CustomResourceDefinition is not installed.
        Absent = "absent",
        /// The CustomResourceDefinition of the kind is being deleted, and its objects with it: what is known stays.
        Vanishing = "vanishing",
        /// 410: the resourceVersion or the continue token has expired.
        Gone = "gone",
        /// 429: later.
        Throttled = "throttled",
        /// 5xx.
        ServerError = "server_error",
        /// Any other status.
        Status = "status",
        /// The API server is behind our resourceVersion: its data was restored.
        Behind = "behind",
        /// The API server has another number of objects than we have, and no event said so.
        Differs = "differs",
    }
}

/// Characters kept of what the API server says: more than its own messages have.
const MOST_WORDS: usize = 512;

/// The state of one kind. Times are seconds since the Unix epoch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WatchCells {
    /// Whether all of it has been listed once.
    pub synced: bool,
    /// Objects that are held.
    pub objects: usize,
    /// When an event last came.
    pub event: Option<f64>,
    /// When the API server last showed that what we know is what it has.
    pub proof: Option<f64>,
    /// Lists that were read to their end.
    pub lists: u64,
    /// Why the last attempt failed, with the API server's message, until one succeeds.
    pub failing: Option<(WatchFailure, String)>,
    failures: [u64; WatchFailure::ALL.len()],
}

impl WatchCells {
    /// Counts a failure. Only the start of `words` is kept, for `/readyz`: the server controls its length.
    pub fn fail(&mut self, why: WatchFailure, words: &str) {
        self.failures[why as usize] += 1;
        self.failing = Some((why, words.chars().take(MOST_WORDS).collect()));
    }

    /// Records a proof that the cache matches the API server.
    pub fn prove(&mut self) {
        self.proof = Some(now());
        self.failing = None;
    }

    /// Records an event.
    pub fn hear(&mut self) {
        self.event = Some(now());
    }

    /// When what is held was last known to be what the API server has, in whole seconds.
    fn confirmed(&self) -> Option<u64> {
        let last = [self.proof, self.event].into_iter().flatten().reduce(f64::max)?;
        Some(Duration::try_from_secs_f64(last).ok()?.as_secs())
    }

    /// Failures by reason.
    pub fn failures(&self) -> impl Iterator<Item = (WatchFailure, u64)> + '_ {
        WatchFailure::ALL.into_iter().map(|why| (why, self.failures[why as usize]))
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

#[derive(Debug, Default)]
struct State {
    kinds: BTreeMap<Kind, WatchCells>,
    /// Words of the API server that forbid a list, by kind and what was asked for.
    refused: BTreeMap<(Kind, String), String>,
    in_force: bool,
}

impl State {
    fn missing(&self) -> String {
        let mut page = String::new();
        for (kind, cells) in self.kinds.iter().filter(|(_, cells)| !cells.synced) {
            let forbidden = WatchFailure::Forbidden.as_str();
            let refused = self.refused.iter().filter(|((of, _), _)| of == kind);
            let mut all: Vec<String> =
                refused.map(|(_, words)| format!("{forbidden}: {words}")).collect();
            if all.is_empty() {
                all.push(match &cells.failing {
                    Some((why, words)) => format!("{}: {words}", why.as_str()),
                    None => "not listed yet".to_owned(),
                });
            }
            for why in all {
                // Writing into a String cannot fail.
                let _ = writeln!(page, "{}: {why}", kind.as_str());
            }
        }
        page
    }
}

/// The cells of every kind that is watched, and whether the process serves by them.
#[derive(Debug, Default)]
pub struct WatchMetrics(Mutex<State>);

impl WatchMetrics {
    /// Sets which kinds are watched. Without a call, none is.
    pub fn expect(&self, kinds: impl IntoIterator<Item = Kind>) {
        self.with(|state| {
            state.kinds = kinds.into_iter().map(|kind| (kind, <_>::default())).collect();
        });
    }

    /// Records that the first table is in force and the listeners accept connections.
    pub fn begin(&self) {
        self.with(|state| state.in_force = true);
    }

    /// Changes the cells of a kind; a scrape sees all of it or nothing.
    pub fn update(&self, kind: Kind, change: impl FnOnce(&mut WatchCells)) {
        self.with(|state| change(state.kinds.entry(kind).or_default()));
    }

    /// Notes that a list is forbidden, in the API server's words, or no longer. Namespaces are listed each by itself, and
    /// one that is granted says nothing of the others.
    pub fn refuse(&self, kind: Kind, scope: &str, words: Option<&str>) {
        self.with(|state| {
            let key = (kind, scope.to_owned());
            match words {
                Some(words) => {
                    state.refused.insert(key, words.chars().take(MOST_WORDS).collect());
                }
                None => drop(state.refused.remove(&key)),
            }
        });
    }

    /// The refusals of kinds that have not been listed, in the API server's words.
    pub fn refusals(&self) -> Vec<String> {
        self.with(|state| {
            let is_missing = |kind: &Kind| state.kinds.get(kind).is_some_and(|cells| !cells.synced);
            let refused = state.refused.iter().filter(|((kind, _), _)| is_missing(kind));
            refused.map(|(_, words)| words.clone()).collect()
        })
    }

    /// Forgets a kind that is not watched any more: nothing proves it again.
    pub fn forget(&self, kind: Kind) {
        self.with(|state| {
            state.kinds.remove(&kind);
            state.refused.retain(|(of, _), _| *of != kind);
        });
    }

    /// The cells of every kind that is watched.
    pub fn read(&self) -> BTreeMap<Kind, WatchCells> {
        self.with(|state| state.kinds.clone())
    }

    /// Why the process does not serve yet, a line for each kind that is missing. `None` once it
    /// does: an API server that goes away later does not make the process unready.
    pub fn unready(&self) -> Option<String> {
        self.with(|state| {
            if state.in_force {
                return None;
            }
            let mut page = state.missing();
            if page.is_empty() {
                page.push_str("the first table is not in force yet\n");
            }
            Some(page)
        })
    }

    /// What has not been listed yet and why, a line for each kind.
    pub fn missing(&self) -> String {
        self.with(|state| state.missing())
    }

    /// What is served although the API server does not confirm it now, a line for each kind: how old that
    /// is, and what is wrong. `now` is in seconds since the Unix epoch. Empty in ordinary times.
    pub fn unconfirmed(&self, now: u64) -> String {
        self.with(|state| {
            let mut page = String::new();
            for (kind, cells) in state.kinds.iter().filter(|(_, cells)| cells.synced) {
                let (Some((why, words)), Some(at)) = (&cells.failing, cells.confirmed()) else {
                    continue;
                };
                let (kind, why) = (kind.as_str(), why.as_str());
                // Writing into a String cannot fail.
                let _ = writeln!(page, "{kind}: {} old: {why}: {words}", age(at, now));
            }
            page
        })
    }

    /// Since when at least one kind has not been proven to match the API server, in seconds since the Unix
    /// epoch. `None` before all of them were.
    pub fn proven(&self) -> Option<u64> {
        self.with(|state| {
            let proofs: Option<Vec<f64>> = state.kinds.values().map(|cells| cells.proof).collect();
            let oldest = proofs?.into_iter().reduce(f64::min)?;
            Some(Duration::try_from_secs_f64(oldest).ok()?.as_secs())
        })
    }

    fn with<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn of_the_words_of_an_api_server_the_beginning_is_kept() {
        let mut cells = WatchCells::default();
        cells.fail(WatchFailure::Status, &"\u{e9}".repeat(10_000));
        let (_, words) = cells.failing.expect("it failed");
        assert_eq!(words, "\u{e9}".repeat(MOST_WORDS));
    }

    #[test]
    fn every_failure_is_counted_under_a_label_of_its_own() {
        let mut cells = WatchCells::default();
        for (position, why) in WatchFailure::ALL.into_iter().enumerate() {
            assert_eq!(why as usize, position);
            cells.fail(why, "words");
        }
        let labels: BTreeSet<_> =
            cells.failures().map(|(why, count)| (why.as_str(), count)).collect();
        assert_eq!(labels.len(), WatchFailure::ALL.len());
        assert!(labels.iter().all(|&(_, count)| count == 1));
        cells.prove();
        assert_eq!(cells.failing, None);
    }

    #[test]
    fn the_kinds_that_are_missing_are_named_until_the_process_serves() {
        let metrics = WatchMetrics::default();
        metrics.expect([Kind::Ingress, Kind::Secret, Kind::Node]);
        metrics.update(Kind::Node, |cells| cells.synced = true);
        metrics.update(Kind::Secret, |cells| cells.fail(WatchFailure::Forbidden, "cannot list"));
        let said = metrics.unready();
        assert_eq!(
            said.as_deref(),
            Some("Ingress: not listed yet\nSecret: forbidden: cannot list\n")
        );
        for kind in [Kind::Ingress, Kind::Secret] {
            metrics.update(kind, |cells| cells.synced = true);
        }
        assert_eq!(metrics.unready().as_deref(), Some("the first table is not in force yet\n"));
        metrics.begin();
        metrics.update(Kind::Secret, |cells| cells.fail(WatchFailure::Connect, "refused"));
        assert_eq!(metrics.unready(), None);
    }

    #[test]
    fn what_is_served_unconfirmed_is_told_with_its_age_until_it_is_confirmed() {
        let metrics = WatchMetrics::default();
        metrics.expect([Kind::Ingress, Kind::Node, Kind::Secret]);
        metrics.update(Kind::Node, |cells| {
            (cells.synced, cells.proof, cells.event) = (true, Some(100.5), Some(160.0));
            cells.fail(WatchFailure::Connect, "refused");
        });
        metrics.update(Kind::Ingress, |cells| (cells.synced, cells.proof) = (true, Some(100.0)));
        // A kind that was never listed is reported as missing.
        metrics.update(Kind::Secret, |cells| cells.fail(WatchFailure::Connect, "refused"));
        assert_eq!(metrics.unconfirmed(400), "Node: 4 min old: connect: refused\n");
        metrics.update(Kind::Node, WatchCells::prove);
        assert_eq!(metrics.unconfirmed(400), "");
    }

    #[test]
    fn a_namespace_that_is_granted_hides_no_refusal_of_another() {
        let metrics = WatchMetrics::default();
        metrics.expect([Kind::Secret]);
        metrics.refuse(Kind::Secret, "secrets in namespace a", Some("in a"));
        metrics.refuse(Kind::Secret, "secrets in namespace b", Some("in b"));
        metrics.update(Kind::Secret, WatchCells::prove);
        assert_eq!(metrics.missing(), "Secret: forbidden: in a\nSecret: forbidden: in b\n");
        metrics.refuse(Kind::Secret, "secrets in namespace a", None);
        assert_eq!(metrics.refusals(), ["in b"]);
        metrics.update(Kind::Secret, |cells| cells.synced = true);
        assert_eq!((metrics.missing(), metrics.refusals()), (String::new(), vec![]));
    }
}
