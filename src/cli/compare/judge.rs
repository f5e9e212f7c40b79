//! What differs between the answers of both proxies to one request: known and accepted, of each request another, or
//! unexplained.

use super::answer::{ABSENT, Seen};
use super::forms;
use crate::cli::migrate::{Compared, Difference, Sighting};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::slice::from_ref;

/// An item in which the answers differ.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Differing {
    pub(super) item: String,
    pub(super) traefik: String,
    pub(super) ravelin: String,
    /// The id of the difference that it is, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) known: Option<String>,
    /// The id of one that looks like it, but is for unusual requests, or for routes that cannot be served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) possible: Option<String>,
}

/// What came of one request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) differing: Vec<Differing>,
    /// Items that are other ones at each request.
    pub(super) varying: BTreeSet<String>,
}

impl Judged {
    /// Whether something is not explained.
    pub(super) fn is_unexplained(&self) -> bool {
        self.differing.iter().any(|it| it.known.is_none())
    }
}

/// How answers are judged.
pub(super) struct Judge<'j> {
    pub(super) rules: &'j [Compared],
    /// Differences that hold for every route.
    pub(super) everywhere: &'j [Difference],
    /// Those that hold for some.
    pub(super) some: &'j [Difference],
}

impl Judge<'_> {
    /// Whether two answers are the same, so that nothing more is to be asked.
    pub(super) fn same(&self, traefik: &Seen, ravelin: &Seen) -> bool {
        self.items(from_ref(traefik), from_ref(ravelin)).differing.is_empty()
    }

    /// Judges the answers to the same request, sent to each proxy several times.
    pub(super) fn judge(
        &self,
        traefik: &[Seen],
        ravelin: &[Seen],
        routes: &Foretold<'_>,
    ) -> Judged {
        let mut judged = self.items(traefik, ravelin);
        let (Some(theirs), Some(ours)) = (traefik.first(), ravelin.first()) else { return judged };
        let statuses = [theirs.status(), ours.status()];
        let statuses = [&*statuses[0], &*statuses[1]];
        let is_own = ours.answer().is_some_and(super::answer::Answer::is_own);
        let find = |differing: &Differing| {
            let Differing { item, traefik, ravelin, .. } = differing;
            let sighting = Sighting { item, traefik, ravelin, statuses, is_own };
            let holding = self.some.iter().filter(|row| routes.ids.contains(row.id.as_str()));
            let rows = holding.chain(self.everywhere);
            let (known, possible): (Vec<_>, Vec<_>) = rows
                .filter(|row| row.shows_in(&sighting))
                .partition(|row| !row.is_of_status() || explains_status(row, routes, statuses[0]));
            let first = |rows: &[&Difference]| rows.first().map(|row| row.id.clone());
            (first(&known), first(&possible))
        };
        for differing in &mut judged.differing {
            let (known, possible) = find(differing);
            differing.possible = possible.filter(|_| known.is_none());
            differing.known = known;
        }
        // With another status, the body is another, too, and everything else may be.
        let of_status = judged.differing.iter().find(|it| it.item == "status");
        let Some(cause) = of_status.map(|status| status.known.clone()) else { return judged };
        for it in &mut judged.differing {
            match &cause {
                Some(cause) if it.item.starts_with("answer.") => {
                    it.known = it.known.take().or_else(|| Some(cause.clone()));
                }
                None if it.item == "answer.body" => it.known = None,
                _ => {}
            }
        }
        judged
    }

    fn items(&self, traefik: &[Seen], ravelin: &[Seen]) -> Judged {
        let theirs: Vec<_> = traefik.iter().map(|seen| seen.items(self.rules)).collect();
        let ours: Vec<_> = ravelin.iter().map(|seen| seen.items(self.rules)).collect();
        let names: BTreeSet<&String> =
            theirs.iter().chain(&ours).flat_map(BTreeMap::keys).collect();
        let is_failed = [traefik, ravelin].into_iter().flatten().any(|it| it.answer().is_none());
        let mut judged = Judged::default();
        for item in names {
            // Without an answer there is nothing to compare but that.
            if is_failed && item != "connection" {
                continue;
            }
            let (theirs, ours) = (values(&theirs, item), values(&ours, item));
            match self.compare(item, &theirs, &ours) {
                Found::Same => {}
                Found::Varies => drop(judged.varying.insert(item.clone())),
                Found::Differs(traefik, ravelin) => judged.differing.push(Differing {
                    item: item.clone(),
                    traefik,
                    ravelin,
                    known: None,
                    possible: None,
                }),
            }
        }
        judged
    }

    fn compare(&self, item: &str, theirs: &[&str], ours: &[&str]) -> Found {
        let is_same = |one: &str, other: &str| forms::same(item, one, other, self.rules);
        let first = |values: &[&str]| values.first().copied().unwrap_or(ABSENT).to_owned();
        if theirs.iter().any(|one| ours.iter().any(|other| is_same(one, other))) {
            let varies = |values: &[&str]| values.iter().any(|value| !is_same(values[0], value));
            return if varies(theirs) || varies(ours) { Found::Varies } else { Found::Same };
        }
        let always = |values: &[&str]| values.iter().all(|value| is_same(values[0], value));
        let is_never = |values: &[&str]| values.iter().all(|value| *value == ABSENT);
        let differs = || Found::Differs(first(theirs), first(ours));
        match (always(theirs), always(ours)) {
            (true, true) => differs(),
            // One of them has it, and the other one has not.
            _ if is_never(theirs) || is_never(ours) => differs(),
            _ if item == forms::COOKIES => {
                let (one, other) = (first(theirs), first(ours));
                let (one, other) = (forms::without_values(&one), forms::without_values(&other));
                if one == other { Found::Varies } else { Found::Differs(one, other) }
            }
            _ => Found::Varies,
        }
    }
}

/// What `migrate` says of the routes of a host: which of them has a request, only an answer tells.
#[derive(Clone, Debug, Default)]
pub(super) struct Foretold<'f> {
    /// The differences that hold for one of them.
    pub(super) ids: BTreeSet<&'f str>,
    /// Whether neither proxy serves one of them.
    pub(super) has_neither: bool,
    /// Whether ravelin does not serve one of them.
    pub(super) has_not_served: bool,
}

/// Traefik's status for a route that does not exist.
const NO_ROUTE: &str = "404";

/// Whether another status is what this difference says: what holds for every route does so where it cannot be served,
/// and what is seldom for requests that are not sent here.
fn explains_status(row: &Difference, routes: &Foretold<'_>, traefik: &str) -> bool {
    if row.everywhere {
        routes.has_neither || routes.has_not_served && traefik == NO_ROUTE
    } else {
        !row.seldom
    }
}

enum Found {
    Same,
    Varies,
    Differs(String, String),
}

/// The values of an item in several answers.
fn values<'v>(answers: &'v [BTreeMap<String, String>], item: &str) -> Vec<&'v str> {
    answers.iter().map(|items| items.get(item).map_or(ABSENT, String::as_str)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(item: &str, theirs: &[&str], ours: &[&str]) -> String {
        let judge = Judge { rules: &[], everywhere: &[], some: &[] };
        match judge.compare(item, theirs, ours) {
            Found::Same => "same".to_owned(),
            Found::Varies => "varies".to_owned(),
            Found::Differs(one, other) => format!("{one} / {other}"),
        }
    }

    #[test]
    fn what_changes_from_request_to_request_is_noise() {
        for (theirs, ours, expected) in [
            (&["1"][..], &["1"][..], "same"),
            (&["1"], &["2"], "1 / 2"),
            (&["1", "1", "1"], &["2", "2", "2"], "1 / 2"),
            (&["1", "2", "3"], &["4", "5", "6"], "varies"),
            // Pods in turn.
            (&["a", "b", "a"], &["b", "b", "b"], "varies"),
            (&["1", "2", "3"], &["-", "-", "-"], "1 / -"),
            (&["-", "-", "-"], &["1", "2", "3"], "- / 1"),
            (&["-", "1", "-"], &["2", "-", "3"], "varies"),
        ] {
            assert_eq!(found("answer.field.x", theirs, ours), expected, "{theirs:?} {ours:?}");
        }
    }

    #[test]
    fn cookies_are_told_apart_by_their_names_and_attributes() {
        let (one, other) = (["s=1; Path=/", "s=2; Path=/"], ["s=3; Path=/", "s=4; Path=/"]);
        assert_eq!(found(forms::COOKIES, &one, &other), "varies");
        let other = ["s=3; Path=/; Secure", "s=4; Path=/; Secure"];
        assert_eq!(found(forms::COOKIES, &one, &other), "s=...; Path=/ / s=...; Path=/; Secure");
    }
}
