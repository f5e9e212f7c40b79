//! Everything that can leave the list as it was.

use super::answer::{ListProblem, TextError};
use super::check::Refused;
use super::fetch::FetchError;
use crate::telemetry::ListFailure;
use std::io;

/// Why an attempt to renew the list failed. What is in force stays in force.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There was no answer, or none that could be used.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The answer, or the operator's text, is not a list.
    #[error(transparent)]
    Text(#[from] TextError),
    /// It is a list, and not one to put in force.
    #[error("the list is rejected: {0}")]
    Refused(#[from] Refused),
    /// The file, or the ConfigMap's key, is not there.
    #[error("it does not exist")]
    Absent,
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(io::Error),
}

impl Failure {
    /// The reason in metrics.
    pub fn why(&self) -> ListFailure {
        match self {
            Self::Fetch(error) => error.why(),
            Self::Text(error) => error.problem.why(),
            Self::Refused(refused) => refused.why(),
            Self::Absent => ListFailure::Missing,
            Self::Unreadable(_) => ListFailure::Unreadable,
        }
    }

    /// Adds the position: `place:line: problem`.
    pub fn at(&self, place: &str) -> String {
        match self {
            Self::Text(TextError { line: Some(line), problem }) => {
                format!("{place}:{line}: {problem}")
            }
            other => format!("{place}: {other}"),
        }
    }
}

impl From<ListProblem> for Failure {
    fn from(problem: ListProblem) -> Self {
        Self::Text(problem.into())
    }
}
