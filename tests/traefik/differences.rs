//! `differences.toml`: in what ravelin may differ from Traefik, and why. A row that no case needs any more
//! fails the test.

use crate::outcome::{Differing, Outcome};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Differences {
    /// How values are compared that are never the same bytes.
    pub(crate) compared: Vec<Compared>,
    difference: Vec<Row>,
}

/// How some items are compared.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Compared {
    id: String,
    items: Vec<String>,
    #[serde(rename = "as")]
    pub(crate) form: Form,
    why: String,
}

/// The ways to compare values.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Form {
    /// Not at all.
    Ignored,
    /// As a set of elements between commas, in any case.
    List,
    /// Without nonce and opaque.
    Challenge,
    /// As times, two seconds apart at most.
    Seconds,
}

/// Something in which ravelin differs, for users to read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// Stable: reports name it.
    id: String,
    /// Whom it is about.
    side: Side,
    /// `KIND/NAME` of cases, `*` stands for any text.
    cases: Vec<String>,
    /// Items, the same way.
    items: Vec<String>,
    /// Only where ravelin answers itself, with a reason, and no pod.
    #[serde(default)]
    own: bool,
    /// Only where both answer with these statuses.
    #[serde(default)]
    statuses: Option<Statuses>,
    /// What Traefik's value is like.
    #[serde(default)]
    traefik: Option<String>,
    /// What ours is like.
    #[serde(default)]
    ravelin: Option<String>,
    /// What Traefik does, and what ravelin does.
    what: String,
    why: String,
    /// For `ravelin migrate`: of which routes it holds.
    #[serde(default)]
    everywhere: bool,
    #[serde(default)]
    seldom: bool,
    #[serde(default)]
    when: Vec<toml::Table>,
    #[serde(skip)]
    used: AtomicUsize,
}

/// What a difference means for those who change from Traefik.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Side {
    /// ravelin refuses or removes what Traefik lets through.
    Stricter,
    /// ravelin does it on purpose in another way.
    Otherwise,
    /// Nobody can tell, or need care: spellings, and what the proxies say of themselves.
    Cosmetic,
    /// ravelin does not do it yet, and serves the route nevertheless.
    Unfinished,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Statuses {
    traefik: String,
    ravelin: String,
}

impl Compared {
    pub(crate) fn covers(&self, item: &str) -> bool {
        self.items.iter().any(|pattern| like(pattern, &first_attempt(item)))
    }
}

impl Differences {
    pub(crate) fn read() -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/migrate/differences.toml");
        let text = fs::read_to_string(file).expect("a file of ours");
        let read: Self = toml::from_str(&text).unwrap_or_else(|error| panic!("{error}"));
        let mut ids = BTreeSet::new();
        let compared = read.compared.iter().map(|row| (&row.id, &row.why));
        let rows = read.difference.iter().map(|row| (&row.id, &row.why));
        for (id, why) in compared.chain(rows) {
            assert!(ids.insert(id), "{id} is there twice");
            assert!(why.ends_with('.'), "{id}: a reason is a sentence");
        }
        assert!(read.difference.iter().all(|row| row.what.ends_with('.')), "sentences");
        let is_told =
            |row: &Row| row.everywhere == row.when.is_empty() && !(row.everywhere && row.seldom);
        assert!(read.difference.iter().all(is_told), "of which routes it holds");
        read
    }

    /// Whether a row accepts this difference.
    pub(crate) fn accept(
        &self,
        case: &str,
        differing: &Differing,
        traefik: &Outcome,
        ravelin: &Outcome,
    ) -> bool {
        let row = self.difference.iter().find(|row| row.is_of(case, differing, traefik, ravelin));
        let Some(row) = row else { return false };
        row.used.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// The ids of rows that nothing needed.
    pub(crate) fn unused(&self) -> Vec<&str> {
        let unused = |row: &&Row| row.used.load(Ordering::Relaxed) == 0;
        self.difference.iter().filter(unused).map(|row| row.id.as_str()).collect()
    }

    /// How many rows there are of each side, for those who read the test's output.
    pub(crate) fn summary(&self) -> String {
        let of = |side| self.difference.iter().filter(|row| row.side == side).count();
        format!(
            "{} rows: stricter {}, otherwise {}, cosmetic {}, unfinished {}",
            self.difference.len(),
            of(Side::Stricter),
            of(Side::Otherwise),
            of(Side::Cosmetic),
            of(Side::Unfinished)
        )
    }
}

impl Row {
    fn is_of(&self, case: &str, found: &Differing, traefik: &Outcome, ravelin: &Outcome) -> bool {
        let any = |patterns: &[String], text: &str| patterns.iter().any(|one| like(one, text));
        let value = |pattern: &Option<String>, value: &str| {
            pattern.as_ref().is_none_or(|pattern| like(pattern, value))
        };
        any(&self.cases, case)
            && any(&self.items, &first_attempt(&found.item))
            && value(&self.traefik, &found.traefik)
            && value(&self.ravelin, &found.ravelin)
            && (!self.own || ravelin.is_own())
            && self.statuses.as_ref().is_none_or(|statuses| {
                like(&statuses.traefik, traefik.status())
                    && like(&statuses.ravelin, ravelin.status())
            })
    }
}

/// The item of the first request that a pod got, for one of a later request.
fn first_attempt(item: &str) -> String {
    match (item.find('#'), item.find('.')) {
        (Some(from), Some(to)) if from < to => format!("{}{}", &item[..from], &item[to..]),
        _ => item.to_owned(),
    }
}

/// Whether a text is like a pattern, in which `*` stands for any text, and `?` for one letter.
pub(crate) fn like(pattern: &str, text: &str) -> bool {
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('*') => {
            let mut ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            ends.any(|at| like(&pattern[1..], &text[at..]))
        }
        Some(letter) => text.chars().next().is_some_and(|first| {
            (letter == '?' || letter == first)
                && like(&pattern[letter.len_utf8()..], &text[first.len_utf8()..])
        }),
    }
}

#[test]
fn a_star_stands_for_any_text() {
    assert!(like("*", "") && like("a*c", "abc") && like("a*", "a\nb") && like("*.b.*", "a.b.c"));
    assert!(like("a?c*", "abcd") && !like("?", ""));
    assert!(!like("a*c", "abd") && !like("a", "ab") && !like("", "a"));
}

#[test]
fn a_later_attempt_is_compared_as_the_first() {
    assert_eq!(first_attempt("app#2.field.host"), "app.field.host");
    assert_eq!(first_attempt("answer.body"), "answer.body");
}
