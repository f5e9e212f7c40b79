//! What went wrong between us and the API server, in its words, and when to come again.

use crate::control::cause::cause;
use crate::telemetry::WatchFailure;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use std::error::Error;
use std::io;
use std::time::Duration;

/// A list, a watch or a check that came to nothing.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) why: WatchFailure,
    /// One line, without anything that the objects hold.
    pub(super) words: String,
    /// As the API server asks.
    pub(super) retry_after: Option<Duration>,
    /// Whether there was nobody to do any work for it: no connection, or one that was closed before
    /// TLS had begun.
    pub(super) unreached: bool,
}

impl Failure {
    pub(super) fn new(why: WatchFailure, words: impl Into<String>) -> Self {
        Self { why, words: words.into(), retry_after: None, unreached: false }
    }

    /// Whether the API server fails whatever it is asked for.
    pub(super) fn is_of_server(&self) -> bool {
        match self.why {
            WatchFailure::Connect
            | WatchFailure::Timeout
            | WatchFailure::Broken
            | WatchFailure::Closed
            | WatchFailure::Silent
            | WatchFailure::Unauthorized
            | WatchFailure::ServerError => true,
            WatchFailure::Decode
            | WatchFailure::Forbidden
            | WatchFailure::Absent
            | WatchFailure::Vanishing
            | WatchFailure::Gone
            | WatchFailure::Throttled
            | WatchFailure::Status
            | WatchFailure::Behind
            | WatchFailure::Differs => false,
        }
    }

    /// The request did not get its answer.
    pub(super) fn of_error(why: WatchFailure, error: &(dyn Error + 'static)) -> Self {
        let mut levels = Some(error);
        let mut unreached = why == WatchFailure::Connect;
        while let Some(level) = levels {
            unreached &= !is_of_tls(level);
            levels = level.source();
        }
        Self { unreached, ..Self::new(why, one_line(&cause(error))) }
    }

    /// The answer is not what was asked for. The decoder's words are left out where they could
    /// quote a Secret.
    pub(super) fn of_decoding(error: &serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let words = format!("the response cannot be parsed at line {line}, column {column}");
        Self::new(WatchFailure::Decode, words)
    }

    /// An answer that is not a success.
    pub(super) fn of_answer(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let said: Status = serde_json::from_slice(body).unwrap_or_default();
        let retry_after = headers
            .get(header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        Self { retry_after, ..Self::of_status(status.as_u16(), &said.message) }
    }

    /// A `Status` object of this code.
    pub(super) fn of_status(code: u16, message: &str) -> Self {
        let why = match code {
            401 => WatchFailure::Unauthorized,
            403 => WatchFailure::Forbidden,
            404 => WatchFailure::Absent,
            410 => WatchFailure::Gone,
            429 => WatchFailure::Throttled,
            500..=599 => WatchFailure::ServerError,
            _ => WatchFailure::Status,
        };
        let message = one_line(message);
        let words = if message.is_empty() { format!("status {code}") } else { message };
        Self::new(why, words)
    }
}

/// Whether the handshake has failed. The error may be nested in others.
pub(super) fn is_of_tls(error: &(dyn Error + 'static)) -> bool {
    let mut error = error.downcast_ref::<io::Error>();
    while let Some(within) = error {
        if within.kind() == io::ErrorKind::InvalidData {
            return true;
        }
        error = within.get_ref().and_then(|error| error.downcast_ref());
    }
    false
}

/// `meta/v1` Status.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Status {
    #[serde(default)]
    pub(super) code: u16,
    #[serde(default)]
    pub(super) message: String,
}

/// Most characters of the words of others: a refusal of RBAC with long names has 300.
const MOST_WORDS: usize = 500;

fn one_line(text: &str) -> String {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    text.trim().chars().take(MOST_WORDS).map(shown).collect()
}
