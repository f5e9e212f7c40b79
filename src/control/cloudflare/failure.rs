//! Why a list, or the switch of break-glass, is not what its source should have.

use crate::telemetry::ListFailure;

/// Why an attempt failed. What is in force stays in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{words}", line.map_or_else(String::new, |line| format!("line {line}: ")))]
pub struct Failure {
    /// The reason in metrics.
    pub why: ListFailure,
    /// The line of the text, counted from 1. `None`: the text as a whole, or there is none.
    pub line: Option<usize>,
    /// What is wrong. Of what was read it repeats one network or word at most, shortened and in quotes.
    pub words: String,
}

impl Failure {
    pub(super) fn new(why: ListFailure, words: impl Into<String>) -> Self {
        Self { why, line: None, words: words.into() }
    }

    /// The file, or the ConfigMap's key, is not there.
    pub(super) fn absent() -> Self {
        Self::new(ListFailure::Missing, "it does not exist")
    }

    /// Adds the position: `place:line: problem`.
    pub fn at(&self, place: &str) -> String {
        match self.line {
            Some(line) => format!("{place}:{line}: {}", self.words),
            None => format!("{place}: {}", self.words),
        }
    }
}
